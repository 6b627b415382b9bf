// The board's page: puts its parts together. What is shown comes from the interface that any dashboard may use.

import { Alerts } from "./alerts.js";
import { everyTask, get, Problem } from "./api.js";
import { byId, element, setText } from "./dom.js";
import { Freshness } from "./freshness.js";
import { listen, showHelp } from "./keys.js";
import { List } from "./list.js";
import { isCritical, isLoud, isOver, isUrgent, Tasks } from "./model.js";
import * as session from "./session.js";
import { Sound } from "./sound.js";
import { showStatistics } from "./statistics.js";
import { Stream } from "./stream.js";
import { TaskView } from "./task.js";
import { changeTheme, restoreTheme } from "./theme.js";
import { clock, isUtc, length, moment, useUtc } from "./times.js";
import { ACTIONS } from "./words.js";

const RETRY_MS = 2000;
const MOST_ANNOUNCED = 20;

class Board {
  tasks = new Tasks();
  alerts = new Alerts((alert) => this.nameOf(alert));
  freshness = new Freshness();
  sound = new Sound();
  me = null;
  grades = [];
  exercises = "none";
  #stream = null;
  #since = null;
  #view = "list";
  /** Which following of the board this is: an answer to an earlier one is nobody's any more. */
  #visit = 0;

  constructor() {
    this.list = new List(this);
    this.view = new TaskView(this);
  }

  now() {
    return this.freshness.now();
  }

  // -- beginning -----------------------------------------------------------------------------------------

  async begin() {
    if (session.token() === null) return this.signIn("");
    try {
      this.me = await get("/me");
    } catch (problem) {
      if (problem.status === 401) return this.signIn(problem.message);
      this.#lost(problem);
      return setTimeout(() => this.begin(), RETRY_MS);
    }
    this.grades = this.me.grades;
    setText(byId("person"), `${this.me.name} (${this.me.role.replace("_", " ")})`);
    byId("signin").hidden = true;
    await this.follow();
    return this.route();
  }

  /** Whoever is at the desk now need not be who was let in: nothing stays, neither on the screen nor behind it. */
  signIn(why) {
    session.forget();
    this.#visit += 1;
    this.#stream?.stop();
    this.#stream = null;
    this.me = null;
    this.freshness = new Freshness();
    this.tasks.replace([]);
    this.alerts.replace([]);
    this.list.arrange();
    this.view.close();
    this.say("");
    for (const dialog of document.querySelectorAll("dialog")) {
      dialog.close();
      dialog.replaceChildren();
    }
    for (const id of ["alerts", "statistics", "critical", "person", "unseen", "paper"]) byId(id).replaceChildren();
    for (const id of ["room", "alerts", "statistics"]) byId(id).hidden = true;
    byId("signin").hidden = false;
    setText(byId("signin-why"), why);
    byId("token").focus();
    this.#refresh();
  }

  /** Loads what there is, then follows what changes. */
  async follow() {
    this.#stream?.stop();
    this.#stream = null;
    const visit = (this.#visit += 1);
    try {
      const position = await this.#load();
      if (position === null) return;
      this.#stream = new Stream(this.exercises, position, {
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

  /** The position of what was loaded; null: somebody else follows by now. */
  async #load() {
    const visit = this.#visit;
    // What the stream tells while the list is on its way may be newer than the list.
    this.#since = [];
    try {
      const [found, alerts] = await Promise.all([
        everyTask(this.exercises),
        get(`/alerts?exercises=${this.exercises}`),
      ]);
      if (visit !== this.#visit) return null;
      this.tasks.replace(found.tasks);
      this.alerts.replace(alerts.alerts);
      for (const [name, data] of this.#since) this.#take(name, data, false);
      this.freshness.said(found.data_age_s);
      this.list.arrange();
      return found.position;
    } finally {
      if (visit === this.#visit) this.#since = null;
    }
  }

  // -- what is heard -------------------------------------------------------------------------------------

  #heard(name, data) {
    // While the list is loaded again a fresh board says nothing of the old list that still stands here.
    if (name === "heartbeat") {
      if (this.#since === null) this.freshness.said(data.data_age_s, data.at);
    } else if (name === "reset") this.#reload();
    else this.#take(name, data, true);
    if (name === "heartbeat" || name === "start") this.#refresh();
  }

  async #reload() {
    const visit = this.#visit;
    try {
      await this.#load();
    } catch {
      // The whole of it again: the position behind the reset is not ours before the list is.
      if (visit === this.#visit) this.follow();
    }
  }

  #take(name, data, isNews) {
    this.#since?.push([name, data]);
    if (name === "task" && this.tasks.put(data)) {
      this.list.changed(data.task_id, isNews);
      this.view.changed(data);
      if (isNews && isCritical(data, this.grades) && isLoud(data)) {
        this.#announce(`${data.grade}: ${data.subject_name ?? data.subject_id}`);
        this.#listenFor();
      }
    } else if (name === "task_removed" && this.tasks.remove(data.task_id)) {
      this.list.changed(data.task_id, false);
    } else if (name === "safeguarding") {
      this.view.reached(data);
    } else if (name === "alert" && this.alerts.put(data, isNews)) {
      if (this.#view === "alerts") this.alerts.changed();
      if (isNews && isUrgent(data) && !this.sound.isSilenced(data.task_id)) {
        const name = this.nameOf(data);
        this.#announce(`critical alert${name ? ` on ${name}` : ""}: ${data.text}`);
        this.sound.once();
      }
    }
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
    const banner = byId("stale");
    if (stale && banner.hidden) {
      banner.replaceChildren(
        element("strong", {}, "STALE: this is not the present. "),
        element(
          "span",
          {},
          asOf === null
            ? "Nothing has been heard yet. "
            : `The list is as of ${when}. Work by telephone and radio until it is live. `,
        ),
        element("button", { type: "button", onclick: () => print() }, "Print the last known list"),
      );
    }
    banner.hidden = !stale;
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
    this.#paper();
    this.#listenFor();
  }

  /** To whoever hears the page: each in a line of its own, so that of two at once both are said. */
  #announce(text) {
    const heard = byId("critical");
    heard.append(element("span", {}, `${text}. `));
    while (heard.childElementCount > MOST_ANNOUNCED) heard.firstElementChild.remove();
  }

  /** What the printed list says of itself. */
  #paper() {
    const [age, asOf] = [this.freshness.age(), this.freshness.asOf()];
    const known = asOf === null ? "nothing was ever heard" : `as of ${moment(asOf)}, ${length(age)} old`;
    setText(byId("paper"), `Last known list, ${known}; printed ${moment(this.now())}`);
  }

  #listenFor() {
    const critical = [...this.tasks.known.values()].filter((task) => isCritical(task, this.grades) && !isOver(task));
    this.sound.check(critical.map((task) => task.task_id));
    document.documentElement.dataset.beeps = this.sound.beeps;
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
    session.takeFromAddress();
    if (this.me === null) return;
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
    if (this.#view === "statistics") showStatistics(this);
    const taskId = view === "tasks" && id ? decodeURIComponent(id) : null;
    byId("room").classList.toggle("has-task", taskId !== null);
    if (taskId === null) this.view.close();
    else this.view.open(taskId);
    this.list.opened(taskId);
  }

  /** Times are read in another zone now: all of them, or one is taken for the other. */
  redraw() {
    this.tick();
    this.list.stamp();
    this.view.redraw();
    if (this.#view === "alerts") this.alerts.show();
  }

  /** What is new goes where it belongs. */
  arrange() {
    if (this.#view === "alerts") this.alerts.show();
    else this.list.arrange();
  }

  close() {
    const { taskId } = this.view;
    location.hash = "#/";
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
byId("print").addEventListener("click", () => print());
byId("help").addEventListener("click", showHelp);
for (const gesture of ["click", "keydown"]) {
  document.addEventListener(gesture, () => board.sound.isAllowed || board.sound.allow(), { capture: true });
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
matchMedia("print").addEventListener("change", () => board.list.stamp());
addEventListener("beforeprint", () => board.list.stamp());
byId("filter").addEventListener("input", () => {
  const { text, which, exercises } = Object.fromEntries(new FormData(byId("filter")));
  board.list.filter = { text, which };
  board.list.arrange();
  if (exercises === board.exercises) return;
  board.exercises = exercises;
  board.follow();
});
addEventListener("hashchange", () => {
  session.takeFromAddress();
  if (board.me === null && session.token() !== null) board.begin();
  else board.route();
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
  ArrowDown: () => board.list.move(1),
  ArrowUp: () => board.list.move(-1),
  Escape: () => board.view.taskId !== null && board.close(),
  n: () => board.arrange(),
  v: () => board.view.taskId !== null && board.view.load(),
  m: () => board.silence(board.list.focused() ?? board.view.taskId),
  g: () => withOpened("Told", () => board.view.tell()),
  "/": () => byId("find").focus(),
  1: () => (location.hash = "#/"),
  2: () => (location.hash = "#/alerts"),
  3: () => (location.hash = "#/statistics"),
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
