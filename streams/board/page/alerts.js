// Alerts, the newest first.

import { byId, element, setText } from "./dom.js";
import { isUrgent } from "./model.js";
import { moment } from "./times.js";
import { words } from "./words.js";

const MOST = 200;

export class Alerts {
  #known = new Map();
  #waiting = 0;
  #unseen = new Set();
  #scheduled = false;
  #exercises = null;

  /** `nameOf(alert)`: whom it is about, as people know them; "" where nobody is known. */
  constructor(nameOf, attention) {
    Object.assign(this, { nameOf, attention });
  }

  /** Takes in an alert; true where it is new. */
  put(alert, isNews) {
    if (this.#known.has(alert.alert_id)) return false;
    this.#known.set(alert.alert_id, alert);
    if (isNews && isUrgent(alert)) this.#unseen.add(alert.alert_id);
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value);
    return true;
  }

  /** The list was loaded, the newest first; which of them were missed. Of other exercises than before none was. */
  replace(alerts, exercises) {
    const missed = exercises === this.#exercises ? alerts.filter((alert) => !this.#known.has(alert.alert_id)) : [];
    this.#exercises = exercises;
    this.#known = new Map(alerts.toReversed().map((alert) => [alert.alert_id, alert]));
    for (const alert of missed.filter(isUrgent)) this.#unseen.add(alert.alert_id);
    return missed;
  }

  clear() {
    this.#exercises = null;
    this.#known.clear();
    this.#unseen.clear();
    this.#waiting = 0;
  }

  /** How many critical ones came since somebody looked. */
  count() {
    const count = this.#unseen.size;
    if (byId("unseen").dataset.count === String(count)) return;
    byId("unseen").dataset.count = count;
    byId("unseen").replaceChildren(
      ...(count === 0 ? [] : [String(count), element("span", { class: "only-heard" }, " critical, not seen yet")]),
    );
  }

  get isWaiting() {
    return this.#waiting > 0;
  }

  /** So many have come while they are looked at: under the eyes of whoever reads nothing moves. */
  changed(count = 1) {
    this.#waiting += count;
    if (!this.#isRead()) return this.#schedule();
    setText(byId("alerts-news"), `${this.#waiting} new: show (n)`);
    byId("alerts-news").hidden = false;
    return undefined;
  }

  #isRead() {
    return byId("alerts").matches(":hover, :focus-within") && this.attention.isPaid();
  }

  /** Each second while they are looked at. */
  tick() {
    if (this.isWaiting && !this.#isRead()) this.show();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.show();
    });
  }

  show() {
    this.#waiting = 0;
    this.#unseen.clear();
    this.count();
    const every = [...this.#known.values()].toReversed();
    const hadFocus = byId("alerts").contains(document.activeElement);
    byId("alerts").replaceChildren(
      element(
        "div",
        { class: "alerts-head" },
        element("h2", { id: "alerts-title", tabindex: "-1" }, "Alerts"),
        element("button", {
          type: "button",
          id: "alerts-news",
          class: "news",
          hidden: true,
          onclick: () => this.show(),
        }),
      ),
      every.length === 0 ? element("p", {}, "No alert.") : "",
      element(
        "ol",
        { class: "alerts" },
        every.map((alert) => item(alert, this.nameOf(alert))),
      ),
    );
    if (hadFocus) byId("alerts-title").focus({ preventScroll: true });
  }
}

const item = (alert, name) =>
  element(
    "li",
    { "data-severity": alert.severity },
    element("span", { class: "severity" }, alert.severity),
    element("time", { datetime: alert.at }, moment(alert.at)),
    element(
      "span",
      { class: "alert-text" },
      alert.exercise ? element("strong", {}, "EXERCISE ") : null,
      name ? element("strong", {}, `${name}: `) : null,
      alert.text,
    ),
    alert.to ? element("span", { class: "small" }, `for the ${words(alert.to)}`) : null,
    alert.task_id && alert.to !== "safeguarding"
      ? element("a", { href: `#/tasks/${alert.task_id}` }, "open the task")
      : null,
  );
