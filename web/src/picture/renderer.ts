// Draws layers and outlines with WebGL2. Images go into integer textures as they are, contrast is
// applied in the shader; labels are an integer texture too, and outlines are found in the shader.

import type { Pixels } from "../base/binary.js";
import type { Rgb } from "../base/colours.js";
import type { View } from "./view.js";

export interface DrawnLayer {
  /** Names the content; a texture is uploaded again only if it changes. */
  readonly key: string;
  readonly pixels: Pixels;
  readonly low: number;
  readonly high: number;
  readonly colour: Rgb;
}

export interface DrawnOutlines {
  readonly key: string;
  readonly labels: Pixels;
  /** Colour of each cell, by number; of larger numbers, the palette is used in turn. */
  readonly lookup: Lookup;
  readonly palette: readonly Rgb[];
  readonly chosen: number;
  /** A second cell that is shown like the chosen one; 0 for none. */
  readonly second: number;
  readonly hovered: number;
}

/** RGBA of each cell by number; where A is 0, the cell has no outline. */
export interface Lookup {
  readonly key: string;
  readonly rgba: Uint8Array;
}

export interface Scene {
  readonly view: View;
  /** Height and width of the image at full size. */
  readonly height: number;
  readonly width: number;
  readonly layers: readonly DrawnLayer[];
  readonly outlines: DrawnOutlines | null;
  readonly background: Rgb;
}

const LOOKUP_WIDTH = 1024;

const VERTEX = `#version 300 es
const vec2 corners[3] = vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3));
void main() { gl_Position = vec4(corners[gl_VertexID], 0, 1); }`;

// Without a graphics card each operation per pixel counts: where a pixel lies in the texture is one
// multiplication and addition, which are made ready here; what is beside the image is cut off by the
// scissor, and no place of a texture is asked for that is not in it.
const COMMON = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
precision highp sampler2D;
uniform vec4 map;         // from pixels of the screen to texels: factors, and what is added
uniform ivec2 last;       // texel of the texture
out vec4 colour;
vec2 place() { return gl_FragCoord.xy * map.xy + map.zw; }
`;

const layerShader = (sampler: string): string => `${COMMON}
uniform ${sampler} image;
uniform float low;
uniform float gain;
uniform vec3 tint;
void main() {
  vec2 q = place();
  float value;
  if (map.x > 1.0) {  // smaller than it is: mean of neighbours
    vec2 r = q - 0.5;
    vec2 whole = floor(r);
    vec2 f = r - whole;
    ivec2 a = clamp(ivec2(whole), ivec2(0), last);
    ivec2 b = clamp(ivec2(whole) + 1, ivec2(0), last);
    vec4 v = vec4(texelFetch(image, a, 0).r, texelFetch(image, ivec2(b.x, a.y), 0).r,
                  texelFetch(image, ivec2(a.x, b.y), 0).r, texelFetch(image, b, 0).r);
    vec2 rows = mix(v.xz, v.yw, f.x);
    value = mix(rows.x, rows.y, f.y);
  } else {
    value = float(texelFetch(image, clamp(ivec2(q), ivec2(0), last), 0).r);
  }
  float shown = clamp((value - low) * gain, 0.0, 1.0);
  ${sampler === "sampler2D" ? "if (isnan(value)) shown = 0.0;" : ""}
  colour = vec4(tint * shown, 1);
}`;

const OUTLINES = `${COMMON}
uniform usampler2D labels;
uniform sampler2D lookup;
uniform uint lookupSize;
uniform uint chosen;
uniform uint second;
uniform uint hovered;
uniform vec3 palette[8];
uniform uint paletteSize;
uniform float thin;       // in texels
uniform float thick;
uniform vec2 end;         // of the image, in texels
uint at(int x, int y) { return texelFetch(labels, ivec2(x, y), 0).r; }
bool edge(vec2 q, ivec2 i, uint label, float d) {
  ivec2 a = clamp(ivec2(q - d), ivec2(0), last);
  ivec2 b = clamp(ivec2(q + d), ivec2(0), last);
  uvec4 near = uvec4(at(a.x, i.y), at(b.x, i.y), at(i.x, a.y), at(i.x, b.y));
  return near != uvec4(label) || any(lessThan(q, vec2(d))) || any(greaterThanEqual(q + d, end));
}
void main() {
  vec2 q = place();
  ivec2 i = clamp(ivec2(q), ivec2(0), last);
  uint label = at(i.x, i.y);
  colour = vec4(0);
  if (label == 0u) return;
  bool strong = label == chosen || label == second;
  if (!edge(q, i, label, strong || label == hovered ? thick : thin)) return;
  if (strong) {
    colour = vec4(1);
    return;
  }
  vec4 own = label < lookupSize
    ? texelFetch(lookup, ivec2(int(label % ${LOOKUP_WIDTH}u), int(label / ${LOOKUP_WIDTH}u)), 0)
    : vec4(palette[label % paletteSize], 1);
  if (own.a > 0.0) colour = vec4(own.rgb, 1);
}`;

interface Program {
  readonly program: WebGLProgram;
  readonly at: (name: string) => WebGLUniformLocation | null;
}

interface Texture {
  readonly texture: WebGLTexture;
  key: string;
  width: number;
  height: number;
  format: number;
}

export class Renderer {
  readonly gl: WebGL2RenderingContext;
  private readonly programs = new Map<string, Program>();
  private readonly textures = new Map<string, Texture>();

  constructor(canvas: HTMLCanvasElement) {
    const gl = canvas.getContext("webgl2", {
      alpha: false,
      antialias: false,
      depth: false,
      preserveDrawingBuffer: true, // for a picture of what is seen
    });
    if (!gl) {
      throw new Error("This browser has no WebGL2, without which pictures cannot be drawn.");
    }
    this.gl = gl;
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.bindVertexArray(gl.createVertexArray());
  }

  /** Forget everything that the graphics card holds, after it was lost. */
  reset(): void {
    this.programs.clear();
    this.textures.clear();
    this.gl.pixelStorei(this.gl.UNPACK_ALIGNMENT, 1);
    this.gl.bindVertexArray(this.gl.createVertexArray());
  }

  draw(scene: Scene): void {
    const { gl } = this;
    const { width, height } = gl.canvas;
    gl.viewport(0, 0, width, height);
    const [r, g, b] = scene.background;
    gl.clearColor(r, g, b, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE);
    // Nothing is drawn beside the image.
    gl.enable(gl.SCISSOR_TEST);
    this.scissor(scene);
    if (scene.layers.length) {
      gl.clearColor(0, 0, 0, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
    }
    scene.layers.forEach((layer, i) => this.drawLayer(scene, layer, `layer ${i}`));
    if (scene.outlines) this.drawOutlines(scene, scene.outlines);
    gl.disable(gl.SCISSOR_TEST);
  }

  /** Draw only where the image is. */
  private scissor(scene: Scene): void {
    const { gl } = this;
    const { width, height } = gl.canvas;
    const { scale, x, y } = scene.view;
    const left = Math.round(width / 2 - x * scale);
    const bottom = Math.round(height / 2 - (scene.height - y) * scale);
    const w = Math.max(Math.round(scene.width * scale), 0);
    gl.scissor(left, bottom, w, Math.max(Math.round(scene.height * scale), 0));
  }

  private drawLayer(scene: Scene, layer: DrawnLayer, slot: string): void {
    const { gl } = this;
    const isFloat = layer.pixels.dtype === "float32";
    const program = isFloat
      ? this.program("float", layerShader("sampler2D"))
      : this.program("uint", layerShader("usampler2D"));
    gl.useProgram(program.program);
    const texture = this.upload(`${slot} ${isFloat}`, layer.key, layer.pixels);
    this.setCommon(program, scene, texture);
    gl.uniform1f(program.at("low"), layer.low);
    gl.uniform1f(program.at("gain"), 1 / (layer.high - layer.low));
    gl.uniform3f(program.at("tint"), ...layer.colour);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  private drawOutlines(scene: Scene, outlines: DrawnOutlines): void {
    const { gl } = this;
    const program = this.program("outlines", OUTLINES);
    gl.useProgram(program.program);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const labels = this.upload("labels", outlines.key, outlines.labels);
    const factor = this.setCommon(program, scene, labels);
    gl.activeTexture(gl.TEXTURE1);
    const n = this.uploadLookup(outlines.lookup);
    gl.uniform1i(program.at("labels"), 0);
    gl.uniform1i(program.at("lookup"), 1);
    gl.uniform1ui(program.at("lookupSize"), n);
    gl.uniform1ui(program.at("chosen"), outlines.chosen);
    gl.uniform1ui(program.at("second"), outlines.second);
    gl.uniform1ui(program.at("hovered"), outlines.hovered);
    const flat = outlines.palette.flatMap((each) => [...each]);
    gl.uniform3fv(program.at("palette"), flat);
    gl.uniform1ui(program.at("paletteSize"), outlines.palette.length);
    const texels = (globalThis.devicePixelRatio || 1) / (scene.view.scale * factor);
    gl.uniform1f(program.at("thin"), 1.25 * texels);
    gl.uniform1f(program.at("thick"), 2.5 * texels);
    gl.uniform2f(program.at("end"), scene.width / factor, scene.height / factor);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.activeTexture(gl.TEXTURE0);
  }

  /** Bind a texture, and tell where it lies; returns how many pixels of the image a texel is. */
  private setCommon(program: Program, scene: Scene, texture: Texture): number {
    const { gl } = this;
    const { width, height } = gl.canvas;
    const { x, y, scale } = scene.view;
    const factor = factorOf(texture.width, scene.width);
    const step = 1 / (scale * factor);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture.texture);
    gl.uniform4f(
      program.at("map"), step, -step, x / factor - (width / 2) * step, y / factor + (height / 2) * step,
    );
    gl.uniform2i(program.at("last"), texture.width - 1, texture.height - 1);
    return factor;
  }

  private program(name: string, fragment: string): Program {
    const known = this.programs.get(name);
    if (known) return known;
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, fragment],
    ] as const) {
      const shader = gl.createShader(kind);
      if (!shader) throw new Error("the graphics card was lost; reload the page");
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`the picture cannot be drawn: ${gl.getProgramInfoLog(program)}`);
    }
    const places = new Map<string, WebGLUniformLocation | null>();
    const at = (uniform: string): WebGLUniformLocation | null => {
      if (!places.has(uniform)) places.set(uniform, gl.getUniformLocation(program, uniform));
      return places.get(uniform) ?? null;
    };
    const made = { program, at };
    this.programs.set(name, made);
    return made;
  }

  private texture(slot: string): Texture {
    const known = this.textures.get(slot);
    if (known) return known;
    const { gl } = this;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    for (const parameter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
      gl.texParameteri(gl.TEXTURE_2D, parameter, gl.NEAREST);
    }
    for (const parameter of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
      gl.texParameteri(gl.TEXTURE_2D, parameter, gl.CLAMP_TO_EDGE);
    }
    const made = { texture, key: "", width: 0, height: 0, format: 0 };
    this.textures.set(slot, made);
    return made;
  }

  private upload(slot: string, key: string, pixels: Pixels): Texture {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0);
    const texture = this.texture(slot);
    if (texture.key === key) return texture;
    const [height = 0, width = 0] = pixels.shape;
    const formats: Record<string, readonly [number, number, number]> = {
      uint8: [gl.R8UI, gl.RED_INTEGER, gl.UNSIGNED_BYTE],
      uint16: [gl.R16UI, gl.RED_INTEGER, gl.UNSIGNED_SHORT],
      uint32: [gl.R32UI, gl.RED_INTEGER, gl.UNSIGNED_INT],
      float32: [gl.R32F, gl.RED, gl.FLOAT],
    };
    const found = formats[pixels.dtype];
    if (!found) throw new Error(`pixels of ${pixels.dtype} cannot be drawn`);
    const [inside, format, type] = found;
    gl.bindTexture(gl.TEXTURE_2D, texture.texture);
    const isSame =
      texture.width === width && texture.height === height && texture.format === inside;
    if (isSame) {
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, format, type, pixels.values);
    } else {
      gl.texImage2D(gl.TEXTURE_2D, 0, inside, width, height, 0, format, type, pixels.values);
    }
    Object.assign(texture, { key, width, height, format: inside });
    return texture;
  }

  /** Upload the colours of cells; returns of how many there are some. */
  private uploadLookup(lookup: Lookup): number {
    const { gl } = this;
    const texture = this.texture("lookup");
    gl.bindTexture(gl.TEXTURE_2D, texture.texture);
    const n = lookup.rgba.length / 4;
    const largest = LOOKUP_WIDTH * (gl.getParameter(gl.MAX_TEXTURE_SIZE) as number);
    if (texture.key !== lookup.key) {
      const height = Math.max(Math.ceil(Math.min(n, largest) / LOOKUP_WIDTH), 1);
      const padded = new Uint8Array(LOOKUP_WIDTH * height * 4);
      padded.set(lookup.rgba.subarray(0, padded.length));
      gl.texImage2D(
        gl.TEXTURE_2D, 0, gl.RGBA8, LOOKUP_WIDTH, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, padded,
      );
      texture.key = lookup.key;
    }
    return Math.min(n, largest);
  }
}

/** How many pixels of an image make one of a smaller form of it: a power of two. */
function factorOf(small: number, full: number): number {
  return 2 ** Math.round(Math.log2(full / Math.max(small, 1)));
}

/** The label at a place of the image, in pixels. */
export function labelAt(labels: Pixels, ix: number, iy: number, width: number, height: number) {
  if (ix < 0 || iy < 0 || ix >= width || iy >= height) return 0;
  const [, columns = 0] = labels.shape;
  const factor = factorOf(columns, width);
  return labels.values[Math.floor(iy / factor) * columns + Math.floor(ix / factor)] ?? 0;
}
