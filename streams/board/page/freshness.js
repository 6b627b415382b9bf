// How old what is shown may be, by what the board itself said and how long ago that was. Pure but for the clocks.

/** From so many seconds on a list is stale: what the interface asks of whoever shows it. */
export const STALE_S = 10;

export class Freshness {
  #heard = null;
  #offset = 0;
  connected = false;

  /** The board says how old its data is, with a heartbeat also when that was. */
  said({ data_age_s: ageS, at = null }) {
    if (ageS === null) return;
    this.#heard = { ageS, wall: Date.now(), steady: performance.now() };
    if (at !== null) this.#offset = new Date(at) - Date.now();
  }

  /** Seconds; null: nothing was ever heard. A steady clock stands still while a laptop sleeps, the other does not. */
  age() {
    if (this.#heard === null) return null;
    const { ageS, wall, steady } = this.#heard;
    return ageS + Math.max(Date.now() - wall, performance.now() - steady, 0) / 1000;
  }

  isStale() {
    const age = this.age();
    return age === null || age >= STALE_S;
  }

  /** When all that is shown was true, by the board's clock; milliseconds since 1970. */
  asOf() {
    return this.#heard === null ? null : this.#heard.wall + this.#offset - this.#heard.ageS * 1000;
  }

  /** Now, by the board's clock: deadlines are its, and a desk's clock may be wrong. */
  now() {
    return Date.now() + this.#offset;
  }
}

/** What is said of tasks that the board could not read; "": there are none. Pure. */
export function lacking(count) {
  if (count === 0) return "";
  const which = count === 1 ? "1 task cannot be shown here: it" : `${count} tasks cannot be shown here: they`;
  return `${which} could not be read. Ask the platform team; look with: breachwatch tasks list`;
}
