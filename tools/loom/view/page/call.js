// SPDX-License-Identifier: Apache-2.0
// A form that calls a capability, made of the JSON Schema it announces.

import { postEvents } from "./api.js";
import { el, empty, keyed, put } from "./dom.js";
import { partOf } from "./form.js";
import { count, duration } from "./format.js";
import { followBus } from "./live.js";
import { chip, noBroker } from "./parts.js";
import { jsonNode, payloadNode, parsed } from "./payload.js";
import { fieldsOf } from "./schema.js";

const RESULTS_MAX = 10;
const PARTS_MAX = 200; // of one call that are shown, the latest

const sorted = (_, value) => (typeof value === "object" && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort()) : value);
const isSame = (a, b) => JSON.stringify(a, sorted) === JSON.stringify(b, sorted);

/** Writes JSON text into a form. False: the form cannot say all of it. */
function fill(part, text) {
  try {
    const value = JSON.parse(text);
    part.write(value);
    return isSame(part.read(), value);
  } catch {
    return false;
  }
}

/** {node, read}: what is sent. A form where the schema can be one, JSON text always. */
function inputOf(capability) {
  const field = fieldsOf(capability.input_schema);
  const text = el("textarea", { id: "call-text", rows: 8, spellcheck: "false", placeholder: capability.input_schema ? "JSON" : "the payload, as it is sent" });
  const asText = el("div", { class: "field" }, el("label", { for: "call-text" }, "Payload"), text);
  if (field === null) return { node: asText, isJson: () => parsed(text.value) !== undefined, read: () => text.value };
  const part = partOf(field, undefined, true), holder = el("div", {}, part.node);
  let isText = false;

  function turn() {
    if (isText && !fill(part, text.value)) {
      text.setCustomValidity("The form cannot say this: it has to stay JSON.");
      text.reportValidity();
      text.setCustomValidity(""); // it can be sent
      return;
    }
    try {
      if (!isText) text.value = JSON.stringify(part.read() ?? {}, null, 2);
    } catch { // a field that takes JSON has something else, which would be lost
      holder.querySelector("textarea:invalid").reportValidity();
      return;
    }
    isText = !isText;
    put(holder, isText ? asText : part.node);
    toggle.textContent = isText ? "as a form" : "as JSON";
  }

  const toggle = el("button", { type: "button", class: "link", onclick: turn });
  toggle.textContent = "as JSON";
  return { node: el("div", {}, el("p", { class: "switch" }, toggle), holder), isJson: () => true, read: () => (isText ? text.value : JSON.stringify(part.read() ?? null)) };
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
    el("details", {}, el("summary", {}, "What was sent"), jsonNode(sent) ?? el("pre", {}, sent || "nothing")));
}

const idOf = ({ name, version }) => `${name} ${version}`;

/** The form: {node, update, focus}. update(capabilities): those that there are by now. */
function callForm(capabilities, first, signal) {
  const select = el("select", { id: "call-capability", onchange: () => choose(select.value) });
  const deadline = el("input", { id: "call-deadline", type: "text", value: "30s", pattern: "\\d+(\\.\\d+)?(ms|s|m)", required: true, size: 6 });
  const providers = el("p", { class: "hint" }), about = el("div"), results = el("div", { "aria-live": "polite" }), button = el("button", { class: "primary" }, "Call");
  let all = capabilities, capability = first, input = null;

  function choose(id) {
    capability = all.find((one) => idOf(one) === id) ?? capability;
    input = inputOf(capability);
    history.replaceState(null, "", `#/topics?${new URLSearchParams({ invoke: capability.name, version: capability.version })}`);
    put(about, capability.description ? el("p", {}, capability.description) : null, providers, input.node);
    update(all);
  }

  function update(now) {
    all = now;
    keyed(select, all.some((one) => idOf(one) === idOf(capability)) ? all : [...all, capability], idOf, idOf,
      (one) => el("option", { value: idOf(one) }, one.version && one.version !== "0" ? idOf(one) : one.name));
    select.value = idOf(capability);
    const agents = all.find((one) => idOf(one) === idOf(capability))?.providers ?? [];
    const text = agents.length > 0 ? `Provided by ${agents.map(({ agent }) => agent).join(", ")}.` : "Nobody provides it now.";
    if (providers.textContent !== text) providers.textContent = text;
  }

  async function call(event) {
    event.preventDefault();
    const { name, version } = capability, sent = input.read();
    const query = new URLSearchParams({ version, deadline: deadline.value, content_type: input.isJson() ? "application/json" : "text/plain", parts: "true" });
    const chunks = partsOf("parts"), progress = partsOf("reports of progress");
    const running = el("article", { class: "result", "data-outcome": "running" }, el("p", { class: "quiet" }, `${name} is running …`));
    button.disabled = true;
    button.textContent = "Calling …";
    try {
      results.prepend(running);
      const result = await postEvents(`/api/invoke/${encodeURIComponent(name)}?${query}`, sent, (kind, part) => {
        if (kind === "result") return;
        const parts = kind === "chunk" ? chunks : progress;
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

  choose(idOf(first));
  return { update, focus: () => select.focus(),
    node: el("div", { class: "sides" }, el("form", { class: "sheet", onsubmit: call }, el("div", { class: "field" }, el("label", { for: select.id }, "Capability"), select), about,
      el("div", { class: "field" }, el("label", { for: deadline.id }, "Deadline"), deadline), el("p", {}, button)), results) };
}

export function showCall(holder, { parameters, signal, state, status }) {
  const wanted = parameters.get("invoke"), version = parameters.get("version");
  let form = null;

  function show({ capabilities: { capabilities } }) {
    status("");
    capabilities.sort((a, b) => a.name.localeCompare(b.name) || a.version.localeCompare(b.version, undefined, { numeric: true }));
    const first = wanted === null ? capabilities[0] : capabilities.findLast((one) => one.name === wanted && (version === null || one.version === version));
    if (form) form.update(capabilities);
    else if (first) put(holder, (form = callForm(capabilities, first, signal)).node);
    else if (wanted !== null) put(holder, empty(`Nobody provides ${wanted}${version && version !== "0" ? ` ${version}` : ""}`, "Its form shows here when an agent does.", el("a", { href: "#/topics?tab=call" }, "What can be called")));
    else put(holder, empty("Nothing can be called", "Capabilities show here when an agent provides some. Try: loom provide math.double -- sh -c 'read n; echo $((n * 2))'"));
  }

  function fail(error) {
    status(error.message, true);
    if (!form) put(holder, noBroker(state, error));
  }

  followBus(["capabilities"], show, fail, signal);
  return { focus: () => form?.focus(), back: () => { location.hash = "#/agents?tab=capabilities"; } };
}
