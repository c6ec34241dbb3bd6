// SPDX-License-Identifier: Apache-2.0
// Where the parts of the flow stand: agents that publish or call, topics and capabilities, agents that receive or provide, in
// three columns. No DOM here.

export const HEIGHT = 34, GAP = 14, TOP = 34, LINE = 13; // pixels: of a box, between two, above them, of a label
export const WIDE = { width: 1100, box: 220, letters: 28 }, NARROW = { width: 620, box: 140, letters: 18 };
const ONE_OFF = /^(.+)-\d+-[0-9a-f]{6}$/; // an agent that a command made for itself
export const INWARD = new Set(["publish", "invoke"]); // from an agent; the others go to one
export const EVENTS = new Set(["publish", "deliver"]);

export const keyOf = ({ kind, agent, name }) => `${kind} ${agent} ${name}`;

/** The order in a column follows that of what it is joined to, which keeps lines from crossing. */
export function place(edges) {
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

/** Where a column begins. */
export const x = ({ width, box }, column) => (column * (width - box)) / 2;

/** Moves labels of one column apart, as little as possible: [{y}], sorted by y. */
export function spread(labels, gap) {
  const blocks = []; // of labels that stand one behind the other; at: the mean of where they wish the first to be
  labels.forEach((label, i) => {
    let block = { at: label.y - i * gap, count: 1 };
    while (blocks.length > 0 && blocks.at(-1).at >= block.at) {
      const { at, count } = blocks.pop();
      block = { at: (at * count + block.at * block.count) / (count + block.count), count: count + block.count };
    }
    blocks.push(block);
  });
  let i = 0;
  for (const { at, count } of blocks) {
    for (const end = i + count; i < end; i++) labels[i].y = at + i * gap;
  }
}

/** Commands that have gone, each of which was an agent for a moment, as one. */
export function gather(edges, here) {
  const all = new Map();
  for (const edge of edges) {
    const name = here.has(edge.agent) ? null : edge.agent.match(ONE_OFF)?.[1];
    const one = name ? { ...edge, agent: `${name}-…` } : edge, was = all.get(keyOf(one));
    if (was === undefined) all.set(keyOf(one), one);
    else all.set(keyOf(one), { ...was, total: was.total + one.total, lost: was.lost + one.lost, rate: was.rate + one.rate, losing: was.losing || one.losing });
  }
  return [...all.values()];
}

/** Each label stands at the end of its line where fewer lines meet: [{x, y, anchor}], in the order of the edges. */
export function labelsOf(edges, size) {
  const meet = new Map();
  for (const edge of edges) {
    for (const node of [edge.agentNode, edge.middle]) meet.set(node, (meet.get(node) ?? 0) + 1);
  }
  const labels = edges.map((edge) => {
    const node = meet.get(edge.agentNode) <= meet.get(edge.middle) ? edge.agentNode : edge.middle;
    const isLeft = INWARD.has(edge.kind) === (node === edge.agentNode); // of the line
    const other = node === edge.agentNode ? edge.middle : edge.agentNode;
    return { x: x(size, node.column) + (isLeft ? size.box + 8 : -8), y: node.y + HEIGHT / 2 - 6, anchor: isLeft ? "start" : "end", other: other.y };
  });
  for (const at of new Set(labels.map((label) => label.x))) spread(labels.filter((label) => label.x === at).sort((a, b) => a.y - b.y || a.other - b.other), LINE);
  return labels;
}
