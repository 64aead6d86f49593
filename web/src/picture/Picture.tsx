// A picture that can be zoomed with the wheel, moved with the mouse and clicked.

import { useSignal, useSignalEffect, type ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Renderer, type Scene } from "./renderer.js";
import { moved, toImage, zoomed, type Size, type View } from "./view.js";

const CLICK_MOVES = 4;

export interface PictureProps {
  /** What is drawn; null as long as there is nothing. */
  readonly scene: ReadonlySignal<Scene | null>;
  /** Size of the picture in pixels of the screen. */
  readonly onSize: (size: Size) => void;
  readonly onView: (change: (view: View, picture: Size) => View) => void;
  readonly onClick?: (ix: number, iy: number, event: MouseEvent) => void;
  readonly onHover?: (ix: number, iy: number) => void;
  readonly onLeave?: () => void;
  readonly label: string;
  readonly children?: ComponentChildren;
}

export function Picture(props: PictureProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const renderer = useRef<Renderer | null>(null);
  const size = useSignal<Size>({ width: 0, height: 0 });
  const problem = useSignal("");
  const lost = useSignal(0);
  const drag = useRef({ x: 0, y: 0, moves: -1 });
  const asked = useRef(0);

  const ratio = () => window.devicePixelRatio || 1;

  const place = (event: MouseEvent): [number, number] => {
    const box = (canvas.current as HTMLCanvasElement).getBoundingClientRect();
    return [(event.clientX - box.left) * ratio(), (event.clientY - box.top) * ratio()];
  };

  useEffect(() => {
    const element = canvas.current as HTMLCanvasElement;
    try {
      renderer.current = new Renderer(element);
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
      return;
    }
    const onLost = (event: Event) => event.preventDefault();
    const onRestored = () => {
      renderer.current?.reset();
      lost.value += 1;
    };
    element.addEventListener("webglcontextlost", onLost);
    element.addEventListener("webglcontextrestored", onRestored);
    const observer = new ResizeObserver(() => {
      const box = (element.parentElement as HTMLElement).getBoundingClientRect();
      const width = Math.max(Math.round(box.width * ratio()), 1);
      const height = Math.max(Math.round(box.height * ratio()), 1);
      if (width === element.width && height === element.height && size.value.width) return;
      element.width = width;
      element.height = height;
      size.value = { width, height };
      props.onSize(size.value);
    });
    observer.observe(element.parentElement as HTMLElement);
    return () => {
      observer.disconnect();
      cancelAnimationFrame(asked.current);
      element.removeEventListener("webglcontextlost", onLost);
      element.removeEventListener("webglcontextrestored", onRestored);
    };
  }, []);

  useSignalEffect(() => {
    lost.value;
    const scene = props.scene.value;
    if (!renderer.current || !size.value.width) return;
    cancelAnimationFrame(asked.current);
    asked.current = requestAnimationFrame(() => {
      try {
        if (scene && !renderer.current?.gl.isContextLost()) renderer.current?.draw(scene);
        const element = canvas.current;
        if (element && scene) {
          element.dataset["drawn"] = scene.layers.map((layer) => layer.key).join(" ");
          element.dataset["outlines"] = scene.outlines?.key ?? "";
        }
      } catch (error) {
        problem.value = error instanceof Error ? error.message : String(error);
      }
    });
  });

  const onWheel = (event: WheelEvent) => {
    event.preventDefault();
    const [px, py] = place(event);
    const factor = Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0015));
    props.onView((view, picture) => zoomed(view, factor, px, py, picture));
  };

  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0 && event.button !== 1) return;
    (event.target as Element).setPointerCapture(event.pointerId);
    drag.current = { x: event.clientX, y: event.clientY, moves: 0 };
  };

  const onPointerMove = (event: PointerEvent) => {
    const { x, y, moves } = drag.current;
    if (moves < 0) {
      if (props.onHover) {
        const scene = props.scene.peek();
        if (scene) props.onHover(...toImage(scene.view, ...place(event), size.value));
      }
      return;
    }
    const [dx, dy] = [event.clientX - x, event.clientY - y];
    const far = moves + Math.abs(dx) + Math.abs(dy);
    drag.current = { x: event.clientX, y: event.clientY, moves: far };
    if (far > CLICK_MOVES) props.onView((view) => moved(view, dx * ratio(), dy * ratio()));
  };

  const onPointerUp = (event: PointerEvent) => {
    const { moves } = drag.current;
    drag.current = { x: 0, y: 0, moves: -1 };
    const scene = props.scene.peek();
    if (moves >= 0 && moves <= CLICK_MOVES && scene && props.onClick) {
      props.onClick(...toImage(scene.view, ...place(event), size.value), event);
    }
  };

  return (
    <div class="picture">
      <canvas
        ref={canvas}
        role="img"
        aria-label={props.label}
        onWheel={onWheel}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerLeave={() => props.onLeave?.()}
      />
      {problem.value && <p class="problem">{problem.value}</p>}
      {props.children}
    </div>
  );
}
