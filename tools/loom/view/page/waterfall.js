// SPDX-License-Identifier: Apache-2.0
// The tree of a trace as rows. The hops of one message (emit, publish, forward, handle) are one row until it is opened. No DOM here.

const HOPS = new Set(["agent.emit", "bridge.publish", "eventbus.publish", "bridge.forward"]);
const UNSEEN = 0, ON_WAY = 1, SEEN = 2;

export function buildTree(spans) {
  const nodes = spans.map((span) => ({ span, children: [], parent: null, state: UNSEEN }));
  const byId = new Map(nodes.map((node) => [node.span.id, node]));
  for (const node of nodes) node.parent = (node.span.parent !== null && byId.get(node.span.parent)) || null;
  cutCircles(nodes);
  const roots = [];
  for (const node of nodes) (node.parent === null ? roots : node.parent.children).push(node);
  return roots;
}

/** Whoever made them: a circle would hide its spans. */
function cutCircles(nodes) {
  for (const node of nodes) {
    const way = [];
    let at = node;
    for (; at !== null && at.state === UNSEEN; at = at.parent) {
      at.state = ON_WAY;
      way.push(at);
    }
    if (at !== null && at.state === ON_WAY) at.parent = null;
    for (const passed of way) passed.state = SEEN;
  }
}

/** When the last span of each subtree ends: what a message brings about goes on after the span that sent it. */
function lastEnds(roots) {
  const ends = new Map(), order = [...roots];
  for (let i = 0; i < order.length; i++) order.push(...order[i].children);
  for (const node of order.reverse()) ends.set(node, node.children.reduce((last, child) => Math.max(last, ends.get(child)), node.span.end));
  return ends;
}

/** The spans that the end of the trace waited for: of each span the child that all was done last behind, then the one that
 *  was done when that began, and so on. */
export function criticalPath(roots) {
  const path = new Set(), ends = lastEnds(roots);
  const stack = [roots];
  while (stack.length > 0) {
    const level = stack.pop();
    let until = Infinity;
    for (const node of [...level].sort((a, b) => ends.get(b) - ends.get(a))) {
      if (ends.get(node) > until) continue;
      path.add(node.span.id);
      stack.push(node.children);
      until = node.span.start;
    }
  }
  return path;
}

/** Down the hops of a message, as long as there is one way only. */
function folded(node) {
  const hidden = [];
  let at = node;
  while (HOPS.has(at.span.name) && at.children.length === 1) {
    hidden.push(at);
    [at] = at.children;
  }
  return hidden.length > 1 ? { hidden, last: at } : null;
}

/** Rows from top to bottom; folds: the nodes hidden in one. open: ids of the first hops of messages that are unfolded; closed: of closed subtrees. */
export function rowsOf(roots, open, closed) {
  const rows = [];
  const stack = [...roots].reverse().map((node) => [node, 0, false]);
  const seen = new Set();
  while (stack.length > 0) {
    const [node, depth, within] = stack.pop(); // within: of a message whose hops are shown
    if (seen.has(node)) continue;
    seen.add(node);
    const isOpen = within || open.has(node.span.id);
    const fold = isOpen ? null : folded(node);
    const goesOn = isOpen && HOPS.has(node.span.name) && node.children.length === 1;
    const shown = fold ? fold.last : node;
    const isClosed = closed.has(shown.span.id);
    rows.push({
      node: shown, depth,
      folds: fold ? fold.hidden : [],
      unfolded: open.has(node.span.id),
      hasChildren: shown.children.length > 0,
      isClosed,
      begin: fold ? fold.hidden[0].span.start : shown.span.start,
    });
    if (!isClosed) {
      for (const child of [...shown.children].reverse()) stack.push([child, depth + 1, goesOn]);
    }
  }
  return rows;
}
