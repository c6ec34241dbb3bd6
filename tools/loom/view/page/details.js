// SPDX-License-Identifier: Apache-2.0
// What a span has to tell: its attributes, a payload among them in order, its events, and its links both ways.

import { el } from "./dom.js";
import { duration, time } from "./format.js";
import { jsonNode } from "./payload.js";

export function pairs(rows) {
  return el("table", { class: "pairs" }, el("tbody", {}, rows.map(([key, value]) =>
    el("tr", {}, el("th", { scope: "row" }, key), el("td", {}, typeof value === "string" ? jsonNode(value) ?? value : value)))));
}

function linkItem(id, { traceId, spanId }, reveal) {
  return el("li", {}, traceId === id ? el("button", { type: "button", onclick: () => reveal(spanId) }, `span ${spanId} of this trace`)
    : el("a", { href: `#/traces/${traceId}?span=${spanId}` }, `trace ${traceId}`));
}

const WARN = 13, ERROR = 17; // severities of OpenTelemetry

function severity({ level, word }) {
  return el("span", { class: `chip ${level >= ERROR ? "bad" : level >= WARN ? "warn" : "gone"}` }, word.toLowerCase() || "log");
}

function logItem(log) {
  return el("li", {}, severity(log), ` +${duration(log.at)} `, jsonNode(log.text) ?? log.text, log.attributes.length > 0 ? pairs(log.attributes) : null);
}

/** back: what links to this span: [{traceId, spanId, text}]. */
function spanParts(id, span, isHop, back, reveal) {
  const logs = span.logs ?? [];
  return [
    el(isHop ? "h3" : "h2", {}, span.name),
    pairs([["service", span.service], ["kind", span.kind], ["starts at", `+${duration(span.start)}`], ["takes", duration(span.end - span.start)],
           ...(span.missing ? [["missing", el("span", { class: "failed" }, `! ${span.missing}`)]] : []),
           ...(span.error ? [["status", el("span", { class: "failed" }, `✕ error ${span.message}`)]] : []), ["span id", span.id], ...span.attributes]),
    span.events.map((event) => el("section", {}, el("h3", {}, `${event.name} at +${duration(event.at)}`), pairs(event.attributes))),
    logs.length > 0 ? [el("h3", {}, "Log"), el("ul", { class: "span-log" }, logs.map(logItem))] : null,
    span.links.length > 0 ? [el("h3", {}, "Links to"), el("ul", {}, span.links.map((link) => linkItem(id, link, reveal)))] : null,
    back.length > 0 ? [el("h3", {}, "Linked from"), el("ul", { class: "linked-from" }, back.map(({ traceId, spanId, text }) =>
      el("li", {}, text, " ", traceId === id ? el("button", { type: "button", onclick: () => reveal(spanId) }, "show") : el("a", { href: `#/traces/${traceId}?span=${spanId}` }, `in trace ${traceId.slice(0, 8)}…`))))] : null,
  ];
}

export function rowDetails(id, row, linkedFrom, reveal) {
  return [...row.folds, row.node].reverse().map(({ span }, i) => spanParts(id, span, i > 0, linkedFrom(span.id), reveal));
}

/** All events of a trace, and what was logged in it, in the order of their times: its log. */
export function eventLog(spans, logs, beginMs, reveal) {
  const byId = new Map(spans.map((span) => [span.id, span]));
  const all = [...spans.flatMap((span) => span.events.map((event) => ({ ...event, span }))),
    ...logs.map((log) => ({ ...log, name: log.text, span: byId.get(log.spanId) ?? null, log }))].sort((a, b) => a.at - b.at);
  const place = ({ span, service }) => [span ? el("button", { type: "button", class: "link", onclick: () => reveal(span.id) }, span.name) : null, " ", el("span", { class: "quiet" }, span?.service ?? service)];
  return { count: all.length, node: () => el("table", { class: "list log" }, el("caption", { class: "unseen" }, "Log of the trace"), el("tbody", {}, all.slice(0, 1000).map((one) =>
    el("tr", {}, el("td", { class: "number", title: time(beginMs + one.at / 1e6) }, `+${duration(one.at)}`), el("td", {}, one.log ? [severity(one.log), " "] : null, el(one.log ? "span" : "strong", {}, one.name)),
      el("td", {}, place(one)), el("td", { class: "extra" }, one.attributes.map(([key, value]) => `${key}=${value}`).join(" ")))))) };
}
