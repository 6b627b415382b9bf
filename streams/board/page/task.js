// The opened task: warnings first, then why, where, when, under which terms, and who must be told.

import { get } from "./api.js";
import { act, named } from "./actions.js";
import { byId, element, setText } from "./dom.js";
import { drawn } from "./map.js";
import { isOver, isOverdue } from "./model.js";
import { firstOwed, shown } from "./safeguarding.js";
import { terms } from "./terms.js";
import { length, moment, roughly } from "./times.js";
import { Turns } from "./turns.js";
import { ACTIONS, certainty, holder, words } from "./words.js";

const section = (title, ...children) => element("section", {}, element("h3", {}, title), ...children);
const list = (items, made = (item) => item) =>
  element(
    "ul",
    {},
    items.map((item) => element("li", {}, made(item))),
  );
const aimedAt = (reach) => ({ kind: "safeguarding", id: reach.safeguarding_id, revision: reach.revision });
/** Answers after which nothing of a task may stay: it is not ours to see any more. */
const GONE = new Set([401, 403, 404]);
const TO_LOOK = "Your role is to look: moving a task is for a controller.";

/** The opened task in the page. `board` has: tasks, me, now(), sound, say(text, isBad), close(), lacks(). */
export class TaskView {
  #whole = null;
  /** The map and the terms as they were last answered: to draw them again needs no asking. */
  #beside = {};
  #parts = {};
  #request = null;
  #loading = null;
  #turns = new Turns();
  taskId = null;

  constructor(board) {
    this.board = board;
    this.node = byId("task");
  }

  async open(taskId) {
    if (taskId === this.taskId) return;
    this.close();
    this.taskId = taskId;
    this.node.hidden = false;
    this.node.replaceChildren(element("p", { role: "status" }, "Opening…"));
    await this.load();
  }

  close() {
    this.#request?.abort();
    this.#loading = null;
    this.taskId = null;
    this.#whole = null;
    this.#beside = {};
    this.node.hidden = true;
    this.node.replaceChildren();
  }

  /** Loads it; done once the newest loading is, whoever asked for that. */
  load() {
    return (this.#loading = this.#fetch());
  }

  async #fetch() {
    this.#request?.abort();
    const { signal } = (this.#request = new AbortController());
    const path = `/tasks/${encodeURIComponent(this.taskId)}`;
    try {
      const isFirst = this.#whole === null;
      this.#whole = await get(path, { signal });
      this.board.lacks(this.#whole.unreadable);
      this.#show(isFirst);
      if (!this.board.me.sees_protected) return;
      await Promise.all([this.#ask("map", `${path}/map`, signal), this.#ask("terms", `${path}/orders`, signal)]);
    } catch (problem) {
      if (problem.name === "AbortError") {
        await this.#loading;
        return;
      }
      if (this.#whole !== null && !GONE.has(problem.status)) {
        // What is known of it is worth more than the news that there is no more.
        this.#fill("problem", element("p", { class: "problem" }, `Not loaded again: ${problem.message}.`));
        return;
      }
      this.#whole = null;
      this.node.replaceChildren(this.#closer(), element("p", { role: "alert", class: "problem" }, problem.message));
    }
  }

  async #ask(part, path, signal) {
    try {
      this.#beside[part] = await get(path, { signal });
      this.#again(part);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      this.#fill(part, element("p", { class: "problem" }, problem.message));
    }
  }

  /** What is beside the task, of what was answered last. */
  #again(part) {
    const found = this.#beside[part];
    if (found !== undefined) this.#fill(part, part === "map" ? drawn(found) : terms(found.orders));
  }

  redraw() {
    if (this.#whole === null) return;
    this.#show(false);
    this.changed(this.#summary());
  }

  /** It is not ours to see any more: nothing of it stays, whatever becomes of asking why. */
  removed(taskId) {
    if (taskId !== this.taskId) return undefined;
    this.#whole = null;
    this.#parts = {};
    this.#beside = {};
    this.node.replaceChildren(element("p", { role: "status" }, "It is not shown here any more."));
    return this.load();
  }

  #fill(part, ...content) {
    this.#parts[part]?.replaceChildren(...content);
  }

  #closer() {
    return element(
      "button",
      { type: "button", class: "closer", onclick: () => this.board.close() },
      "Close ",
      element("kbd", {}, "Esc"),
    );
  }

  #show(isFirst) {
    const { task, explanation, safeguarding, alerts } = this.#whole;
    const part = (name) => (this.#parts[name] = element("div", {}));
    // What had the focus in it is about to go; a change by somebody else must not take it from elsewhere.
    const takesFocus = isFirst || this.node.contains(document.activeElement);
    this.node.replaceChildren(
      element(
        "header",
        { class: "task-head", "data-grade": task.grade },
        this.#closer(),
        element("h2", { tabindex: "-1" }, task.subject_name ?? task.subject_id),
        task.exercise ? element("p", { class: "exercise" }, "EXERCISE: this is not real") : null,
        task.warnings.length
          ? element(
              "p",
              { class: "warnings" },
              element("strong", {}, "Officer safety: "),
              task.warnings.map(words).join(", "),
            )
          : element("p", { class: "no-warnings" }, "Officer safety: no warning is recorded"),
        part("facts"),
        part("buttons"),
        part("problem"),
        part("changed"),
      ),
      section(
        "Why",
        task.flags.length ? element("div", { class: "flags" }, list(task.flags)) : null,
        task.breaches.length ? null : element("p", {}, "No breach stands any more."),
        task.breaches.map((breach) => this.#breach(breach)),
      ),
      section("Where", part("map")),
      section("Timeline", this.#timeline(task)),
      section("Order terms", part("terms")),
      section("Safeguarding", part("safeguarding")),
      section(
        `Why ${task.grade} (${task.priority.score} points)`,
        list(task.priority.contributions, (c) => `${c.reason} (${c.points > 0 ? "+" : ""}${c.points})`),
        element("details", {}, element("summary", {}, "What would change it"), list(explanation.alternatives)),
        element(
          "details",
          {},
          element("summary", {}, "Evidence, message by message"),
          explanation.grounds.map((g) => list(g)),
        ),
      ),
      alerts.length
        ? section(
            "Alerts",
            list(alerts.toReversed(), (a) => `${moment(a.at)}: ${a.text}`),
          )
        : "",
    );
    this.#parts.problem.setAttribute("aria-live", "polite");
    this.#facts();
    this.#buttons();
    this.#fill("safeguarding", this.#safeguarding(safeguarding));
    for (const beside of ["map", "terms"]) {
      if (this.board.me.sees_protected) this.#again(beside);
      else this.#fill(beside, element("p", {}, "Your role does not see this."));
    }
    if (takesFocus) this.node.querySelector("h2").focus({ preventScroll: true });
  }

  #summary() {
    return this.board.tasks.known.get(this.taskId) ?? this.#whole.task;
  }

  #facts() {
    const task = this.#summary();
    const now = this.board.now();
    const left = (Date.parse(task.deadline) - now) / 1000;
    const due = isOver(task)
      ? "over"
      : `${length(left)}${isOverdue(task, now) ? " overdue" : left < 0 ? " past" : " left"}`;
    const facts = [
      ["Grade", task.grade],
      ["Act by", `${moment(task.deadline)} (${due})`],
      ["Who has it", holder(task)],
      ["Subject", task.subject_id],
      ["Force", task.owning_force],
    ];
    if (task.last_seen) {
      const seen = task.last_seen;
      const where = seen.place ?? `${seen.position.latitude.toFixed(5)}, ${seen.position.longitude.toFixed(5)}`;
      const ago = roughly((now - Date.parse(seen.time)) / 1000);
      facts.splice(2, 0, ["Last seen", `${where}, ${ago} ago, ${moment(seen.time)} (${words(seen.source)})`]);
    }
    if (task.court_deadline) facts.push(["Before a court by", moment(task.court_deadline)]);
    if (task.incidents.length) facts.push(["Incidents", task.incidents.join(", ")]);
    const key = JSON.stringify(facts);
    if (this.#parts.facts.dataset.key === key) return;
    this.#parts.facts.dataset.key = key;
    const rows = facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
    this.#parts.facts.replaceChildren(element("dl", { class: "facts" }, rows));
  }

  #buttons() {
    const { actions } = this.#whole;
    const { me } = this.board;
    const buttons = (me.may_act ? actions : []).map((possible) => {
      const { name, key } = named(possible);
      const attributes = { type: "button", "data-action": possible.action, onclick: () => this.act(possible.action) };
      return element("button", attributes, name, key ? element("kbd", {}, key) : null);
    });
    const silence = element("button", {
      type: "button",
      onclick: () => this.board.silence(this.taskId),
    });
    silence.append(element("span", { class: "silence" }), element("kbd", {}, "m"));
    this.#fill("buttons", element("div", { class: "buttons" }, buttons, silence));
    this.silenced();
  }

  /** Says whether it is silenced, in its place: the button may have the focus. */
  silenced() {
    const said = this.node.querySelector(".silence");
    if (said !== null) setText(said, this.board.sound.isSilenced(this.taskId) ? "Silenced" : "Silence");
  }

  /** Does what may be done, by its name; says so where it may not. */
  act(action) {
    if (!this.board.me.may_act) return this.board.say(TO_LOOK, true);
    const { name } = ACTIONS[action];
    return this.#turn(name, () => {
      const { task, actions } = this.#whole;
      const possible = actions.find((each) => each.action === action);
      if (possible === undefined) {
        const state = words(this.#summary().state);
        this.board.say(`${name}, ${this.#who()}: not possible now, the task is ${state}.`, true);
        return true;
      }
      return this.#do(named(possible), { kind: "tasks", id: task.task_id, revision: task.revision }, this.#who());
    });
  }

  #who() {
    const task = this.board.tasks.known.get(this.taskId) ?? this.#whole?.task;
    return task?.subject_name ?? task?.subject_id ?? "the opened task";
  }

  /** What is to be done with the opened task waits for its turn, and is for nobody else by then. */
  #turn(name, deed) {
    const [taskId, who, { me }] = [this.taskId, this.#who(), this.board];
    return this.#turns.take(taskId, () => {
      if (this.board.me !== me) return false;
      if (this.taskId === taskId && this.#whole !== null) return deed();
      const why = this.taskId === taskId ? "is not loaded yet" : "is not open any more";
      this.board.say(`${name}, ${who}: not done, the task ${why}.`, true);
      return true;
    });
  }

  async #do(deed, on, who) {
    const { taskId } = this;
    const { me } = this.board;
    const answer = await act(deed, on, who, (text) => this.board.say(text));
    if (answer === null) return true;
    // Whoever asked may have left the desk meanwhile: it is nothing to whoever is there now.
    if (this.board.me !== me) return false;
    this.board.say(answer.text, !answer.taken);
    if (this.taskId === taskId) await this.load();
    return answer.taken;
  }

  /** The task was changed, by whomever: its facts follow at once, what is being read waits to be asked. */
  changed(task) {
    if (this.#whole === null || task.task_id !== this.taskId || task.revision <= this.#whole.task.revision) return;
    this.#facts();
    this.#news(`It has changed (${words(task.change)}, ${moment(task.updated_at)})`);
    // Buttons for what is not possible any more invite a refusal.
    if (task.state !== this.#whole.task.state && !this.node.matches(":hover, :focus-within")) this.load();
  }

  #news(what) {
    const text = `${what}: show (v)`;
    const bar = this.#parts.changed.firstElementChild;
    if (bar !== null) return setText(bar, text);
    return this.#fill(
      "changed",
      element("button", { type: "button", class: "news", onclick: () => this.load() }, text),
    );
  }

  tick() {
    if (this.#whole !== null) this.#facts();
  }

  #breach(breach) {
    const ended = breach.ended_at ? `until ${moment(breach.ended_at)}` : "not known to have ended";
    return element(
      "article",
      { class: "breach" },
      element(
        "h4",
        {},
        words(breach.term_kind),
        " ",
        element("span", { class: "certainty" }, certainty(breach.certainty)),
      ),
      element("p", {}, `${moment(breach.began_at)}, ${ended}`),
      element("p", {}, breach.reason),
      element("p", { class: breach.power_confirmed ? "power" : "power unsure" }, `Power: ${breach.power}`),
      breach.flags.length ? element("div", { class: "flags" }, list(breach.flags)) : null,
      element(
        "p",
        { class: "small" },
        `Order ${breach.order_id} version ${breach.order_version}, term ${breach.term_id ?? "not stated"}`,
      ),
    );
  }

  #timeline(task) {
    return element(
      "ol",
      { class: "timeline" },
      task.history
        .toReversed()
        .map((entry) =>
          element(
            "li",
            {},
            element("time", { datetime: entry.at }, moment(entry.at)),
            " ",
            entry.what,
            element("span", { class: "small" }, ` ${entry.by}`),
          ),
        ),
    );
  }

  #safeguarding(tasks) {
    if (tasks === null) return element("p", {}, "Your role does not see this.");
    if (tasks.length === 0) return element("p", {}, "Nobody is to be told.");
    const { me } = this.board;
    const button = (reach, deed, who) =>
      me.may_act
        ? element("button", { type: "button", onclick: () => this.#reach(reach, deed, who) }, deed.name)
        : null;
    return element(
      "div",
      {},
      tasks.toReversed().map((reach) => shown(reach, me.role, this.board.now(), button)),
    );
  }

  #reach(reach, deed, who) {
    return this.#turn(deed.name, () => this.#do(deed, aimedAt(reach), who));
  }

  /** By its key: says that the first who is owed a word has been told. Who that is may wait for a deed under way. */
  tell() {
    if (!this.board.me.may_act) return this.board.say(TO_LOOK, true);
    return this.#turn("Told", () => {
      const owed = firstOwed(this.#whole.safeguarding);
      if (owed === null) {
        this.board.say(`Told, ${this.#who()}: nobody is waiting to be told.`, true);
        return true;
      }
      return this.#do(owed.deed, aimedAt(owed.reach), owed.who);
    });
  }

  /** A safeguarding task was changed: at once where nobody is in the midst of it. */
  reached(reach) {
    const standing = this.#whole?.safeguarding;
    if (!standing || reach.subject_id !== this.#whole.task.subject_id) return;
    const before = standing.find((each) => each.safeguarding_id === reach.safeguarding_id);
    if (before !== undefined && before.revision >= reach.revision) return;
    this.#whole.safeguarding = [...standing.filter((each) => each !== before), reach];
    const part = this.#parts.safeguarding;
    if (part.contains(document.activeElement)) this.#news("Who has been told has changed");
    else this.#fill("safeguarding", this.#safeguarding(this.#whole.safeguarding));
  }

  /** A safeguarding task is not ours to see any more: it goes at once, whoever is in the midst of it. */
  unreachable(safeguardingId) {
    const standing = this.#whole?.safeguarding;
    const left = standing?.filter((each) => each.safeguarding_id !== safeguardingId);
    if (!standing || left.length === standing.length) return;
    this.#whole.safeguarding = left;
    this.#fill("safeguarding", this.#safeguarding(left));
  }
}
