// SPDX-License-Identifier: Apache-2.0
// Kinds of traces that the flight recorders keep for a while: what is kept, and the button that asks for it.

import { ask, get } from "./api.js";
import { el, keyed } from "./dom.js";
import { count, duration } from "./format.js";

/** What a failed span's kind is, as /api/keep takes it; null: it has neither topic nor capability. */
function kindOf({ topic, capability }) {
  return topic ? { topic } : capability ? { capability } : null;
}

/** Shows what is kept in its node, and calls changed() when a button has changed it. refresh() asks anew; button(error) asks for the
 *  kind of this error, null where that is not possible; stamp(error) is another text when the button is another one. */
export function keeping(signal, status, changed) {
  const list = el("ul"), node = el("section", { class: "kept", "aria-label": "Kinds of traces that are kept", hidden: true }, list);
  let recorder = false, kinds = [];

  const has = (kind) => kinds.some((one) => one.topic === kind.topic && one.capability === kind.capability);

  async function change(path, method) {
    try {
      await ask(path, { method, signal });
      await refresh();
      changed();
    } catch (error) {
      if (error.name !== "AbortError") status(error.message, true);
    }
  }

  function row(kind) {
    const name = kind.topic ?? kind.capability;
    return el("li", {}, kind.topic ? "Keeping what goes over " : "Keeping calls of ", el("code", {}, name), el("span"),
      el("button", { type: "button", "aria-label": `Stop keeping ${name}`, onclick: () => change(`/api/keep/${kind.number}`, "DELETE") }, "Stop"));
  }

  function said({ kept, limited, left_ms: left }) {
    return ` for ${duration(left * 1e6)} more: ${count(kept)} kept${limited > 0 ? `, ${count(limited)} too many` : ""} `;
  }

  async function refresh() {
    try {
      ({ recorder, kinds } = await get("/api/keep", signal));
    } catch (error) {
      if (error.name === "AbortError") return;
      recorder = false; // no broker: the page says so elsewhere
      kinds = [];
    }
    node.hidden = kinds.length === 0;
    keyed(list, kinds, ({ number }) => number, () => "", row);
    kinds.forEach((kind, i) => { list.children[i].querySelector("span").textContent = said(kind); });
  }

  function button(error) {
    const kind = kindOf(error);
    if (!recorder || kind === null) return null;
    return el("button", { type: "button", disabled: has(kind), title: "Keep the next traces of this kind, also those that do not fail: 10 a second, for 10 minutes",
                          onclick: () => change(`/api/keep?${new URLSearchParams(kind)}`, "POST") }, has(kind) ? "Kept" : "Keep this kind");
  }

  return { node, refresh, button, stamp: (error) => `${recorder} ${kindOf(error) !== null && has(kindOf(error))}` };
}
