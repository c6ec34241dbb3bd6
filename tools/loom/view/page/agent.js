// SPDX-License-Identifier: Apache-2.0
// One agent: how it is doing and why, what it hears, provides and sends, and the way to its traces.

import { el, empty, put } from "./dom.js";
import { bytes, count, duration, rate, time } from "./format.js";
import { Agents, subscriptionRows } from "./health.js";
import { followBus } from "./live.js";
import { chip, noBroker, reasons, tracesLink } from "./parts.js";
import { Rates } from "./rates.js";

const VERBS = { publish: "publishes to", deliver: "receives", invoke: "calls", provide: "provides" };

function facts(agent) {
  const pairs = [
    ["Heard", agent.heard_ms_ago === null ? "no more" : `${duration(agent.heard_ms_ago * 1e6)} ago`],
    ["Here since", time(agent.since_unix_ns / 1e6)],
    ["Queue", `${count(agent.queued)} messages, ${bytes(agent.queuedBytes)}`],
    ["Credit", agent.credit === null ? "none needed: it subscribes to nothing" : `${count(agent.credit)} messages, ${bytes(agent.creditBytes)}`],
    ["In, out", `${rate(agent.in)}, ${rate(agent.out)}`],
    ["Lost", reasons(agent.lost)], ["Calls that failed", reasons(agent.failed)],
    ["Connected by", `${agent.peer || "?"} to ${agent.bridge || "?"}`], ["Software", agent.software || "not told"],
  ];
  return el("dl", { class: "facts" }, pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]).flat());
}

function edgeRow(edge) {
  const query = edge.kind === "publish" || edge.kind === "deliver" ? `topic=${edge.name}` : `capability=${edge.name}`;
  return el("tr", {}, el("td", { class: "quiet" }, VERBS[edge.kind]), el("td", {}, tracesLink(query, edge.name)), el("td", { class: "number" }, count(edge.total)),
    el("td", {}, reasons(edge.reasons)));
}

function subscriptionRow(s) {
  return el("tr", {}, el("td", {}, el("code", {}, s.filter)), el("td", {}, chip(s.verdict)), el("td", { class: "extra" }, s.qos),
    el("td", { class: "number extra" }, `${count(s.delivered)} delivered`), el("td", { class: "number" }, `${count(s.queued)} queued`),
    el("td", { class: "number" }, `${count(s.dropped)} dropped`));
}

function part(title, rows) {
  return rows.length > 0 ? [el("h2", {}, title), el("div", { class: "scroll" }, el("table", { class: "list" }, el("caption", { class: "unseen" }, title), el("tbody", {}, rows)))] : null;
}

export function showAgent(main, { id, signal, state, status }) {
  const name = decodeURIComponent(id), rates = new Rates(), agents = new Agents();
  const holder = el("div");
  main.replaceChildren(el("p", { class: "crumb" }, el("a", { href: "#/agents" }, "Agents")), holder);
  let drawn = false;

  function show(answers, ms) {
    status("");
    rates.look(ms);
    const edges = answers.flow.edges.filter((edge) => edge.agent === name && edge.other !== "agent");
    const agent = agents.rows(answers.agents.agents.filter((one) => one.agent === name), subscriptionRows(answers.stats.subscriptions, rates), edges, rates)[0];
    drawn = true;
    if (agent === undefined) {
      holder.replaceChildren(empty(`${name} is not on the bus`, "It may have left, or not have come yet: this page fills when it does.", tracesLink(`agent_id=${name}`, "Its traces")));
      return;
    }
    if (holder.contains(document.activeElement)) return; // nothing moves under the reader's keys
    put(holder,
      el("h1", { "data-agent": name }, name, " ", chip(agent.verdict)),
      el("p", { class: "quiet" }, agent.verdict.why, "."),
      el("p", { class: "links" }, tracesLink(`agent_id=${name}`, "Traces"), " ", el("a", { href: `#/flow?${new URLSearchParams({ agent: name })}` }, "Flow"), " ",
        el("a", { href: `#/errors?${new URLSearchParams({ q: name })}` }, "Errors")),
      facts(agent),
      part("Subscriptions", agent.own.map(subscriptionRow)), part("Traffic since the broker started", edges.map(edgeRow)));
  }

  function fail(error) {
    status(error.message, true);
    if (!drawn) holder.replaceChildren(noBroker(state, error));
  }

  followBus(["agents", "stats", "flow"], show, fail, signal);
  return { back: () => { location.hash = "#/agents"; } };
}
