// A picture or a film of what is on the screen, for a talk: with scale bar and time, made here.

import { signal } from "@preact/signals";
import { tellError } from "../base/notices.js";
import { hoursAndMinutes } from "../base/units.js";
import { barOf } from "../picture/bar.js";
import { toPicture, type Size, type View } from "../picture/view.js";
import { fov, goToFrame, row, t } from "./state.js";

/** What is drawn over the picture. */
export const stamps = signal({ bar: true, time: true, name: false });
/** How far a film is; null if none is made. */
export const filming = signal<{ readonly done: number; readonly total: number } | null>(null);
let isStopped = false;

export interface Shown {
  readonly view: View;
  readonly image: Size;
}

export interface Film {
  readonly first: number;
  readonly last: number;
  readonly perSecond: number;
}

interface Rect {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The part of the canvas that the image fills; even sides, as films need them. */
export function filled(canvas: Size, { view, image }: Shown): Rect {
  const [x0, y0] = toPicture(view, 0, 0, canvas);
  const [x1, y1] = toPicture(view, image.width, image.height, canvas);
  const [left, top] = [Math.max(Math.round(x0), 0), Math.max(Math.round(y0), 0)];
  const [right, bottom] = [
    Math.min(Math.round(x1), canvas.width),
    Math.min(Math.round(y1), canvas.height),
  ];
  const even = (side: number) => Math.max(side - (side % 2), 2);
  return { left, top, width: even(right - left), height: even(bottom - top) };
}

function canvasOfPicture(): HTMLCanvasElement {
  const found = document.querySelector<HTMLCanvasElement>(".look-picture .picture canvas");
  if (!found) throw new Error("there is no picture to save");
  return found;
}

/** Draw what is on the screen, with scale bar and time. */
function compose(target: HTMLCanvasElement, shown: Shown): void {
  const source = canvasOfPicture();
  const { left, top, width, height } = filled(source, shown);
  if (target.width !== width || target.height !== height) Object.assign(target, { width, height });
  const context = target.getContext("2d") as CanvasRenderingContext2D;
  context.drawImage(source, left, top, width, height, 0, 0, width, height);
  const size = Math.max(Math.round(Math.min(width, height) / 28), 12);
  const margin = size;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.shadowColor = "#000";
  context.shadowBlur = size / 4;
  context.fillStyle = "#fff";
  const known = fov.value.peek();
  if (stamps.peek().bar && known) {
    const bar = barOf(shown.view.scale, known.pixel_size_um, width / 4);
    const thick = Math.max(Math.round(size / 4), 3);
    const right = width - margin;
    context.fillRect(right - bar.pixels, height - margin - thick, bar.pixels, thick);
    context.textAlign = "center";
    context.fillText(bar.words, right - bar.pixels / 2, height - margin - thick - size / 3);
  }
  context.textAlign = "left";
  const words = [];
  if (stamps.peek().name) words.push(row.peek()?.name, row.peek()?.sample);
  if (stamps.peek().time) {
    const minutes = known?.times_min[t.peek()];
    words.push(typeof minutes === "number" ? hoursAndMinutes(minutes) : `frame ${t.peek()}`);
  }
  context.fillText(words.filter(Boolean).join(" · "), margin, margin + size * 0.8);
}

/** Save what is on the screen as a PNG. */
export async function savePicture(shown: Shown): Promise<void> {
  try {
    const target = document.createElement("canvas");
    await drawn();
    compose(target, shown);
    const blob = await new Promise<Blob | null>((done) => target.toBlob(done, "image/png"));
    if (!blob) throw new Error("the browser cannot make a PNG of this picture; make the window smaller");
    download(blob, `${nameOf()} t${String(t.peek()).padStart(3, "0")}.png`);
  } catch (reason) {
    tellError(reason);
  }
}

const KINDS = [
  ["video/mp4;codecs=avc1.640028", "mp4"],
  ["video/mp4;codecs=avc1.42E01F", "mp4"],
  ["video/webm;codecs=vp9", "webm"],
  ["video/webm;codecs=vp8", "webm"],
  ["video/webm", "webm"],
] as const;

/** The kind of film that this browser makes; MP4 where it can, which most programs show. */
export function kindOfFilm(): readonly [string, string] | null {
  if (!("MediaRecorder" in window)) return null;
  return KINDS.find(([type]) => MediaRecorder.isTypeSupported(type)) ?? null;
}

/** Save some frames, as they are on the screen, as a film. */
export async function saveFilm(
  film: Film, shown: () => Shown, isThere: (frame: number) => boolean,
): Promise<void> {
  const kind = kindOfFilm();
  if (filming.peek() || !kind) return;
  const before = t.peek();
  const total = film.last - film.first + 1;
  filming.value = { done: 0, total };
  isStopped = false;
  try {
    const [type, ending] = kind;
    const blob = await record(film, type, shown, isThere);
    if (blob) download(blob, `${nameOf()}.${ending}`);
  } catch (reason) {
    tellError(reason);
  } finally {
    filming.value = null;
    goToFrame(before);
  }
}

export function stopFilm(): void {
  isStopped = true;
}

async function record(
  film: Film, type: string, shown: () => Shown, isThere: (frame: number) => boolean,
): Promise<Blob | null> {
  const target = document.createElement("canvas");
  const part = shown();
  const go = async (frame: number) => {
    goToFrame(frame);
    while (!isThere(frame) && !isStopped) await pause(20);
    await drawn();
    compose(target, part);
  };
  await go(film.first);
  const stream = target.captureStream(0);
  const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 16e6 });
  const parts: Blob[] = [];
  let failure: Error | null = null;
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onerror = () => {
    failure = new Error("the browser stopped recording; try a smaller window, or fewer frames");
  };
  const ended = new Promise((done) => (recorder.onstop = done));
  recorder.start();
  for (let frame = film.first; frame <= film.last && !isStopped && !failure; frame++) {
    // Time that passes while a frame is fetched is not in the film.
    recorder.pause();
    await go(frame);
    recorder.resume();
    give(stream);
    await pause(1000 / film.perSecond);
    filming.value = { done: frame - film.first + 1, total: film.last - film.first + 1 };
  }
  give(stream);
  await pause(30);
  recorder.stop();
  await ended;
  if (failure) throw failure;
  return isStopped ? null : new Blob(parts, { type: type.split(";")[0] as string });
}

/** Take what is drawn as the next frame. */
function give(stream: MediaStream): void {
  const [track] = stream.getVideoTracks() as CanvasCaptureMediaStreamTrack[];
  track?.requestFrame();
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** Wait until what was asked for is drawn. */
async function drawn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((done) => requestAnimationFrame(done));
}

function nameOf(): string {
  const name = `${fov.value.peek()?.title ?? "picture"}`;
  return name.replace(/[^\p{L}\p{N}_. -]+/gu, "_").slice(0, 80);
}

function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
