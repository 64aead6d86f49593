// A small grey picture.

import { useLayoutEffect, useRef } from "preact/hooks";
import type { Pixels } from "./binary.js";

export function Thumbnail(props: { picture: Pixels | null }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { picture } = props;
  const [height = 1, width = 1] = picture?.shape ?? [];
  // Before the browser paints: a canvas of another size is blank.
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !picture) return;
    const image = new ImageData(width, height);
    picture.values.forEach((value: number, i: number) => {
      image.data.fill(value, i * 4, i * 4 + 3);
      image.data[i * 4 + 3] = 255;
    });
    context.putImageData(image, 0, 0);
  }, [picture]);
  return <canvas ref={canvas} width={width} height={height} aria-hidden="true" />;
}
