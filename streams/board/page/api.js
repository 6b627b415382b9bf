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

/** An answer that is not a Problem. */
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(PREFIX + path, { ...options, headers: headers(options.headers), cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "No answer", "the board cannot be reached");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export const get = async (path, options) => (await ask(path, options)).json();

/** `crypto.randomUUID` is there in secure contexts alone, and a control room's own network may have none. */
const deed = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

const PENDING_TRIES = 10;
const PENDING_MS = 1000;

/** Sends an update and waits for what became of it. The key makes a repeat of it harmless. */
export async function update(kind, id, body) {
  const answer = await ask(`/${kind}/${encodeURIComponent(id)}/updates`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": deed() },
    body: JSON.stringify(body),
  });
  let said = await answer.json();
  for (let tries = 0; said.status === "pending" && tries < PENDING_TRIES; tries += 1) {
    await new Promise((done) => setTimeout(done, PENDING_MS));
    said = await get(`/updates/${said.update_id}`);
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
  return { tasks, position: first.position, data_age_s: first.data_age_s };
}
