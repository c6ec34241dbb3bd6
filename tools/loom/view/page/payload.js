// SPDX-License-Identifier: Apache-2.0
// What a message carries, for people: JSON in order and colours, text as it is, and the size of all else.

import { el } from "./dom.js";
import { bytes } from "./format.js";

const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g;
const INDENTED_MAX = 32; // levels: beyond them lines would be mostly blank
const COLOURED_MAX = 20000; // tokens
const SHOWN_MAX = 1 << 20; // characters
const TOLD_BYTES = 16 << 10; // of an event's payload, by the server

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

/** JSON text as pieces, one value a line: [what it is, text]. Numbers, keys and their order are as they were sent: parsed, some
 *  would be others. */
export function* jsonPieces(text) {
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  const line = () => `\n${"  ".repeat(Math.min(depth, INDENTED_MAX))}`;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i], next = tokens[i + 1];
    if (token === "{" || token === "[") {
      const isEmpty = next === "}" || next === "]";
      depth += isEmpty ? 0 : 1;
      yield ["", isEmpty ? token + next : token + line()];
      i += isEmpty ? 1 : 0;
    } else if (token === "}" || token === "]") {
      depth--;
      yield ["", line() + token];
    } else if (token === ",") yield ["", token + line()];
    else if (token === ":") yield ["", ": "];
    else yield [!token.startsWith('"') ? "value" : next === ":" ? "key" : "string", token];
  }
}

/** JSON text in order and colours; undefined: it is none, or only a word. */
export function jsonNode(text) {
  if (parsed(text) === undefined) return undefined;
  const node = el("pre", { class: "json" }), rest = [];
  let pieces = 0;
  for (const [kind, piece] of jsonPieces(text)) {
    if (++pieces > COLOURED_MAX) rest.push(piece);
    else node.append(kind === "" ? piece : el("span", { class: kind }, piece));
  }
  node.append(rest.join(""));
  return node;
}

/** Of an event or a result: {payload} or {payload_base64}; payload_bytes: of an event, which may be longer than what is told. */
export function payloadNode({ payload, payload_base64: binary, payload_bytes: size }) {
  const text = binary ?? payload ?? "", all = size ?? (binary !== undefined ? Math.floor((binary.length * 3) / 4) : text.length);
  const node = binary !== undefined ? el("pre", {}, `${bytes(all)} that are no text, in base64:\n${binary.slice(0, SHOWN_MAX)}`)
    : text.length <= SHOWN_MAX && jsonNode(text) || (text ? el("pre", {}, text.slice(0, SHOWN_MAX)) : el("p", { class: "quiet" }, "Empty."));
  const isCut = text.length > SHOWN_MAX || (size !== undefined && size > TOLD_BYTES);
  return isCut ? el("div", {}, node, el("p", { class: "quiet" }, `Only the beginning of ${bytes(all)} is shown.`)) : node;
}

export function preview({ payload = "", payload_base64: binary, payload_bytes: size }) {
  return binary !== undefined ? `(${bytes(size ?? 0)}, binary)` : payload.length > 300 ? `${payload.slice(0, 300)} …` : payload;
}
