// What people ask of some weeks of tasks: charts, each with its numbers in a table.

import { ask, get } from "./api.js";
import { byId, element, svg } from "./dom.js";
import { roughly } from "./times.js";

const WIDTH = 560;
const BAR = 16;
const LABEL = 150;

const TIMES = [
  ["breach_to_task", "From breach to task"],
  ["task_to_acknowledgement", "From task to acknowledgement"],
  ["task_to_arrest", "From task to arrest"],
];

const time = (seconds) => (seconds === null ? "not known" : seconds < 60 ? `${seconds.toFixed(1)} s` : roughly(seconds));

/** Bars of one measure, `rows` of {name, value, says}. */
function bars(title, rows) {
  const most = Math.max(...rows.map((row) => row.value ?? 0), Number.EPSILON);
  const height = rows.length * (BAR + 8) + 4;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${height}`, class: "chart", role: "img", "aria-label": `${title}: ${rows.map((r) => `${r.name} ${r.says}`).join("; ")}` },
    rows.flatMap(({ name, value, says }, number) => {
      const y = number * (BAR + 8) + 4;
      const width = ((value ?? 0) / most) * (WIDTH - LABEL - 140);
      return [
        svg("text", { x: LABEL - 8, y: y + BAR - 3, "text-anchor": "end" }, name),
        svg("rect", { x: LABEL, y, width, height: BAR }),
        svg("text", { x: LABEL + width + 6, y: y + BAR - 3 }, says),
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
      element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell) => element("td", {}, String(cell)))))),
    ),
  );

const behind = (caption, heads, rows) => element("details", {}, element("summary", {}, "The numbers"), table(caption, heads, rows));

async function save(path) {
  const made = URL.createObjectURL(await (await ask(path)).blob());
  element("a", { href: made, download: "breachwatch-statistics.csv" }).click();
  URL.revokeObjectURL(made);
}

function shown(found, problem) {
  const heads = ["grade", "force", "known", "not yet", "median", "nine of ten within", "longest"];
  return [
    element("h2", { id: "statistics-title" }, "Statistics"),
    element("p", {}, `${found.tasks} tasks, ${found.since.slice(0, 10)} to ${found.until.slice(0, 10)}; exercises are not counted. `,
      element("button", { type: "button", onclick: () => save("/statistics.csv").catch(problem) }, "CSV")),
    ...TIMES.map(([measure, title]) =>
      element(
        "section",
        {},
        element("h3", {}, `${title}, median`),
        bars(title, found.total.map((row) => ({ name: row.grade, value: row[measure].median_s, says: `${time(row[measure].median_s)} (${row[measure].known})` }))),
        behind(title, heads, found.rows.map((row) => {
          const it = row[measure];
          return [row.grade, row.force, it.known, it.not_yet, time(it.median_s), time(it.p90_s), time(it.longest_s)];
        })),
      ),
    ),
    element("section", {}, element("h3", {}, "Tasks by day"),
      bars("Tasks by day", found.days.slice(-14).map(({ day, tasks }) => {
        const count = Object.values(tasks).reduce((a, b) => a + b, 0);
        return { name: day, value: count, says: String(count) };
      })),
      behind("Tasks by day", ["day", "tasks by grade"], found.days.map(({ day, tasks }) => [day, Object.entries(tasks).map(([g, n]) => `${g} ${n}`).join(", ")])),
    ),
    element("section", {}, element("h3", {}, `Overdue now: ${found.overdue_now.length}`),
      element("ul", {}, found.overdue_now.map((id) => element("li", {}, element("a", { href: `#/tasks/${id}` }, id))))),
    element("section", {}, element("h3", {}, "Repeat subjects"),
      found.repeated.length ? table("Repeat subjects", ["subject", "tasks", "breaches"], found.repeated.map((r) => [r.subject_id, r.tasks, r.breaches])) : element("p", {}, "None.")),
  ];
}

/** Loads and shows them. `problem` takes what goes wrong. */
export async function showStatistics(problem) {
  const node = byId("statistics");
  node.replaceChildren(element("h2", { id: "statistics-title" }, "Statistics"), element("p", { role: "status" }, "Loading…"));
  try {
    node.replaceChildren(...shown(await get("/statistics"), problem));
  } catch (error) {
    node.replaceChildren(element("h2", { id: "statistics-title" }, "Statistics"), element("p", { role: "alert", class: "problem" }, error.message));
  }
}
