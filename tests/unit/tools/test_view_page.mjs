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

test("what an agent has lost is told by its reasons, over all topics", () => {
  const edges = ["x", "y"].map((name) => ({ kind: "deliver", agent: "a", name, total: 1, lost: 2, reasons: { ttl_expired: 2 }, other: "" }));
  const [row] = new Agents().rows([{ agent: "a", state: "active" }], [], edges, new Rates());
  assert.deepEqual(row.lost, { ttl_expired: 4 });
});

const { queryOf } = await load("filter.js");

test("a filter names services, attributes and durations", () => {
  assert.equal(decodeURIComponent(queryOf('agent-a topic=x.y text="two words" duration>5ms duration<=2s', "failed", 10)),
    "limit=10&service=agent-a&attribute=topic=x.y&attribute=text=two words&min_duration=5ms&max_duration=2s&failed=true");
  assert.equal(queryOf("", "slowest", 10), "limit=10&order=slowest");
});

const { groupErrors } = await load("failures.js");

test("what failed for the same reason at the same place is one group, the latest first", () => {
  const failed = (start, message, more) => ({ name: "agent.on_action", service: "s", start_unix_ns: start, span_id: String(start), message, "error.type": "error", ...more });
  const groups = groupErrors([failed(1, "job 17 not found"), failed(5, "job 18 not found"), failed(3, "no room", { topic: "a" })]);
  assert.deepEqual(groups.map(({ errors }) => errors.map(({ start_unix_ns }) => start_unix_ns)), [[5, 1], [3]]);
  assert.deepEqual(groupErrors([failed(1, "x", { topic: "Abc" }), failed(2, "y")], "abc").length, 1);
});

const { fieldsOf } = await load("schema.js");

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

test("a schema that is none, says nothing, or leads to itself does no harm", () => {
  for (const text of ["", "no json", "true", "17", "{}", '{"$ref":"#"}', '{"$ref":"#/a","a":{"$ref":"#/a"}}']) assert.equal(fieldsOf(text), null, text);
  const endless = { type: "object", properties: { next: { $ref: "#/$defs/node" } }, $defs: { node: { type: "object", properties: { a: { $ref: "#/$defs/node" }, b: { $ref: "#/$defs/node" } } } } };
  let count = 0;
  const walk = (field) => { count++; (field.fields ?? []).forEach(walk); };
  walk(fieldsOf(JSON.stringify(endless)));
  assert.ok(count < 2000, String(count));
});

const { matchTraces } = await load("match.js");

test("two traces are matched by the path of their names, and by order among those of one name", () => {
  const a = buildTree([span("1", null, "root", 0, 100), span("2", "1", "step", 0, 10), span("3", "1", "step", 10, 30), span("4", "1", "gone", 30, 31)]);
  const b = buildTree([span("a", null, "root", 0, 90), span("b", "a", "step", 0, 15), span("c", "a", "step", 15, 25), span("d", "c", "new", 16, 17)]);
  assert.deepEqual(matchTraces(a, b).map(({ depth, name, difference, ...row }) => [depth, name, difference, row.a?.span.id, row.b?.span.id]),
    [[0, "root", -10, "1", "a"], [1, "step", 5, "2", "b"], [1, "step", -10, "3", "c"], [2, "new", null, undefined, "d"], [1, "gone", null, "4", undefined]]);
});
