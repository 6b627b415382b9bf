// Requests to the board's interface, with the token; what goes wrong comes as a Problem, in words for people.

import { token } from "./session.js";

const PREFIX = "/api/v1";

/** A problem as RFC 9457 has it; status 0: no answer came at all. */
export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    Object.assign(this, { status, title, detail });
  }
}

export const headers = (more = {}) => ({ Authorization: `Bearer ${token()}`, ...more });

async function problemOf(response) {
  try {
    const said = await response.json();
    return new Problem(response.status, said.title, said.detail);
  } catch {
    return new Problem(response.status, "Failed", `the board answered ${response.status}`);
  }
}

/** The most that an answer may take: a line that swallows everything says nothing by itself. */
const PATIENCE_MS = 15_000;

/** An answer that is not a Problem, read as "json" or as "blob". What breaks on the way is a Problem of status 0. */
export async function ask(path, as, { signal, ...options } = {}) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  try {
    const response = await fetch(PREFIX + path, {
      ...options,
      headers: headers(options.headers),
      cache: "no-store",
      signal: signal === undefined ? patience : AbortSignal.any([signal, patience]),
    });
    if (!response.ok) throw await problemOf(response);
    return await response[as]();
  } catch (error) {
    if (error instanceof Problem || signal?.aborted) throw error;
    const why = patience.aborted ? "the board did not answer in time" : "the board cannot be reached";
    throw new Problem(0, "No answer", why);
  }
}

export const get = (path, options) => ask(path, "json", options);

/** `crypto.randomUUID` is there in secure contexts alone, and a control room's own network may have none. */
const deed = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

const PENDING_MS = 10_000;
const ASK_AGAIN_MS = 1000;
/** With these the board has sent nothing on. After any other, and where none came, an update may have been taken. */
const NOT_SENT = new Set([400, 401, 403, 404, 409, 429]);
const REFUSED = 409;
const NOT_OURS = new Set([401, 403]);

/**
 * Sends an update and waits for what became of it. The key makes a repeat of it harmless.
 *
 * A Problem has `mayBeDone`: nobody knows what became of it.
 */
export async function update(kind, id, body, { pendingMs = PENDING_MS, askAgainMs = ASK_AGAIN_MS } = {}) {
  let said;
  try {
    said = await ask(`/${kind}/${encodeURIComponent(id)}/updates`, "json", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": deed() },
      body: JSON.stringify(body),
    });
  } catch (problem) {
    throw Object.assign(problem, { mayBeDone: !NOT_SENT.has(problem.status) });
  }
  const until = performance.now() + pendingMs;
  while (said.status === "pending" && performance.now() < until) {
    await new Promise((done) => setTimeout(done, askAgainMs));
    try {
      said = await get(`/updates/${said.update_id}`);
    } catch (problem) {
      // All else leaves it pending, 404 too: another board than the one that sent it may have been asked.
      if (problem.status === REFUSED) throw Object.assign(problem, { mayBeDone: false });
      if (NOT_OURS.has(problem.status)) throw Object.assign(problem, { mayBeDone: true });
    }
  }
  return said;
}

/** Every part of the list, and the position of the first: nothing is missed from there on. */
export async function everyTask(exercises) {
  const tasks = [];
  let first = null;
  let cursor = null;
  do {
    const asked = new URLSearchParams({ exercises, limit: "200", ...(cursor === null ? {} : { cursor }) });
    const part = await get(`/tasks?${asked}`);
    first ??= part;
    tasks.push(...part.tasks);
    cursor = part.next;
  } while (cursor !== null);
  return { ...first, tasks };
}
