// SPDX-License-Identifier: Apache-2.0
// The waterfall: a treegrid (WAI-ARIA, "Treegrid Pattern") of which only the rows in sight are elements. The grid has the focus,
// and aria-activedescendant says which row is meant.

import { el } from "./dom.js";
import { duration, several } from "./format.js";
import { rowsOf } from "./waterfall.js";

const ROW = 26; // pixels, as in style.css
const MARGIN = 10; // rows made beyond those in sight
const TICKS = [0, 0.25, 0.5, 0.75, 1];

export function hue(service) {
  let sum = 0;
  for (const c of service) sum = (sum * 31 + c.codePointAt(0)) % 360;
  return sum;
}

/** onchoose is told of the row that is chosen. */
export function spansView({ onchoose, signal }) {
  let roots = [], critical = new Set(), total = 1, rows = [], chosen = 0;
  const open = new Set(), closed = new Set();
  const space = el("div", { class: "space", role: "presentation" }), scale = el("div", { class: "row scale", "aria-hidden": "true" });
  const scroller = el("div", { class: "waterfall", role: "treegrid", "aria-label": "Spans of the trace", "aria-colcount": 2, tabindex: "0", onkeydown: onkey }, space);
  const node = el("div", { class: "waterfall-box" }, scale, scroller);

  function labelOf(row, index) {
    const { span } = row.node, errors = span.error || row.folds.some(({ span }) => span.error);
    const missing = [...row.folds, row.node].map(({ span }) => span.missing).filter((text) => text).join("; ");
    const label = el("span", { class: "name", role: "gridcell" },
      row.hasChildren
        ? el("button", { type: "button", class: "twist", tabindex: "-1", "aria-label": row.isClosed ? "Open" : "Close", onclick: (event) => { event.stopPropagation(); toggle(index); } }, row.isClosed ? "▸" : "▾")
        : el("span", { class: "twist" }),
      errors ? el("span", { class: "failed", role: "img", "aria-label": `failed${span.message ? `: ${span.message}` : ""}`, title: span.message || "failed" }, "✕") : null,
      missing ? el("span", { class: "failed", role: "img", "aria-label": missing, title: missing }, "!") : null, el("span", { class: "what" }, span.name),
      row.folds.length > 0 || row.unfolded
        ? el("button", { type: "button", class: "fold", tabindex: "-1", title: row.folds.length > 0 ? `Show ${row.folds.length} hops of the message` : "Fold the hops of the message",
                         onclick: (event) => { event.stopPropagation(); toggleFold(index); } }, row.folds.length > 0 ? `+${row.folds.length}` : "−") : null,
      el("span", { class: "service" }, span.service));
    label.style.setProperty("--depth", row.depth);
    return label;
  }

  function rowElement(row, index) {
    const { span } = row.node, errors = span.error || row.folds.some(({ span }) => span.error);
    const bar = el("span", { class: `bar${critical.has(span.id) ? " critical" : ""}${errors ? " error" : ""}` });
    bar.style.left = `${(row.begin / total) * 100}%`;
    bar.style.width = `max(2px, ${((span.end - row.begin) / total) * 100}%)`;
    bar.style.setProperty("--hue", hue(span.service));
    const element = el("div", { class: "row", role: "row", id: `row-${index}`, "aria-rowindex": index + 1, "aria-level": row.depth + 1, "aria-selected": index === chosen ? "true" : "false",
                                "aria-expanded": row.hasChildren ? String(!row.isClosed) : null, "data-span": span.id, onclick: () => choose(index) },
      labelOf(row, index), el("span", { class: "track", role: "presentation" }, bar), el("span", { class: "took", role: "gridcell" }, duration(span.end - row.begin)));
    element.style.top = `${index * ROW}px`;
    return element;
  }

  function draw() {
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW) - MARGIN);
    const last = Math.min(rows.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW) + MARGIN);
    space.replaceChildren(...rows.slice(first, last).map((row, i) => rowElement(row, first + i)));
    if (chosen >= first && chosen < last) scroller.setAttribute("aria-activedescendant", `row-${chosen}`);
    else scroller.removeAttribute("aria-activedescendant");
  }

  /** chooses: of the row that is to be chosen; without it the same row stays. */
  function layout(chooses) {
    rows = rowsOf(roots, open, closed);
    if (chooses) chosen = rows.findIndex(chooses);
    chosen = Math.max(0, Math.min(chosen, rows.length - 1));
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
    onchoose(rows[index]);
  }

  const holds = (spanId) => (row) => row.node.span.id === spanId || row.folds.some((node) => node.span.id === spanId);

  /** Chooses the row of a span, unfolding what hides it. False: there is none. */
  function reveal(spanId) {
    closed.clear();
    rows = rowsOf(roots, open, closed);
    const fold = rows.find((row) => row.folds.some((node) => node.span.id === spanId));
    if (fold) open.add(fold.folds[0].span.id);
    layout();
    const index = rows.findIndex(holds(spanId));
    choose(index);
    return index >= 0;
  }

  function left() {
    const row = rows[chosen];
    if (row.hasChildren && !row.isClosed) toggle(chosen);
    else choose(rows.findLastIndex((other, i) => i < chosen && other.depth < row.depth));
  }

  function right() {
    const row = rows[chosen];
    if (row.folds.length > 0) toggleFold(chosen);
    else if (row.isClosed) toggle(chosen);
    else if (row.hasChildren) choose(chosen + 1);
  }

  function onkey(event) {
    if (rows.length === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 1);
    const moves = { ArrowDown: () => choose(chosen + 1), ArrowUp: () => choose(chosen - 1), ArrowLeft: left, ArrowRight: right, Home: () => choose(0), End: () => choose(rows.length - 1),
                    PageDown: () => choose(Math.min(chosen + page, rows.length - 1)), PageUp: () => choose(Math.max(chosen - page, 0)) };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    moves[event.key]();
  }

  /** Shows a trace, or the same with more spans: what is open and chosen stays. */
  function show(trace) {
    const was = rows[chosen]?.node.span.id;
    ({ roots, critical, total } = trace);
    scale.replaceChildren(el("span", { class: "name" }, several(trace.spans.length, "span")), el("span", { class: "track" }, TICKS.map((at) => {
      const tick = el("span", { class: "tick" }, at === 0 ? "0" : duration(total * at));
      tick.style.left = `${at * 100}%`;
      return tick;
    })), el("span", { class: "took" }, "took"));
    layout(({ node }) => node.span.id === was);
  }

  scroller.addEventListener("scroll", () => requestAnimationFrame(draw));
  const watch = new ResizeObserver(draw);
  watch.observe(scroller);
  signal.addEventListener("abort", () => watch.disconnect());
  return {
    node, show, reveal, choose, current: () => rows[chosen], focus: () => scroller.focus({ preventScroll: true }),
    keys: {
      next: () => choose(chosen + 1),
      previous: () => choose(chosen - 1),
      enter: () => { if (rows.length > 0) (rows[chosen].folds.length > 0 || rows[chosen].unfolded ? toggleFold : toggle)(chosen); },
    },
  };
}
