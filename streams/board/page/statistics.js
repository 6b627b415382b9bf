// What people ask of some weeks of tasks: charts, each with its numbers in a table.

import { ask, get, Problem } from "./api.js";
import { byId, element, svg } from "./dom.js";
import { clock, length, moment, roughly } from "./times.js";
import { holder } from "./words.js";

const WIDTH = 560;
const BAR = 16;
const LABEL = 150;
const LONG_LABEL = 290;
const AGAIN_MS = 60_000;

const TIMES = [
  ["breach_to_task", "From breach to task"],
  ["task_to_acknowledgement", "From task to acknowledgement"],
  ["task_to_arrest", "From task to arrest"],
];

const time = (seconds) =>
  seconds === null ? "not known" : seconds < 60 ? `${seconds.toFixed(1)} s` : roughly(seconds);

/** Bars of one measure, `rows` of {name, value, says}. */
function bars(title, rows, label = LABEL) {
  const most = Math.max(...rows.map((row) => row.value ?? 0), Number.EPSILON);
  const height = rows.length * (BAR + 8) + 4;
  return svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${height}`,
      class: "chart",
      role: "img",
      "aria-label": `${title}: ${rows.map((r) => `${r.name} ${r.says}`).join("; ")}`,
    },
    rows.flatMap(({ name, value, says }, number) => {
      const y = number * (BAR + 8) + 4;
      const width = ((value ?? 0) / most) * (WIDTH - label - 170);
      return [
        svg("text", { x: label - 8, y: y + BAR - 3, "text-anchor": "end" }, name),
        svg("rect", { x: label, y, width, height: BAR }),
        svg("text", { x: label + width + 6, y: y + BAR - 3 }, says),
      ];
    }),
  );
}

const table = (caption, heads, rows) =>
  element(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", {}, caption),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          heads.map((head) => element("th", { scope: "col" }, head)),
        ),
      ),
      element(
        "tbody",
        {},
        rows.map((row) =>
          element(
            "tr",
            {},
            row.map((cell) => element("td", {}, cell instanceof Node ? cell : String(cell))),
          ),
        ),
      ),
    ),
  );

const behind = (caption, heads, rows) =>
  element("details", {}, element("summary", {}, "The numbers"), table(caption, heads, rows));

async function save(path) {
  const made = URL.createObjectURL(await ask(path, "blob"));
  element("a", { href: made, download: "breachwatch-statistics.csv" }).click();
  URL.revokeObjectURL(made);
}

const counted = (count) => `${count} task${count === 1 ? "" : "s"}`;

const medians = (rows, measure, name) =>
  rows.map((row) => ({
    name: name(row),
    value: row[measure].median_s,
    says: `${time(row[measure].median_s)} (${counted(row[measure].known)})`,
  }));

/** By name, as the list knows them. */
function overdue(ids, board) {
  const now = board.now();
  const known = ids.map((id) => [id, board.tasks.known.get(id)]);
  return table(
    "Overdue now, the longest first",
    ["who", "grade", "overdue", "by", "who has it", "force"],
    known.map(([id, task]) => {
      const link = element("a", { href: `#/tasks/${id}` }, task?.subject_name ?? task?.subject_id ?? id);
      if (task === undefined) return [link, "", "", "", "", ""];
      const late = length((now - Date.parse(task.deadline)) / 1000);
      return [link, task.grade, late, moment(task.deadline), holder(task), task.owning_force];
    }),
  );
}

function repeated(subjects, board) {
  const tasks = [...board.tasks.known.values()];
  return table(
    "Repeat subjects, most tasks first",
    ["who", "tasks", "breaches"],
    subjects.map((one) => {
      const task = tasks.find((each) => each.subject_id === one.subject_id);
      const who =
        task === undefined
          ? one.subject_id
          : element("a", { href: `#/tasks/${task.task_id}` }, task.subject_name ?? one.subject_id);
      return [who, one.tasks, one.breaches];
    }),
  );
}

function shown(found, board) {
  const isOfMany = new Set(found.rows.map((row) => row.force)).size > 1;
  const problem = (error) => board.say(error.message, true);
  const heads = ["grade", "force", "known", "not yet", "median", "nine of ten within", "longest"];
  return [
    element(
      "p",
      {},
      element("strong", { class: "counted-at" }, `As of ${clock(Date.parse(found.until))}. `),
      `${found.tasks} tasks, ${found.since.slice(0, 10)} to ${found.until.slice(0, 10)}; exercises are not counted. `,
      element("button", { type: "button", onclick: () => save("/statistics.csv").catch(problem) }, "CSV"),
    ),
    ...TIMES.map(([measure, title]) =>
      element(
        "section",
        {},
        element("h3", {}, `${title}, median`),
        bars(
          title,
          medians(found.total, measure, (row) => row.grade),
        ),
        isOfMany ? element("h4", {}, "By force") : null,
        isOfMany
          ? bars(
              `${title}, by force`,
              medians(found.rows, measure, (row) => `${row.grade}, ${row.force}`),
              LONG_LABEL,
            )
          : null,
        behind(
          title,
          heads,
          found.rows.map((row) => {
            const it = row[measure];
            return [
              row.grade,
              row.force,
              it.known,
              it.not_yet,
              time(it.median_s),
              time(it.p90_s),
              time(it.longest_s),
            ];
          }),
        ),
      ),
    ),
    element(
      "section",
      {},
      element("h3", {}, "Tasks by day"),
      bars(
        "Tasks by day",
        found.days.slice(-14).map(({ day, tasks }) => {
          const count = Object.values(tasks).reduce((a, b) => a + b, 0);
          return { name: day, value: count, says: String(count) };
        }),
      ),
      behind(
        "Tasks by day",
        ["day", "tasks by grade"],
        found.days.map(({ day, tasks }) => [
          day,
          Object.entries(tasks)
            .map(([g, n]) => `${g} ${n}`)
            .join(", "),
        ]),
      ),
    ),
    element(
      "section",
      {},
      element("h3", {}, `Overdue now: ${found.overdue_now.length}`),
      found.overdue_now.length ? overdue(found.overdue_now, board) : element("p", {}, "None."),
    ),
    element(
      "section",
      {},
      element("h3", {}, "Repeat subjects"),
      found.repeated.length ? repeated(found.repeated, board) : element("p", {}, "None."),
    ),
  ];
}

const title = () => element("h2", { id: "statistics-title", tabindex: "-1" }, "Statistics");

/** The view of them in the page. `board` has: tasks, attention, now(), say(text, isBad). */
export class StatisticsView {
  #found = null;
  #askedAt = -Infinity;
  #trouble = element("p", { role: "alert", class: "problem" });

  constructor(board) {
    this.board = board;
    this.node = byId("statistics");
  }

  /** Somebody comes to them, or asks for them as they are now. */
  show() {
    if (this.#found === null) this.node.replaceChildren(title(), element("p", { role: "status" }, "Loading…"));
    return this.#load();
  }

  clear() {
    this.#found = null;
    this.node.replaceChildren();
  }

  /** Each second while they are shown: what was counted a while ago is not how it stands. */
  tick() {
    const isRead = this.node.matches(":hover, :focus-within") && this.board.attention.isPaid();
    if (!isRead && performance.now() - this.#askedAt > AGAIN_MS) this.#load();
  }

  /** What was counted, in the zone that times are read in now. */
  redraw() {
    if (this.#found !== null) this.#draw();
  }

  async #load() {
    this.#askedAt = performance.now();
    const { me } = this.board;
    try {
      const found = await get("/statistics");
      // Whoever asked may have signed out meanwhile.
      if (this.board.me !== me) return;
      this.#found = found;
      this.#draw();
    } catch (error) {
      if (!(error instanceof Problem) || this.board.me !== me) return;
      this.#trouble.textContent = `They cannot be counted now: ${error.message}`;
      if (this.#found === null) this.node.replaceChildren(title(), this.#trouble);
      else this.node.prepend(this.#trouble);
    }
  }

  #draw() {
    const open = [...this.node.querySelectorAll("details")].map((each) => each.open);
    const hadFocus = this.node.contains(document.activeElement);
    this.node.replaceChildren(title(), ...shown(this.#found, this.board));
    this.node.querySelectorAll("details").forEach((each, number) => (each.open = open[number] ?? false));
    if (hadFocus) byId("statistics-title").focus({ preventScroll: true });
  }
}
