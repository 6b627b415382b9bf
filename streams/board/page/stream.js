// The live stream, by fetch: EventSource can send no token but in the address, where it would be logged.

import { headers } from "./api.js";

const RETRY_MS = 2000;
// The server gives a sign of life every 5 s; without one for three times as long the connection is dead.
const SILENCE_MS = 15_000;

/** Parses an event stream as it comes, in parts of any size (WHATWG HTML, section 9.2.6). Pure. */
export class Parser {
  #rest = "";
  #fields = {};

  /** The events that are whole with this part. */
  take(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    const found = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#fields.data !== undefined) found.push({ event: "message", ...this.#fields });
        this.#fields = {};
      } else if (!line.startsWith(":")) {
        const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
        const before = name === "data" ? this.#fields.data : undefined;
        this.#fields[name] = before === undefined ? value : `${before}\n${value}`;
      }
    }
    return found;
  }
}

/** Follows the stream until stopped. `tell` has: event(name, data), state("live" | "lost" | "ended", why). */
export class Stream {
  #stopped = false;
  #abort = null;
  #wake = null;

  constructor(exercises, position, tell) {
    Object.assign(this, { exercises, lastId: position, tell });
  }

  async run() {
    while (!this.#stopped) {
      const wait = await this.#once();
      if (wait === null || this.#stopped) return;
      await new Promise((done) => {
        this.#wake = done;
        setTimeout(done, wait);
      });
    }
  }

  stop() {
    this.#stopped = true;
    this.#abort?.abort();
    this.#wake?.();
  }

  /** One connection; how long to wait before the next, null: there is none. */
  async #once() {
    const abort = (this.#abort = new AbortController());
    let watch = null;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    try {
      alive();
      const response = await fetch(`/api/v1/stream?exercises=${this.exercises}`, {
        headers: headers({ Accept: "text/event-stream", "Last-Event-ID": this.lastId }),
        cache: "no-store",
        signal: abort.signal,
      });
      if (response.status === 401 || response.status === 403) return this.#end("The token is not valid any more");
      if (!response.ok) throw new Error(`status ${response.status}`);
      this.tell.state("live");
      const parser = new Parser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        alive();
        for (const { event, data, id } of parser.take(part.value)) {
          if (event === "expired") return this.#end("The token has ended");
          this.tell.event(event, JSON.parse(data));
          // Only once it is taken in: what a fault kept from being shown comes again.
          if (id !== undefined) this.lastId = id;
        }
      }
      this.#lost("the stream ended");
    } catch (error) {
      this.#lost(error.message);
    } finally {
      clearTimeout(watch);
      abort.abort();
    }
    return RETRY_MS;
  }

  #lost(why) {
    if (!this.#stopped) this.tell.state("lost", why);
  }

  #end(why) {
    this.tell.state("ended", why);
    return null;
  }
}
