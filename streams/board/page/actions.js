// What somebody does with a task: asked for what it needs, sent, and the answer shown.

import { update } from "./api.js";
import { byId, element } from "./dom.js";
import { ACTIONS, FIELDS, OUTCOMES, words } from "./words.js";

const MOST_LETTERS = 900;

const field = (name, label) => {
  const id = `ask-${name}`;
  const input =
    name === "outcome"
      ? element(
          "select",
          { id, name, required: true },
          element("option", { value: "" }, "choose"),
          OUTCOMES.map((outcome) => element("option", { value: outcome }, words(outcome))),
        )
      : element("input", { id, name, required: true, autocomplete: "off", maxlength: MOST_LETTERS });
  return [element("label", { for: id }, label ?? FIELDS[name] ?? words(name)), input];
};

/** What the deed needs, said by somebody; null: they thought better of it. */
function asked({ name, needs, final, labels = {} }, who) {
  if (needs.length === 0 && final === undefined) return Promise.resolve({});
  const dialog = byId("ask");
  return new Promise((done) => {
    const form = element(
      "form",
      { method: "dialog" },
      element("h2", { id: "ask-title" }, `${name}: ${who}`),
      final ? element("p", { class: "final" }, final) : null,
      needs.flatMap((need) => field(need, labels[need])),
      element(
        "p",
        { class: "buttons" },
        element("button", { type: "submit", class: "do" }, name),
        element("button", { type: "button", onclick: () => dialog.close() }, "Not now"),
      ),
    );
    let said = null;
    form.addEventListener("submit", () => {
      said = Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, value.trim()]));
    });
    dialog.replaceChildren(form);
    dialog.addEventListener("close", () => done(said), { once: true });
    dialog.showModal();
  });
}

/** What the interface says may be done with a task, with its name for people. */
export const named = (possible) => ({ name: words(possible.action), ...ACTIONS[possible.action], ...possible });

/**
 * Does a deed; the answer in words, and whether it was taken. null: nothing was done.
 *
 * `deed` has: action, name, needs, and perhaps final, labels, made(said); `on` has: kind, id, revision. `begun(text)`
 * is told once it is under way. Every text says of whom it speaks: by then another task may be on the screen.
 */
export async function act(deed, on, who, begun) {
  const said = await asked(deed, who);
  if (said === null) return null;
  const what = `${deed.name}, ${who}`;
  begun(`${what}: being sent`);
  try {
    const body = { action: deed.action, revision: on.revision, ...(deed.made ? deed.made(said) : said) };
    const answer = await update(on.kind, on.id, body);
    if (answer.status === "pending") {
      return {
        taken: false,
        text: `${what}: sent, and not decided on yet. Look at the timeline before doing it again.`,
      };
    }
    const state = on.kind === "tasks" ? ` The task is ${words(answer.state)}.` : "";
    return { taken: true, text: `${what}: done.${state}` };
  } catch (problem) {
    return {
      taken: false,
      text: problem.mayBeDone
        ? `${what}: no answer (${problem.message}). It may have been done: look at the timeline.`
        : `${what}: not done (${problem.message}).`,
    };
  }
}
