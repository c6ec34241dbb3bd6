// SPDX-License-Identifier: Apache-2.0
// Elements without markup in strings: what others have written is never taken for HTML.

const TURNS = /[\u202a-\u202e\u2066-\u2069]/g; // characters that turn round the text behind them: a name could seem to be another
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(typeof child === "string" ? child.replaceAll(TURNS, "·") : child);
  }
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

/** Makes old what fresh is, but for children that are the same: focus, selection and clicks in them outlive it. */
function become(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const now = [...fresh.childNodes];
  while (old.childNodes.length > now.length) old.lastChild.remove();
  now.forEach((child, i) => {
    const was = old.childNodes[i];
    if (was === undefined) old.append(child);
    else if (!was.isEqualNode(child)) was.replaceWith(child);
  });
}

/** Makes the children of parent those of items, in their order, and leaves alone what has not changed. key and stamp: of an
 * item, as text; make: its element, whose listeners must depend on its key alone. */
export function keyed(parent, items, key, stamp, make) {
  const old = new Map([...parent.children].map((node) => [node.keyedBy, node])), focused = document.activeElement;
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = key(item), mark = stamp(item), node = old.get(name) ?? Object.assign(make(item), { keyedBy: name, stamp: mark });
    old.delete(name);
    if (node.stamp !== mark) {
      become(node, make(item));
      node.stamp = mark;
    }
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  for (const node of old.values()) node.remove();
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true }); // its row has moved
}

function nothing(heading, title, hints) {
  return el("section", { class: "empty" }, el(heading, {}, title), hints.map((hint) => el("p", {}, hint)));
}

/** An honest empty state: what is not there, and what to do. */
export function empty(title, ...hints) {
  return nothing("h2", title, hints);
}

/** The same instead of a whole view. */
export function emptyView(title, ...hints) {
  return nothing("h1", title, hints);
}
