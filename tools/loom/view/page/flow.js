// SPDX-License-Identifier: Apache-2.0
// Who talks to whom. A line is as thick as its rate; a sign and a word say who is slow.

import { get } from "./api.js";
import { el, empty, put, svg } from "./dom.js";
import { tracesOf } from "./filter.js";
import { count, duration, rate } from "./format.js";
import { Agents, subscriptionRows } from "./health.js";
import { EVENTS, gather, GAP, HEIGHT, INWARD, keyOf, labelsOf, NARROW, place, TOP, WIDE, x } from "./layout.js";
import { followBus } from "./live.js";
import { finder, noBroker } from "./parts.js";
import { Rates } from "./rates.js";

const SHOWN = 150; // lines: more of them say less
const LATENCY_MS = 5000; // between two questions for it, which looks at the spans of many traces

const GONE = { level: "gone", word: "gone", why: "it is not on the bus now" };

const short = (text, max) => (text.length > max ? `${text.slice(0, max - 1)}…` : text);

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
  label.textContent = [edge.rate > 0 ? rate(edge.rate) : "", took, edge.lost > 0 ? `✕ ${count(edge.lost)}` : ""].filter(Boolean).join(" · ");
  const text = `${from} → ${to}: ${label.textContent || "nothing now"}; ${count(edge.total)} in all${edge.lost > 0 ? `, ${count(edge.lost)} lost or failed` : ""}${words}`;
  link.setAttribute("aria-label", `${text}: its traces`);
  group.dataset.total = edge.total;
  group.dataset.latency = took;
  path.setAttribute("class", `edge${edge.losing ? " lossy" : ""}${edge.rate > 0 ? "" : " still"}`);
  path.setAttribute("stroke-width", 1.5 + 6 * (most > 0 ? Math.sqrt(edge.rate / most) : 0));
  path.firstElementChild.textContent = text;
}

function line(edge, label, size) {
  const [from, to] = INWARD.has(edge.kind) ? [edge.agentNode, edge.middle] : [edge.middle, edge.agentNode], topic = EVENTS.has(edge.kind) ? "topic" : "capability";
  const x1 = x(size, from.column) + size.box, x2 = x(size, to.column), y1 = from.y + HEIGHT / 2, y2 = to.y + HEIGHT / 2, bend = (x2 - x1) / 2;
  return svg("g", { "data-kind": edge.kind, "data-agent": edge.agent, "data-name": edge.name, role: "listitem" },
    svg("a", { href: tracesOf({ ...(edge.agent.endsWith("…") ? {} : { agent_id: edge.agent }), [topic]: edge.name }), "data-key": keyOf(edge) },
      svg("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` }, svg("title", {})),
      svg("text", { x: label.x, y: label.y, class: `label ${label.anchor}` })));
}

function hrefOf({ kind, text }) {
  if (kind === "agent") return text.endsWith("…") ? `#/agents?${new URLSearchParams({ q: text.slice(0, -1) })}` : `#/agents/${encodeURIComponent(text)}`;
  return `#/topics?${new URLSearchParams({ [kind === "topic" ? "filter" : "invoke"]: text })}`;
}

function box(node, size) {
  const goes = { agent: "how it is doing", topic: "tail it", capability: "call it" }[node.kind], left = x(size, node.column), middle = left + size.box / 2;
  return svg("a", { href: hrefOf(node), "data-node": node.text, "data-key": `${node.kind} ${node.column} ${node.text}` }, svg("title", {}, `${node.kind} ${node.text}: ${goes}`),
    svg("rect", { x: left, y: node.y, width: size.box, height: HEIGHT, rx: node.kind === "agent" ? 6 : HEIGHT / 2, class: `node ${node.kind}` }),
    svg("text", { x: middle, y: node.y + 21, class: "node" }, short(node.text, size.letters)),
    svg("text", { x: middle, y: node.y + 29, class: "verdict" }));
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
  const find = finder(parameters, "agent, topic, capability …", () => draw()), holder = el("div", { class: "flow" });
  let visible = null, more = false, verdicts = new Map();
  put(main, el("h1", {}, only ? `Flow around ${only}` : "Flow"), only ? el("p", { class: "crumb" }, el("a", { href: "#/flow" }, "Show all agents")) : null, find.node, holder);

  /** All that the broker's own topics are not; around one agent: what shares a topic or capability with it. */
  function inSight(edges) {
    const visible = edges.filter(({ name }) => !name.startsWith("system."));
    const names = new Set(visible.filter(({ agent }) => agent === only).map(({ name }) => name));
    return only ? visible.filter(({ name }) => names.has(name)) : visible;
  }

  function show({ flow, agents: { agents: here }, stats }, ms) {
    askLatency();
    status("");
    holder.classList.remove("stale");
    rates.look(ms);
    healthRates.look(ms);
    verdicts = new Map(agents.rows(here, subscriptionRows(stats.subscriptions, healthRates), flow.edges, healthRates).map((row) => [row.agent, row.verdict]));
    ({ more } = flow);
    visible = inSight(flow.edges);
    for (const edge of visible) {
      edge.rate = rates.of(keyOf(edge), edge.total);
      edge.losing = rates.of(`${keyOf(edge)} lost`, edge.lost) > 0;
    }
    visible = gather(visible, new Set(here.map(({ agent }) => agent))).sort((a, b) => b.total - a.total);
    draw();
  }

  function draw() {
    if (visible === null) return;
    const seen = find.pick(visible, ({ agent, name }) => `${agent} ${name}`, SHOWN, more ? "Only the busiest ways are told by the broker; `loom flow FILTER` lists others." : "");
    if (seen.length === 0) {
      drawn = "";
      holder.replaceChildren(visible.length > 0 ? empty("Nothing flows by these names", "Clear the filter to see the rest.")
        : empty("Nothing has flowed yet", "Agents that publish, receive or call show here. Try: loom sub 'hello.>' & loom pub hello.all hello"));
      return;
    }
    seen.sort((a, b) => a.name.localeCompare(b.name) || a.agent.localeCompare(b.agent));
    const most = Math.max(...seen.map((edge) => edge.rate)), keys = seen.map(keyOf).join("\n");
    if (keys !== drawn) build(seen);
    drawn = keys;
    seen.forEach((edge, i) => update(lines[i], edge, most, latency));
    for (const element of boxes) mark(element, verdicts.get(element.dataset.node));
  }

  const narrow = matchMedia("(max-width: 760px)");
  narrow.addEventListener("change", () => { drawn = ""; draw(); }, { signal });

  const links = () => [...holder.querySelectorAll("svg a")];

  function build(seen) {
    const columns = place(seen), focused = document.activeElement?.dataset?.key;
    const size = narrow.matches ? NARROW : WIDE, labels = labelsOf(seen, size);
    lines = seen.map((edge, i) => line(edge, labels[i], size));
    boxes = columns.flatMap((nodes) => [...nodes.values()].map((node) => box(node, size)));
    const height = TOP + Math.max(...columns.map((nodes) => nodes.size)) * (HEIGHT + GAP);
    put(holder, el("p", { class: "hint" }, "Thick lines carry much; beside the rate is the median time until a handler has the message, or until a call is done. ▲ and ✕ mark agents that do not keep up."),
      svg("svg", { viewBox: `-2 0 ${size.width + 4} ${height}` },
        ["publishes or calls", "topic or capability", "receives or provides"].map((text, i) => svg("text", { x: x(size, i) + size.box / 2, y: 16, class: "heading" }, text)),
        svg("g", { role: "list", "aria-label": "Who talks to whom" }, lines, boxes.map((one) => svg("g", { role: "listitem" }, one)))));
    if (focused) links().find(({ dataset }) => dataset.key === focused)?.focus({ preventScroll: true });
  }

  function step(by) {
    const all = links(), at = all.indexOf(document.activeElement);
    all[Math.max(0, Math.min(all.length - 1, at + by))]?.focus();
  }

  function askLatency() {
    if (performance.now() - askedMs < LATENCY_MS) return;
    askedMs = performance.now();
    get("/api/latency", signal).then(({ edges }) => { latency = new Map(edges.map((edge) => [keyOf(edge), edge])); }, () => {}); // without: rates alone
  }

  function fail(error) {
    status(error.message, true);
    holder.classList.add("stale");
    if (drawn === "") holder.replaceChildren(noBroker(state, error));
  }

  followBus(["flow", "agents", "stats"], show, fail, signal);
  return { focus: find.focus, next: () => step(1), previous: () => step(-1), back: () => { if (only) location.hash = "#/flow"; else find.clear(); } };
}
