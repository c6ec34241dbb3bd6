// SPDX-License-Identifier: Apache-2.0
// One trace: the waterfall, of whose rows only those in sight are elements, and what the chosen span has to tell.

import { get } from "./api.js";
import { el, empty } from "./dom.js";
import { count, duration, time } from "./format.js";
import { readTrace } from "./otlp.js";
import { buildTree, criticalPath, rowsOf } from "./waterfall.js";

const ROW = 26; // pixels, as in style.css
const MARGIN = 10; // rows made beyond those in sight

function hue(service) {
  let sum = 0;
  for (const c of service) sum = (sum * 31 + c.codePointAt(0)) % 360;
  return sum;
}

export async function showTrace(main, { id, parameters, signal, state }) {
  let request;
  try {
    request = await get(`/api/traces/${id}`, signal);
  } catch (error) {
    if (error.name !== "AbortError") main.replaceChildren(empty("The trace cannot be shown", error.message));
    return;
  }
  const { beginMs, spans } = readTrace(request);
  const roots = buildTree(spans);
  const critical = criticalPath(roots);
  const total = spans.reduce((most, { end }) => Math.max(most, end), 1);
  const open = new Set(), closed = new Set();
  let rows = [], chosen = 0;

  const space = el("div", { class: "space" });
  const scroller = el("div", { class: "waterfall", role: "treegrid", "aria-label": "Spans of the trace", tabindex: "0" }, space);
  const details = el("aside", { class: "details", "aria-label": "The chosen span" });

  function rowElement(row, index) {
    const { span } = row.node;
    const errors = span.error || row.folds.some(({ span }) => span.error);
    const label = el("span", { class: "name", role: "gridcell" },
      row.folds.length > 0 || row.unfolded
        ? el("button", { type: "button", class: "fold", title: row.folds.length > 0 ? `Show ${row.folds.length} hops of the message` : "Fold the hops of the message",
                         onclick: (event) => { event.stopPropagation(); toggleFold(index); } }, row.folds.length > 0 ? `+${row.folds.length}` : "−")
        : null,
      row.hasChildren
        ? el("button", { type: "button", class: "twist", "aria-label": row.isClosed ? "Open" : "Close", onclick: (event) => { event.stopPropagation(); toggle(index); } }, row.isClosed ? "▸" : "▾")
        : el("span", { class: "twist" }),
      errors ? el("span", { class: "failed", title: span.message || "failed" }, "✕ ") : null,
      span.name, el("span", { class: "service" }, span.service));
    label.style.paddingLeft = `${row.depth * 12}px`;
    const bar = el("span", { class: `bar${critical.has(span.id) ? " critical" : ""}${errors ? " error" : ""}` });
    bar.style.left = `${(row.begin / total) * 100}%`;
    bar.style.width = `max(2px, ${((span.end - row.begin) / total) * 100}%)`;
    bar.style.setProperty("--hue", hue(span.service));
    const node = el("div", { class: "row", role: "row", "aria-rowindex": index + 1, "aria-level": row.depth + 1, "aria-selected": index === chosen ? "true" : "false",
                             "data-span": span.id, onclick: () => choose(index) },
      label, el("span", { class: "track", role: "presentation" }, bar), el("span", { class: "took", role: "gridcell" }, duration(span.end - row.begin)));
    node.style.top = `${index * ROW}px`;
    return node;
  }

  function draw() {
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW) - MARGIN);
    const last = Math.min(rows.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW) + MARGIN);
    space.replaceChildren(...rows.slice(first, last).map((row, i) => rowElement(row, first + i)));
  }

  function layout() {
    rows = rowsOf(roots, open, closed);
    chosen = Math.min(chosen, rows.length - 1);
    space.style.height = `${rows.length * ROW}px`;
    scroller.setAttribute("aria-rowcount", rows.length);
    draw();
  }

  function toggleFold(index) {
    const { node, folds, unfolded } = rows[index];
    chosen = index;
    scroller.focus({ preventScroll: true }); // the button is made anew
    if (unfolded) open.delete(node.span.id);
    else open.add(folds[0].span.id);
    layout();
  }

  function toggle(index) {
    const { id } = rows[index].node.span;
    chosen = index;
    scroller.focus({ preventScroll: true });
    if (!closed.delete(id)) closed.add(id);
    layout();
  }

  function choose(index) {
    if (index < 0 || index >= rows.length) return;
    chosen = index;
    const top = index * ROW;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + ROW > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + ROW - scroller.clientHeight;
    draw();
    const row = rows[index];
    details.replaceChildren(...[...row.folds, row.node].reverse().flatMap(({ span }, i) => spanDetails(span, i > 0)));
  }

  const holds = (spanId) => (row) => row.node.span.id === spanId || row.folds.some((node) => node.span.id === spanId);

  /** Chooses the row of a span, unfolding what hides it. */
  function reveal(spanId) {
    closed.clear();
    rows = rowsOf(roots, open, closed);
    const fold = rows.find((row) => row.folds.some((node) => node.span.id === spanId));
    if (fold) open.add(fold.folds[0].span.id);
    layout();
    choose(rows.findIndex((row) => row.node.span.id === spanId));
  }

  function spanDetails(span, isHop) {
    const table = (pairs) => el("table", { class: "pairs" }, el("tbody", {}, pairs.map(([key, value]) => el("tr", {}, el("th", { scope: "row" }, key), el("td", {}, value)))));
    return [
      el(isHop ? "h3" : "h2", {}, span.name),
      table([["service", span.service], ["kind", span.kind], ["starts at", `+${duration(span.start)}`], ["takes", duration(span.end - span.start)],
             ...(span.error ? [["status", `error ${span.message}`]] : []), ["span id", span.id], ...span.attributes]),
      ...span.events.map((event) => el("section", {}, el("h3", {}, `${event.name} at +${duration(event.at)}`), table(event.attributes))),
      ...(span.links.length > 0 ? [el("h3", {}, "Linked"), el("ul", {}, span.links.map(({ traceId, spanId }) =>
        el("li", {}, traceId === id ? el("button", { type: "button", onclick: () => reveal(spanId) }, `span ${spanId} of this trace`)
          : el("a", { href: `#/traces/${traceId}` }, `trace ${traceId}`))))] : []),
    ];
  }

  const services = new Set(spans.map(({ service }) => service));
  const failed = spans.filter(({ error }) => error).length;
  const file = el("a", { href: `/api/traces/${id}`, download: `${id}.json` }, "Download as OTLP/JSON");
  main.replaceChildren(
    el("div", { class: "title" },
      el("h1", {}, roots[0]?.span.name ?? "Trace"),
      el("p", {}, `${time(beginMs)} · ${duration(total)} · ${count(spans.length)}${request.truncated ? ` of ${count(request.total)}` : ""} spans · ${count(services.size)} services`,
        failed > 0 ? el("strong", { class: "failed" }, ` · ✕ ${count(failed)} failed`) : null),
      el("p", { class: "actions" }, el("code", {}, id), file,
        state.jaeger ? el("a", { href: `${state.jaeger.replace(/\/$/, "")}/trace/${id}`, rel: "noreferrer", target: "_blank" }, "Open in Jaeger") : null,
        el("span", { class: "legend" }, el("span", { class: "bar critical" }), " critical path"))),
    el("div", { class: "split" }, scroller, details));
  scroller.addEventListener("scroll", () => requestAnimationFrame(draw));
  const watch = new ResizeObserver(draw);
  watch.observe(scroller);
  signal.addEventListener("abort", () => watch.disconnect());
  layout();
  if (rows.some(holds(parameters.get("span")))) reveal(parameters.get("span"));
  else choose(0);
  if (rows.length === 0) return {};
  return {
    next: () => choose(chosen + 1),
    previous: () => choose(chosen - 1),
    enter: () => (rows[chosen].folds.length > 0 || rows[chosen].unfolded ? toggleFold(chosen) : toggle(chosen)),
    back: () => { location.hash = sessionStorage.getItem("list") || "#/traces"; },
  };
}
