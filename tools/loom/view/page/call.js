// SPDX-License-Identifier: Apache-2.0
// A form that calls a capability, made of the JSON Schema it announces.

import { get, postEvents } from "./api.js";
import { el, empty, put } from "./dom.js";
import { partOf } from "./form.js";
import { count, duration } from "./format.js";
import { chip, noBroker } from "./parts.js";
import { payloadNode, prettyJson, parsed } from "./payload.js";
import { fieldsOf } from "./schema.js";

const RESULTS_MAX = 10;
const PARTS_MAX = 200; // of one call that are shown, the latest

/** {node, read}: what is sent. A form where the schema can be one, JSON text always. */
function inputOf(capability) {
  const field = fieldsOf(capability.input_schema);
  const text = el("textarea", { id: "call-text", rows: 8, spellcheck: "false", placeholder: capability.input_schema ? "JSON" : "the payload, as it is sent" });
  const asText = el("div", { class: "field" }, el("label", { for: "call-text" }, "Payload"), text);
  if (field === null) return { node: asText, read: () => text.value };
  const part = partOf(field, true), holder = el("div", {}, part.node);
  const payload = () => JSON.stringify(part.read() ?? null);
  let isText = false;
  const toggle = el("button", { type: "button", class: "link", onclick: () => {
    if (!isText) text.value = JSON.stringify(part.read() ?? {}, null, 2);
    else if (parsed(text.value) !== undefined) part.write(parsed(text.value));
    isText = !isText;
    put(holder, isText ? asText : part.node);
    toggle.textContent = isText ? "as a form" : "as JSON";
  } }, "as JSON");
  return { node: el("div", {}, el("p", { class: "switch" }, toggle), holder), read: () => (isText ? text.value : payload()) };
}

/** What a call has brought so far: {node, add, summary}. */
function partsOf(word) {
  const list = el("ol", { class: "parts" }), summary = el("summary"), node = el("details", { open: word === "parts" }, summary, list);
  let all = 0;
  return {
    node, get count() { return all; },
    add: (part) => {
      all++;
      summary.textContent = `${count(all)} ${word}${all > PARTS_MAX ? `, the latest ${PARTS_MAX}` : ""}`;
      list.append(el("li", { value: all }, payloadNode(part)));
      if (list.children.length > PARTS_MAX) list.firstElementChild.remove();
    },
  };
}

function resultNode(capability, sent, result, chunks, progress) {
  const level = result.outcome === "ok" ? "ok" : "bad";
  return el("article", { class: "result", "data-outcome": result.outcome },
    el("p", {}, chip({ word: result.outcome.replaceAll("_", " "), level }), ` ${capability} `, el("span", { class: "quiet" }, `after ${duration(result.took_ns)} `),
      result.trace_id ? el("a", { href: `#/traces/${result.trace_id}`, "data-trace": result.trace_id }, "Its trace") : null),
    result.code || result.text ? el("p", { class: "failed" }, [result.code, result.text].filter(Boolean).join(": ")) : null,
    progress.count > 0 ? progress.node : null, chunks.count > 0 ? chunks.node : null,
    result.skipped ? el("p", { class: "failed" }, `${count(result.skipped)} parts came too fast, and are not shown.`) : null,
    (result.outcome === "ok" && chunks.count === 0) || result.payload ? payloadNode(result) : null,
    el("details", {}, el("summary", {}, "What was sent"), parsed(sent) !== undefined ? prettyJson(parsed(sent)) : el("pre", {}, sent || "nothing")));
}

export async function showCall(holder, { parameters, signal, state }) {
  let capabilities;
  try {
    ({ capabilities } = await get("/api/bus/capabilities", signal));
  } catch (error) {
    if (error.name !== "AbortError") put(holder, noBroker(state, error));
    return {};
  }
  if (capabilities.length === 0) {
    put(holder, empty("Nothing can be called", "Capabilities show here when an agent provides some. Try: loom provide math.double -- sh -c 'read n; echo $((n * 2))'"));
    return {};
  }
  const wanted = parameters.get("invoke");
  const select = el("select", { id: "call-capability" }, capabilities.map(({ name, version }, i) => el("option", { value: i, selected: name === wanted }, version && version !== "0" ? `${name} ${version}` : name)));
  const deadline = el("input", { id: "call-deadline", type: "text", value: "30s", pattern: "\\d+(\\.\\d+)?(ms|s|m)", required: true, size: 6 });
  const about = el("div"), results = el("div", { "aria-live": "polite" }), button = el("button", { class: "primary" }, "Call");
  let input = null;

  function choose() {
    const capability = capabilities[Number(select.value)];
    input = inputOf(capability);
    put(about, capability.description ? el("p", {}, capability.description) : null,
      el("p", { class: "hint" }, `Provided by ${capability.providers.map(({ agent }) => agent).join(", ")}.`), input.node);
  }

  async function call(event) {
    event.preventDefault();
    const { name, version } = capabilities[Number(select.value)], sent = input.read();
    const query = new URLSearchParams({ version, deadline: deadline.value, content_type: parsed(sent) === undefined ? "text/plain" : "application/json", parts: "true" });
    const chunks = partsOf("parts"), progress = partsOf("reports of progress"), running = el("article", { class: "result", "data-outcome": "running" }, el("p", { class: "quiet" }, `${name} is running …`));
    button.disabled = true;
    button.textContent = "Calling …";
    try {
      results.prepend(running);
      const result = await postEvents(`/api/invoke/${encodeURIComponent(name)}?${query}`, sent, (event, part) => {
        if (event === "result") return;
        const parts = event === "chunk" ? chunks : progress;
        if (parts.count === 0) running.append(parts.node);
        parts.add(part);
      }, signal);
      if (result?.outcome === undefined) throw new Error("the view ended before the call did");
      running.replaceWith(resultNode(name, sent, result, chunks, progress));
    } catch (error) {
      if (error.name === "AbortError") return;
      running.replaceWith(el("p", { class: "result failed" }, `✕ ${error.message}`));
    } finally {
      button.disabled = false;
      button.textContent = "Call";
    }
    while (results.children.length > RESULTS_MAX) results.lastElementChild.remove();
  }

  select.addEventListener("change", choose);
  choose();
  put(holder, el("div", { class: "sides" }, el("form", { class: "sheet", onsubmit: call }, el("div", { class: "field" }, el("label", { for: "call-capability" }, "Capability"), select), about,
    el("div", { class: "field" }, el("label", { for: "call-deadline" }, "Deadline"), deadline), el("p", {}, button)), results));
  return { focus: () => select.focus(), back: () => { location.hash = "#/agents?tab=capabilities"; } };
}
