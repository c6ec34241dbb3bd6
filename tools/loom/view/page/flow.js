// SPDX-License-Identifier: Apache-2.0
// Who talks to whom: agents that publish or call, topics and capabilities, agents that receive or provide, in three columns.
// An edge is as thick as its rate; a sign and a word say who is slow.

import { get } from "./api.js";
import { el, empty, put, svg } from "./dom.js";
import { count, duration, rate } from "./format.js";
import { Agents, subscriptionRows } from "./health.js";
import { followBus } from "./live.js";
import { noBroker } from "./parts.js";
import { Rates } from "./rates.js";

const WIDTH = 960, BOX = 220, HEIGHT = 34, GAP = 14, TOP = 34;
const X = [0, (WIDTH - BOX) / 2, WIDTH - BOX];
const INWARD = new Set(["publish", "invoke"]); // from an agent; the others go to one
const EVENTS = new Set(["publish", "deliver"]);
const LATENCY_MS = 5000; // between two questions for it, which looks at the spans of many traces

const GONE = { level: "gone", word: "gone", why: "it is not on the bus now" };

const keyOf = ({ kind, agent, name }) => `${kind} ${agent} ${name}`;
const short = (text, max) => (text.length > max ? `${text.slice(0, max - 1)}…` : text);
const tracesOf = (words) => `#/traces?${new URLSearchParams({ q: words.join(" ") })}`;

/** The order in a column follows that of what it is joined to, which keeps lines from crossing. */
function place(edges) {
  const columns = [new Map(), new Map(), new Map()];
  const add = (column, text, kind) => {
    const nodes = columns[column];
    if (!nodes.has(text)) nodes.set(text, { text, kind, column, y: TOP + nodes.size * (HEIGHT + GAP) });
    return nodes.get(text);
  };
  for (const edge of edges) {
    edge.middle = add(1, edge.name, EVENTS.has(edge.kind) ? "topic" : "capability");
    edge.agentNode = add(INWARD.has(edge.kind) ? 0 : 2, edge.agent, "agent");
  }
  return columns;
}

/** What the spans say of an edge: [what shows beside its rate, and the same in words]. */
function latencyOf(edge, latency) {
  const told = latency.get(keyOf(edge));
  if (!told?.work) return ["", ""];
  const work = `${duration(told.work.median_ns)}${told.work.longest_ns > told.work.median_ns ? `, ${duration(told.work.longest_ns)} at most` : ""}`;
  if (edge.kind === "invoke") return [duration(told.work.median_ns), `; a call takes ${work}`];
  const way = told.way ? `${edge.kind === "deliver" ? "arrives" : "reaches it"} after ${duration(told.way.median_ns)}, ` : "";
  return [duration(edge.kind === "deliver" && told.way ? told.way.median_ns : told.work.median_ns), `; ${way}its handler takes ${work}`];
}

/** Writes what an edge is like now into its elements. */
function update(group, edge, most, latency) {
  const [link] = group.children, [path, label] = link.children;
  const [from, to] = INWARD.has(edge.kind) ? [edge.agent, edge.name] : [edge.name, edge.agent], [took, words] = latencyOf(edge, latency);
  const text = `${from} → ${to}: ${rate(edge.rate)}, ${count(edge.total)} in all${edge.lost > 0 ? `, ${count(edge.lost)} lost or failed` : ""}${words}`;
  link.setAttribute("aria-label", `${text}: its traces`);
  group.dataset.total = edge.total;
  group.dataset.latency = took;
  path.setAttribute("class", `edge${edge.losing ? " lossy" : ""}${edge.rate > 0 ? "" : " still"}`);
  path.setAttribute("stroke-width", 1.5 + 6 * (most > 0 ? Math.sqrt(edge.rate / most) : 0));
  path.firstElementChild.textContent = text;
  label.textContent = [edge.rate > 0 ? rate(edge.rate) : "", took, edge.lost > 0 ? `✕ ${count(edge.lost)}` : ""].filter(Boolean).join(" · ");
}

function line(edge) {
  const inward = INWARD.has(edge.kind);
  const from = inward ? edge.agentNode : edge.middle, to = inward ? edge.middle : edge.agentNode;
  const x1 = X[from.column] + BOX, x2 = X[to.column], y1 = from.y + HEIGHT / 2, y2 = to.y + HEIGHT / 2, bend = (x2 - x1) / 2;
  const at = inward ? 0.3 : 0.7, side = inward ? y1 + (y2 - y1) * 0.216 : y1 + (y2 - y1) * 0.784; // on the curve, nearer to the agent, where lines are apart
  return svg("g", { "data-kind": edge.kind, "data-agent": edge.agent, "data-name": edge.name, role: "listitem" },
    svg("a", { href: tracesOf([`agent_id=${edge.agent}`, `${EVENTS.has(edge.kind) ? "topic" : "capability"}=${edge.name}`]) },
      svg("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` }, svg("title", {})),
      svg("text", { x: x1 + (x2 - x1) * at, y: side - 9, class: "label" })));
}

function box(node) {
  const href = node.kind === "agent" ? `#/agents/${encodeURIComponent(node.text)}` : node.kind === "topic" ? `#/topics?${new URLSearchParams({ filter: node.text })}` : `#/topics?${new URLSearchParams({ invoke: node.text })}`;
  const goes = { agent: "how it is doing", topic: "tail it", capability: "call it" }[node.kind];
  return svg("a", { href, "data-node": node.text }, svg("title", {}, `${node.kind} ${node.text}: ${goes}`),
    svg("rect", { x: X[node.column], y: node.y, width: BOX, height: HEIGHT, rx: node.kind === "agent" ? 6 : HEIGHT / 2, class: `node ${node.kind}` }),
    svg("text", { x: X[node.column] + BOX / 2, y: node.y + 21, class: "node" }, short(node.text, 28)),
    svg("text", { x: X[node.column] + BOX / 2, y: node.y + 29, class: "verdict" }));
}

/** Who is not well says so in a second line. */
function mark(element, verdict) {
  const [title, rect, name, line] = element.children, { level, word, why } = verdict ?? GONE;
  if (!rect.classList.contains("agent")) return;
  const ill = level === "warn" || level === "bad";
  rect.setAttribute("class", `node agent ${level}`);
  name.setAttribute("y", Number(rect.getAttribute("y")) + (ill ? 15 : 21));
  line.setAttribute("class", `verdict ${level}`);
  line.textContent = ill ? `${level === "bad" ? "✕" : "▲"} ${word}` : "";
  title.textContent = `agent ${element.dataset.node}${word === "active" ? "" : ` is ${word}: ${why}`}`;
}

export function showFlow(main, { parameters, signal, state, status }) {
  const rates = new Rates(), healthRates = new Rates(), agents = new Agents(), only = parameters.get("agent");
  let drawn = "", lines = [], boxes = [], latency = new Map(), askedMs = -Infinity;
  const holder = el("div", { class: "flow" });
  put(main, el("h1", {}, only ? `Flow around ${only}` : "Flow"), only ? el("p", {}, el("a", { href: "#/flow" }, "Show all agents")) : null, holder);

  /** All that the broker's own topics are not; around one agent: what shares a topic or capability with it. */
  function inSight(edges) {
    const visible = edges.filter(({ name }) => !name.startsWith("system."));
    const names = new Set(visible.filter(({ agent }) => agent === only).map(({ name }) => name));
    return only ? visible.filter(({ name }) => names.has(name)) : visible;
  }

  function show({ flow: { edges, more }, agents: { agents: here }, stats }, ms) {
    askLatency();
    status("");
    rates.look(ms);
    healthRates.look(ms);
    const verdicts = new Map(agents.rows(here, subscriptionRows(stats.subscriptions, healthRates), edges, healthRates).map((row) => [row.agent, row.verdict]));
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
    const most = Math.max(...visible.map((edge) => edge.rate)), keys = visible.map(keyOf).join("\n");
    if (keys !== drawn) draw(visible, more);
    drawn = keys;
    visible.forEach((edge, i) => update(lines[i], edge, most, latency));
    for (const element of boxes) mark(element, verdicts.get(element.dataset.node));
  }

  function draw(visible, more) {
    const columns = place(visible);
    lines = visible.map(line);
    boxes = columns.flatMap((nodes) => [...nodes.values()].map(box));
    const height = TOP + Math.max(...columns.map((nodes) => nodes.size)) * (HEIGHT + GAP);
    put(holder, el("p", { class: "hint" }, "Thick lines carry much; beside the rate is the median time until a handler has the message, or until a call is done. ▲ and ✕ mark agents that do not keep up."),
      svg("svg", { viewBox: `-2 0 ${WIDTH + 4} ${height}`, role: "list", "aria-label": "Who talks to whom" },
        ["publishes or calls", "topic or capability", "receives or provides"].map((text, i) => svg("text", { x: X[i] + BOX / 2, y: 16, class: "heading" }, text)), lines, boxes),
      more ? el("p", {}, "Only the busiest are shown. `loom flow FILTER` lists others.") : null);
  }

  function askLatency() {
    if (performance.now() - askedMs < LATENCY_MS) return;
    askedMs = performance.now();
    get("/api/latency", signal).then(({ edges }) => { latency = new Map(edges.map((edge) => [keyOf(edge), edge])); }, () => {}); // without: rates alone
  }

  function fail(error) {
    status(error.message, true);
    if (drawn === "") holder.replaceChildren(noBroker(state, error));
  }

  followBus(["flow", "agents", "stats"], show, fail, signal);
  return {};
}
