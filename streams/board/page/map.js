// A task's map, drawn from GeoJSON: no tile server is asked, so that nobody outside learns where we look.

import { element, svg } from "./dom.js";
import { clock, moment } from "./times.js";
import { words } from "./words.js";

const WIDTH = 640;
const HEIGHT = 420;
const MARGIN = 32;
const METRES_PER_DEGREE = 111_320;
const LABELS = 6;

const pointsOf = ({ type, coordinates }) => {
  if (type === "Point") return [coordinates];
  return type === "Polygon" ? coordinates.flat() : coordinates.flat(2);
};

/** Metres east and north of the middle of all: true to some metres over the length of a county. Pure. */
export function projection(points) {
  const lons = points.map(([lon]) => lon);
  const lats = points.map(([, lat]) => lat);
  const middle = (values) => (Math.min(...values) + Math.max(...values)) / 2;
  const [lon0, lat0] = [middle(lons), middle(lats)];
  const east = METRES_PER_DEGREE * Math.cos((lat0 * Math.PI) / 180);
  return ([lon, lat]) => [(lon - lon0) * east, (lat - lat0) * METRES_PER_DEGREE];
}

/** A round length, in metres, of which about `wanted` is the most. Pure. */
export function roundLength(wanted) {
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [5, 2, 1].map((factor) => factor * power).find((metres) => metres <= wanted) ?? power;
}

const about = (properties) =>
  [
    words(properties.what),
    properties.at ? moment(properties.at) : "",
    properties.source ? words(properties.source) : "",
    properties.accuracy_m ? `within ${Math.round(properties.accuracy_m)} m` : "",
    properties.evidence ? "evidence" : "",
    properties.place ?? "",
  ]
    .filter(Boolean)
    .join(", ");

/** The figure of a map's features. */
export function drawn(map) {
  const { features } = map;
  if (features.length === 0) return element("p", {}, "There is nothing to draw: no zone and no position.");
  const project = projection(features.flatMap((feature) => pointsOf(feature.geometry)));
  const placed = features.map((feature) => ({ ...feature, at: pointsOf(feature.geometry).map(project) }));
  const reach = placed.flatMap(({ at, properties }) =>
    at.flatMap(([x, y]) => {
      const radius = properties.accuracy_m ?? 0;
      return [[x - radius, y - radius], [x + radius, y + radius]]; // prettier-ignore
    }),
  );
  const most = (axis) => reach.reduce((top, point) => Math.max(top, Math.abs(point[axis])), 100);
  const scale = Math.min((WIDTH / 2 - MARGIN) / most(0), (HEIGHT / 2 - MARGIN) / most(1));
  const toPage = ([x, y]) => [WIDTH / 2 + x * scale, HEIGHT / 2 - y * scale];
  const page = (position) => toPage(project(position));
  const path = (rings) =>
    rings.map((ring) => `M${ring.map((p) => page(p).map((v) => v.toFixed(1))).join("L")}Z`).join("");

  const areas = placed.filter(({ geometry }) => geometry.type !== "Point");
  const fixes = placed.filter(({ properties }) => properties.what === "fix");
  const last = placed.find(({ properties }) => properties.what === "last_seen");
  const step = Math.max(1, Math.ceil(fixes.length / LABELS));
  const spots = fixes.map(({ geometry, properties }, number) => {
    const [x, y] = page(geometry.coordinates);
    const labelled = number % step === 0 || properties.evidence;
    return { x, y, properties, labelled };
  });
  const circle = ({ geometry, properties }) => {
    const [cx, cy] = page(geometry.coordinates);
    return properties.accuracy_m
      ? svg("circle", { cx, cy, r: Math.max(1, properties.accuracy_m * scale), class: "error" })
      : null;
  };
  let labelAt = null;
  const label = ({ x, y, properties, labelled }) => {
    // One on top of the other they cannot be read.
    const free = labelAt === null || Math.hypot(x - labelAt[0], y - labelAt[1]) > 40;
    if (!labelled || !free) return null;
    labelAt = [x, y];
    return svg("text", { x: x + 14, y: y - 6, class: "time" }, clock(new Date(properties.at)));
  };
  const bar = roundLength(150 / scale);
  const length = bar >= 1000 ? `${bar / 1000} km` : `${bar} m`;

  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "map", role: "img", "aria-labelledby": "map-words" },
    areas.map(({ geometry, properties }) =>
      svg(
        "path",
        {
          d: path(geometry.type === "Polygon" ? geometry.coordinates : geometry.coordinates.flat()),
          class: `area ${properties.what}`,
          "fill-rule": "evenodd",
        },
        svg("title", {}, `${about(properties)}, term ${properties.term_id} of ${properties.order_id}`),
      ),
    ),
    fixes.map(circle),
    last ? circle(last) : null,
    svg("polyline", { points: spots.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "), class: "track" }),
    spots.map(({ x, y, properties }) =>
      svg(
        "circle",
        { cx: x, cy: y, r: properties.evidence ? 5 : 3, class: properties.evidence ? "fix evidence" : "fix" },
        svg("title", {}, about(properties)),
      ),
    ),
    last
      ? svg(
          "g",
          { class: "last", transform: `translate(${page(last.geometry.coordinates).join(" ")})` },
          svg("path", { d: "M-10 0H10M0-10V10" }),
          svg("circle", { r: 7 }),
          svg("title", {}, about(last.properties)),
        )
      : null,
    spots.map(label),
    svg("path", { d: `M${MARGIN / 2} ${HEIGHT - 12}h${bar * scale}`, class: "bar" }),
    svg("text", { x: MARGIN / 2, y: HEIGHT - 18, class: "time" }, length),
    svg("text", { x: WIDTH - 40, y: 22, class: "time" }, "N ↑"),
  );
  const seen = last ? ` Last seen: ${about(last.properties).replace(/^last seen, /, "")}.` : "";
  const left = map.left_out ? ` ${map.left_out} older positions are left out.` : "";
  const text = `${areas.length} area${areas.length === 1 ? "" : "s"}, ${fixes.length} positions.${seen}${left}`;
  return element(
    "figure",
    { class: "map-figure" },
    drawing,
    element("figcaption", { id: "map-words" }, text),
    fixes.length ? table(fixes) : null,
  );
}

const table = (fixes) =>
  element(
    "details",
    {},
    element("summary", {}, "Positions as a table"),
    element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ["When", "By", "Within", "Where"].map((h) => element("th", { scope: "col" }, h)),
        ),
      ),
      element(
        "tbody",
        {},
        fixes
          .toReversed()
          .map(({ geometry, properties }) =>
            element(
              "tr",
              {},
              element("td", {}, moment(properties.at)),
              element("td", {}, words(properties.source) + (properties.evidence ? ", evidence" : "")),
              element("td", {}, properties.accuracy_m ? `${Math.round(properties.accuracy_m)} m` : "not stated"),
              element("td", {}, `${geometry.coordinates[1].toFixed(5)}, ${geometry.coordinates[0].toFixed(5)}`),
            ),
          ),
      ),
    ),
  );
