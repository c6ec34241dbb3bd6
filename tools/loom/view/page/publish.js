// SPDX-License-Identifier: Apache-2.0
// A form that publishes one event.

import { get, post } from "./api.js";
import { el, put } from "./dom.js";
import { jsonProblem } from "./payload.js";

const TYPES = ["application/json", "text/plain", ""];

export function showPublish(holder, { parameters, signal }) {
  const topic = el("input", { id: "publish-topic", type: "text", required: true, value: parameters.get("topic") ?? "", list: "topics-known", placeholder: "orders.eu.created", autocomplete: "off", spellcheck: "false" });
  const known = el("datalist", { id: "topics-known" });
  const content = el("select", { id: "publish-content" }, TYPES.map((type) => el("option", { value: type }, type || "none named")));
  const type = el("input", { id: "publish-type", type: "text", placeholder: "order.created", autocomplete: "off", spellcheck: "false" });
  const payload = el("textarea", { id: "publish-payload", rows: 8, spellcheck: "false", placeholder: '{"order": 17}' });
  const headers = el("textarea", { id: "publish-headers", rows: 2, spellcheck: "false", placeholder: "KEY=VALUE, one a line" });
  const result = el("div", { class: "result", role: "status" });
  const field = (label, control, hint) => el("div", { class: "field" }, el("label", { for: control.id }, label), control, hint ? el("p", { class: "hint" }, hint) : null);

  function check() {
    payload.setCustomValidity(content.value === "application/json" ? jsonProblem(payload.value) : "");
  }
  payload.addEventListener("input", check);
  content.addEventListener("change", check);

  async function publish(event) {
    event.preventDefault();
    const query = new URLSearchParams();
    if (content.value) query.append("content_type", content.value);
    if (type.value) query.append("type", type.value);
    for (const line of headers.value.split("\n").map((text) => text.trim()).filter(Boolean)) query.append("header", line);
    try {
      const done = await post(`/api/publish/${encodeURIComponent(topic.value.trim())}?${query}`, payload.value, signal);
      put(result, el("p", {}, "✓ Published. ", done.trace_id ? el("a", { href: `#/traces/${done.trace_id}`, "data-trace": done.trace_id }, "Its trace") : null, " ",
        el("a", { href: `#/topics?${new URLSearchParams({ filter: done.topic })}` }, "Tail this topic")));
    } catch (error) {
      if (error.name !== "AbortError") put(result, el("p", { class: "failed" }, `✕ ${error.message}`));
    }
  }

  put(holder, el("form", { class: "sheet", onsubmit: publish }, field("Topic", topic), known, field("Content type", content),
    field("Payload", payload), el("details", {}, el("summary", {}, "Type and headers"), field("Event type", type), field("Headers", headers)),
    el("p", {}, el("button", { class: "primary" }, "Publish")), result));
  get("/api/bus/topics", signal).then(({ topics }) => known.append(...topics.map((one) => el("option", { value: one.topic }))), () => {});
  return { focus: () => topic.focus(), back: () => { location.hash = "#/topics"; } };
}
