// SPDX-License-Identifier: Apache-2.0
// Who is on the bus and how they are doing, the slow ones first: agents, subscriptions, capabilities.

import { el, empty, keyed } from "./dom.js";
import { bytes, count, credit, duration, rate } from "./format.js";
import { Agents, subscriptionRows } from "./health.js";
import { followBus } from "./live.js";
import { agentLink, chip, finder, noBroker, reasons, rowKeys, table, tabs, tracesLink } from "./parts.js";
import { Rates } from "./rates.js";

const SHOWN = 200; // rows

const number = (text, kind = "") => el("td", { class: `number ${kind}` }, text);
const queue = (messages, size) => (messages > 0 ? `${count(messages)} (${bytes(size)})` : "0");

/** Of an agent whose edges are not among those that the broker tells, nothing is known. */
export const flowing = (agent, perSecond) => (agent.isUntold ? "–" : rate(perSecond));

function agentCells(agent) {
  const gone = agent.state === "gone";
  return el("tr", { class: gone ? "gone" : null, "data-agent": agent.agent, "data-verdict": agent.verdict.word },
    el("td", {}, agentLink(agent.agent)),
    el("td", {}, chip(agent.verdict)),
    number(gone ? "" : `${duration((agent.heard_ms_ago ?? 0) * 1e6)} ago`, "extra"),
    number(flowing(agent, agent.in), "extra"), number(flowing(agent, agent.out), "extra"),
    number(queue(agent.queued, agent.queuedBytes)),
    number(agent.credit === null ? "–" : credit(agent.credit, count), "extra"),
    el("td", {}, reasons({ ...agent.lost, ...agent.failed })),
    el("td", { class: "links extra" }, tracesLink({ agent_id: agent.agent }), " ", el("a", { href: `#/flow?${new URLSearchParams({ agent: agent.agent })}` }, "flow")));
}

function subscriptionCells(s) {
  return el("tr", { "data-subscription": `${s.subscriber} ${s.filter}`, "data-verdict": s.verdict.word },
    el("td", {}, agentLink(s.subscriber)), el("td", {}, el("code", {}, s.filter)), el("td", {}, chip(s.verdict)),
    el("td", { class: "extra" }, s.qos), number(rate(s.perSecond), "extra"), number(count(s.delivered), "extra"),
    number(queue(s.queued, s.queued_bytes)), number(`${credit(s.credit_messages, count)} / ${credit(s.credit_bytes, bytes)}`, "extra"),
    number(s.dropped > 0 ? `✕ ${count(s.dropped)}` : "0", s.dropped > 0 ? "failed" : ""));
}

function capabilityCells(c) {
  const sum = (key) => c.providers.reduce((all, provider) => all + provider[key], 0);
  const errors = sum("errors");
  return el("tr", { "data-capability": c.name },
    el("td", {}, el("a", { href: `#/topics?${new URLSearchParams({ invoke: c.name, version: c.version })}`, title: "Call it from a form" }, c.name), " ", el("span", { class: "quiet" }, c.version)),
    el("td", { class: "extra" }, c.description || el("span", { class: "quiet" }, c.kind)),
    el("td", {}, c.providers.map(({ agent }, i) => [i > 0 ? ", " : "", agentLink(agent)]).flat()),
    number(count(sum("calls"))), number(count(sum("outstanding")), "extra"),
    number(errors > 0 ? `✕ ${count(errors)}` : "0", errors > 0 ? "failed" : ""),
    el("td", { class: "links extra" }, tracesLink({ capability: c.name })));
}

const TABS = {
  agents: {
    title: "Agents", ask: ["agents", "stats", "flow"], cells: agentCells, key: ({ agent }) => agent, finds: "agent, state, filter …",
    text: ({ agent, verdict, own, capabilities }) => [agent, verdict.word, ...own.map(({ filter }) => filter), ...(capabilities ?? []).map(({ name }) => name)].join(" "),
    columns: [["Agent"], ["State"], ["Last heard", "number extra"], ["In", "number extra"], ["Out", "number extra"], ["Queue", "number"], ["Credit", "number extra"], ["Lost or failed"], ["Go to", "extra"]],
    none: ["No agent is on the bus", "Start one: loom sub 'hello.>', or loom new hello --lang python && cd hello && loom up"],
  },
  subscriptions: {
    title: "Subscriptions", ask: ["stats"], cells: subscriptionCells, key: ({ key }) => key, finds: "agent, filter, state …",
    text: ({ subscriber, filter, verdict, qos }) => [subscriber, filter, verdict.word, qos].join(" "),
    columns: [["Agent"], ["Filter"], ["State"], ["QoS", "extra"], ["Rate", "number extra"], ["Delivered", "number extra"], ["Queue", "number"], ["Credit", "number extra"], ["Dropped", "number"]],
    none: ["Nobody subscribes to anything", "Try: loom sub 'hello.>'"],
  },
  capabilities: {
    title: "Capabilities", ask: ["capabilities"], cells: capabilityCells, key: ({ name, version }) => `${name} ${version}`, finds: "capability, agent, what it does …",
    text: ({ name, version, description, providers }) => [name, version, description, ...providers.map(({ agent }) => agent)].join(" "),
    columns: [["Capability"], ["What it does", "extra"], ["Provided by"], ["Calls", "number"], ["Running", "number extra"], ["Failed", "number"], ["Go to", "extra"]],
    none: ["Nothing can be called", "Try: loom provide math.double -- sh -c 'read n; echo $((n * 2))'"],
  },
};

/** What the broker does not tell, of which there would be too much. */
function untold({ stats, flow }) {
  const subscriptions = stats ? (stats.eventbus?.subscriptions ?? 0) - stats.subscriptions.length : 0;
  return [subscriptions > 0 ? `${count(subscriptions)} subscriptions that are well are not told by the broker.` : "",
    flow?.more ? `Rates and losses are those of the ${count(flow.edges.length)} busiest ways.` : ""].filter(Boolean).join(" ");
}

export function showAgents(main, { parameters, signal, state, status }) {
  const tab = Object.hasOwn(TABS, parameters.get("tab")) ? parameters.get("tab") : "agents", { title, ask, cells, key, text, finds, columns, none } = TABS[tab];
  const { body, node } = table(columns, title), rates = new Rates(), agents = new Agents();
  const find = finder(parameters, finds, () => draw()), holder = el("div", { class: "scroll" });
  main.replaceChildren(el("h1", {}, title),
    tabs("What is on the bus", Object.keys(TABS).map((name) => [TABS[name].title, `#/agents?tab=${name}`, name === tab])), find.node, holder);
  const keys = rowKeys(body, (row) => row.querySelector("a")?.click());
  let rows = null, more = "";

  function rowsOf({ agents: list, stats, flow, capabilities }, ms) {
    rates.look(ms);
    if (tab === "capabilities") return capabilities.capabilities.sort((a, b) => a.name.localeCompare(b.name) || a.version.localeCompare(b.version));
    const subscriptions = subscriptionRows(stats.subscriptions, rates);
    return tab === "subscriptions" ? subscriptions : agents.rows(list.agents, subscriptions, flow.edges, rates, flow.more);
  }

  function draw() {
    if (rows === null) return;
    const seen = find.pick(rows, text, SHOWN, more);
    keyed(body, seen, key, JSON.stringify, cells);
    keys.mark();
    const content = rows.length === 0 ? empty(...none) : seen.length === 0 ? empty("Nothing here has these words", "Clear the filter to see the rest.") : node;
    if (content !== node || node.parentNode !== holder) holder.replaceChildren(content);
  }

  function show(answers, ms) {
    status("");
    holder.classList.remove("stale");
    rows = rowsOf(answers, ms);
    more = untold(answers);
    draw();
  }

  function fail(error) {
    status(error.message, true);
    holder.classList.add("stale");
    if (rows === null) holder.replaceChildren(noBroker(state, error));
  }

  followBus(ask, show, fail, signal);
  return { ...keys, focus: find.focus, back: find.clear };
}
