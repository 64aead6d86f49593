// A cell in some of its frames, a row for each channel, with its outline.

import type { StripData } from "./data.js";

const SCALE = 1.5;

export function Strip(props: { strip: StripData | null }) {
  const { strip } = props;
  if (!strip) return <p class="quiet">there are no pictures of this cell</p>;
  const [columns, rows] = [strip.frames.length, strip.channels.length];
  const [width, height] = [columns * strip.side, rows * strip.side];
  const side = strip.side * SCALE;
  return (
    <div class="strip-rows">
      <div class="strip-names">
        {strip.channels.map((name, i) => (
          <span key={i} style={{ height: `${side}px` }}>
            {name}
          </span>
        ))}
      </div>
      <div class="strip">
        <div class="strip-inside">
          <img
            src={`data:image/webp;base64,${strip.image}`}
            alt={`the cell in frames ${strip.frames.join(", ")}`}
            width={width * SCALE}
            height={height * SCALE}
          />
          <svg viewBox={`0 0 ${width} ${height}`} width={width * SCALE} height={height * SCALE}>
            {strip.channels.map((_, row) =>
              strip.outlines.map((path, i) => (
                <path
                  key={`${row} ${i}`}
                  d={path}
                  transform={`translate(${i * strip.side} ${row * strip.side})`}
                />
              )),
            )}
          </svg>
        </div>
        <ol aria-label="frames">
          {strip.frames.map((frame) => (
            <li key={frame} style={{ width: `${side}px` }}>
              {frame}
            </li>
          ))}
        </ol>
      </div>
    </div>
  );
}
