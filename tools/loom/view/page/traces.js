// SPDX-License-Identifier: Apache-2.0
// The traces, newest first, each second anew. The filter is a part of the URL.

import { get, poll } from "./api.js";
import { el, empty, keyed } from "./dom.js";
import { count, duration, time } from "./format.js";

const LIMIT = 100;

/** "service=x topic=y": service by its name, all else an attribute. */
function queryOf(text) {
  const query = new URLSearchParams({ limit: LIMIT });
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const at = word.indexOf("=");
    if (at <= 0 || word.startsWith("service=")) query.append("service", at > 0 ? word.slice(at + 1) : word);
    else query.append("attribute", word);
  }
  return query.toString().replaceAll("+", "%20");
}

export function showTraces(main, { parameters, signal, state, status }) {
  sessionStorage.setItem("list", location.hash); // where a trace goes back to
  const filter = parameters.get("q") ?? "", order = parameters.get("sort") ?? "newest";
  const go = (changes) => {
    const next = new URLSearchParams({ q: filter, sort: order, ...changes });
    location.hash = `#/traces?${next}`;
  };
  const input = el("input", { type: "search", name: "q", value: filter, placeholder: "service, or topic=sensor.data", "aria-label": "Filter", autocomplete: "off" });
  const sorts = ["newest", "slowest", "failed"].map((name) =>
    el("button", { type: "button", title: name === "newest" ? null : `Of the latest ${LIMIT}`, "aria-pressed": name === order ? "true" : "false", onclick: () => go({ sort: name }) }, name));
  const form = el("form", { class: "filter", role: "search", onsubmit: (event) => { event.preventDefault(); go({ q: input.value.trim() }); } },
    input, el("span", { class: "choice", role: "group", "aria-label": "Order" }, sorts));
  const body = el("tbody");
  const table = el("table", { class: "list" },
    el("thead", {}, el("tr", {}, ["Started", "Trace", "Services", "Spans", "Took"].map((name, i) => el("th", { scope: "col", class: ["", "", "extra", "number extra", "number"][i] }, name)))), body);
  const holder = el("div");
  main.replaceChildren(form, holder);
  let chosen = -1, shown = [];

  function row(trace) {
    return el("tr", { "data-trace": trace.trace_id, onclick: () => { location.hash = `#/traces/${trace.trace_id}`; } },
      el("td", {}, time(trace.start_unix_ns / 1e6)),
      el("td", {}, el("a", { href: `#/traces/${trace.trace_id}` }, trace.root_name ?? "(no root)"),
        trace.errors > 0 ? el("span", { class: "failed" }, ` ✕ ${count(trace.errors)} failed`) : null),
      el("td", { class: "services extra" }, trace.services.join(", ")),
      el("td", { class: "number extra" }, count(trace.spans)),
      el("td", { class: "number" }, duration(trace.duration_ns)));
  }

  function mark() {
    [...body.children].forEach((node, i) => node.classList.toggle("chosen", i === chosen));
    body.children[chosen]?.scrollIntoView({ block: "nearest" });
  }

  function show({ traces }) {
    status("");
    const keep = shown[chosen]?.trace_id;
    shown = order === "failed" ? traces.filter(({ errors }) => errors > 0)
      : order === "slowest" ? [...traces].sort((a, b) => b.duration_ns - a.duration_ns) : traces;
    chosen = keep === undefined ? -1 : shown.findIndex(({ trace_id }) => trace_id === keep);
    if (shown.length === 0) {
      holder.replaceChildren(filter !== "" || order === "failed"
        ? empty("No trace matches", `None of the latest ${LIMIT} traces is like that. Clear the filter, or wait: the list fills by itself.`)
        : empty("No traces yet", state.receiver.problem
          ? `This view receives none: ${state.receiver.problem}`
          : `Loom's programs and agents export to http://${state.receiver.http} unless told otherwise. Publish something, and it shows here: loom pub hello.all hello`));
      return;
    }
    keyed(body, shown, ({ trace_id }) => trace_id, (trace) => `${trace.spans} ${trace.errors} ${trace.duration_ns}`, row);
    [...body.children].forEach((node, i) => node.classList.toggle("chosen", i === chosen));
    if (table.parentNode !== holder) holder.replaceChildren(table);
  }

  poll((abort) => get(`/api/traces?${queryOf(filter)}`, abort), show, (error) => status(error.message, true), signal);
  return {
    focus: () => input.focus(),
    next: () => { chosen = Math.min(chosen + 1, shown.length - 1); mark(); },
    previous: () => { chosen = Math.max(chosen - 1, 0); mark(); },
    enter: () => { if (shown[chosen]) location.hash = `#/traces/${shown[chosen].trace_id}`; },
    back: () => go({ q: "", sort: "newest" }),
  };
}
