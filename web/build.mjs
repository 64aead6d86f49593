// Bundles the client into the Python package, from where `pyama app` serves it.
// The bundle is committed: users install from a clone, without Node.
import { build } from "esbuild";
import { readFile, stat, writeFile, copyFile, readdir } from "node:fs/promises";

const out = new URL("../src/pyama_core/app/static/", import.meta.url);
const LARGEST = 200 * 1024;

const { metafile } = await build({
  entryPoints: { app: "src/main.tsx" },
  outdir: out.pathname,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none", // their licences are in LICENSES.txt
  metafile: true,
  logLevel: "warning",
});
await copyFile("index.html", new URL("index.html", out));

// Licences of what is in the bundle.
const packages = new Set();
for (const input of Object.keys(metafile.inputs)) {
  const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (found) packages.add(found[1]);
}
const parts = ["The page is made of its own code and of the following.\n"];
for (const name of [...packages].sort()) {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(await readFile(`${folder}/package.json`, "utf8"));
  const file = (await readdir(folder)).find((each) => /^licen[sc]e/i.test(each));
  const text = file ? await readFile(`${folder}/${file}`, "utf8") : `${license}\n`;
  parts.push(`\n${"-".repeat(80)}\n${name} ${version} (${license})\n\n${text.replace(/\r/g, "").trim()}\n`);
}
await writeFile(new URL("LICENSES.txt", out), parts.join(""));

let total = 0;
for (const name of ["app.js", "app.css", "index.html"]) {
  total += (await stat(new URL(name, out))).size;
}
console.log(`${(total / 1024).toFixed(1)} KB`);
if (total > LARGEST) throw new Error(`the page takes ${total} bytes, more than ${LARGEST}`);
