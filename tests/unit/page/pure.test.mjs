// The page's pure modules, by Node's own test runner: which task comes first, and what a stream says.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Alerts } from "./page/alerts.js";
import { update } from "./page/api.js";
import { Attention } from "./page/attention.js";
import { lacking } from "./page/freshness.js";
import { Arrangement, byUrgency, hiddenCritical, isCritical, isOverdue, markOf, Tasks, wanted } from "./page/model.js";
import { projection, roundLength } from "./page/map.js";
import { firstOwed, lastTry, moves, sayings } from "./page/safeguarding.js";
import { Sound } from "./page/sound.js";
import { Parser } from "./page/stream.js";
import { clock, length, moment, useUtc } from "./page/times.js";
import { Turns } from "./page/turns.js";

const GRADES = ["immediate", "priority", "prompt"];
const task = (id, more = {}) => ({
  task_id: id,
  revision: 1,
  state: "open",
  grade: "priority",
  deadline: "2026-11-27T06:00:00Z",
  subject_id: id,
  subject_name: null,
  incidents: [],
  assigned_to: null,
  ...more,
});

test("grade before deadline before id, whoever need not be looked for last, a grade of old first", () => {
  const tasks = [
    task("arrested", { state: "arrested", grade: "immediate" }),
    task("b"),
    task("a"),
    task("sooner", { deadline: "2026-11-27T05:00:00Z" }),
    task("gravest", { grade: "immediate", deadline: "2026-11-28T05:00:00Z" }),
    task("of old", { grade: "p1" }),
  ];
  const ids = byUrgency(tasks, GRADES).map((each) => each.task_id);
  assert.deepEqual(ids, ["of old", "gravest", "sooner", "a", "b", "arrested"]);
});

test("the newest revision counts, in whatever order they come", () => {
  const tasks = new Tasks();
  assert.ok(tasks.put(task("a", { revision: 3 })));
  assert.ok(!tasks.put(task("a", { revision: 2 })));
  assert.ok(!tasks.put(task("a", { revision: 3 })));
  assert.equal(tasks.known.get("a").revision, 3);
});

test("what is over is not on the list, what is arrested is", () => {
  const on = wanted({ text: "", which: "all" }, 0);
  assert.ok(!on(task("a", { state: "closed" })));
  assert.ok(on(task("a", { state: "arrested" })));
  assert.ok(wanted({ text: "robin", which: "all" }, 0)(task("a", { subject_name: "Robin Example" })));
});

test("overdue and critical are for those whom nobody has", () => {
  const now = Date.parse("2026-11-27T07:00:00Z");
  assert.ok(isOverdue(task("a"), now));
  assert.ok(!isOverdue(task("a", { state: "arrested" }), now));
  assert.ok(isCritical(task("a", { grade: "immediate" }), GRADES));
  assert.ok(!isCritical(task("a", { grade: "immediate", state: "acknowledged" }), GRADES));
});

test("an arrangement says what waits, and changes only when arranged", () => {
  const standing = new Arrangement();
  standing.arrange([task("a"), task("b")]);
  const { fresh, moved } = standing.pending([task("c"), task("b"), task("a")]);
  assert.deepEqual([fresh.map((each) => each.task_id), moved], [["c"], true]);
  assert.deepEqual(standing.ids, ["a", "b"]);
});

test("a stream is the same wherever its parts are cut", () => {
  const text = 'id: 1\r\nevent: task\r\ndata: {"a":1}\r\n\r\n: a comment\nretry: 2000\n\ndata: x\ndata: y\n\n';
  const whole = new Parser().take(text);
  assert.deepEqual(
    whole,
    [
      { event: "task", id: "1", data: '{"a":1}' },
      { event: "message", data: "x\ny" },
    ].map((e) => ({ ...e })),
  );
  for (let size = 1; size < text.length; size += 1) {
    const parser = new Parser();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...parser.take(text.slice(at, at + size)));
    assert.deepEqual(found, whole, `parts of ${size}`);
  }
});

test("times are London's, and UTC on demand", () => {
  const summer = Date.parse("2026-07-01T12:00:00Z");
  assert.equal(moment(summer, summer), "13:00:00");
  useUtc(true);
  assert.equal(moment(summer, summer), "12:00:00Z");
  useUtc(false);
  assert.equal(length(245), "4 min 05 s");
});

test("a map is in metres, and its bar a round number of them", () => {
  const project = projection([[-1.5, 53.8], [-1.5, 53.81]]); // prettier-ignore
  const [[, south], [, north]] = [project([-1.5, 53.8]), project([-1.5, 53.81])];
  assert.ok(Math.abs(north - south - 1113.2) < 1);
  assert.deepEqual([roundLength(730), roundLength(230), roundLength(1900)], [500, 200, 1000]);
});

const reach = (more = {}) => ({ state: "open", people: [], history: [], ...more });
const person = (id, more = {}) => ({ person_id: id, told: null, owed: true, ...more });

test("who must be told: a supervisor alone ends it untold, and what is over is over", () => {
  const names = (of, role) => moves(of, role).map(({ action }) => action);
  assert.deepEqual(names(reach(), "controller"), ["acknowledge", "assign"]);
  assert.deepEqual(names(reach({ state: "assigned" }), "supervisor"), ["assign", "close"]);
  assert.deepEqual(names(reach({ state: "closed" }), "supervisor"), []);
  assert.deepEqual(sayings(reach({ state: "closed" }), person("P")), []);
});

test("what is said of a person names that person", () => {
  const [told, tried] = sayings(reach(), person("P-1"));
  assert.deepEqual(told.made({ reason: "all of it" }), { reason: "all of it", person_id: "P-1" });
  assert.deepEqual(tried.made({ reason: "no answer" }), { reason: "could not reach P-1: no answer" });
});

test("a try that failed counts until the same person is told", () => {
  const history = [{ at: "2026-11-27T07:00:00Z", what: "could not reach P-1: no answer", by: "op-1" }];
  assert.equal(lastTry(reach({ history }), person("P-1")), history[0]);
  assert.equal(lastTry(reach({ history }), person("P-11")), null);
  assert.equal(lastTry(reach({ history }), person("P-1", { told: { at: "2026-11-27T07:05:00Z" } })), null);
});

test("a key speaks of the first who is owed a word, in the newest task", () => {
  const newest = reach({ people: [person("P-1", { owed: false }), person("P-2")] });
  assert.equal(firstOwed([reach({ people: [person("P-0")] }), newest]).who, "P-2");
  assert.equal(firstOwed([reach({ state: "closed", people: [person("P-0")] })]), null);
  assert.equal(firstOwed(null), null);
});

test("one silenced leaves the others loud; dealt with, and critical again, it is heard again", () => {
  const sound = new Sound();
  sound.check(["a", "b"], 0);
  sound.check(["a", "b"], 9_999);
  assert.equal(sound.beeps, 1);
  sound.silence("a");
  sound.check(["a"], 10_000);
  assert.equal(sound.beeps, 1);
  sound.check(["a", "b"], 10_001);
  assert.equal(sound.beeps, 2);
  sound.check([], 11_000);
  sound.check(["a"], 11_500);
  assert.equal(sound.beeps, 3);
});

test("what is said once is not said on top of what sounds", () => {
  const sound = new Sound();
  sound.check(["a"], 5000);
  sound.once(5500);
  assert.equal(sound.beeps, 1);
  sound.once(6000);
  assert.equal(sound.beeps, 2);
});

test("what waits for a person to decide is what nobody has acted on", () => {
  const waiting = wanted({ text: "", which: "waiting" }, 0);
  assert.ok(waiting(task("a")));
  assert.ok(waiting(task("a", { state: "withdrawal_recommended" })));
  assert.ok(!waiting(task("a", { state: "assigned" })));
});

test("every change but a detail is marked, and a quiet one calls for nobody", () => {
  assert.deepEqual(markOf(task("a", { change: "breach" })), { text: "NEW BREACH", isLoud: true });
  assert.deepEqual(markOf(task("a", { change: "correction" })), { text: "CORRECTED", isLoud: false });
  assert.equal(markOf(task("a", { change: "details" })), undefined);
});

test("a critical task that the filter hides is counted, one that somebody has acted on is not", () => {
  const [shown, hidden] = ["a", "b"].map((id) => task(id, { grade: "immediate" }));
  const others = [task("c"), task("d", { grade: "immediate", state: "assigned" })];
  assert.deepEqual(hiddenCritical([shown, hidden, ...others], [shown], GRADES), [hidden]);
});

test("in the hour that comes twice a time says which it is", () => {
  const twice = Date.parse("2026-10-25T00:30:00Z");
  assert.equal(clock(twice), "01:30:00 BST");
  assert.equal(clock(twice + 3_600_000), "01:30:00 GMT");
  assert.equal(clock(twice + 2 * 3_600_000), "02:30:00");
  assert.equal(clock(twice - 3_600_000), "00:30:00");
});

test("nobody reads who has touched nothing for half a minute", () => {
  const attention = new Attention(0);
  assert.ok(attention.isPaid(29_000));
  assert.ok(!attention.isPaid(30_000));
  attention.pay(40_000);
  assert.ok(attention.isPaid(60_000));
});

test("what could not be read is told of, and nothing where all could", () => {
  assert.equal(lacking(0), "");
  assert.match(lacking(1), /^1 task cannot be shown here: it could not be read/);
  assert.match(lacking(2), /^2 tasks cannot be shown here: they could not be read/);
});

test("alerts that came while nobody heard were missed, those of the first list and of other exercises were not", () => {
  const alerts = new Alerts(() => "", new Attention(0));
  const [old, missed] = ["old", "missed"].map((id) => ({ alert_id: id, severity: "critical" }));
  assert.deepEqual(alerts.replace([old], "none"), []);
  assert.deepEqual(alerts.replace([missed, old], "none"), [missed]);
  assert.deepEqual(alerts.replace([missed, old], "none"), []);
  assert.deepEqual(alerts.replace([{ alert_id: "exercise" }, missed, old], "with"), []);
});

/** A deed that is done when the test says so. */
function deed(begun, name) {
  let resolve;
  const done = new Promise((made) => (resolve = made));
  return { resolve, begin: () => (begun.push(name), done) };
}

const settled = () => new Promise((done) => setImmediate(done));

test("of one task one deed at a time is done, of another at once", async () => {
  const [turns, begun] = [new Turns(), []];
  const [first, second, third, other] = ["first", "second", "third", "other"].map((name) => deed(begun, name));
  const all = [first, second, third].map((each) => turns.take("a", each.begin));
  turns.take("b", other.begin);
  await settled();
  assert.deepEqual(begun, ["first", "other"]);
  first.resolve(true);
  await settled();
  assert.deepEqual(begun, ["first", "other", "second"]);
  second.resolve(true);
  third.resolve(true);
  assert.deepEqual(await Promise.all(all), [true, true, true]);
});

test("what waits behind a refusal is dropped, what comes after it is not", async () => {
  const [turns, begun] = [new Turns(), []];
  const [refused, dropped, later] = ["refused", "dropped", "later"].map((name) => deed(begun, name));
  const both = [refused, dropped].map((each) => turns.take("a", each.begin));
  refused.resolve(false);
  assert.deepEqual(await Promise.all(both), [false, false]);
  later.resolve(true);
  assert.ok(await turns.take("a", later.begin));
  assert.deepEqual(begun, ["refused", "later"]);
});

/** What becomes of an update where the board answers so: a Response to each request, or an Error. */
async function sent(t, ...answers) {
  t.mock.method(globalThis, "fetch", async () => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    return answer;
  });
  globalThis.sessionStorage = { getItem: () => "a token" };
  return update("tasks", "T", { action: "acknowledge", revision: 1 }, { pendingMs: 1000, askAgainMs: 1 });
}

const answer = (status, body) => new Response(JSON.stringify(body), { status });
const pending = () => answer(202, { status: "pending", update_id: "U" });
const cutOff = () =>
  new Response(new ReadableStream({ pull: (controller) => controller.error(new TypeError("cut off")) }));

test("an update that another board has not seen yet is asked for again", async (t) => {
  const accepted = { status: "accepted", state: "acknowledged" };
  assert.deepEqual(await sent(t, pending(), answer(404, {}), answer(503, {}), answer(200, accepted)), accepted);
});

for (const [what, answers, mayBeDone] of [
  ["the board refuses it", () => [answer(409, { detail: "too late" })], false],
  ["it is refused later", () => [pending(), answer(409, { detail: "too late" })], false],
  ["the token ends before it is decided on", () => [pending(), answer(401, {})], true],
  ["the board fails", () => [answer(503, {})], true],
  ["no answer comes", () => [new TypeError("no line")], true],
  ["the answer is cut off", () => [cutOff()], true],
]) {
  test(`whether an update may have been done where ${what}`, async (t) => {
    await assert.rejects(sent(t, ...answers()), (problem) => problem.mayBeDone === mayBeDone);
  });
}

test("a line that swallows everything is given up", async (t) => {
  t.mock.method(AbortSignal, "timeout", () => AbortSignal.abort(new DOMException("so long", "TimeoutError")));
  t.mock.method(globalThis, "fetch", (_, { signal }) => Promise.reject(signal.reason));
  await assert.rejects(update("tasks", "T", {}), { status: 0, mayBeDone: true, message: /in time/ });
});
