// Who must be told what happened, who has been, and who could not be reached.

import { element } from "./dom.js";
import { moment } from "./times.js";
import { words } from "./words.js";

const LIVE = new Set(["open", "acknowledged", "assigned"]);
const SENIOR = new Set(["supervisor", "duty_inspector"]);

/** A try that failed is a note of this form: the log knows no other word for it. Pure. */
const TRIED = "could not reach";
const tried = (personId, said) => `${TRIED} ${personId}: ${said}`;

/** What may be done with the whole of it, as the pipeline's own table has it. Pure. */
export function moves({ state }, role) {
  if (!LIVE.has(state)) return [];
  return [
    ...(state === "open" ? [{ action: "acknowledge", name: "I see to it", needs: [] }] : []),
    { action: "assign", name: "Give to", needs: ["assignee"], labels: { assignee: "Who speaks to them" } },
    ...(SENIOR.has(role)
      ? [{ action: "close", name: "End it", needs: ["reason"], final: "Somebody has not been told." }]
      : []),
  ];
}

/** What may be said of one of the people. Pure. */
export function sayings({ state }, { person_id: personId, owed }) {
  if (!LIVE.has(state) || !owed) return [];
  return [
    {
      action: "told",
      name: "Told",
      needs: ["reason"],
      labels: { reason: "What they were told, and what they said" },
      made: (said) => ({ ...said, person_id: personId }),
    },
    {
      action: "note",
      name: "Could not reach",
      needs: ["reason"],
      labels: { reason: "What was tried, and when to try again" },
      made: (said) => ({ ...said, reason: tried(personId, said.reason) }),
    },
  ];
}

/** The newest try to reach somebody that failed, where they were not told since; null: there is none. Pure. */
export function lastTry({ history }, { person_id: personId, told }) {
  const found = history.findLast((entry) => entry.what.startsWith(tried(personId, "")));
  return found === undefined || (told && told.at >= found.at) ? null : found;
}

const whatOf = (entry, personId) => entry.what.slice(tried(personId, "").length);

function contact(safe) {
  if (safe === null || safe === undefined) return "Nobody has said what contact is safe: ask before calling.";
  const said = Object.entries(safe).filter(
    ([, value]) => value !== null && value !== undefined && String(value) !== "",
  );
  const parts = said.map(([name, value]) => `${words(name)}: ${[value].flat().map(words).join(", ")}`);
  return `Safe contact: ${parts.join("; ")}`;
}

function person(reach, one, button) {
  const failed = lastTry(reach, one);
  return element(
    "div",
    { class: one.owed ? "reached owed" : "reached" },
    element(
      "strong",
      {},
      `${one.person_id} (${words(one.relation)}): ${one.owed ? "must be told" : "has been told"}`,
    ),
    one.told ? element("p", {}, `Told ${moment(one.told.at)} by ${one.told.by}: ${one.told.what}`) : null,
    failed
      ? element(
          "p",
          { class: "tried" },
          `Could not be reached ${moment(failed.at)}, ${failed.by}: ${whatOf(failed, one.person_id)}`,
        )
      : null,
    element("p", { class: "contact" }, contact(one.safe_contact)),
    element(
      "div",
      { class: "buttons" },
      sayings(reach, one).map((deed) => button(reach, deed, one.person_id)),
    ),
  );
}

/** The section of one safeguarding task. `button(reach, deed, who)` makes a button, or none for who may not act. */
export function shown(reach, role, now, button) {
  const isLate = LIVE.has(reach.state) && Date.parse(reach.deadline) < now;
  const has = reach.assigned_to ?? reach.acknowledged_by;
  const late = isLate ? ": OVERDUE" : "";
  const whose = has ? `${has} has it` : "Nobody has it yet";
  const due = `${whose}. They must be told by ${moment(reach.deadline)}${late}.`;
  return element(
    "article",
    { class: "reach", "data-state": reach.state },
    element("p", { class: isLate ? "late" : "" }, LIVE.has(reach.state) ? due : `Ended ${moment(reach.updated_at)}.`),
    element(
      "ul",
      {},
      reach.reasons.map((reason) => element("li", {}, `${moment(reason.at)}: ${reason.text}`)),
    ),
    reach.people.length ? null : element("p", {}, "No order names anybody to be told."),
    reach.people.map((one) => person(reach, one, button)),
    element(
      "div",
      { class: "buttons" },
      moves(reach, role).map((deed) => button(reach, deed, words(reach.subject_id))),
    ),
  );
}

/** Whom a key speaks of: the first who is owed a word, with the deed; null: nobody is. Pure. */
export function firstOwed(tasks) {
  for (const reach of (tasks ?? []).toReversed()) {
    const owed = reach.people.find((one) => one.owed);
    if (LIVE.has(reach.state) && owed !== undefined)
      return { reach, deed: sayings(reach, owed)[0], who: owed.person_id };
  }
  return null;
}
