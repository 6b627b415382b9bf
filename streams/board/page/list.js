// The list: one row a task, changed in place; its order changes when nobody is reading it, or when asked.

import { byId, element, setText } from "./dom.js";
import { Arrangement, byUrgency, isLoud, isOver, isOverdue, wanted } from "./model.js";
import { length, moment, roughly } from "./times.js";
import { certainty, holder, words } from "./words.js";

const NEWS_MS = 20_000;

const place = (seen) => seen.place ?? `${seen.position.latitude.toFixed(4)}, ${seen.position.longitude.toFixed(4)}`;

/** What the row of a task says, part by part; made once and then only its texts are set. */
class Row {
  constructor(taskId) {
    const part = (name) => element("span", { class: name });
    this.parts = Object.fromEntries(
      [
        "grade",
        "mark",
        "exercise",
        "deadline",
        "by",
        "who",
        "warnings",
        "what",
        "certainty",
        "seen",
        "ago",
        "at",
        "holder",
      ].map((n) => [n, part(n)]),
    );
    const {
      grade,
      mark,
      exercise,
      deadline,
      by,
      who,
      warnings,
      what,
      certainty: sure,
      seen,
      ago,
      at,
      holder: has,
    } = this.parts;
    this.link = element(
      "a",
      { href: `#/tasks/${taskId}`, class: "row-link" },
      element("span", { class: "cell first" }, grade, exercise, mark),
      element("span", { class: "cell due" }, deadline, by),
      element("span", { class: "cell person" }, who, warnings),
      element("span", { class: "cell breach" }, what, sure),
      element("span", { class: "cell place" }, seen, ago, at),
      element("span", { class: "cell held" }, has),
    );
    this.node = element("li", { class: "row", "data-task": taskId }, this.link);
    this.markedUntil = 0;
  }

  show(task, now) {
    this.task = task;
    const { parts, node } = this;
    node.dataset.grade = task.grade;
    node.dataset.state = task.state;
    setText(parts.grade, task.grade);
    setText(parts.who, task.subject_name ?? task.subject_id);
    setText(parts.warnings, task.warnings.map(words).join(", "));
    const [surest] = task.breached;
    const more = task.breached.length > 1 ? ` +${task.breached.length - 1}` : "";
    setText(parts.what, surest ? `${words(surest.term_kind)}${more}` : "no breach stands");
    setText(parts.exercise, task.exercise ? "EXERCISE" : "");
    setText(parts.certainty, surest ? certainty(surest.certainty) : "");
    setText(parts.holder, isOver(task) ? `over: ${words(task.state)}` : holder(task));
    setText(parts.seen, task.last_seen ? place(task.last_seen) : "not seen");
    this.stamp(now);
    node.classList.toggle("is-over", isOver(task));
    node.classList.toggle("is-waiting", task.state === "open");
    this.tick(now);
  }

  mark(text, until) {
    setText(this.parts.mark, text);
    this.node.classList.add("is-news");
    this.markedUntil = until;
  }

  /** What changes by itself as time passes. */
  tick(now) {
    const { task, parts, node } = this;
    if (this.markedUntil !== 0 && now > this.markedUntil) {
      node.classList.remove("is-news");
      this.markedUntil = 0;
      setText(parts.mark, "");
    }
    const left = (Date.parse(task.deadline) - now) / 1000;
    const overdue = isOverdue(task, now);
    node.classList.toggle("is-overdue", overdue);
    setText(parts.deadline, overdue ? `${length(left)} late` : left < 0 ? "past" : length(left));
    const seen = task.last_seen;
    setText(parts.ago, seen ? `${roughly((now - Date.parse(seen.time)) / 1000)} ago (${words(seen.source)})` : "");
  }

  /** What stands on paper, where nothing counts down. */
  stamp(now) {
    const { task, parts } = this;
    setText(parts.by, `${isOverdue(task, now) ? "was due" : "by"} ${moment(task.deadline, now)}`);
    setText(parts.at, task.last_seen ? moment(task.last_seen.time, now) : "");
  }
}

const MARKS = { opened: "NEW", breach: "NEW BREACH", wanted_again: "WANTED AGAIN", escalated: "ESCALATED" };

/** The list in the page. `board` has: tasks, grades, now(). */
export class List {
  #rows = new Map();
  #arrangement = new Arrangement();
  #dirty = new Set();
  #scheduled = false;
  #hovered = false;
  filter = { text: "", which: "all" };

  constructor(board) {
    this.board = board;
    this.node = byId("rows");
    this.node.addEventListener("pointerenter", () => (this.#hovered = true));
    this.node.addEventListener("pointerleave", () => {
      this.#hovered = false;
      this.#settle();
    });
    this.node.addEventListener("focusout", () => queueMicrotask(() => this.#settle()));
    byId("news").addEventListener("click", () => this.arrange());
  }

  /** Is somebody reading it, so that nothing may move? */
  isRead() {
    return this.#hovered || this.node.contains(document.activeElement);
  }

  #ordered() {
    const chosen = [...this.board.tasks.known.values()].filter(wanted(this.filter, this.board.now()));
    return byUrgency(chosen, this.board.grades);
  }

  /** A task is new or has changed. */
  changed(taskId, isNews) {
    this.#dirty.add(taskId);
    const task = this.board.tasks.known.get(taskId);
    if (isNews && task !== undefined && isLoud(task)) {
      this.#row(taskId).mark(MARKS[task.change] ?? "CHANGED", this.board.now() + NEWS_MS);
    }
    // Fifty changes a second are drawn as one, with the next frame.
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => this.#draw());
  }

  #row(taskId) {
    if (!this.#rows.has(taskId)) this.#rows.set(taskId, new Row(taskId));
    return this.#rows.get(taskId);
  }

  #draw() {
    this.#scheduled = false;
    const now = this.board.now();
    for (const taskId of this.#dirty) {
      const task = this.board.tasks.known.get(taskId);
      if (task !== undefined) this.#row(taskId).show(task, now);
      else this.#rows.get(taskId)?.node.classList.add("is-over");
    }
    this.#dirty.clear();
    this.#settle();
  }

  /** Arranges where nobody is reading; else says what waits. */
  #settle() {
    const ordered = this.#ordered();
    const { fresh, moved } = this.#arrangement.pending(ordered);
    if (!moved) return this.#news("");
    if (!this.isRead()) return this.arrange(ordered);
    const urgent = fresh.filter((task) => task.grade === this.board.grades[0]).length;
    const count = fresh.length === 0 ? "The order has changed" : `${fresh.length} new`;
    return this.#news(`${count}${urgent ? `, ${urgent} ${this.board.grades[0]}` : ""}: show (n)`);
  }

  #news(text) {
    const bar = byId("news");
    setText(bar, text);
    bar.hidden = text === "";
  }

  /** Puts the rows in order now. */
  arrange(ordered = this.#ordered()) {
    const now = this.board.now();
    const focused = this.node.contains(document.activeElement) ? document.activeElement : null;
    const keep = new Set(ordered.map((task) => task.task_id));
    for (const [taskId, row] of this.#rows) {
      if (keep.has(taskId)) continue;
      row.node.remove();
      this.#rows.delete(taskId);
    }
    let at = this.node.firstElementChild;
    for (const task of ordered) {
      const row = this.#row(task.task_id);
      if (row.task !== task) row.show(task, now);
      if (row.node === at) at = at.nextElementSibling;
      else this.node.insertBefore(row.node, at);
    }
    this.#arrangement.arrange(ordered);
    // A node that is moved loses the focus.
    if (focused !== null && focused.isConnected) focused.focus({ preventScroll: true });
    this.#news("");
    this.#count(ordered);
  }

  #count(ordered) {
    this.#title();
    const none = byId("none");
    none.hidden = ordered.length > 0;
    setText(none, this.board.tasks.known.size > 0 ? "No task is as you ask for." : "No task is open.");
  }

  #title() {
    const now = this.board.now();
    const shown = [...this.#rows.values()].filter((row) => row.task !== undefined && row.node.isConnected);
    const overdue = shown.filter((row) => isOverdue(row.task, now)).length;
    setText(byId("list-title"), `Tasks: ${shown.length}${overdue ? `, ${overdue} overdue` : ""}`);
  }

  /** Each second. */
  tick() {
    const now = this.board.now();
    for (const row of this.#rows.values()) if (row.task !== undefined && row.node.isConnected) row.tick(now);
    this.#title();
    if (this.filter.which === "overdue") this.#settle();
  }

  /** The times that are printed. */
  stamp() {
    const now = this.board.now();
    for (const row of this.#rows.values()) if (row.task !== undefined) row.stamp(now);
  }

  opened(taskId) {
    for (const row of this.#rows.values()) {
      const open = row.node.dataset.task === taskId;
      row.node.classList.toggle("is-opened", open);
      if (open) row.link.setAttribute("aria-current", "true");
      else row.link.removeAttribute("aria-current");
    }
  }

  /** Moves the focus so many rows; to the first where none has it. */
  move(by) {
    const links = [...this.node.querySelectorAll(".row-link")];
    const at = links.indexOf(document.activeElement);
    const opened = links.findIndex((link) => link.hasAttribute("aria-current"));
    const from = at >= 0 ? at : opened;
    links[from < 0 ? 0 : Math.min(links.length - 1, Math.max(0, from + by))]?.focus();
  }

  first() {
    this.node.querySelector(".row-link")?.focus();
  }

  focusOn(taskId) {
    this.#rows.get(taskId)?.link.focus();
  }

  /** The task whose row has the focus. */
  focused() {
    return document.activeElement?.closest?.(".row")?.dataset.task ?? null;
  }
}
