// Messages for each channel that the application of an AsyncAPI document receives from, made from the document alone.
//
//   node generate.mjs DOCUMENT COUNT
//
// writes a JSON array of {channel, message, payload}, COUNT of each message of each channel, always the same ones.

import { readFileSync } from "node:fs";
import { createGeneratorSync } from "json-schema-faker";

const generator = createGeneratorSync({
  seed: 1,
  // Below its fifth level it would write nulls.
  maxDepth: 30,
  // An order may have a thousand terms of twenty thousand letters; the longest pattern, of a hash, needs 71.
  maxItems: 6,
  maxLength: 200,
});

// AsyncAPI's schemas are of draft 07, the generator reads 2020-12: the items of a tuple have another name. And below a
// oneOf it fills no optional field; the alternatives exclude each other by their tags, so anyOf is the same.
function inItsDialect(schema) {
  if (Array.isArray(schema)) return schema.map(inItsDialect);
  if (schema === null || typeof schema !== "object") return schema;
  const { oneOf, items, additionalItems, ...rest } = schema;
  const found = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, inItsDialect(value)]));
  if (oneOf !== undefined) found.anyOf = inItsDialect(oneOf);
  if (Array.isArray(items)) Object.assign(found, { prefixItems: inItsDialect(items), items: additionalItems ?? true });
  else if (items !== undefined) found.items = inItsDialect(items);
  return found;
}

// What the descriptions ask and a schema cannot say.
const ASKED = {
  order(data) {
    const people = data.protected_persons.map((person) => person.person_id);
    if (data.expires_at) [data.made_at, data.expires_at] = [data.made_at, data.expires_at].sort();
    data.terms.forEach((term, index) => {
      term.term_id += `.${index}`;
      if (term.protects) term.protects = term.protects.map((_, at) => people[at % people.length]);
      for (const area of [term.area, term.locality]) if (area) AREAS[area.type](area);
    });
  },
};

const AREAS = {
  Circle() {},
  Corridor(area) {
    area.line = area.line.map(([longitude, latitude]) => [longitude / 2, latitude]);
  },
  Polygon(area) {
    area.coordinates = square(area.coordinates);
    delete area.bbox;
  },
  MultiPolygon(area) {
    area.coordinates = area.coordinates.map(square);
    delete area.bbox;
  },
};

// A polygon of one closed ring around nothing but itself, at the first position of another.
function square([[[longitude, latitude]]]) {
  const [east, north] = [longitude, latitude].map((degrees) => degrees + (degrees > 0 ? -0.01 : 0.01));
  return [[[longitude, latitude], [east, latitude], [east, north], [longitude, north], [longitude, latitude]]];
}

const [path, count] = process.argv.slice(2);
const document = JSON.parse(readFileSync(path, "utf8"));
const components = inItsDialect(document.components);
const made = [];
for (const { action, channel } of Object.values(document.operations)) {
  if (action !== "receive") continue;
  const name = channel.$ref.split("/").at(-1);
  for (const message of Object.keys(document.channels[name].messages)) {
    const schema = { ...components.messages[message].payload, components };
    for (let number = 0; number < Number(count); number++) {
      const payload = generator.generate(schema);
      // Source and id name an event for ever.
      payload.id = `${name}/${message}/${number}`;
      ASKED[message]?.(payload.data);
      made.push({ channel: name, message, payload });
    }
  }
}
process.stdout.write(JSON.stringify(made));
