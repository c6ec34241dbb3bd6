// SPDX-License-Identifier: Apache-2.0
// What failed and what was lost lately, grouped by reason, each a link to its trace.

import { get } from "./api.js";
import { el, empty, keyed } from "./dom.js";
import { groupErrors } from "./failures.js";
import { count, duration, time } from "./format.js";
import { follow, followBus } from "./live.js";
import { keeping } from "./keep.js";
import { agentLink, reasons } from "./parts.js";

const SHOWN = 20; // of one group
const GROUPS_MAX = 200;

function place(error) {
  const where = error.topic ?? error.capability;
  return [error.service ? el("span", { class: "quiet" }, error.service) : null, where ? el("code", {}, ` ${where}`) : null];
}

function errorRow(error) {
  return el("tr", {}, el("td", {}, time(error.start_unix_ns / 1e6)),
    el("td", {}, el("a", { href: `#/traces/${error.trace_id}?span=${error.span_id}` }, error.name ?? "(no name)")),
    el("td", {}, place(error)), el("td", { class: "extra" }, error.subscriber ? ["to ", agentLink(error.subscriber)] : error.agent_id ? agentLink(error.agent_id) : ""),
    el("td", { class: "number extra" }, duration(error.duration_ns)));
}

function groupNode(group, open, keepButton) {
  const { latest } = group;
  return el("details", { class: "group", open: open.has(group.key), "data-reason": group.reason,
                         ontoggle: (event) => (event.target.open ? open.add(group.key) : open.delete(group.key)) },
    el("summary", {}, el("span", { class: "chip bad" }, el("span", { "aria-hidden": "true" }, "✕"), ` ${group.reason.replaceAll("_", " ")}`),
      el("span", { class: "what" }, el("strong", {}, group.name), " ", place(latest), group.message && group.message !== group.reason ? el("span", { class: "quiet" }, ` “${group.message}”`) : null),
      el("span", { class: "number" }, `${count(group.errors.length)} ×`), el("span", { class: "when quiet" }, time(latest.start_unix_ns / 1e6))),
    el("table", { class: "list" }, el("caption", { class: "unseen" }, `The latest of ${group.reason}`), el("tbody", {}, group.errors.slice(0, SHOWN).map(errorRow))),
    keepButton ? el("p", {}, keepButton) : null,
    group.errors.length > SHOWN ? el("p", { class: "quiet" }, `And ${count(group.errors.length - SHOWN)} before.`) : null);
}

export function showErrors(main, { parameters, signal, state, status }) {
  const filter = parameters.get("q") ?? "", open = new Set();
  const input = el("input", { type: "search", value: filter, placeholder: "agent, topic, reason …", "aria-label": "Filter", spellcheck: "false", autocomplete: "off" });
  const go = (q) => { location.hash = q ? `#/errors?${new URLSearchParams({ q })}` : "#/errors"; };
  const totals = el("p", { class: "totals" }), note = el("p", { class: "hint", role: "status" }), list = el("div"), holder = el("div", {}, list);
  main.replaceChildren(el("h1", {}, "Errors"), totals,
    el("form", { class: "filter", role: "search", onsubmit: (event) => { event.preventDefault(); go(input.value.trim()); } }, input), note, holder);

  let answered = null;
  const kept = keeping(signal, status, () => { if (answered) show(answered); });
  main.insertBefore(kept.node, holder);

  function show(answer) {
    answered = answer;
    const { errors, more, truncated } = answer;
    status("");
    const all = groupErrors(errors, filter), groups = all.slice(0, GROUPS_MAX);
    note.textContent = [all.length > groups.length ? `The latest ${count(groups.length)} of ${count(all.length)} kinds are shown.` : "", more > 0 ? `${count(more)} more spans failed in these traces.` : "", truncated ? "Only the latest traces were looked at: there are too many to see all." : ""].filter(Boolean).join(" ");
    if (groups.length === 0) {
      holder.replaceChildren(filter !== "" ? empty("Nothing like that has failed", "Clear the filter to see what else has.")
        : empty("Nothing has failed", state.receiver.problem ? `But this view receives no traces: ${state.receiver.problem}` : "Spans with an error, and messages that were lost, show here as they happen."));
      return;
    }
    keyed(list, groups, ({ key }) => key, ({ errors, latest }) => `${errors.length} ${latest.span_id} ${kept.stamp(latest)}`, (group) => groupNode(group, open, kept.button(group.latest)));
    if (list.parentNode !== holder) holder.replaceChildren(list);
  }

  // not every message is traced: the broker counts all of them
  function showTotals({ stats: { eventbus, actions } }) {
    const { ok: _, ...failed } = actions?.outcomes ?? {};
    const all = Object.fromEntries(Object.entries({ ...eventbus?.dropped, ...failed }).filter(([, n]) => n > 0));
    totals.replaceChildren("Since the broker started, traced or not: ", ...(Object.keys(all).length > 0 ? reasons(all) : ["nothing was lost, and no call failed."]));
  }

  follow("traces", (abort) => Promise.all([get("/api/errors?limit=500", abort), kept.refresh()]).then(([answer]) => answer), show, (error) => status(error.message, true), signal);
  followBus(["stats"], showTotals, (error) => totals.replaceChildren(error.message), signal);
  return { focus: () => input.focus(), back: () => go("") };
}
