// What AsyncAPI's own parser finds wrong in a document, as a JSON array; empty when nothing is.
//
//   node parse.mjs DOCUMENT

import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const found = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path }));
process.stdout.write(JSON.stringify(found));
