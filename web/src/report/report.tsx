// The script of a report: what can be looked at beyond what the file shows without one.

import { render } from "preact";
import type { Payload } from "./data.js";
import { offerOrders } from "./order.js";
import { makeState, TracesSection } from "./Traces.js";
import "uplot/dist/uPlot.min.css";
import "./report.css";

document.documentElement.classList.add("script");

const [order, tiles] = [document.getElementById("order"), document.getElementById("tiles")];
if (order && tiles) offerOrders(order, tiles);

const [place, data] = [document.getElementById("traces"), document.getElementById("data")];
if (place && data) begin(place, data);

/** Draw the traces when they are scrolled to. */
function begin(place: HTMLElement, data: HTMLElement): void {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((each) => each.isIntersecting)) return;
      observer.disconnect();
      const state = makeState(JSON.parse(data.textContent ?? "") as Payload);
      render(<TracesSection state={state} />, place);
    },
    { rootMargin: "600px" },
  );
  observer.observe(place.closest("section") ?? place);
}
