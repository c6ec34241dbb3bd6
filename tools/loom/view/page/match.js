// SPDX-License-Identifier: Apache-2.0
// Two traces as one tree: spans are matched by the path of names that leads to them, and among those of one name by their order.
// No DOM here.

const nameOf = ({ span }) => `${span.name}\n${span.service}`;

/** Pairs of the children of two spans, those of the first in their order, then what only the second has. */
function pair(as, bs) {
  const waiting = new Map();
  for (const b of bs) waiting.set(nameOf(b), [...(waiting.get(nameOf(b)) ?? []), b]);
  const pairs = as.map((a) => ({ a, b: waiting.get(nameOf(a))?.shift() ?? null }));
  const left = new Set([...waiting.values()].flat());
  return [...pairs, ...bs.filter((b) => left.has(b)).map((b) => ({ a: null, b }))];
}

/** Rows from top to bottom: {depth, name, service, a, b, difference}; a or b is null where one of them has no such span. */
export function matchTraces(rootsOfA, rootsOfB, max = Infinity) {
  const rows = [], stack = pair(rootsOfA, rootsOfB).reverse().map((both) => ({ ...both, depth: 0 }));
  while (stack.length > 0 && rows.length < max) {
    const { a, b, depth } = stack.pop(), { span } = a ?? b;
    const took = (node) => node.span.end - node.span.start;
    rows.push({ depth, name: span.name, service: span.service, a, b, difference: a && b ? took(b) - took(a) : null });
    for (const both of pair(a?.children ?? [], b?.children ?? []).reverse()) stack.push({ ...both, depth: depth + 1 });
  }
  return rows;
}
