// SPDX-License-Identifier: Apache-2.0
// Topics: what is published, a tail of it, and forms to publish and to call.

import { showCall } from "./call.js";
import { el } from "./dom.js";
import { tabs } from "./parts.js";
import { showPublish } from "./publish.js";
import { showTail } from "./tail.js";

const TABS = [["tail", "Tail", showTail], ["publish", "Publish", showPublish], ["call", "Call", showCall]];

export function showTopics(main, context) {
  const { parameters } = context, holder = el("div");
  const asked = parameters.has("invoke") ? "call" : parameters.get("tab") ?? "tail";
  const [here, , show] = TABS.find(([name]) => name === asked) ?? TABS[0];
  main.replaceChildren(el("h1", {}, "Topics"), tabs("Topics", TABS.map(([name, text]) => [text, `#/topics?tab=${name}`, name === here])), holder);
  return show(holder, context);
}
