// SPDX-License-Identifier: Apache-2.0
// Who is on the bus and how they are doing, the slow ones first: agents, subscriptions, capabilities.

import { el, empty, keyed } from "./dom.js";
import { bytes, count, duration, rate } from "./format.js";
import { Agents, subscriptionRows } from "./health.js";
import { followBus } from "./live.js";
import { agentLink, chip, noBroker, reasons, rowKeys, table, tabs, tracesLink } from "./parts.js";
import { Rates } from "./rates.js";

const number = (text, kind = "") => el("td", { class: `number ${kind}` }, text);
const queue = (messages, size) => (messages > 0 ? `${count(messages)} (${bytes(size)})` : "0");

function agentCells(agent) {
  const gone = agent.state === "gone";
  return el("tr", { class: gone ? "gone" : null, "data-agent": agent.agent, "data-verdict": agent.verdict.word },
    el("td", {}, agentLink(agent.agent)),
    el("td", {}, chip(agent.verdict)),
    number(gone ? "" : `${duration((agent.heard_ms_ago ?? 0) * 1e6)} ago`, "extra"),
    number(rate(agent.in), "extra"), number(rate(agent.out), "extra"),
    number(queue(agent.queued, agent.queuedBytes)),
    number(agent.credit === null ? "–" : count(agent.credit), "extra"),
    el("td", {}, reasons({ ...agent.lost, ...agent.failed })),
    el("td", { class: "links extra" }, tracesLink(`agent_id=${agent.agent}`), " ", el("a", { href: `#/flow?${new URLSearchParams({ agent: agent.agent })}` }, "flow")));
}

function subscriptionCells(s) {
  return el("tr", { "data-subscription": `${s.subscriber} ${s.filter}`, "data-verdict": s.verdict.word },
    el("td", {}, agentLink(s.subscriber)), el("td", {}, el("code", {}, s.filter)), el("td", {}, chip(s.verdict)),
    el("td", { class: "extra" }, s.qos), number(rate(s.perSecond), "extra"), number(count(s.delivered), "extra"),
    number(queue(s.queued, s.queued_bytes)), number(`${count(s.credit_messages)} / ${bytes(s.credit_bytes)}`, "extra"),
    number(s.dropped > 0 ? `✕ ${count(s.dropped)}` : "0", s.dropped > 0 ? "failed" : ""));
}

function capabilityCells(c) {
  const sum = (key) => c.providers.reduce((all, provider) => all + provider[key], 0);
  const errors = sum("errors");
  return el("tr", { "data-capability": c.name },
    el("td", {}, el("a", { href: `#/topics?${new URLSearchParams({ invoke: c.name })}`, title: "Call it from a form" }, c.name), " ", el("span", { class: "quiet" }, c.version)),
    el("td", { class: "extra" }, c.description || el("span", { class: "quiet" }, c.kind)),
    el("td", {}, c.providers.map(({ agent }, i) => [i > 0 ? ", " : "", agentLink(agent)]).flat()),
    number(count(sum("calls"))), number(count(sum("outstanding")), "extra"),
    number(errors > 0 ? `✕ ${count(errors)}` : "0", errors > 0 ? "failed" : ""),
    el("td", { class: "links extra" }, tracesLink(`capability=${c.name}`)));
}

const TABS = {
  agents: {
    title: "Agents", ask: ["agents", "stats", "flow"], cells: agentCells, key: ({ agent }) => agent,
    columns: [["Agent"], ["State"], ["Last heard", "number extra"], ["In", "number extra"], ["Out", "number extra"], ["Queue", "number"], ["Credit", "number extra"], ["Lost or failed"], ["Go to", "extra"]],
    none: ["No agent is on the bus", "Start one: loom sub 'hello.>', or loom new hello --lang python && cd hello && loom up"],
  },
  subscriptions: {
    title: "Subscriptions", ask: ["stats"], cells: subscriptionCells, key: ({ key }) => key,
    columns: [["Agent"], ["Filter"], ["State"], ["QoS", "extra"], ["Rate", "number extra"], ["Delivered", "number extra"], ["Queue", "number"], ["Credit", "number extra"], ["Dropped", "number"]],
    none: ["Nobody subscribes to anything", "Try: loom sub 'hello.>'"],
  },
  capabilities: {
    title: "Capabilities", ask: ["capabilities"], cells: capabilityCells, key: ({ name, version }) => `${name} ${version}`,
    columns: [["Capability"], ["What it does", "extra"], ["Provided by"], ["Calls", "number"], ["Running", "number extra"], ["Failed", "number"], ["Go to", "extra"]],
    none: ["Nothing can be called", "Try: loom provide math.double -- sh -c 'read n; echo $((n * 2))'"],
  },
};

export function showAgents(main, { parameters, signal, state, status }) {
  const tab = Object.hasOwn(TABS, parameters.get("tab")) ? parameters.get("tab") : "agents", { title, ask, cells, key, columns, none } = TABS[tab];
  const { body, node } = table(columns, title), rates = new Rates(), agents = new Agents();
  const holder = el("div", { class: "scroll" });
  main.replaceChildren(el("h1", {}, title),
    tabs("What is on the bus", Object.keys(TABS).map((name) => [TABS[name].title, `#/agents?tab=${name}`, name === tab])), holder);
  const keys = rowKeys(body, (row) => row.querySelector("a")?.click());
  let drawn = false;

  function rowsOf({ agents: list, stats, flow, capabilities }, ms) {
    rates.look(ms);
    if (tab === "capabilities") return capabilities.capabilities.sort((a, b) => a.name.localeCompare(b.name) || a.version.localeCompare(b.version));
    const subscriptions = subscriptionRows(stats.subscriptions, rates);
    return tab === "subscriptions" ? subscriptions : agents.rows(list.agents, subscriptions, flow.edges, rates);
  }

  function show(answers, ms) {
    status("");
    const rows = rowsOf(answers, ms);
    keyed(body, rows, key, JSON.stringify, cells);
    keys.mark();
    const content = rows.length === 0 ? empty(...none) : node;
    if (content !== node || node.parentNode !== holder) holder.replaceChildren(content);
    drawn = true;
  }

  function fail(error) {
    status(error.message, true);
    if (!drawn) holder.replaceChildren(noBroker(state, error));
  }

  followBus(ask, show, fail, signal);
  return keys;
}
