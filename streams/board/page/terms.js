// The terms of the subject's orders, those that were breached marked.

import { element } from "./dom.js";
import { moment } from "./times.js";
import { words } from "./words.js";

const until = (at) => (at ? moment(at) : "further order");

const about = (order) =>
  [
    `${order.order_id} version ${order.version}`,
    order.section,
    order.court,
    `made ${moment(order.made_at)}`,
    `until ${until(order.expires_at)}`,
  ].join(", ");

const term = (one) =>
  element(
    "li",
    {},
    element(
      "div",
      { class: one.breached ? "term breached" : "term" },
      one.breached ? element("strong", {}, "Breached: ") : null,
      one.text ?? one.meaning,
      one.carve_outs.length ? element("p", { class: "small" }, `Allowed: ${one.carve_outs.join("; ")}`) : null,
    ),
  );

const order = (one) =>
  element(
    "article",
    { class: "order" },
    element("h4", {}, one.title),
    element("p", { class: "small" }, about(one)),
    one.missing.length ? element("p", { class: "flags" }, `Not stated: ${one.missing.map(words).join(", ")}`) : null,
    element("ul", {}, one.terms.map(term)),
  );

export const terms = (orders) =>
  orders.length === 0 ? element("p", {}, "No order of the subject is kept.") : element("div", {}, orders.map(order));
