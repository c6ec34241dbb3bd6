// SPDX-License-Identifier: Apache-2.0
// Parts that several views are made of.

import { el, empty } from "./dom.js";
import { tracesOf } from "./filter.js";
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

/** To those that have all of these attributes. */
export function tracesLink(attributes, text = "traces") {
  return el("a", { href: tracesOf(attributes) }, text);
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

/** A field that narrows what is listed, and a part of the URL: {node, clear, focus, pick}. changed is called when it has changed. */
export function finder(parameters, placeholder, changed) {
  const told = el("p", { class: "hint", role: "status" });
  const input = el("input", { type: "search", value: parameters.get("q") ?? "", placeholder, "aria-label": "Filter", autocomplete: "off", spellcheck: "false" });
  function write() {
    const [path, query] = location.hash.split("?"), next = new URLSearchParams(query);
    if (input.value === "") next.delete("q");
    else next.set("q", input.value);
    history.replaceState(null, "", next.size > 0 ? `${path}?${next}` : path);
    changed();
  }
  input.addEventListener("input", write);
  return {
    node: el("form", { class: "filter", role: "search", onsubmit: (event) => { event.preventDefault(); input.blur(); } }, input, told),
    clear: () => { input.value = ""; write(); },
    focus: () => input.focus(),
    /** Those whose text has all the words, the first `most` of them; says when that is not all. more: what else there is to say. */
    pick(rows, textOf, most, more = "") {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = words.length === 0 ? rows : rows.filter((row) => { const text = textOf(row).toLowerCase(); return words.every((word) => text.includes(word)); });
      const text = [found.length > most ? `The first ${count(most)} of ${count(found.length)} are shown.` : "", more].filter(Boolean).join(" ");
      if (told.textContent !== text) told.textContent = text;
      return found.slice(0, most);
    },
  };
}

/** Instead of what a broker would have told. */
export function noBroker(state, error) {
  return error.isOfView ? empty("The view does not answer", error.message) : empty("No broker answers", `This view asks ${state.control}. ${error.message}`);
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
