// The list: one row a task, changed in place; its order changes when nobody is reading it, or when asked.

import { byId, element, setText } from "./dom.js";
import { Arrangement, byUrgency, hiddenCritical, isOver, isOverdue, isWaiting, markOf, wanted } from "./model.js";
import { length, moment, roughly } from "./times.js";
import { certainty, holder, words } from "./words.js";

const NEWS_MS = 20_000;
const ALL = { text: "", which: "all" };

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
    node.classList.toggle("is-waiting", isWaiting(task));
    this.tick(now);
  }

  mark({ text, isLoud }, until) {
    if (!isLoud && this.node.classList.contains("is-news")) return;
    setText(this.parts.mark, text);
    this.node.classList.toggle("is-news", isLoud);
    this.markedUntil = until;
  }

  /** Nobody has seen its mark before it is on the list. */
  appears(until) {
    if (this.markedUntil !== 0) this.markedUntil = until;
  }

  opened(isOpen) {
    this.node.classList.toggle("is-opened", isOpen);
    if (isOpen) this.link.setAttribute("aria-current", "true");
    else this.link.removeAttribute("aria-current");
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

/** The list in the page. `board` has: tasks, grades, attention, now(). */
export class List {
  #rows = new Map();
  #arrangement = new Arrangement();
  #dirty = new Set();
  #scheduled = false;
  #hovered = false;
  #opened = null;
  /** What stood here before the list was put on paper; null: it is on the screen. */
  #stood = null;
  filter = ALL;

  constructor(board) {
    this.board = board;
    this.node = byId("rows");
    this.node.addEventListener("pointerenter", () => (this.#hovered = true));
    this.node.addEventListener("pointerleave", () => {
      this.#hovered = false;
      this.#settle();
    });
    this.node.addEventListener("focusout", () => queueMicrotask(() => this.#settle()));
  }

  isInView() {
    return this.node.checkVisibility();
  }

  /** Is somebody reading it, so that nothing may move? */
  isRead() {
    return (this.#hovered || this.node.contains(document.activeElement)) && this.board.attention.isPaid();
  }

  #ordered(filter = this.filter) {
    const chosen = [...this.board.tasks.known.values()].filter(wanted(filter, this.board.now()));
    return byUrgency(chosen, this.board.grades);
  }

  /** A task is new or has changed. */
  changed(taskId, isNews) {
    this.#dirty.add(taskId);
    const task = this.board.tasks.known.get(taskId);
    const mark = isNews && task !== undefined ? markOf(task) : undefined;
    if (mark !== undefined) this.#row(taskId).mark(mark, this.board.now() + NEWS_MS);
    this.#schedule();
  }

  /** All of it was loaded again: as if each task had changed. */
  reloaded() {
    for (const ids of [this.#rows, this.board.tasks.known]) for (const id of ids.keys()) this.#dirty.add(id);
    this.#schedule();
  }

  /** Fifty changes a second are drawn as one, with the next frame. */
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => this.#draw());
  }

  #row(taskId) {
    if (!this.#rows.has(taskId)) {
      this.#rows.set(taskId, new Row(taskId));
      this.#rows.get(taskId).opened(taskId === this.#opened);
    }
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

  /** Arranges where nobody is reading; else says what waits. What is new and out of view waits to be seen. */
  #settle() {
    if (this.#stood !== null) return undefined;
    const ordered = this.#ordered();
    this.#hidden(ordered);
    const { fresh, moved } = this.#arrangement.pending(ordered);
    if (!moved) return this.#news("");
    const isSeen = this.isInView() || fresh.length === 0;
    if (isSeen && !this.isRead()) return this.arrange(ordered);
    const urgent = fresh.filter((task) => task.grade === this.board.grades[0]).length;
    const count = fresh.length === 0 ? "The order has changed" : `${fresh.length} new`;
    return this.#news(`${count}${urgent ? `, ${urgent} ${this.board.grades[0]}` : ""}: show (n)`);
  }

  get isWaiting() {
    return !byId("news").hidden;
  }

  #news(text) {
    this.#say("news", text);
  }

  /** Critical tasks are never out of sight without a word. */
  #hidden(ordered) {
    const { tasks, grades } = this.board;
    const count = hiddenCritical([...tasks.known.values()], ordered, grades).length;
    const [grade] = grades;
    const which = `${count} ${grade} ${count === 1 ? "task" : "tasks"} that nobody has acted on`;
    this.#say("hidden", count === 0 ? "" : `The filter hides ${which}: show all (f)`);
  }

  #say(bar, text) {
    const node = byId(bar);
    const hadFocus = document.activeElement === node;
    setText(node, text);
    node.hidden = text === "";
    if (hadFocus && node.hidden) this.first();
  }

  /** Puts the rows in order now. */
  arrange(ordered = this.#ordered()) {
    this.#stood = null;
    this.#place(ordered);
    this.#hidden(ordered);
    this.#news("");
  }

  /** Nothing of it stays. */
  clear() {
    this.filter = ALL;
    this.#dirty.clear();
    this.arrange([]);
  }

  #place(ordered) {
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
      if (!row.node.isConnected) row.appears(now + NEWS_MS);
      if (row.task !== task) row.show(task, now);
      if (row.node === at) at = at.nextElementSibling;
      else this.node.insertBefore(row.node, at);
    }
    this.#arrangement.arrange(ordered);
    // A node that is moved loses the focus.
    if (focused !== null && focused.isConnected) focused.focus({ preventScroll: true });
    this.#count(ordered);
  }

  /** On paper stands all that is known, whatever is asked for on the screen and whoever is reading there. */
  print() {
    this.#stood ??= this.#arrangement.ids;
    this.#place(this.#ordered(ALL));
    this.stamp();
  }

  /** What stood on the screen before it was printed stands there again. */
  printed() {
    if (this.#stood === null) return;
    const { known } = this.board.tasks;
    const stood = this.#stood.filter((taskId) => known.has(taskId)).map((taskId) => known.get(taskId));
    this.#stood = null;
    this.#place(stood);
    this.#settle();
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
    const isPart = this.#stood === null && (this.filter.text.trim() !== "" || this.filter.which !== ALL.which);
    const all = isPart ? [...this.board.tasks.known.values()].filter((task) => !isOver(task)).length : 0;
    const count = isPart ? `${shown.length} of ${all} shown` : shown.length;
    setText(byId("list-title"), `Tasks: ${count}${overdue ? `, ${overdue} overdue` : ""}`);
  }

  /** Each second. */
  tick() {
    const now = this.board.now();
    for (const row of this.#rows.values()) if (row.task !== undefined && row.node.isConnected) row.tick(now);
    this.#title();
    if (this.isWaiting || this.filter.which === "overdue") this.#settle();
  }

  /** The times that are printed. */
  stamp() {
    const now = this.board.now();
    for (const row of this.#rows.values()) if (row.task !== undefined) row.stamp(now);
  }

  opened(taskId) {
    this.#opened = taskId;
    for (const [id, row] of this.#rows) row.opened(id === taskId);
    this.#settle();
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
    (this.node.querySelector(".row-link") ?? byId("list-title")).focus();
  }

  focusOn(taskId) {
    const row = this.#rows.get(taskId);
    (row?.node.isConnected ? row.link : byId("list-title")).focus();
  }

  /** Do arrow keys move in it? Elsewhere they scroll. */
  takesArrows() {
    const isNowhere = document.activeElement === document.body && this.#opened === null;
    return this.isInView() && (isNowhere || this.node.contains(document.activeElement));
  }

  /** The task whose row has the focus. */
  focused() {
    return document.activeElement?.closest?.(".row")?.dataset.task ?? null;
  }
}
