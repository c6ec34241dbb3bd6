// SPDX-License-Identifier: Apache-2.0
// Who is on the bus.

import { get, poll } from "./api.js";
import { el, empty, keyed } from "./dom.js";
import { duration } from "./format.js";

const GONE_MAX = 100; // that stay in sight

export function showAgents(main, { signal, state, status }) {
  const body = el("tbody");
  const table = el("table", { class: "list" }, el("thead", {}, el("tr", {},
    ["Agent", "State", "Last heard", "Subscribes to", "Provides"].map((name, i) => el("th", { scope: "col", class: i > 2 ? "extra" : null }, name)))), body);
  const seen = new Map(); // agents stay in sight when they have gone
  main.replaceChildren(el("h1", {}, "Agents"));

  function show({ agents }) {
    status("");
    const here = new Set(agents.map(({ agent }) => agent));
    for (const agent of agents) seen.set(agent.agent, agent);
    for (const [name, agent] of seen) if (!here.has(name)) seen.set(name, { ...agent, state: "gone", heard_ms_ago: null });
    const gone = [...seen.keys()].filter((name) => !here.has(name));
    for (const name of gone.slice(0, Math.max(0, gone.length - GONE_MAX))) seen.delete(name);
    const rows = [...seen.values()].sort((a, b) => (a.state === "gone") - (b.state === "gone") || a.agent.localeCompare(b.agent));
    const content = rows.length === 0
      ? empty("No agent is on the bus", "Start one: loom sub 'hello.>', or loom new hello --lang python && cd hello && loom up")
      : table;
    keyed(body, rows, ({ agent }) => agent, JSON.stringify, (agent) => el("tr", { class: agent.state === "gone" ? "gone" : null, "data-agent": agent.agent },
      el("td", {}, agent.agent),
      el("td", {}, agent.state),
      el("td", { class: "number" }, agent.state === "gone" ? "" : `${duration((agent.heard_ms_ago ?? 0) * 1e6)} ago`),
      el("td", { class: "extra" }, (agent.subscriptions ?? []).map(({ filter }) => filter).join(", ")),
      el("td", { class: "extra" }, (agent.capabilities ?? []).map(({ name }) => name).join(", "))));
    if (content.parentNode !== main) main.replaceChildren(el("h1", {}, "Agents"), content);
  }

  function fail(error) {
    status(error.message, true);
    if (seen.size === 0) main.replaceChildren(el("h1", {}, "Agents"), empty("No broker answers", `This view asks ${state.control}. ${error.message}`));
  }

  poll((abort) => get("/api/bus/agents", abort), show, fail, signal);
  return {};
}
