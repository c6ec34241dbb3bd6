// SPDX-License-Identifier: Apache-2.0
// The events that a filter selects, the newest on top, as they come. What is kept is bounded, and so is what the server sends.

import { get } from "./api.js";
import { el, empty, keyed, put } from "./dom.js";
import { bytes, count, rate, time } from "./format.js";
import { followBus } from "./live.js";
import { agentLink, noBroker, rowKeys, table } from "./parts.js";
import { payloadNode, preview } from "./payload.js";
import { Rates } from "./rates.js";

const KEPT = 500, SHOWN = 200;
const ANSWER_MS = 2000;

function meta(event) {
  const pairs = [["id", event.id], ["type", event.type], ["from", event.sender], ["thread", event.thread_id], ["correlation", event.correlation_id],
                 ["content type", event.content_type], ["ttl", event.ttl], ["size", bytes(event.payload_bytes)], ...Object.entries(event.headers ?? {})];
  return el("table", { class: "pairs" }, el("tbody", {}, pairs.filter(([, value]) => value !== undefined && value !== "").map(([key, value]) =>
    el("tr", {}, el("th", { scope: "row" }, key), el("td", {}, value)))));
}

function eventNode(event, opened) {
  const body = el("div", { class: "event-body" });
  const fill = () => {
    if (body.childElementCount > 0) return;
    put(body, payloadNode(event), meta(event));
  };
  const node = el("details", { open: opened.has(event.number), ontoggle: () => { if (node.open) { opened.add(event.number); fill(); } else opened.delete(event.number); } },
    el("summary", {}, el("span", { class: "when" }, time(event.timestamp_unix_ns / 1e6)), el("code", { class: "topic" }, event.topic),
      el("span", { class: "preview" }, preview(event))),
    body);
  if (node.open) fill();
  return el("div", { class: "event" }, node, event.trace_id && event.sampled ? el("a", { href: `#/traces/${event.trace_id}`, "data-trace": event.trace_id }, "trace") : el("span", { class: "quiet", title: "This message is not sampled" }, "untraced"));
}

function topicRow(topic) {
  return el("tr", { "data-topic": topic.topic }, el("td", {}, el("a", { href: `#/topics?${new URLSearchParams({ filter: topic.topic })}` }, topic.topic)),
    el("td", { class: "number" }, rate(topic.perSecond)), el("td", { class: "number extra" }, count(topic.published)),
    el("td", { class: "number extra" }, count(topic.subscriptions)), el("td", { class: topic.dropped > 0 ? "number failed" : "number" }, topic.dropped > 0 ? `✕ ${count(topic.dropped)}` : "0"));
}

export function showTail(holder, { parameters, signal, state, status }) {
  const filter = parameters.get("filter") ?? "";
  const input = el("input", { type: "text", value: filter, placeholder: "a filter such as sensor.> or orders.*.created", "aria-label": "Topics to tail", autocomplete: "off", spellcheck: "false" });
  const words = el("input", { type: "search", placeholder: "only lines with …", "aria-label": "Only lines with this text", autocomplete: "off", spellcheck: "false" });
  const pauseButton = el("button", { type: "button", "aria-pressed": "false", onclick: () => pause(still === null) }, "Pause");
  const note = el("p", { class: "hint", role: "status" }), list = el("div", { class: "events" });
  const go = (to) => { location.hash = `#/topics?${new URLSearchParams({ filter: to })}`; };
  const { body, node } = table([["Topic"], ["Rate", "number"], ["Published", "number extra"], ["Subscriptions", "number extra"], ["Dropped", "number"]], "Topics");
  const topics = el("section", { "aria-label": "Topics" }), more = el("p", { class: "hint" }), rates = new Rates(), opened = new Set();
  let events = [], still = null, number = 0, skipped = 0, drawing = 0; // still: what there was when it was paused

  put(holder, el("form", { class: "filter", onsubmit: (event) => { event.preventDefault(); go(input.value.trim()); } }, input, el("button", {}, "Tail"),
    filter ? [words, pauseButton, el("button", { type: "button", onclick: () => { events = []; if (still) still = []; draw(); } }, "Clear")] : null),
  note, el("div", { class: "tail" }, filter ? list : null, topics));
  words.addEventListener("input", () => draw());

  function draw() {
    const wanted = words.value.toLowerCase(), lines = still ?? events;
    const seen = lines.filter((event) => wanted === "" || `${event.topic} ${event.sender} ${event.payload ?? ""}`.toLowerCase().includes(wanted)).slice(0, SHOWN);
    if (seen.length === 0) put(list, empty(lines.length > 0 ? "No line has that text" : `Waiting for ${filter}`, lines.length > 0 ? "" : "Events show here as they are published. Topics of the broker (system.) are shown only when named."));
    else {
      if (list.firstElementChild?.classList.contains("empty")) list.replaceChildren();
      keyed(list, seen, (event) => String(event.number), () => "", (event) => eventNode(event, opened));
    }
    const left = number - events.length;
    note.textContent = [`${count(number)} received`, left > 0 ? `the latest ${count(events.length)} kept` : "", skipped > 0 ? `${count(skipped)} more were too fast to show` : "",
                        still ? "paused: new ones are kept back" : ""].filter(Boolean).join(" · ");
  }

  function later() {
    if (drawing === 0 && still === null) drawing = requestAnimationFrame(() => { drawing = 0; draw(); });
  }

  function pause(on) {
    still = on ? [...events] : null;
    pauseButton.setAttribute("aria-pressed", String(on));
    pauseButton.textContent = on ? "Go on" : "Pause";
    draw();
  }

  function listen() {
    const source = new EventSource(`/api/tail?${new URLSearchParams({ filter })}`);
    source.addEventListener("event", ({ data }) => {
      events.unshift({ ...JSON.parse(data), number: ++number });
      if (events.length > KEPT) events.length = KEPT;
      later();
    });
    source.addEventListener("skipped", ({ data }) => { skipped = JSON.parse(data).count; later(); });
    source.addEventListener("state", ({ data }) => {
      const { connected, problem } = JSON.parse(data);
      status(connected ? problem : `The view is not on the bus, and tries again: ${problem || "connecting"}`, !connected || problem !== "");
    });
    source.addEventListener("error", async () => { // it tries again by itself, unless the answer was an error
      if (source.readyState !== EventSource.CLOSED) {
        status("`loom view` does not answer, and is tried again: what is published meanwhile does not show here.", true);
        return;
      }
      try { // what EventSource does not tell
        await get(`/api/tail?${new URLSearchParams({ filter })}`, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
      } catch (error) {
        if (error.name === "TimeoutError") listen(); // there is an answer now, which does not end
        else if (error.name !== "AbortError") put(list, empty("This cannot be tailed", error.message));
      }
    });
    signal.addEventListener("abort", () => source.close());
  }

  function showTopics({ topics: answer }, ms) {
    rates.look(ms);
    const rows = answer.topics.map((topic) => ({ ...topic, perSecond: rates.of(topic.topic, topic.published) }))
      .sort((a, b) => b.published - a.published || a.topic.localeCompare(b.topic));
    if (rows.length === 0) put(topics, filter ? null : empty("Nothing has been published yet", "Publish something on the next tab, or: loom pub hello.all hello"));
    else if (node.parentNode !== topics) put(topics, more, node);
    more.textContent = answer.more ? `The ${count(rows.length)} that are published to most; others can be tailed by their names.` : "";
    topics.classList.remove("stale");
    if (!filter) status("");
    keyed(body, rows, ({ topic }) => topic, JSON.stringify, topicRow);
    keys.mark();
  }

  function failTopics(error) {
    topics.classList.add("stale");
    if (filter) return; // the tail itself says how it is
    if (node.parentNode === topics) status(error.message, true);
    else put(topics, noBroker(state, error));
  }

  const keys = filter ? rowKeys(list, ({ firstElementChild: details }) => { details.open = !details.open; }) : rowKeys(body, (row) => row.querySelector("a").click());
  followBus(["topics"], showTopics, failTopics, signal);
  if (filter) {
    draw();
    listen();
  }
  return { ...keys, focus: () => input.focus(), pause: () => pause(still === null), back: () => go("") };
}
