// The small multiples in another order.

const ORDERS = ["trouble", "position", "sample"] as const;
type Order = (typeof ORDERS)[number];

/** Put the positions in order, and let a reader choose which. */
export function offerOrders(place: HTMLElement, tiles: HTMLElement): void {
  place.append("Sorted by ");
  const choice = document.createElement("select");
  choice.setAttribute("aria-label", "order of positions");
  for (const order of ORDERS) choice.append(new Option(order, order));
  choice.addEventListener("change", () => sort(tiles, choice.value as Order));
  place.append(choice);
}

function sort(tiles: HTMLElement, order: Order): void {
  const number = (tile: HTMLElement, name: string) => Number(tile.dataset[name]);
  const by: Record<Order, (a: HTMLElement, b: HTMLElement) => number> = {
    trouble: (a, b) => number(b, "trouble") - number(a, "trouble"),
    position: () => 0,
    sample: (a, b) => number(a, "sample") - number(b, "sample"),
  };
  const all = [...tiles.children] as HTMLElement[];
  all.sort((a, b) => by[order](a, b) || number(a, "fov") - number(b, "fov"));
  tiles.append(...all);
}
