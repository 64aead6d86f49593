// Traces over time: all thin, the chosen one strong, median and quartiles of each group.

import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Course } from "../base/messages.js";
import { short } from "../base/units.js";
import { labels, ticks } from "./axis.js";
import { nearest, rowsOf, type Hit, type Traces } from "./traces.js";

const NEAR = 14;

export interface Drawn {
  readonly traces: Traces | null;
  readonly isDrawn: (cell: number) => boolean;
  readonly colourOf: (cell: number) => string;
  readonly courses: readonly Course[];
  readonly colourOfCourse: (sample: string) => string;
  readonly unit: "h" | "frame";
  readonly title: string;
  /** The moment that the picture shows, in the unit. */
  readonly now: number | null;
}

export interface ChartProps {
  /** Read within an effect: signals that it reads are followed. */
  readonly drawn: () => Drawn;
  readonly chosen: () => number | null;
  readonly hovered: () => number | null;
  readonly onHover: (hit: Hit | null) => void;
  readonly onChoose: (hit: Hit | null) => void;
}

interface Ink {
  readonly thin: string;
  readonly strong: string;
  readonly axis: string;
  readonly grid: string;
  readonly now: string;
}

function inkOf(element: Element): Ink {
  const style = getComputedStyle(element);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return {
    thin: of("--trace-thin"),
    strong: of("--ink"),
    axis: of("--ink-quiet"),
    grid: of("--line"),
    now: of("--accent"),
  };
}

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const drawn = useRef<Drawn | null>(null);
  /** All thin lines, which take longest: drawn once for each scale. */
  const thin = useRef<{ key: string; canvas: HTMLCanvasElement } | null>(null);
  const version = useRef(0);

  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const make = () => {
      plot.current?.destroy();
      plot.current = newPlot(element, props, () => drawn.current, thin, version);
      if (drawn.current) setData(plot.current, drawn.current);
    };
    make();
    const observer = new ResizeObserver(() => {
      const { width, height } = element.getBoundingClientRect();
      if (width > 20 && height > 20) plot.current?.setSize({ width, height });
    });
    observer.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", make);
    return () => {
      observer.disconnect();
      scheme.removeEventListener("change", make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);

  useSignalEffect(() => {
    const next = props.drawn();
    const before = drawn.current;
    drawn.current = next;
    const isNew =
      !before ||
      before.traces !== next.traces ||
      before.courses !== next.courses ||
      before.isDrawn !== next.isDrawn ||
      before.title !== next.title;
    if (isNew) version.current += 1;
    if (!plot.current) return;
    if (isNew) setData(plot.current, next);
    else plot.current.redraw(false, false);
  });

  useSignalEffect(() => {
    props.chosen();
    props.hovered();
    plot.current?.redraw(false, false);
  });

  return <div class="chart" ref={box} />;
}

/** Values that each plot reaches from and to, also if a part of the times is looked at. */
const heights = new WeakMap<uPlot, readonly [number, number]>();

function setData(plot: uPlot, drawn: Drawn): void {
  const { x, y } = extent(drawn);
  heights.set(plot, y ?? [0, 1]);
  plot.setData([x, y ?? [null, null]] as uPlot.AlignedData);
}

/** From where to where everything that is drawn reaches. */
function extent(drawn: Drawn): { x: [number, number]; y: [number, number] | null } {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  const add = (x: number, y: number): void => {
    if (!Number.isFinite(x) || !Number.isFinite(y)) return;
    x0 = Math.min(x0, x);
    x1 = Math.max(x1, x);
    y0 = Math.min(y0, y);
    y1 = Math.max(y1, y);
  };
  const { traces } = drawn;
  if (traces) {
    for (let k = 0; k < traces.cells.length; k++) {
      if (!drawn.isDrawn(traces.cells[k] as number)) continue;
      for (let i = traces.starts[k] as number; i < (traces.starts[k + 1] as number); i++) {
        add(traces.x[i] as number, traces.y[i] as number);
      }
    }
  }
  for (const course of drawn.courses) {
    course.x.forEach((x, i) => {
      add(x, course.low[i] as number);
      add(x, course.high[i] as number);
    });
  }
  if (x0 > x1) return { x: [0, 1], y: null };
  if (x0 === x1) x1 = x0 + 1;
  const margin = (y1 - y0 || Math.abs(y1) || 1) * 0.04;
  return { x: [x0, x1], y: [y0 - margin, y1 + margin] };
}

function newPlot(
  element: HTMLDivElement,
  props: ChartProps,
  current: () => Drawn | null,
  thin: { current: { key: string; canvas: HTMLCanvasElement } | null },
  version: { current: number },
): uPlot {
  const ink = inkOf(element);
  const { width, height } = element.getBoundingClientRect();
  const font = "12px system-ui, sans-serif";
  const axis = { stroke: ink.axis, grid: { stroke: ink.grid, width: 1 }, ticks: { show: false }, font };
  const hitAt = (u: uPlot): Hit | null => {
    const drawn = current();
    const { left = -1, top = -1 } = u.cursor;
    if (!drawn?.traces || left < 0) return null;
    const scale = {
      toX: (value: number) => u.valToPos(value, "x"),
      toY: (value: number) => u.valToPos(value, "y"),
    };
    return nearest(drawn.traces, drawn.isDrawn, scale, left, top, NEAR);
  };
  let over: Hit | null = null;
  const options: uPlot.Options = {
    width: Math.max(width, 50),
    height: Math.max(height, 50),
    legend: { show: false },
    padding: [8, 24, 0, 0],
    scales: {
      x: { time: false },
      y: { range: (u) => [...(heights.get(u) ?? [0, 1])] as [number, number] },
    },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false } },
    series: [{}, { show: true, stroke: "transparent", points: { show: false } }],
    axes: [
      {
        ...axis,
        size: 28,
        splits: (u, _axis, min, max) => ticks(current()?.unit, min, max, u.width),
        values: (u, splits) => {
          const { min, max } = u.scales["x"] ?? {};
          return labels(current()?.unit, min ?? 0, max ?? 1, splits);
        },
      },
      { ...axis, size: 48, values: (_u, splits) => splits.map(short) },
    ],
    hooks: {
      draw: [
        (u) => {
          const drawn = current();
          if (drawn) paint(u, drawn, ink, props, thin, `${version.current}`);
        },
      ],
      setCursor: [
        (u) => {
          const hit = hitAt(u);
          u.over.style.cursor = hit ? "pointer" : "default";
          if (hit?.cell !== over?.cell) props.onHover(hit);
          over = hit;
        },
      ],
      ready: [
        (u) => {
          let pressedAt = 0;
          u.over.addEventListener("mousedown", (event) => {
            pressedAt = event.clientX;
          });
          u.over.addEventListener("click", (event) => {
            // Dragging chooses a range of time.
            if (Math.abs(event.clientX - pressedAt) < 4) props.onChoose(hitAt(u));
          });
          u.over.addEventListener("mouseleave", () => props.onHover(null));
        },
      ],
    },
  };
  return new uPlot(options, [[0, 1], [null, null]], element);
}

function paint(
  u: uPlot,
  drawn: Drawn,
  ink: Ink,
  props: ChartProps,
  thin: { current: { key: string; canvas: HTMLCanvasElement } | null },
  version: string,
): void {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  if (drawn.traces) {
    const scales = [u.scales["x"], u.scales["y"]].map((s) => `${s?.min} ${s?.max}`).join(" ");
    const key = `${version} ${scales} ${width} ${height} ${left} ${top}`;
    if (thin.current?.key !== key) thin.current = { key, canvas: paintThin(u, drawn, ink) };
    ctx.drawImage(thin.current.canvas, 0, 0);
  }
  for (const course of drawn.courses) paintCourse(u, course, drawn.colourOfCourse(course.sample));
  const [chosen, hovered] = [props.chosen(), props.hovered()];
  if (hovered !== null && hovered !== chosen) paintOne(u, drawn, hovered, drawn.colourOf(hovered), 2);
  if (chosen !== null) paintOne(u, drawn, chosen, ink.strong, 2.5);
  if (drawn.now !== null) {
    const x = Math.round(u.valToPos(drawn.now, "x", true)) + 0.5;
    ctx.strokeStyle = ink.now;
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
  }
  ctx.restore();
}

/** A straight line from values to pixels of the canvas, without asking uPlot for each. */
function scaleOf(u: uPlot): { toX: (v: number) => number; toY: (v: number) => number } {
  const [x0, x1] = [u.valToPos(0, "x", true), u.valToPos(1, "x", true)];
  const [y0, y1] = [u.valToPos(0, "y", true), u.valToPos(1, "y", true)];
  return { toX: (v) => x0 + v * (x1 - x0), toY: (v) => y0 + v * (y1 - y0) };
}

function paintThin(u: uPlot, drawn: Drawn, ink: Ink): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = u.ctx.canvas.width;
  canvas.height = u.ctx.canvas.height;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  const traces = drawn.traces as Traces;
  const scale = scaleOf(u);
  context.strokeStyle = ink.thin;
  context.globalAlpha = Math.max(Math.min(40 / Math.sqrt(traces.cells.length + 1) / 8, 0.8), 0.12);
  context.lineWidth = devicePixelRatio;
  const lines = 200;
  for (let k = 0; k < traces.cells.length; k += lines) {
    context.beginPath();
    for (let j = k; j < Math.min(k + lines, traces.cells.length); j++) {
      if (drawn.isDrawn(traces.cells[j] as number)) {
        follow(context, traces, traces.starts[j] as number, traces.starts[j + 1] as number, scale);
      }
    }
    context.stroke();
  }
  return canvas;
}

/** Walk along a trace; frames in which the cell was not seen, and values that are none, are gaps. */
function follow(
  context: CanvasRenderingContext2D,
  traces: Traces,
  from: number,
  to: number,
  scale: { toX: (v: number) => number; toY: (v: number) => number },
): void {
  let isDown = false;
  for (let i = from; i < to; i++) {
    const value = traces.y[i] as number;
    if (!Number.isFinite(value)) {
      isDown = false;
      continue;
    }
    const isNext = i > from && (traces.frames[i] as number) === (traces.frames[i - 1] as number) + 1;
    const [x, y] = [scale.toX(traces.x[i] as number), scale.toY(value)];
    if (isDown && isNext) context.lineTo(x, y);
    else context.moveTo(x, y);
    isDown = true;
  }
}

function paintOne(u: uPlot, drawn: Drawn, cell: number, colour: string, width: number): void {
  const rows = drawn.traces && rowsOf(drawn.traces, cell);
  if (!rows || !drawn.traces) return;
  u.ctx.strokeStyle = colour;
  u.ctx.lineWidth = width * devicePixelRatio;
  u.ctx.lineJoin = "round";
  u.ctx.beginPath();
  follow(u.ctx, drawn.traces, rows[0], rows[1], scaleOf(u));
  u.ctx.stroke();
}

function paintCourse(u: uPlot, course: Course, colour: string): void {
  const { ctx } = u;
  const scale = scaleOf(u);
  const points = (values: readonly number[]) =>
    course.x.map((x, i) => [scale.toX(x), scale.toY(values[i] as number)] as const);
  ctx.fillStyle = colour;
  ctx.globalAlpha = 0.18;
  ctx.beginPath();
  for (const [x, y] of [...points(course.low), ...points(course.high).reverse()]) ctx.lineTo(x, y);
  ctx.fill();
  ctx.globalAlpha = 1;
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  for (const [x, y] of points(course.median)) ctx.lineTo(x, y);
  ctx.stroke();
  ctx.setLineDash([]);
}
