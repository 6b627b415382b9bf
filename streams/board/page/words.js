// The interface's terms in plain words.

const WORDS = {
  exclusion_zone: "entered an exclusion zone",
  distance: "came too close",
  no_contact: "made contact",
  no_social_media: "social media",
  no_surveillance: "watched or followed",
  residence: "not at the address",
  curfew: "broke curfew",
  sign_on: "did not sign on",
  attend: "did not attend",
  surrender: "did not hand over devices",
  notify: "did not notify the police",
  other: "another term",
  open: "nobody yet",
  en_route: "en route",
  attempted: "attempted, not found",
  withdrawal_recommended: "decide: withdraw or keep",
  plate_read: "plate",
  tag_fix: "tag",
  officer_sighting: "officer",
  face_match: "face",
  breach_report: "report",
};

export const words = (term) => WORDS[term] ?? String(term).replaceAll("_", " ");

const CERTAINTY = { confirmed: "confirmed", reported: "reported", vehicle: "vehicle only", possible: "possible" };
export const certainty = (term) => CERTAINTY[term] ?? words(term);

export const ACTIONS = {
  acknowledge: { key: "a", name: "Acknowledge" },
  assign: { key: "s", name: "Assign" },
  en_route: { key: "e", name: "En route" },
  attempted: { key: "t", name: "Attempted" },
  arrested: { key: "r", name: "Arrested", final: "This ends the search for the subject." },
  close: { key: "c", name: "Close", final: "A closed task cannot be opened again." },
  withdraw: { key: "w", name: "Withdraw", final: "A withdrawn task cannot be opened again." },
  keep: { key: "x", name: "Keep" },
  note: { key: "o", name: "Note" },
  note_wishes: { name: "Note their wishes" },
  link: { key: "l", name: "Link incident" },
};

export const FIELDS = {
  assignee: "Who goes: call sign or name",
  reason: "In your words",
  incident: "Number of the incident",
  outcome: "How it ended",
};

export const OUTCOMES = [
  "charged",
  "dealt_with_in_custody",
  "interviewed",
  "no_offence",
  "wrong_person",
  "no_trace",
  "transferred",
  "deceased",
];

/** Who has the task, in a word or two. */
export function holder(task) {
  if (task.assigned_to !== null) return `${task.assigned_to} (${words(task.state)})`;
  if (task.acknowledged_by !== null && task.state === "acknowledged") return `${task.acknowledged_by} (acknowledged)`;
  return words(task.state);
}
