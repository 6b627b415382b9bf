// A critical task that nobody has acted on is heard again and again, until somebody acts or silences that one.

const EVERY_MS = 10_000;
const ONCE_MS = 1000;
const TONES_HZ = [880, 660, 880];
const TONE_S = 0.18;

export class Sound {
  #context = null;
  #silenced = new Set();
  #soundedAt = -Infinity;
  #heard = new Set();
  /** How often it has sounded: what a test can see of it. */
  beeps = 0;

  /** Browsers play nothing before somebody has clicked or pressed a key. */
  allow() {
    this.#context ??= new AudioContext();
    return this.#context.resume();
  }

  get isAllowed() {
    return this.#context?.state === "running";
  }

  isSilenced(taskId) {
    return this.#silenced.has(taskId);
  }

  silence(taskId) {
    this.#silenced.add(taskId);
  }

  /** Called each second with the ids of critical tasks; at once for one that is new. */
  check(critical, now = performance.now()) {
    const ids = new Set(critical);
    // One that was dealt with and is critical again is heard again.
    for (const kept of [this.#silenced, this.#heard]) for (const id of kept) if (!ids.has(id)) kept.delete(id);
    const loud = critical.filter((id) => !this.#silenced.has(id));
    const fresh = loud.some((id) => !this.#heard.has(id));
    loud.forEach((id) => this.#heard.add(id));
    if (loud.length === 0 || (!fresh && now - this.#soundedAt < EVERY_MS)) return;
    this.#soundedAt = now;
    this.#play();
  }

  /** For what is said once; what sounds already says it too. */
  once(now = performance.now()) {
    if (now - this.#soundedAt < ONCE_MS) return;
    this.#soundedAt = now;
    this.#play();
  }

  #play() {
    this.beeps += 1;
    if (!this.isAllowed) return;
    TONES_HZ.forEach((hertz, number) => {
      const from = this.#context.currentTime + number * TONE_S;
      const tone = new OscillatorNode(this.#context, { frequency: hertz, type: "square" });
      const volume = new GainNode(this.#context, { gain: 0.15 });
      tone.connect(volume).connect(this.#context.destination);
      tone.start(from);
      tone.stop(from + TONE_S * 0.9);
    });
  }
}
