// The board's page: puts its parts together. What is shown comes from the interface that any dashboard may use.

import { Alerts } from "./alerts.js";
import { everyTask, get, Problem } from "./api.js";
import { Attention } from "./attention.js";
import { byId, element, setText } from "./dom.js";
import { Freshness, lacking } from "./freshness.js";
import { listen, showHelp } from "./keys.js";
import { List } from "./list.js";
import { isCritical, isLoud, isOver, isUrgent, Tasks } from "./model.js";
import * as session from "./session.js";
import { Sound } from "./sound.js";
import { StatisticsView } from "./statistics.js";
import { Stream } from "./stream.js";
import { TaskView } from "./task.js";
import { changeTheme, restoreTheme } from "./theme.js";
import { clock, isUtc, length, moment, useUtc } from "./times.js";
import { ACTIONS } from "./words.js";

const RETRY_MS = 2000;
const MOST_ANNOUNCED = 20;

class Board {
  tasks = new Tasks();
  attention = new Attention();
  alerts = new Alerts((alert) => this.nameOf(alert), this.attention);
  freshness = new Freshness();
  sound = new Sound();
  me = null;
  grades = [];
  exercises = "none";
  #stream = null;
  #since = null;
  #view = "list";
  /** The address of what is shown. */
  #shown = null;
  /** Which following of the board this is: an answer to an earlier one is nobody's any more. */
  #visit = 0;

  constructor() {
    this.list = new List(this);
    this.view = new TaskView(this);
    this.statistics = new StatisticsView(this);
  }

  now() {
    return this.freshness.now();
  }

  // -- beginning -----------------------------------------------------------------------------------------

  async begin() {
    if (session.token() === null) return this.signIn("");
    const visit = (this.#visit += 1);
    let me;
    try {
      me = await get("/me");
    } catch (problem) {
      if (visit !== this.#visit) return undefined;
      if (problem.status === 401) return this.signIn(problem.message);
      this.#lost(problem);
      return setTimeout(() => visit === this.#visit && this.begin(), RETRY_MS);
    }
    if (visit !== this.#visit) return undefined;
    this.me = me;
    this.grades = me.grades;
    setText(byId("person"), `${me.name} (${me.role.replace("_", " ")})`);
    byId("signin").hidden = true;
    byId("sign-out").hidden = false;
    await this.follow();
    return this.route();
  }

  /** Somebody else's token has come: all begins again as theirs. */
  handOver() {
    this.#clear();
    this.begin();
  }

  signIn(why) {
    session.forget();
    this.#clear();
    byId("signin").hidden = false;
    setText(byId("signin-why"), why);
    byId("token").focus();
  }

  /** Whoever is at the desk now need not be who was let in: nothing stays, neither on the screen nor behind it. */
  #clear() {
    this.#visit += 1;
    this.#stream?.stop();
    this.#stream = null;
    this.#since = null;
    this.me = null;
    this.freshness = new Freshness();
    this.exercises = "none";
    this.tasks.replace([]);
    this.alerts.clear();
    this.sound.check([]);
    byId("filter").reset();
    this.list.clear();
    this.view.close();
    this.statistics.clear();
    this.lacks(0);
    this.say("");
    for (const dialog of document.querySelectorAll("dialog")) {
      dialog.close();
      dialog.replaceChildren();
    }
    for (const id of ["alerts", "critical", "person", "paper"]) byId(id).replaceChildren();
    for (const id of ["room", "alerts", "statistics", "sign-out"]) byId(id).hidden = true;
    this.alerts.count();
    this.#refresh();
  }

  /** Loads what there is, then follows what changes. */
  async follow() {
    this.#stream?.stop();
    this.#stream = null;
    const visit = (this.#visit += 1);
    try {
      const found = await this.#load();
      if (found === null) return;
      this.list.arrange();
      this.#caughtUp(found.missed);
      this.#stream = new Stream(this.exercises, found.position, {
        event: (name, data) => this.#heard(name, data),
        state: (state, why) => this.#connection(state, why),
      });
      this.#stream.run();
    } catch (problem) {
      if (visit !== this.#visit) return;
      if (problem.status === 401) return this.signIn(problem.message);
      this.#lost(problem);
      setTimeout(() => visit === this.#visit && this.follow(), RETRY_MS);
    }
    this.#refresh();
  }

  /** What was loaded: the list's position, and the alerts that were missed. null: somebody else loads by now. */
  async #load() {
    const visit = this.#visit;
    // What the stream tells while the list is on its way may be newer than the list.
    const since = (this.#since = []);
    try {
      const [found, alerts] = await Promise.all([
        everyTask(this.exercises),
        get(`/alerts?exercises=${this.exercises}`),
      ]);
      if (visit !== this.#visit || this.#since !== since) return null;
      // What is taken in from here on belongs to no list that is on its way.
      this.#since = null;
      this.tasks.replace(found.tasks);
      const missed = this.alerts.replace(alerts.alerts, this.exercises);
      for (const [name, data] of since) this.#take(name, data, false);
      this.freshness.said(found);
      this.lacks(found.unreadable);
      return { position: found.position, missed };
    } finally {
      if (this.#since === since) this.#since = null;
    }
  }

  // -- what is heard -------------------------------------------------------------------------------------

  #heard(name, data) {
    // While the list is loaded again a fresh board says nothing of the old list that still stands here.
    if (name === "heartbeat") {
      if (this.#since === null) this.freshness.said(data);
      this.lacks(data.unreadable);
    } else if (name === "reset") this.#reload();
    else this.#take(name, data, true);
    if (name === "heartbeat" || name === "start") this.#refresh();
  }

  async #reload() {
    const visit = this.#visit;
    try {
      const found = await this.#load();
      if (found === null) return;
      this.list.reloaded();
      this.#caughtUp(found.missed);
      this.#refresh();
    } catch {
      // The whole of it again: the position behind the reset is not ours before the list is.
      if (visit === this.#visit) this.follow();
    }
  }

  /** What is open is as old as the list was, and of the alerts that were missed nobody was told. */
  #caughtUp(missed) {
    if (this.view.taskId !== null) this.view.load();
    if (this.#view === "alerts" && missed.length > 0) this.alerts.changed(missed.length);
    for (const alert of missed.filter(isUrgent).toReversed()) this.#alarm(alert);
  }

  #take(name, data, isNews) {
    this.#since?.push([name, data]);
    if (name === "task" && this.tasks.put(data)) {
      this.list.changed(data.task_id, isNews);
      this.view.changed(data);
      if (isNews && isCritical(data, this.grades) && isLoud(data)) {
        this.#announce(data, `${data.grade}: ${data.subject_name ?? data.subject_id}`);
        this.#listenFor();
      }
    } else if (name === "task_removed") {
      if (this.tasks.remove(data.task_id)) this.list.changed(data.task_id, false);
      this.view.removed(data.task_id);
    } else if (name === "safeguarding") {
      this.view.reached(data);
    } else if (name === "safeguarding_removed") {
      this.view.unreachable(data.safeguarding_id);
    } else if (name === "alert" && this.alerts.put(data, isNews)) {
      if (this.#view === "alerts") this.alerts.changed();
      if (isNews && isUrgent(data)) this.#alarm(data);
    }
  }

  /** A critical alert is heard once, but for a task that is silenced. */
  #alarm(alert) {
    if (this.sound.isSilenced(alert.task_id)) return;
    const name = this.nameOf(alert);
    this.#announce(alert, `critical alert${name ? ` on ${name}` : ""}: ${alert.text}`);
    this.sound.once();
  }

  #connection(state, why) {
    this.freshness.connected = state === "live";
    if (state === "ended") this.signIn(`${why}. A new one opens the board again.`);
    this.#refresh();
  }

  #lost(problem) {
    this.freshness.connected = false;
    if (!(problem instanceof Problem)) throw problem;
    this.#refresh();
  }

  /** Whom an alert is about, by the name on their task. */
  nameOf({ task_id: taskId, subject_id: subjectId }) {
    const task = this.tasks.known.get(taskId);
    return task?.subject_name ?? subjectId ?? "";
  }

  // -- what is shown of it -------------------------------------------------------------------------------

  /** Connection and age of the data: always there. */
  #refresh() {
    const { freshness } = this;
    const [age, asOf] = [freshness.age(), freshness.asOf()];
    const stale = this.me !== null && freshness.isStale();
    const isOut = session.token() === null;
    setText(byId("connection"), isOut ? "Not signed in" : freshness.connected ? "Live" : "Lost, trying again");
    setText(byId("age"), age === null ? "no data" : age < 2 ? "data now" : `data ${length(age)} old`);
    byId("connection").parentElement.dataset.state = stale ? "stale" : freshness.connected ? "live" : "lost";
    document.body.classList.toggle("is-stale", stale);
    const when = asOf === null ? "" : clock(asOf);
    setText(byId("as-of"), asOf === null ? "" : stale ? `As of ${when}: NOT LIVE` : `As of ${when}`);
    const known = `The list is as of ${when}. Work by telephone and radio until it is live.`;
    setText(byId("stale-text"), asOf === null ? "Nothing has been heard yet." : known);
    byId("stale").hidden = !stale;
  }

  /** So many tasks the board itself could not read: lastingly said, since nothing else tells of them. */
  lacks(count = 0) {
    setText(byId("lacking"), lacking(count));
  }

  tick() {
    setText(byId("clock"), clock(this.now()));
    setText(byId("sound"), this.sound.isAllowed ? "Sound on" : "Sound off: press");
    byId("sound").classList.toggle("is-off", !this.sound.isAllowed);
    this.#refresh();
    if (this.me === null) return;
    this.list.tick();
    this.view.tick();
    this.alerts.count();
    if (this.#view === "alerts") this.alerts.tick();
    if (this.#view === "statistics") this.statistics.tick();
    this.#listenFor();
  }

  /** To whoever hears the page: each in a line of its own, so that of two at once both are said. */
  #announce({ exercise }, text) {
    const heard = byId("critical");
    heard.append(element("span", {}, `${exercise ? "EXERCISE, " : ""}${text}. `));
    while (heard.childElementCount > MOST_ANNOUNCED) heard.firstElementChild.remove();
  }

  /** The list goes on paper, and says of itself how old it is. */
  print() {
    const [age, asOf] = [this.freshness.age(), this.freshness.asOf()];
    const known = asOf === null ? "nothing was ever heard" : `as of ${moment(asOf)}, ${length(age)} old`;
    const only = this.exercises === "only" ? "EXERCISES ALONE, no real task. " : "";
    setText(byId("paper"), `${only}Last known list, ${known}; printed ${moment(this.now())}`);
    this.list.print();
  }

  #listenFor() {
    const critical = [...this.tasks.known.values()].filter((task) => isCritical(task, this.grades) && !isOver(task));
    this.sound.check(critical.map((task) => task.task_id));
  }

  say(text, isBad = false) {
    setText(byId("said"), text);
    byId("said").classList.toggle("is-bad", isBad);
  }

  silence(taskId) {
    if (taskId === null) return;
    this.sound.silence(taskId);
    this.view.silenced();
    this.say(`Silenced: ${this.whoOf(taskId)}. Others still sound.`);
  }

  // -- where one is --------------------------------------------------------------------------------------

  route() {
    if (this.me === null) return;
    this.#shown = location.hash;
    this.say("");
    const [, view = "", id] = location.hash.split("/");
    this.#view = view === "tasks" || view === "" ? "list" : view;
    for (const name of ["alerts", "statistics"]) byId(name).hidden = this.#view !== name;
    byId("room").hidden = this.#view !== "list";
    for (const link of document.querySelectorAll("[data-view]")) {
      if (link.dataset.view === this.#view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (this.#view === "alerts") this.alerts.show();
    if (this.#view === "statistics") this.statistics.show();
    const taskId = view === "tasks" && id ? decodeURIComponent(id) : null;
    byId("room").classList.toggle("has-task", taskId !== null);
    if (taskId === null) this.view.close();
    else this.view.open(taskId);
    this.list.opened(taskId);
  }

  /** The address has changed, by us or by somebody. */
  moved() {
    if (location.hash !== this.#shown) this.route();
  }

  /** Times are read in another zone now: all of them, or one is taken for the other. */
  redraw() {
    this.tick();
    this.list.stamp();
    this.view.redraw();
    if (this.#view === "alerts") this.alerts.show();
    if (this.#view === "statistics") this.statistics.redraw();
  }

  /** What is new goes where it belongs, and is looked at there. */
  arrange() {
    if (this.#view === "alerts" && this.alerts.isWaiting) return this.alerts.show();
    if (!this.list.isWaiting) return undefined;
    if (!this.list.isInView()) this.goTo("#/");
    return this.list.arrange();
  }

  /** Nothing is filtered any more; exercises are as they were asked for. */
  showAll() {
    const { text, which } = byId("filter").elements;
    text.value = "";
    which.value = "all";
    if (!this.list.isInView()) this.goTo("#/");
    this.choose();
  }

  /** What the filter asks for is shown. */
  choose() {
    const { text, which, exercises } = Object.fromEntries(new FormData(byId("filter")));
    this.list.filter = { text, which };
    this.list.arrange();
    if (exercises === this.exercises) return;
    this.exercises = exercises;
    this.follow();
  }

  /** At once: what comes after it may count on what is shown there, and need not wait for the browser to tell. */
  goTo(hash) {
    location.hash = hash;
    this.route();
  }

  close() {
    const { taskId } = this.view;
    this.goTo("#/");
    if (taskId !== null) this.list.focusOn(taskId);
  }

  /** Somebody's name, or the id, by that of the task. */
  whoOf(taskId) {
    const task = this.tasks.known.get(taskId);
    return task?.subject_name ?? task?.subject_id ?? taskId;
  }
}

session.takeFromAddress();
const board = new Board();

function utc() {
  useUtc(!isUtc());
  byId("utc").setAttribute("aria-pressed", String(isUtc()));
  board.redraw();
}

restoreTheme();
byId("theme").addEventListener("click", changeTheme);
byId("utc").addEventListener("click", utc);
for (const id of ["print", "print-stale"]) byId(id).addEventListener("click", () => print());
byId("sign-out").addEventListener("click", () => board.signIn("You are signed out."));
byId("news").addEventListener("click", () => board.arrange());
byId("hidden").addEventListener("click", () => board.showAll());
byId("help").addEventListener("click", showHelp);
for (const gesture of ["click", "keydown"]) {
  document.addEventListener(gesture, () => board.sound.isAllowed || board.sound.allow(), { capture: true });
}
for (const sign of ["pointermove", "pointerdown", "wheel", "keydown"]) {
  document.addEventListener(sign, () => board.attention.pay(), { capture: true, passive: true });
}
byId("signin-form").addEventListener("submit", (event) => {
  event.preventDefault();
  session.keep(byId("token").value);
  byId("token").value = "";
  board.begin();
});
byId("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  board.list.first();
});
// Paper has times in place of countdowns; they are made when somebody prints, not 500 a second.
matchMedia("print").addEventListener("change", ({ matches }) => (matches ? board.print() : board.list.printed()));
addEventListener("beforeprint", () => board.print());
addEventListener("afterprint", () => board.list.printed());
byId("filter").addEventListener("input", () => board.choose());
addEventListener("hashchange", () => {
  if (session.takeFromAddress()) board.handOver();
  else board.moved();
});

const actions = Object.entries(ACTIONS).filter(([, { key }]) => key);

/** A deed by its key is for the opened task: refused where the focus says that another may be meant. */
function withOpened(name, deed) {
  const [opened, focused] = [board.view.taskId, board.list.focused()];
  if (opened === null) return board.say(`${name}: open a task first.`, true);
  if (focused === null || focused === opened) return deed();
  const [whose, who] = [board.whoOf(opened), board.whoOf(focused)];
  return board.say(`${name}: not done. ${whose} is open, but the focus is on ${who}: Enter opens it.`, true);
}

listen({
  j: () => board.list.move(1),
  k: () => board.list.move(-1),
  ArrowDown: () => board.list.takesArrows() && board.list.move(1),
  ArrowUp: () => board.list.takesArrows() && board.list.move(-1),
  Escape: () => board.view.taskId !== null && board.close(),
  n: () => board.arrange(),
  v: () => board.view.taskId !== null && board.view.load(),
  m: () => board.silence(board.list.focused() ?? board.view.taskId),
  g: () => withOpened("Told", () => board.view.tell()),
  "/": () => byId("find").focus(),
  f: () => board.showAll(),
  1: () => board.goTo("#/"),
  2: () => board.goTo("#/alerts"),
  3: () => board.goTo("#/statistics"),
  u: utc,
  d: changeTheme,
  p: () => print(),
  "?": showHelp,
  ...Object.fromEntries(
    actions.map(([action, { key, name }]) => [key, () => withOpened(name, () => board.view.act(action))]),
  ),
});
setInterval(() => board.tick(), 1000);
board.tick();
board.begin();
