// The keyboard. Single keys can be switched off (WCAG 2.1.4): somebody who speaks to the machine types by accident.

import { byId, element } from "./dom.js";
import { ACTIONS } from "./words.js";

const OFF = "breachwatch-keys-off";

const HELP = [
  ["j, k", "next and previous task"],
  ["Enter", "open the task"],
  ["Escape", "close the task"],
  ["n", "show what is new, in order"],
  ["m", "silence this task"],
  ["g", "say that somebody was told (safeguarding)"],
  ["/", "find; Enter goes to the first that is found"],
  ["f", "show all: nothing is filtered any more"],
  ["1, 2, 3", "tasks, alerts, statistics (3 again: as of now)"],
  ["u", "UTC or London"],
  ["d", "dark or light"],
  ["p", "print the list"],
];

const areOff = () => localStorage.getItem(OFF) === "yes";
const isTyping = (target) => target.closest?.("input, select, textarea, [contenteditable]") !== null;

/** `deeds`: key -> what it does; false: nothing, and the key is the browser's. */
export function listen(deeds) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const deed = deeds[event.key];
    if (deed === undefined || (event.key !== "Escape" && areOff())) return;
    if (deed() !== false) event.preventDefault();
  });
}

export function showHelp() {
  const dialog = byId("keys");
  const rows = [
    ...HELP,
    ...Object.values(ACTIONS)
      .filter((a) => a.key)
      .map((a) => [a.key, a.name.toLowerCase()]),
  ];
  const off = element("input", { type: "checkbox", id: "keys-off" });
  off.checked = areOff();
  off.addEventListener("change", () => localStorage.setItem(OFF, off.checked ? "yes" : "no"));
  dialog.replaceChildren(
    element("h2", { id: "keys-title" }, "Keys"),
    element(
      "dl",
      { class: "keys" },
      rows.flatMap(([key, does]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, does)]),
    ),
    element("p", {}, element("label", {}, off, " Switch single keys off")),
    element("button", { type: "button", onclick: () => dialog.close() }, "Close"),
  );
  dialog.showModal();
}
