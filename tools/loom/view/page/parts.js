// SPDX-License-Identifier: Apache-2.0
// Parts that several views are made of.

import { el, empty } from "./dom.js";
import { count } from "./format.js";

const SIGNS = { ok: "●", warn: "▲", bad: "✕", gone: "○" }; // a shape for each, since a colour alone tells some readers nothing

export function chip({ word, level, why }) {
  return el("span", { class: `chip ${level}`, title: why ?? null }, el("span", { "aria-hidden": "true" }, SIGNS[level] ?? "●"), ` ${word}`);
}

/** Counts by reason: "3 queue full", the most first. */
export function reasons(counts) {
  const all = Object.entries(counts ?? {}).sort(([, a], [, b]) => b - a);
  return all.length === 0 ? [el("span", { class: "quiet" }, "–")]
    : all.map(([reason, n]) => el("span", { class: "reason" }, el("strong", {}, count(n)), ` ${reason.replaceAll("_", " ")} `));
}

export function tracesLink(query, text = "traces") {
  return el("a", { href: `#/traces?${new URLSearchParams({ q: query })}` }, text);
}

export function agentLink(name) {
  return el("a", { href: `#/agents/${encodeURIComponent(name)}` }, name);
}

/** A table whose head is [[name, class]], and its body. */
export function table(columns, caption) {
  const body = el("tbody");
  return { body, node: el("table", { class: "list" }, el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, columns.map(([name, kind]) => el("th", { scope: "col", class: kind ?? null }, name)))), body) };
}

/** Instead of what a broker would have told. */
export function noBroker(state, error) {
  return empty("No broker answers", `This view asks ${state.control}. ${error.message}`);
}

/** [[text, href, isHere]] */
export function tabs(label, all) {
  return el("nav", { class: "tabs", "aria-label": label }, all.map(([text, href, isHere]) => el("a", { href, "aria-current": isHere ? "page" : null }, text)));
}

/** j, k and Enter on the rows of a body; the chosen one is known by its key, so it stays when others come. */
export function rowKeys(body, open) {
  let key = null;
  const at = () => [...body.children].findIndex((row) => row.keyedBy === key);
  const mark = () => { for (const row of body.children) row.classList.toggle("chosen", row.keyedBy === key); };
  const choose = (index) => {
    const row = body.children[Math.max(0, Math.min(index, body.children.length - 1))];
    key = row?.keyedBy ?? null;
    mark();
    row?.scrollIntoView({ block: "nearest" });
  };
  return {
    mark,
    next: () => choose(at() + 1),
    previous: () => choose(at() - 1),
    enter: () => { const row = body.children[at()]; if (row) open(row); },
  };
}
