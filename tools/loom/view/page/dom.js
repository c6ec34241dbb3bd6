// SPDX-License-Identifier: Apache-2.0
// Elements without markup in strings: what others have written is never taken for HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** el("a", {href, onclick}, "text", child, [more]) */
export function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** Replaces what is in parent; children as el() takes them. */
export function put(parent, ...children) {
  parent.replaceChildren();
  return fill(parent, null, children);
}

/** Makes the children of parent those of items, in their order, and leaves alone what has not changed: focus, selection and
 * clicks outlive it. key and stamp: of an item, as text; make: its element. */
export function keyed(parent, items, key, stamp, make) {
  const old = new Map([...parent.children].map((node) => [node.keyedBy, node]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = key(item), mark = stamp(item), had = old.get(name);
    const node = had?.stamp === mark ? had : Object.assign(make(item), { keyedBy: name, stamp: mark });
    old.delete(name);
    if (node !== had && had !== undefined) {
      if (at === had) at = had.nextElementSibling;
      had.remove();
    }
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  for (const node of old.values()) node.remove();
}

/** An honest empty state: what is not there, and what to do. */
export function empty(title, ...hints) {
  return el("section", { class: "empty" }, el("h2", {}, title), hints.map((hint) => el("p", {}, hint)));
}
