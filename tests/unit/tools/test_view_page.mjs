// SPDX-License-Identifier: Apache-2.0
// The parts of the web view's page that know no browser. Usage: node --test test_view_page.mjs, VIEW_PAGE names the folder.
import assert from "node:assert/strict";
import test from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.VIEW_PAGE}/${name}`));
const { buildTree, criticalPath, rowsOf } = await load("waterfall.js");
const { duration, rate } = await load("format.js");
const { readTrace } = await load("otlp.js");
const { Answer } = await load("news.js");

const span = (id, parent, name, start, end) => ({ id, parent, name, start, end });
const names = (rows) => rows.map(({ node, depth }) => `${depth} ${node.span.name}`);

const MESSAGE = [
  span("1", null, "work", 0, 90),
  span("2", "1", "agent.emit", 1, 2), span("3", "2", "bridge.publish", 2, 3), span("4", "3", "eventbus.publish", 3, 4),
  span("5", "4", "bridge.forward", 4, 5), span("6", "5", "agent.on_event", 5, 80), span("7", "6", "inner", 6, 70),
];

test("the hops of a message are one row until it is unfolded", () => {
  const roots = buildTree(MESSAGE);
  const rows = rowsOf(roots, new Set(), new Set());
  assert.deepEqual(names(rows), ["0 work", "1 agent.on_event", "2 inner"]);
  assert.equal(rows[1].folds.length, 4);
  assert.equal(rows[1].begin, 1);
  assert.deepEqual(names(rowsOf(roots, new Set(["2"]), new Set())),
    ["0 work", "1 agent.emit", "2 bridge.publish", "3 eventbus.publish", "4 bridge.forward", "5 agent.on_event", "6 inner"]);
});

test("an answer follows what is new in it, and notices what it has missed", () => {
  const answer = new Answer();
  assert.equal(answer.take({ version: 3, since: 2, patch: {} }), false);
  assert.equal(answer.take({ version: 3, whole: { more: false, edges: { "a ": { agent: "a", total: 1, reasons: {} }, "b ": { agent: "b", total: 1 } } } }), true);
  assert.equal(answer.take({ version: 4, since: 3, patch: { edges: { "a ": { total: 2, reasons: { expired: 1 } }, "b ": null, "c ": { agent: "c", total: 9 } } } }), true);
  assert.deepEqual(answer.read("flow", 0), { more: false, edges: [{ agent: "a", total: 2, reasons: { expired: 1 } }, { agent: "c", total: 9 }] });
  assert.equal(answer.take({ version: 6, since: 5, patch: {} }), false);
});

test("how long ago an agent was heard grows while nothing is told", () => {
  const answer = new Answer();
  answer.take({ version: 1, whole: { agents: { "a ": { agent: "a", heard_unix_ms: 1000 } } } });
  assert.equal(answer.read("agents", 3500).agents[0].heard_ms_ago, 2500);
  assert.equal(answer.read("agents", 500).agents[0].heard_ms_ago, 0); // clocks differ
});

test("a closed span hides what is below it", () => {
  assert.deepEqual(names(rowsOf(buildTree(MESSAGE), new Set(), new Set(["6"]))), ["0 work", "1 agent.on_event"]);
});

test("hops with several ways on are not folded into one of them", () => {
  const spans = [...MESSAGE, span("8", "4", "bridge.forward", 4, 5), span("9", "8", "agent.on_event", 5, 9)];
  assert.deepEqual(names(rowsOf(buildTree(spans), new Set(), new Set())),
    ["0 work", "1 eventbus.publish", "2 bridge.forward", "3 agent.on_event", "4 inner", "2 bridge.forward", "3 agent.on_event"]);
});

test("no circle, missing parent or second span of one id hides a span", () => {
  const shown = (spans) => rowsOf(buildTree(spans), new Set(), new Set()).length;
  assert.equal(shown([span("1", "2", "a", 0, 1), span("2", "3", "b", 0, 1), span("3", "1", "c", 0, 1)]), 3);
  assert.equal(shown([span("1", "1", "a", 0, 1)]), 1);
  assert.equal(shown([span("1", "9", "a", 0, 1), span("2", "1", "b", 0, 1)]), 2);
  assert.equal(shown([span("1", null, "a", 0, 1), span("1", null, "b", 0, 1)]), 2);
  assert.equal(shown([]), 0);
});

test("the critical path goes on through what a span has brought about after its own end", () => {
  const roots = buildTree([span("0", null, "root", 0, 20), span("a", "0", "forward", 5, 6), span("b", "0", "forward", 7, 8), span("c", "a", "on_event", 30, 100), span("d", "b", "on_event", 10, 50)]);
  assert.deepEqual([...criticalPath(roots)].sort(), ["0", "a", "c"]);
});

test("the critical path is what the end waited for, one after the other", () => {
  const roots = buildTree([span("0", null, "root", 0, 100), span("a", "0", "a", 0, 90), span("b", "0", "b", 90, 99), span("c", "0", "c", 10, 95),
    span("d", "a", "d", 80, 89)]);
  assert.deepEqual([...criticalPath(roots)].sort(), ["0", "a", "b", "d"]);
});

test("durations and rates are for people", () => {
  const shown = { 0: "0 ns", 999: "999 ns", 1000: "1.00 µs", 54912: "54.9 µs", 999_600_000: "1.00 s", 59_940_000_000: "59.9 s", 119_700_000_000: "2 min 0 s" };
  for (const [ns, text] of Object.entries(shown)) assert.equal(duration(Number(ns)), text);
  assert.equal(rate(0), "0/s");
  assert.equal(rate(1234567), "1.2 M/s");
});

test("OTLP/JSON becomes spans with times since the trace began", () => {
  const { beginMs, spans } = readTrace({ resourceSpans: [{ resource: { attributes: [{ key: "service.name", value: { stringValue: "s" } }] }, scopeSpans: [{ spans: [
    { spanId: "b", parentSpanId: "a", name: "child", startTimeUnixNano: "1700000000000000500", endTimeUnixNano: "1700000000000000400", status: { code: 2, message: "no" } },
    { spanId: "a", name: "root", kind: 3, startTimeUnixNano: "1700000000000000000", endTimeUnixNano: "1700000000000001000",
      attributes: [{ key: "n", value: { intValue: "9007199254740993" } }, { key: "l", value: { arrayValue: { values: [{ boolValue: true }] } } }] }] }] }] });
  assert.equal(beginMs, 1700000000000);
  assert.deepEqual(spans.map(({ id, service, start, end, error }) => [id, service, start, end, error]), [["a", "s", 0, 1000, false], ["b", "s", 500, 500, true]]);
  assert.deepEqual(spans[0].attributes, [["n", "9007199254740993"], ["l", "[true]"]]);
  assert.equal(spans[0].kind, "client");
});

const { Rates } = await load("rates.js");
const { Agents, subscriptionRows } = await load("health.js");
const subscription = (subscriber, more) => ({ subscriber, id: 1, filter: "a.>", qos: 0, delivered: 0, dropped: 0, queued: 0, queued_bytes: 0, credit_messages: 1, credit_bytes: 1, pressing: false, overdue: false, ...more });

test("a rate is what a total grew by each second, and begins anew with the total", () => {
  const rates = new Rates();
  const seen = [[0, 10], [1000, 30], [3000, 32], [4000, 5]].map(([ms, total]) => { rates.look(ms); return rates.of("a", total); });
  assert.deepEqual(seen, [0, 20, 1, 0]);
});

test("the agent that is worst off comes first, and one that has gone last", () => {
  const rates = new Rates(), agents = new Agents();
  const all = ["b-fine", "a-gone", "c-stuck", "d-behind"].map((agent) => ({ agent, state: "active", heard_ms_ago: 1 }));
  const subscriptions = () => subscriptionRows([subscription("c-stuck", { overdue: true, queued: 9 }), subscription("d-behind", { queued: 1 })], rates);
  agents.rows(all, subscriptions(), [], rates);
  const rows = agents.rows(all.filter(({ agent }) => agent !== "a-gone"), subscriptions(), [], rates);
  assert.deepEqual(rows.map(({ agent, verdict }) => `${agent} ${verdict.word}`), ["c-stuck stuck", "d-behind behind", "b-fine active", "a-gone gone"]);
});

test("of an agent that is not among the ways that are told, no rate is made up", () => {
  const edges = [{ kind: "deliver", agent: "a", name: "x", total: 1, lost: 0, reasons: {}, other: "" }], all = ["a", "b"].map((agent) => ({ agent, state: "active" }));
  const untold = (isPart) => new Agents().rows(all, [], edges, new Rates(), isPart).map((row) => row.isUntold);
  assert.deepEqual([untold(true), untold(false)], [[false, true], [false, false]]);
});

test("what an agent has lost is told by its reasons, over all topics", () => {
  const edges = ["x", "y"].map((name) => ({ kind: "deliver", agent: "a", name, total: 1, lost: 2, reasons: { ttl_expired: 2 }, other: "" }));
  const [row] = new Agents().rows([{ agent: "a", state: "active" }], [], edges, new Rates());
  assert.deepEqual(row.lost, { ttl_expired: 4 });
});

const { queryOf, tracesOf } = await load("filter.js");

test("a filter names services, attributes and durations", () => {
  assert.equal(decodeURIComponent(queryOf('agent-a topic=x.y text="two words" duration>5ms duration<=2s', "failed", 10)),
    "limit=10&service=agent-a&attribute=topic=x.y&attribute=text=two words&min_duration=5ms&max_duration=2s&failed=true");
  assert.equal(queryOf("", "slowest", 10), "limit=10&order=slowest");
});

test("any value of an attribute finds its way through the filter", () => {
  for (const value of ["a.b", "two words", 'say "no"', "back\\slash", 'all "of\\ it"', "no\u00a0break", '"', "", "=<>"]) {
    const q = new URLSearchParams(tracesOf({ agent_id: "x", topic: value }).split("?")[1]).get("q");
    assert.deepEqual(new URLSearchParams(queryOf(q, "newest", 1)).getAll("attribute"), ["agent_id=x", `topic=${value}`], q);
  }
  assert.equal(decodeURIComponent(queryOf('topic=a"b', "newest", 1)), 'limit=1&attribute=topic=a"b');
});

const { groupErrors } = await load("failures.js");

test("what failed for the same reason at the same place is one group, the latest first", () => {
  const failed = (start, message, more) => ({ name: "agent.on_action", service: "s", start_unix_ns: start, span_id: String(start), trace_id: String(start), message, "error.type": "error", ...more });
  const groups = groupErrors([failed(1, "job 17 not found"), failed(5, "job 18 not found"), failed(3, "no room", { topic: "a" })]);
  assert.deepEqual(groups.map(({ errors }) => errors.map(({ start_unix_ns }) => start_unix_ns)), [[5, 1], [3]]);
  assert.deepEqual(groupErrors([failed(1, "x", { topic: "Abc" }), failed(2, "y")], "abc").length, 1);
});

test("what went through several spans failed once, and what was lost is counted one by one", () => {
  const failed = (name, start, more) => ({ name, service: "s", start_unix_ns: start, span_id: String(start), trace_id: "t", message: "no paper", capability: "print", "error.type": "exit 3", ...more });
  const [called] = groupErrors([failed("action.invoke", 1), failed("action.dispatch", 2), failed("agent.on_action", 3), failed("action.invoke", 9, { trace_id: "u" })]);
  assert.deepEqual(called.errors.map(({ name, trace_id }) => [name, trace_id]), [["action.invoke", "u"], ["agent.on_action", "t"]]);
  const through = groupErrors([failed("api.request", 1, { capability: "api" }), failed("http.action", 2, { capability: "http" }), failed("GET", 3, { capability: undefined })]);
  assert.deepEqual(through.map(({ latest }) => latest.name), ["http.action"]);
  const [lost] = groupErrors([failed("eventbus.drop", 1, { dropped: true }), failed("eventbus.drop", 2, { dropped: true })]);
  assert.equal(lost.errors.length, 2);
});

const { gather, spread } = await load("layout.js");

test("labels are moved apart, as little as possible", () => {
  const moved = (...ys) => { const labels = ys.map((y) => ({ y })); spread(labels, 10); return labels.map(({ y }) => y); };
  assert.deepEqual(moved(5, 5, 5), [-5, 5, 15]);
  assert.deepEqual(moved(0, 50), [0, 50]);
  assert.deepEqual(moved(0, 0, 9, 100), [-7, 3, 13, 100]);
  assert.deepEqual(moved(), []);
});

test("commands that have gone are one agent of the flow, and those that are there are not", () => {
  const edge = (agent, total) => ({ kind: "publish", agent, name: "a.b", total, lost: 0, rate: 0, losing: false });
  const all = gather([edge("loom-pub-12-abc123", 1), edge("loom-pub-13-abc124", 2), edge("loom-pub-14-abc125", 4), edge("writer", 8)], new Set(["loom-pub-14-abc125"]));
  assert.deepEqual(all.map(({ agent, total }) => [agent, total]), [["loom-pub-…", 3], ["loom-pub-14-abc125", 4], ["writer", 8]]);
});

const { fieldsOf, numberProblem, textProblem } = await load("schema.js");
const { jsonPieces } = await load("payload.js");

test("a schema becomes fields, with their types, choices, bounds and what is required", () => {
  const field = fieldsOf(JSON.stringify({ type: "object", required: ["city"], properties: {
    city: { type: "string", title: "City" }, days: { type: "integer", minimum: 1, maximum: 7, default: 3 }, unit: { enum: ["c", "f"] },
    place: { $ref: "#/$defs/place" }, tags: { type: "array", items: { type: "string" } }, maybe: { type: ["null", "boolean"] }, any: { anyOf: [{}] },
  }, $defs: { place: { type: "object", properties: { lat: { type: "number" } } } } }));
  assert.deepEqual(field.fields.map(({ name, kind, required }) => [name, kind, required]),
    [["city", "string", true], ["days", "integer", false], ["unit", "choice", false], ["place", "object", false], ["tags", "array", false], ["maybe", "boolean", false], ["any", "json", false]]);
  assert.deepEqual([field.fields[1].min, field.fields[1].max, field.fields[1].initial], [1, 7, 3]);
  assert.deepEqual(field.fields[3].fields.map(({ kind }) => kind), ["number"]);
});

test("what is wrong with a value is said as the schema has it", () => {
  const fine = [[numberProblem, { kind: "number", min: 1, step: 5 }, "5"], [numberProblem, { kind: "number", step: 0.1 }, "0.3"], [numberProblem, { kind: "integer" }, "-7"], [numberProblem, { kind: "number" }, "1e300"],
    [numberProblem, { kind: "number", above: 0 }, "0.1"], [textProblem, { pattern: "^[\\w.-]+$" }, "a-b.c"], [textProblem, { max: 2 }, "🚀🚀"], [textProblem, { pattern: "(" }, "x"], [textProblem, {}, "x"]];
  for (const [check, field, text] of fine) assert.equal(check(field, text), "", `${JSON.stringify(field)} ${text}`);
  const wrong = [[numberProblem, { kind: "number", min: 1, step: 5 }, "6", "multiple of 5"], [numberProblem, { kind: "integer" }, "1.5", "whole"], [numberProblem, { kind: "integer" }, "9007199254740993", "JSON"],
    [numberProblem, { kind: "number", above: 0 }, "0", "more than 0"], [numberProblem, { kind: "number", max: 7 }, "8", "7 or less"], [textProblem, { min: 2 }, "🚀", "2 characters or more"], [textProblem, { pattern: "^a$" }, "b", "^a$"]];
  for (const [check, field, text, word] of wrong) assert.ok(check(field, text).includes(word), `${JSON.stringify(field)} ${text}: ${check(field, text)}`);
});

test("a schema that is none, says nothing, or leads to itself does no harm", () => {
  for (const text of ["", "no json", "true", "17", "{}", '{"$ref":"#"}', '{"$ref":"#/a","a":{"$ref":"#/a"}}']) assert.equal(fieldsOf(text), null, text);
  const endless = { type: "object", properties: { next: { $ref: "#/$defs/node" } }, $defs: { node: { type: "object", properties: { a: { $ref: "#/$defs/node" }, b: { $ref: "#/$defs/node" } } } } };
  let count = 0;
  const walk = (field) => { count++; (field.fields ?? []).forEach(walk); };
  walk(fieldsOf(JSON.stringify(endless)));
  assert.ok(count < 2000, String(count));
});

test("JSON is put in order without a change to numbers, keys or their order", () => {
  const shown = (text) => [...jsonPieces(text)].map(([, piece]) => piece).join("");
  assert.equal(shown('{"b":1.0,"2":9007199254740993, "1":[],"x":{"k\\"":"a: {,","n":null},"e":{ }}'),
    '{\n  "b": 1.0,\n  "2": 9007199254740993,\n  "1": [],\n  "x": {\n    "k\\"": "a: {,",\n    "n": null\n  },\n  "e": {}\n}');
  assert.deepEqual([...jsonPieces('{"a":["b",-1e5]}')].map(([kind]) => kind).filter(Boolean), ["key", "string", "value"]);
  assert.ok(shown("[".repeat(8000) + "]".repeat(8000)).length < 2e6, "however deep, it is not mostly blank");
});

const { matchTraces } = await load("match.js");

test("two traces are matched by the path of their names, and by order among those of one name", () => {
  const a = buildTree([span("1", null, "root", 0, 100), span("2", "1", "step", 0, 10), span("3", "1", "step", 10, 30), span("4", "1", "gone", 30, 31)]);
  const b = buildTree([span("a", null, "root", 0, 90), span("b", "a", "step", 0, 15), span("c", "a", "step", 15, 25), span("d", "c", "new", 16, 17)]);
  assert.deepEqual(matchTraces(a, b).map(({ depth, name, difference, ...row }) => [depth, name, difference, row.a?.span.id, row.b?.span.id]),
    [[0, "root", -10, "1", "a"], [1, "step", 5, "2", "b"], [1, "step", -10, "3", "c"], [2, "new", null, undefined, "d"], [1, "gone", null, "4", undefined]]);
});

test("of an incomplete trace its spans say what is missing", () => {
  const spans = ["01", "02"].map((spanId) => ({ spanId, name: "agent.emit", startTimeUnixNano: "1", endTimeUnixNano: "2" }));
  const request = { resourceSpans: [{ scopeSpans: [{ spans }] }] };
  const trace = readTrace({ ...request, incomplete: true, missing: [{ spanId: "02", text: "where it went is not in the trace" }] });
  assert.equal(trace.incomplete, true);
  assert.deepEqual(trace.spans.map(({ missing }) => missing), ["", "where it went is not in the trace"]);
  assert.equal(readTrace(request).incomplete, false);
});
