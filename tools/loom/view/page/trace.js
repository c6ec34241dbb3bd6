// SPDX-License-Identifier: Apache-2.0
// One trace: its waterfall, what the chosen span has to tell, and its events. One that still grows is shown anew.

import { get } from "./api.js";
import { eventLog, rowDetails } from "./details.js";
import { el, emptyView, put } from "./dom.js";
import { count, duration, several, time } from "./format.js";
import { follow } from "./live.js";
import { readLogs, readTrace } from "./otlp.js";
import { spansView } from "./spans.js";
import { buildTree, criticalPath } from "./waterfall.js";

const LOGS_MAX = 2000; // of one trace, as the server has it
const GROWING_SPANS_MAX = 5000; // of a larger one only the number is told, and a button shows the rest

export function modelOf(request) { // of which the log is loaded apart
  const { beginMs, begin, spans, incomplete } = readTrace(request), roots = buildTree(spans);
  return { beginMs, begin, spans, incomplete, roots, logs: [], critical: criticalPath(roots), total: spans.reduce((most, { end }) => Math.max(most, end), 1), whole: request.truncated ? request.total : spans.length };
}

function titleOf(id, trace, state) {
  const { spans, beginMs, roots, total, whole, incomplete } = trace;
  const services = new Set(spans.map(({ service }) => service)), failed = spans.filter(({ error }) => error).length;
  return [
    el("h1", {}, roots[0]?.span.name ?? "Trace"),
    el("p", {}, `${time(beginMs)} · ${duration(total)} · ${whole > spans.length ? `${count(spans.length)} of ${count(whole)} spans` : several(spans.length, "span")} · ${several(services.size, "service")}`,
      failed > 0 ? el("strong", { class: "failed" }, ` · ✕ ${count(failed)} failed`) : null,
      incomplete ? el("strong", { class: "failed", title: "A part of what the flight recorders kept of it is not there: see the spans marked !" }, " · incomplete") : null),
    el("p", { class: "actions" }, el("code", {}, id), el("a", { href: `#/traces?${new URLSearchParams({ compare: id })}` }, "Compare with …"),
      el("a", { href: `/api/traces/${id}`, download: `${id}.json` }, "Download as OTLP/JSON"),
      state.jaeger ? el("a", { href: `${state.jaeger.replace(/\/$/, "")}/trace/${id}`, rel: "noreferrer", target: "_blank" }, "Open in Jaeger") : null,
      el("span", { class: "legend" }, el("span", { class: "bar critical" }), " critical path")),
  ];
}

export async function showTrace(main, { id, parameters, signal, state }) {
  let trace, about = { spans: 0, logs: 0, linked: [] }, row = null;
  try {
    trace = await load();
  } catch (error) {
    if (error.name !== "AbortError") main.replaceChildren(emptyView("The trace cannot be shown", error.message));
    return;
  }
  async function load() {
    const [request, { logs }] = await Promise.all([get(`/api/traces/${id}`, signal), get(`/api/logs/${id}`, signal)]), model = modelOf(request);
    const byId = new Map(model.spans.map((span) => [span.id, span]));
    model.logs = readLogs(logs, model.begin);
    for (const log of model.logs) (byId.get(log.spanId) ?? {}).logs?.push(log);
    return model;
  }

  const title = el("div", { class: "title" }), note = el("p", { class: "hint", role: "status" }), log = el("details", { class: "group log-of-trace", ontoggle: showLog });
  const details = el("aside", { class: "details", "aria-label": "The chosen span", tabindex: "0" });
  const view = spansView({ signal, onchoose: (chosen) => { row = chosen; showDetails(); } });

  const linkedFrom = (spanId) => [
    ...trace.spans.filter(({ links }) => links.some((link) => link.spanId === spanId && link.traceId === id)).map((span) => ({ traceId: id, spanId: span.id, text: `${span.name} of ${span.service}` })),
    ...about.linked.filter(({ to }) => to === spanId).map((link) => ({ traceId: link.trace_id, spanId: link.span_id, text: `${link.name ?? "a span"} of ${link.service ?? "?"}` })),
  ];
  const showDetails = () => { if (row) put(details, rowDetails(id, row, linkedFrom, view.reveal)); };

  function showLog() {
    const events = eventLog(trace.spans, trace.logs, trace.beginMs, view.reveal);
    log.hidden = events.count === 0;
    put(log, el("summary", {}, el("strong", {}, "Log"), `${several(events.count, "line")}: what was logged, and the events of all spans`), log.open ? el("div", { class: "scroll" }, events.node()) : null);
  }

  function show() {
    put(title, titleOf(id, trace, state));
    view.show(trace);
    showLog();
    note.replaceChildren();
  }

  async function grow() {
    trace = await load();
    show();
    row = view.current() ?? row; // with what is new of it
    showDetails();
  }

  async function look(answer) {
    const isNew = JSON.stringify(answer.linked) !== JSON.stringify(about.linked);
    about = answer;
    if (isNew) showDetails();
    if (answer.spans <= trace.whole && Math.min(answer.logs, LOGS_MAX) <= trace.logs.length) return;
    if (answer.spans <= GROWING_SPANS_MAX) await grow();
    else put(note, `${count(answer.spans - trace.whole)} spans have come since. `, el("button", { type: "button", onclick: () => grow().catch(() => {}) }, "Show them"));
  }

  put(main, title, note, el("div", { class: "split" }, view.node, details), log);
  show();
  if (!parameters.has("span") || !view.reveal(parameters.get("span"))) view.choose(0);
  follow("traces", (abort) => get(`/api/about/${id}`, abort), (answer) => look(answer).catch(() => {}), () => {}, signal);
  return { ...view.keys, focus: view.focus, back: () => { location.hash = sessionStorage.getItem("list") || "#/traces"; } };
}
