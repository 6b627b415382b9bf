// What somebody does with a task: asked for what it needs, sent, and the answer shown.

import { update } from "./api.js";
import { byId, element } from "./dom.js";
import { ACTIONS, FIELDS, OUTCOMES, words } from "./words.js";

const field = (name) => {
  const id = `ask-${name}`;
  const input =
    name === "outcome"
      ? element(
          "select",
          { id, name, required: true },
          element("option", { value: "" }, "choose"),
          OUTCOMES.map((outcome) => element("option", { value: outcome }, words(outcome))),
        )
      : element("input", { id, name, required: true, autocomplete: "off" });
  return [element("label", { for: id }, FIELDS[name] ?? words(name)), input];
};

/** What the action needs, said by somebody; null: they thought better of it. */
function asked({ action, needs }, who) {
  const { name, final } = ACTIONS[action] ?? { name: words(action) };
  if (needs.length === 0 && final === undefined) return Promise.resolve({});
  const dialog = byId("ask");
  return new Promise((done) => {
    const form = element(
      "form",
      { method: "dialog" },
      element("h2", { id: "ask-title" }, `${name}: ${who}`),
      final ? element("p", { class: "final" }, final) : null,
      needs.flatMap(field),
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

/** Does it; the answer in words, and whether it was taken. null: nothing was done. */
export async function act(possible, task) {
  const said = await asked(possible, task.subject_name ?? task.subject_id);
  if (said === null) return null;
  const { name } = ACTIONS[possible.action] ?? { name: words(possible.action) };
  try {
    const answer = await update("tasks", task.task_id, { action: possible.action, revision: task.revision, ...said });
    if (answer.status === "pending") {
      return { taken: false, text: `${name}: sent, and not decided on yet. Look at the timeline before doing it again.` };
    }
    return { taken: true, text: `${name}: done. The task is ${words(answer.state)}.` };
  } catch (problem) {
    const again = problem.status === 0 || problem.status === 503 ? " It may have been done: look at the timeline." : "";
    return { taken: false, text: `${name}: not done (${problem.message}).${again}` };
  }
}
