// SPDX-License-Identifier: Apache-2.0
// Two traces side by side: the same steps in one row, how long each took, and what only one of them has.

import { get } from "./api.js";
import { el, emptyView, put } from "./dom.js";
import { count, duration, several, time } from "./format.js";
import { matchTraces } from "./match.js";
import { hue } from "./spans.js";
import { modelOf } from "./trace.js";

const ROWS_MAX = 2000;
const DEPTH_MAX = 16; // beyond it steps stand below one another

function bar(node, trace, id) {
  if (node === null) return el("td", { class: "only" }, el("span", { class: "quiet" }, "not there"));
  const { span } = node, mark = el("span", { class: span.error ? "bar error" : "bar" });
  mark.style.left = `${(span.start / trace.longest) * 100}%`;
  mark.style.width = `max(2px, ${((span.end - span.start) / trace.longest) * 100}%)`;
  mark.style.setProperty("--hue", hue(span.service));
  return el("td", {}, el("a", { class: "took", href: `#/traces/${id}?span=${span.id}` }, span.error ? "✕ " : "", duration(span.end - span.start)), el("span", { class: "track" }, mark));
}

function differenceCell({ a, b, difference }) {
  if (difference === null) return el("td", { class: "number" }, a === null ? "only in B" : "only in A");
  const took = a.span.end - a.span.start, small = Math.abs(difference) < Math.max(took * 0.1, 1000);
  const text = difference === 0 ? "the same" : `${difference > 0 ? "+" : "−"}${duration(Math.abs(difference))}`;
  const percent = took > 0 && !small ? ` (${difference > 0 ? "+" : "−"}${Math.round((Math.abs(difference) / took) * 100)} %)` : "";
  return el("td", { class: `number ${small ? "quiet" : difference > 0 ? "slower" : "faster"}`, title: `${b.span.name}: ${small ? "about as fast" : difference > 0 ? "slower in B" : "faster in B"}` },
    small ? "" : difference > 0 ? "▲ " : "▼ ", text, percent);
}

function heading(letter, id, trace) {
  return el("th", { scope: "col" }, el("a", { href: `#/traces/${id}` }, `${letter}: ${trace.roots[0]?.span.name ?? id.slice(0, 8)}`), el("br"),
    el("span", { class: "quiet" }, `${time(trace.beginMs)} · ${duration(trace.total)} · ${several(trace.whole, "span")}`));
}

export async function showCompare(main, { parameters, signal }) {
  const ids = [parameters.get("a"), parameters.get("b")];
  let traces;
  try {
    traces = await Promise.all(ids.map(async (id) => modelOf(await get(`/api/traces/${id}`, signal))));
  } catch (error) {
    if (error.name !== "AbortError") main.replaceChildren(emptyView("The traces cannot be compared", error.message));
    return;
  }
  const [a, b] = traces, rows = matchTraces(a.roots, b.roots, ROWS_MAX);
  for (const trace of traces) trace.longest = Math.max(a.total, b.total);
  const matched = rows.filter(({ difference }) => difference !== null).length;
  put(main, el("h1", {}, "Two traces"),
    el("p", { class: "quiet" }, `${count(matched)} steps are in both, ${count(rows.filter((row) => row.b === null).length)} only in A, ${count(rows.filter((row) => row.a === null).length)} only in B. `,
      el("a", { href: `#/compare?${new URLSearchParams({ a: ids[1], b: ids[0] })}` }, "Swap them")),
    el("div", { class: "scroll" }, el("table", { class: "list compare" }, el("caption", { class: "unseen" }, "The steps of both traces"),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Step"), heading("A", ids[0], a), heading("B", ids[1], b), el("th", { scope: "col", class: "number" }, "B against A"))),
      el("tbody", {}, rows.map((row) => {
        const name = el("td", {}, row.name, " ", el("span", { class: "quiet" }, row.service));
        name.style.paddingLeft = `${12 + Math.min(row.depth, DEPTH_MAX) * 12}px`;
        return el("tr", { "data-step": row.name, "data-in": row.a && row.b ? "both" : row.a ? "a" : "b" }, name, bar(row.a, a, ids[0]), bar(row.b, b, ids[1]), differenceCell(row));
      })))),
    rows.length === ROWS_MAX ? el("p", { class: "quiet" }, `Only the first ${count(ROWS_MAX)} steps are shown.`) : null);
  return { back: () => { location.hash = `#/traces/${ids[0]}`; } };
}
