// SPDX-License-Identifier: Apache-2.0
// One agent: how it is doing and why, what it hears, provides and sends, and the way to its traces.

import { flowing } from "./agents.js";
import { el, emptyView, keyed, put } from "./dom.js";
import { bytes, count, credit, duration, several, time } from "./format.js";
import { Agents, subscriptionRows } from "./health.js";
import { followBus } from "./live.js";
import { chip, noBroker, reasons, table, tracesLink } from "./parts.js";
import { Rates } from "./rates.js";

const VERBS = { publish: "publishes to", deliver: "receives", invoke: "calls", provide: "provides" };

function facts(agent) {
  const pairs = [
    ["Heard", agent.heard_ms_ago === null ? "no more" : `${duration(agent.heard_ms_ago * 1e6)} ago`],
    ["Here since", time(agent.since_unix_ns / 1e6)],
    ["Queue", `${several(agent.queued, "message")}, ${bytes(agent.queuedBytes)}`],
    ["Credit", agent.credit === null ? "none needed: it subscribes to nothing" : `${credit(agent.credit, (n) => several(n, "message"))}, ${credit(agent.creditBytes, bytes)}`],
    ["In, out", `${flowing(agent, agent.in)}, ${flowing(agent, agent.out)}`],
    ["Lost", reasons(agent.lost)], ["Calls that failed", reasons(agent.failed)],
    ["Connected by", `${agent.peer || "?"} to ${agent.bridge || "?"}`], ["Software", agent.software || "not told"],
  ];
  return el("dl", { class: "facts" }, pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]).flat());
}

function edgeRow(edge) {
  const query = edge.kind === "publish" || edge.kind === "deliver" ? { topic: edge.name } : { capability: edge.name };
  return el("tr", {}, el("td", { class: "quiet" }, VERBS[edge.kind]), el("td", {}, edge.other === "name" ? "others" : tracesLink(query, edge.name)),
    el("td", { class: "number" }, count(edge.total)), el("td", {}, reasons(edge.reasons)));
}

function subscriptionRow(s) {
  return el("tr", {}, el("td", {}, el("code", {}, s.filter)), el("td", {}, chip(s.verdict)), el("td", { class: "extra" }, s.qos),
    el("td", { class: "number extra" }, count(s.delivered)), el("td", { class: "number" }, count(s.queued)),
    el("td", { class: `number${s.dropped > 0 ? " failed" : ""}` }, s.dropped > 0 ? `✕ ${count(s.dropped)}` : "0"));
}

/** A table under a heading, which hides while it is empty: {node, show}. */
function part(title, columns, key, row) {
  const { body, node } = table(columns, title), section = el("section", { class: "part", hidden: true }, el("h2", {}, title), el("div", { class: "scroll" }, node));
  return { node: section, show: (rows) => { section.hidden = rows.length === 0; keyed(body, rows, key, JSON.stringify, row); } };
}

/** What stays while the figures change, so that nothing moves under the reader's keys. */
function sheetOf(name) {
  const state = el("span"), why = el("p", { class: "quiet" }), figures = el("div");
  const subscriptions = part("Subscriptions", [["Filter"], ["State"], ["QoS", "extra"], ["Delivered", "number extra"], ["Queue", "number"], ["Dropped", "number"]], ({ key }) => key, subscriptionRow);
  const traffic = part("Traffic since the broker started", [["It"], ["Topic or capability"], ["Messages", "number"], ["Lost or failed"]], (edge) => `${edge.kind} ${edge.name} ${edge.other}`, edgeRow);
  return {
    node: el("div", {}, el("h1", { "data-agent": name }, name, " ", state), why,
      el("p", { class: "links" }, tracesLink({ agent_id: name }, "Traces"), " ", el("a", { href: `#/flow?${new URLSearchParams({ agent: name })}` }, "Flow"), " ",
        el("a", { href: `#/errors?${new URLSearchParams({ q: name })}` }, "Errors")),
      figures, subscriptions.node, traffic.node),
    show(agent, edges) {
      put(state, chip(agent.verdict));
      put(why, agent.verdict.why[0].toUpperCase(), agent.verdict.why.slice(1), ".");
      put(figures, facts(agent));
      subscriptions.show(agent.own);
      traffic.show(edges);
    },
  };
}

export function showAgent(main, { id: name, signal, state, status }) {
  const rates = new Rates(), agents = new Agents(), sheet = sheetOf(name), holder = el("div");
  main.replaceChildren(el("p", { class: "crumb" }, el("a", { href: "#/agents" }, "Agents")), holder);
  let drawn = false;

  function show(answers, ms) {
    status("");
    holder.classList.remove("stale");
    rates.look(ms);
    const edges = answers.flow.edges.filter((edge) => edge.agent === name && edge.other !== "agent");
    const own = subscriptionRows(answers.stats.subscriptions.filter(({ subscriber }) => subscriber === name), rates);
    const agent = agents.rows(answers.agents.agents.filter((one) => one.agent === name), own, edges, rates, answers.flow.more)[0];
    drawn = true;
    if (agent === undefined) {
      holder.replaceChildren(emptyView(`${name} is not on the bus`, "It may have left, or not have come yet: this page fills when it does.", tracesLink({ agent_id: name }, "Its traces")));
      return;
    }
    sheet.show(agent, edges);
    if (sheet.node.parentNode !== holder) holder.replaceChildren(sheet.node);
  }

  function fail(error) {
    status(error.message, true);
    holder.classList.add("stale");
    if (!drawn) holder.replaceChildren(noBroker(state, error));
  }

  followBus(["agents", "stats", "flow"], show, fail, signal);
  return { back: () => { location.hash = "#/agents"; } };
}
