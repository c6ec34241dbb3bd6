// SPDX-License-Identifier: Apache-2.0
// The traces, newest or slowest first, anew when there are more of them. The filter is a part of the URL.

import { get } from "./api.js";
import { el, empty, keyed, put } from "./dom.js";
import { queryOf } from "./filter.js";
import { count, duration, time } from "./format.js";
import { follow } from "./live.js";
import { rowKeys, table } from "./parts.js";

const LIMIT = 100;

export function showTraces(main, { parameters, signal, state, status }) {
  const comparing = parameters.get("compare"); // a trace that another one is chosen for
  if (comparing === null) sessionStorage.setItem("list", location.hash); // where a trace goes back to
  const way = (id) => (comparing === null ? `#/traces/${id}` : `#/compare?${new URLSearchParams({ a: comparing, b: id })}`);
  const filter = parameters.get("q") ?? "", order = parameters.get("sort") ?? "newest";
  const go = (changes) => {
    const next = new URLSearchParams({ q: filter, sort: order, ...(comparing === null ? {} : { compare: comparing }), ...changes });
    location.hash = `#/traces?${next}`;
  };
  const input = el("input", { type: "search", name: "q", value: filter, placeholder: "service, topic=sensor.data, duration>5ms", "aria-label": "Filter", "aria-describedby": "filter-hint",
                              autocomplete: "off", spellcheck: "false" });
  const sorts = ["newest", "slowest", "failed"].map((name) =>
    el("button", { type: "button", "aria-pressed": name === order ? "true" : "false", onclick: () => go({ q: input.value.trim(), sort: name }) }, name));
  const form = el("form", { class: "filter", role: "search", onsubmit: (event) => { event.preventDefault(); go({ q: input.value.trim() }); } },
    input, el("span", { class: "choice", role: "group", "aria-label": "Order" }, sorts));
  const hint = el("p", { id: "filter-hint", class: "hint" }, "All words have to hold: a service, ",
    [["topic=", "topic=NAME"], ["agent_id=", "agent_id=NAME"], ["capability=", "capability=NAME"], ["duration>", "duration>5ms"]].map(([start, text]) =>
      el("button", { type: "button", class: "link", onclick: () => { input.value = `${input.value.trim()} ${start}`.trimStart(); input.focus(); } }, text)), " or any attribute.");
  const { body, node } = table([["Started"], ["Trace"], ["Services", "extra"], ["Spans", "number extra"], ["Took", "number"]], "Traces");
  const holder = el("div");
  put(main, el("h1", { class: "unseen" }, "Traces"),
    comparing === null ? null : el("p", { class: "banner" }, "Choose the trace to compare with ", el("a", { href: `#/traces/${comparing}` }, `${comparing.slice(0, 8)}…`), ". ", el("a", { href: `#/traces/${comparing}` }, "Never mind")),
    form, hint, holder);
  const keys = rowKeys(body, (chosen) => { location.hash = way(chosen.dataset.trace); });

  function row(trace) {
    return el("tr", { "data-trace": trace.trace_id, onclick: (event) => { if (!event.target.closest("a")) location.hash = way(trace.trace_id); } },
      el("td", {}, time(trace.start_unix_ns / 1e6)),
      el("td", {}, el("a", { href: way(trace.trace_id) }, trace.root_name ?? "(no root)"),
        trace.errors > 0 ? el("span", { class: "failed" }, ` ✕ ${count(trace.errors)} failed`) : null,
        trace.incomplete ? el("span", { class: "failed" }, " incomplete") : null),
      el("td", { class: "services extra" }, trace.services.join(", ")),
      el("td", { class: "number extra" }, count(trace.spans)),
      el("td", { class: "number" }, duration(Number(trace.duration_ns))));
  }

  function show({ traces, truncated }) {
    status(truncated ? "The search took too long: these are the traces found in two seconds." : "");
    if (traces.length === 0) {
      holder.replaceChildren(filter !== "" || order === "failed"
        ? empty(truncated ? "No trace found in time" : "No trace matches", truncated ? "The database is large: name a service or an attribute that fewer traces have." : "Nothing in the whole database is like that. Clear the filter, or wait: the list fills by itself.")
        : empty("No traces yet", state.receiver.problem
          ? `This view receives none: ${state.receiver.problem}`
          : `Loom's programs and agents export to http://${state.receiver.http} unless told otherwise. Publish something, and it shows here: loom pub hello.all hello`));
      return;
    }
    keyed(body, traces, ({ trace_id }) => trace_id, (trace) => `${trace.spans} ${trace.errors} ${trace.duration_ns} ${trace.incomplete}`, row);
    keys.mark();
    if (node.parentNode !== holder) holder.replaceChildren(node);
  }

  follow("traces", (abort) => get(`/api/traces?${queryOf(filter, order, LIMIT)}`, abort), show, (error) => status(error.message, true), signal);
  return { ...keys, focus: () => input.focus(), back: () => go({ q: "", sort: "newest" }) };
}
