// SPDX-License-Identifier: Apache-2.0
// What a message carries, for people: JSON in order and colours, text as it is, and the size of all else.

import { el } from "./dom.js";
import { bytes } from "./format.js";

const TOKEN = /"(?:[^"\\]|\\.)*"(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b/g;

/** The value of JSON text; undefined: it is none, or only a word. */
export function parsed(text) {
  if (!/^\s*[[{]/.test(text ?? "")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What is wrong with JSON text; "": nothing, also when there is none. */
export function jsonProblem(text) {
  try {
    if (text.trim() !== "") JSON.parse(text);
    return "";
  } catch (error) {
    return `This is no JSON: ${error.message}`;
  }
}

export function prettyJson(value) {
  const text = JSON.stringify(value, null, 2), node = el("pre", { class: "json" });
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    node.append(text.slice(at, match.index));
    const kind = match[1] !== undefined ? "key" : match[0].startsWith('"') ? "string" : "value";
    node.append(el("span", { class: kind }, match[0]));
    at = match.index + match[0].length;
  }
  node.append(text.slice(at));
  return node;
}

/** Of an event or a result: {payload} or {payload_base64}. */
export function payloadNode({ payload, payload_base64: binary, payload_bytes: size }) {
  if (binary !== undefined) return el("pre", {}, `${bytes(size ?? Math.floor((binary.length * 3) / 4))} that are no text, in base64:\n${binary}`);
  const value = parsed(payload);
  if (value !== undefined) return prettyJson(value);
  return payload ? el("pre", {}, payload) : el("p", { class: "quiet" }, "Empty.");
}

export function preview({ payload, payload_base64: binary, payload_bytes: size }) {
  return binary !== undefined ? `(${bytes(size ?? 0)}, binary)` : payload.length > 300 ? `${payload.slice(0, 300)} …` : payload;
}
