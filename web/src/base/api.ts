// Questions to the server. What can be asked, and what comes back, is typed by `messages.ts`.

import { readPixels, readTable } from "./binary.js";
import type { Changes, Failure, Reads } from "./messages.js";

/** The server understood, and says in words why there is no answer. */
export class Refused extends Error {}

/** The server does not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super(
      "The server of this page does not answer. What was saved is safe; " +
        "start pyama app again, and open the address that it prints.",
    );
  }
}

export async function get<P extends keyof Reads>(
  path: P,
  asks: Reads[P]["asks"],
  signal?: AbortSignal,
): Promise<Reads[P]["answers"]> {
  return (await send(`${path}?${query(asks)}`, { signal: signal ?? null })) as Reads[P]["answers"];
}

export async function post<P extends keyof Changes>(
  path: P,
  asks: Changes[P] extends { asks: infer A } ? A : never,
): Promise<Changes[P] extends { answers: infer A } ? A : never> {
  return (await send(path as string, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(asks),
  })) as never;
}

/** Values as an address has them; of several, the name is repeated. */
export function query(asks: object): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(asks) as [string, unknown][]) {
    if (Array.isArray(value)) for (const each of value) parts.append(name, String(each));
    else if (value !== undefined && value !== null) parts.append(name, String(value));
  }
  return parts.toString();
}

async function send(address: string, init: RequestInit): Promise<unknown> {
  let answer: Response;
  try {
    answer = await fetch(address, init);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Unreachable();
  }
  if (!answer.ok) throw new Refused(await reason(answer));
  if (answer.headers.get("Content-Type")?.startsWith("application/json")) return answer.json();
  const buffer = await answer.arrayBuffer();
  const shape = answer.headers.get("X-Shape");
  if (shape === null) return readTable(buffer);
  return readPixels(shape, answer.headers.get("X-Dtype") ?? "", buffer);
}

async function reason(answer: Response): Promise<string> {
  const text = await answer.text();
  try {
    return (JSON.parse(text) as Failure).error;
  } catch {
    return text.trim() || `the server answered ${answer.status}`;
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
