// Bundles the client into the Python package, from where `pyama app` serves it.
// The bundle is committed: users install from a clone, without Node.
import { build } from "esbuild";
import { readFile, rm, stat, writeFile, copyFile, readdir } from "node:fs/promises";

const PAGE = new URL("../src/pyama_core/app/static/", import.meta.url);
const REPORT = new URL("../src/pyama_core/report/static/", import.meta.url);

/** A place that is loaded when it is opened takes at most so much. */
const LARGEST_PLACE = 40 * 1024;

/**
 * Bundle an entry and its styles into a folder, with the licences of what is in it. What modules
 * import on demand goes into files of its own.
 */
async function bundle(name, entry, format, out, largest) {
  for (const file of await readdir(out)) {
    if (file.endsWith(".js")) await rm(new URL(file, out)); // parts have names of their content
  }
  const { metafile } = await build({
    entryPoints: { [name]: entry },
    outdir: out.pathname,
    bundle: true,
    splitting: format === "esm",
    chunkNames: "[name]-[hash]",
    minify: true,
    format,
    target: "es2022",
    charset: "utf8",
    legalComments: "none", // their licences are in LICENSES.txt
    metafile: true,
    logLevel: "warning",
  });
  await writeLicences(metafile, out);
  const parts = new Map(
    Object.entries(metafile.outputs).map(([path, part]) => [path.split("/").at(-1), part]),
  );
  const first = loadedWith(`${name}.js`, parts);
  let total = 0;
  for (const file of await readdir(out)) {
    if (!/\.(js|css|html)$/.test(file)) continue;
    const { size } = await stat(new URL(file, out));
    if (!file.endsWith(".js") || first.has(file)) total += size;
    else refuseLarge(file, size, LARGEST_PLACE);
  }
  refuseLarge(name, total, largest);
}

/** What a browser loads at once with a file: all but what is imported on demand. */
function loadedWith(file, parts) {
  const found = new Set([file]);
  for (const each of found) {
    for (const { path, kind } of parts.get(each).imports) {
      if (kind === "import-statement") found.add(path.split("/").at(-1));
    }
  }
  return found;
}

function refuseLarge(name, size, largest) {
  console.log(`${name}: ${(size / 1024).toFixed(1)} KB`);
  if (size > largest) throw new Error(`${name} takes ${size} bytes, more than ${largest}`);
}

/** Write the licences of what is in a bundle. */
async function writeLicences(metafile, out) {
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
}

await copyFile("index.html", new URL("index.html", PAGE));
await bundle("app", "src/main.tsx", "esm", PAGE, 200 * 1024);
// A report carries its script within itself, as one that no module can be.
await bundle("report", "src/report/report.tsx", "iife", REPORT, 100 * 1024);
