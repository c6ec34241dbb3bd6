// SPDX-License-Identifier: Apache-2.0
// Who talks to whom: agents that publish or call, topics and capabilities, agents that receive or provide, in three columns.

import { get, poll } from "./api.js";
import { el, empty, svg } from "./dom.js";
import { count, rate } from "./format.js";
import { Rates } from "./rates.js";

const WIDTH = 960, BOX = 220, HEIGHT = 30, GAP = 14, TOP = 34;
const X = [0, (WIDTH - BOX) / 2, WIDTH - BOX];
const INWARD = new Set(["publish", "invoke"]); // from an agent; the others go to one

const keyOf = ({ kind, agent, name }) => `${kind} ${agent} ${name}`;

/** The order in a column follows that of what it is joined to, which keeps lines from crossing. */
function place(edges) {
  const columns = [new Map(), new Map(), new Map()];
  const add = (column, text, kind) => {
    const nodes = columns[column];
    if (!nodes.has(text)) nodes.set(text, { text, kind, column, y: TOP + nodes.size * (HEIGHT + GAP) });
    return nodes.get(text);
  };
  for (const edge of edges) {
    edge.middle = add(1, edge.name, edge.kind === "publish" || edge.kind === "deliver" ? "topic" : "capability");
    edge.agentNode = add(INWARD.has(edge.kind) ? 0 : 2, edge.agent, "agent");
  }
  return columns;
}

/** Writes what an edge is like now into its elements. */
function update(group, edge, most) {
  const [path, label] = group.children;
  const [from, to] = INWARD.has(edge.kind) ? [edge.agent, edge.name] : [edge.name, edge.agent];
  const text = `${from} → ${to}: ${rate(edge.rate)}, ${count(edge.total)} in all${edge.lost > 0 ? `, ${count(edge.lost)} lost or failed` : ""}`;
  group.setAttribute("aria-label", text);
  group.dataset.total = edge.total;
  path.setAttribute("class", `edge${edge.losing ? " lossy" : ""}${edge.rate > 0 ? "" : " still"}`);
  path.setAttribute("stroke-width", 1.5 + 6 * (most > 0 ? Math.sqrt(edge.rate / most) : 0));
  path.firstElementChild.textContent = text;
  label.textContent = `${rate(edge.rate)}${edge.lost > 0 ? ` ✕ ${count(edge.lost)}` : ""}`;
}

function line(edge) {
  const inward = INWARD.has(edge.kind);
  const from = inward ? edge.agentNode : edge.middle, to = inward ? edge.middle : edge.agentNode;
  const x1 = X[from.column] + BOX, x2 = X[to.column], y1 = from.y + HEIGHT / 2, y2 = to.y + HEIGHT / 2, bend = (x2 - x1) / 2;
  return svg("g", { "data-kind": edge.kind, "data-agent": edge.agent, "data-name": edge.name, role: "listitem" },
    svg("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` }, svg("title", {})),
    svg("text", { x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 5, class: "label" }));
}

function box(node) {
  const shown = node.text.length > 28 ? `${node.text.slice(0, 27)}…` : node.text;
  const query = node.kind === "agent" ? `agent_id=${node.text}` : node.kind === "topic" ? `topic=${node.text}` : `capability=${node.text}`;
  return svg("a", { href: `#/traces?${new URLSearchParams({ q: query })}` }, svg("title", {}, `${node.kind} ${node.text}: its traces`),
    svg("rect", { x: X[node.column], y: node.y, width: BOX, height: HEIGHT, rx: node.kind === "agent" ? 6 : 15, class: `node ${node.kind}` }),
    svg("text", { x: X[node.column] + BOX / 2, y: node.y + 20, class: "node" }, shown));
}

export function showFlow(main, { parameters, signal, state, status }) {
  const rates = new Rates(), only = parameters.get("agent");
  let drawn = "", lines = [];
  const holder = el("div", { class: "flow" });
  main.replaceChildren(el("h1", {}, only ? `Flow around ${only}` : "Flow"), only ? el("p", {}, el("a", { href: "#/flow" }, "Show all agents")) : "", holder);

  /** All that the broker's own topics are not; around one agent: what shares a topic or capability with it. */
  function inSight(edges) {
    const visible = edges.filter(({ name }) => !name.startsWith("system."));
    const names = new Set(visible.filter(({ agent }) => agent === only).map(({ name }) => name));
    return only ? visible.filter(({ name }) => names.has(name)) : visible;
  }

  function show({ edges, more }) {
    status("");
    rates.look();
    const visible = inSight(edges);
    for (const edge of visible) {
      edge.rate = rates.of(keyOf(edge), edge.total);
      edge.losing = rates.of(`${keyOf(edge)} lost`, edge.lost) > 0;
    }
    if (visible.length === 0) {
      drawn = "";
      holder.replaceChildren(empty("Nothing has flowed yet", "Agents that publish, receive or call show here. Try: loom sub 'hello.>' & loom pub hello.all hello"));
      return;
    }
    visible.sort((a, b) => a.name.localeCompare(b.name) || a.agent.localeCompare(b.agent));
    const most = Math.max(...visible.map((edge) => edge.rate));
    const keys = visible.map(keyOf).join("\n");
    if (keys !== drawn) draw(visible, more);
    drawn = keys;
    visible.forEach((edge, i) => update(lines[i], edge, most));
  }

  function draw(visible, more) {
    const columns = place(visible);
    lines = visible.map(line);
    const height = TOP + Math.max(...columns.map((nodes) => nodes.size)) * (HEIGHT + GAP);
    holder.replaceChildren(
      svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "list", "aria-label": "Who talks to whom" },
        ["publishes or calls", "topic or capability", "receives or provides"].map((text, i) => svg("text", { x: X[i] + BOX / 2, y: 16, class: "heading" }, text)),
        lines, columns.flatMap((nodes) => [...nodes.values()].map(box))),
      more ? el("p", {}, "Only the busiest are shown. `loom flow FILTER` lists others.") : "");
  }

  function fail(error) {
    status(error.message, true);
    if (drawn === "") holder.replaceChildren(empty("No broker answers", `This view asks ${state.control}. ${error.message}`));
  }

  poll((abort) => get("/api/bus/flow", abort), show, fail, signal);
  return {};
}
