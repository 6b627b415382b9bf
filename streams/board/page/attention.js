// Is somebody there? A pointer that was left on a list reads nothing, and neither does a focus. Pure but for the clock.

const LASTS_MS = 30_000;

export class Attention {
  #paidAt;

  constructor(now = performance.now()) {
    this.#paidAt = now;
  }

  /** Somebody has moved, pressed or turned something. */
  pay(now = performance.now()) {
    this.#paidAt = now;
  }

  isPaid(now = performance.now()) {
    return now - this.#paidAt < LASTS_MS;
  }
}
