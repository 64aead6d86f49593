// Panels side by side, or one above the other, with dividers that can be dragged or moved by keys.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";

export interface SplitProps {
  /** Names the size, which is remembered. */
  readonly name: string;
  readonly direction: "row" | "column";
  /** Which of the two has a size of its own; the other takes the rest. */
  readonly sized: "first" | "second";
  readonly initial: number;
  readonly smallest?: number;
  readonly label: string;
  readonly children: [ComponentChildren, ComponentChildren];
}

function remembered(name: string, initial: number): number {
  const value = Number(localStorage.getItem(`split ${name}`));
  return Number.isFinite(value) && value >= 0 && localStorage.getItem(`split ${name}`)
    ? value
    : initial;
}

export function Split(props: SplitProps) {
  const size = useSignal(remembered(props.name, props.initial));
  const element = useRef<HTMLDivElement>(null);
  const isRow = props.direction === "row";
  const smallest = props.smallest ?? 120;

  const set = (wanted: number) => {
    const box = (element.current as HTMLDivElement).getBoundingClientRect();
    const most = (isRow ? box.width : box.height) - 80;
    // Narrower than half of what is of use, it is folded.
    size.value = wanted < smallest / 2 ? 0 : Math.max(Math.min(wanted, most), smallest);
    localStorage.setItem(`split ${props.name}`, String(size.value));
  };
  const onPointerDown = (event: PointerEvent) => {
    event.preventDefault();
    const handle = event.currentTarget as HTMLElement;
    handle.setPointerCapture(event.pointerId);
    const from = isRow ? event.clientX : event.clientY;
    const before = size.value;
    const sign = props.sized === "first" ? 1 : -1;
    const onMove = (move: PointerEvent) =>
      set(before + sign * ((isRow ? move.clientX : move.clientY) - from));
    const onUp = () => {
      handle.removeEventListener("pointermove", onMove);
      handle.removeEventListener("pointerup", onUp);
    };
    handle.addEventListener("pointermove", onMove);
    handle.addEventListener("pointerup", onUp);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const sign = props.sized === "first" ? 1 : -1;
    const steps: Record<string, number> = isRow
      ? { ArrowLeft: -16, ArrowRight: 16 }
      : { ArrowUp: -16, ArrowDown: 16 };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    set(size.value + sign * step);
  };
  const toggle = () => set(size.value === 0 ? props.initial : 0);
  const own = { flex: `0 0 ${size.value}px`, display: size.value === 0 ? "none" : undefined };
  const [first, second] = props.children;
  return (
    <div class={`split ${props.direction}`} ref={element}>
      <div class="pane" style={props.sized === "first" ? own : undefined}>
        {first}
      </div>
      <div
        class="divider"
        role="separator"
        tabIndex={0}
        aria-label={`size of ${props.label}`}
        aria-orientation={isRow ? "vertical" : "horizontal"}
        aria-valuenow={size.value}
        title="drag; double click folds"
        onPointerDown={onPointerDown}
        onKeyDown={onKeyDown}
        onDblClick={toggle}
      />
      <div class="pane" style={props.sized === "second" ? own : undefined}>
        {second}
      </div>
    </div>
  );
}
