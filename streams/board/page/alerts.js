// Alerts, the newest first.

import { byId, element } from "./dom.js";
import { moment } from "./times.js";
import { words } from "./words.js";

const MOST = 200;

export class Alerts {
  #known = new Map();

  put(alert) {
    if (this.#known.has(alert.alert_id)) return false;
    this.#known.set(alert.alert_id, alert);
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value);
    return true;
  }

  /** The list was loaded: the newest first. */
  replace(alerts) {
    this.#known = new Map(alerts.toReversed().map((alert) => [alert.alert_id, alert]));
  }

  show() {
    const every = [...this.#known.values()].toReversed();
    byId("alerts").replaceChildren(
      element("h2", { id: "alerts-title" }, "Alerts"),
      every.length === 0 ? element("p", {}, "No alert.") : "",
      element(
        "ol",
        { class: "alerts" },
        every.map((alert) =>
          element(
            "li",
            { "data-severity": alert.severity },
            element("span", { class: "severity" }, alert.severity),
            element("time", { datetime: alert.at }, moment(alert.at)),
            element("span", { class: "alert-text" }, alert.exercise ? element("strong", {}, "EXERCISE ") : null, alert.text),
            alert.to ? element("span", { class: "small" }, `for the ${words(alert.to)}`) : null,
            alert.task_id ? element("a", { href: `#/tasks/${alert.task_id}` }, "open the task") : null,
          ),
        ),
      ),
    );
  }
}
