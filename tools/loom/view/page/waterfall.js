// SPDX-License-Identifier: Apache-2.0
// The tree of a trace as rows. The hops of one message (emit, publish, forward, handle) are one row until it is opened. No DOM here.

const HOPS = new Set(["agent.emit", "bridge.publish", "eventbus.publish", "bridge.forward"]);

export function buildTree(spans) {
  const nodes = new Map(spans.map((span) => [span.id, { span, children: [], parent: null }]));
  const roots = [];
  for (const node of nodes.values()) {
    const parent = node.span.parent !== null ? nodes.get(node.span.parent) : undefined;
    if (parent === undefined || parent === node) roots.push(node);
    else {
      node.parent = parent;
      parent.children.push(node);
    }
  }
  return roots;
}

/** The spans that the end of the trace waited for: from the root down, always the child that ended last. */
export function criticalPath(roots) {
  const path = new Set();
  let level = roots;
  while (level.length > 0) {
    const last = level.reduce((a, b) => (b.span.end > a.span.end ? b : a));
    if (path.has(last.span.id)) break;
    path.add(last.span.id);
    level = last.children;
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
  const stack = roots.toReversed().map((node) => [node, 0, false]);
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
      for (const child of shown.children.toReversed()) stack.push([child, depth + 1, goesOn]);
    }
  }
  return rows;
}
