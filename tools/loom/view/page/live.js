// SPDX-License-Identifier: Apache-2.0
// What the server tells by itself, instead of being asked each second. One stream for the whole page, of what its view follows,
// open while the page is seen; without it the server is asked each second, as before.

import { askBus, poll } from "./api.js";
import { Answer } from "./news.js";

const PAUSE_MS = 1000; // without a stream, or after a failure
const LONGEST_MS = 15000; // with one: to find out that the server has gone, and what no event tells

let source = null, changing = false;
const followers = new Map(), attached = new Set(); // by what they follow: how many; functions that a new stream is given to

function close() {
  source?.close();
  source = null;
}

function open() {
  close();
  if (document.hidden || followers.size === 0) return; // there are only so many streams
  source = new EventSource(`/api/stream?events=${[...followers.keys()].join(",")}`);
  for (const attach of attached) attach(source);
}

function reopen() {
  if (changing) return;
  changing = true;
  queueMicrotask(() => { changing = false; open(); }); // once for all that a view follows
}

document.addEventListener("visibilitychange", () => (document.hidden ? close() : reopen()));

/** Has the stream tell these kinds until the signal; attach is called with each new stream. */
function want(kinds, attach, signal) {
  for (const kind of kinds) followers.set(kind, (followers.get(kind) ?? 0) + 1);
  attached.add(attach);
  reopen();
  signal.addEventListener("abort", () => {
    for (const kind of kinds) {
      if (followers.get(kind) === 1) followers.delete(kind);
      else followers.set(kind, followers.get(kind) - 1);
    }
    attached.delete(attach);
    reopen();
  }, { once: true });
}

/** Resolves at the next event of this kind, or when it is time to ask anyway. */
function changed(kind, signal) {
  return new Promise((resolve) => {
    const stream = source?.readyState === EventSource.OPEN ? source : null;
    const done = () => {
      clearTimeout(timer);
      stream?.removeEventListener(kind, done);
      stream?.removeEventListener("error", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, stream ? LONGEST_MS : PAUSE_MS);
    stream?.addEventListener(kind, done);
    stream?.addEventListener("error", done);
    signal.addEventListener("abort", done);
  });
}

/** As poll() of api.js, but asks when the server says that `kind` has changed. */
export async function follow(kind, ask, show, fail, signal) {
  if (signal.aborted) return;
  want([kind], () => {}, signal);
  while (!signal.aborted) {
    const news = changed(kind, signal); // what comes while the answer is under way is not missed
    if (!document.hidden) {
      try {
        show(await ask(signal));
      } catch (error) {
        if (error.name === "AbortError") return;
        fail(error);
      }
    }
    await news;
  }
}

/** Calls show(answers, ms) about once a second with the answers of the control socket to these questions, as they are then;
 *  fail(error) when the broker does not answer. Without a stream they are asked for. */
export function followBus(kinds, show, fail, signal) {
  if (signal.aborted) return;
  let asking = null;

  function ask() { // there is no stream
    if (asking) return;
    asking = new AbortController();
    signal.addEventListener("abort", () => asking?.abort(), { once: true });
    poll((abort) => askBus(kinds, abort), (answers) => show(answers, Date.now()), fail, asking.signal);
  }

  function stopAsking() {
    asking?.abort();
    asking = null;
  }

  want(kinds, (stream) => {
    const answers = new Map(kinds.map((kind) => [kind, new Answer()]));
    for (const [kind, answer] of answers) {
      stream.addEventListener(kind, ({ data }) => { if (!answer.take(JSON.parse(data))) reopen(); });
    }
    stream.addEventListener("look", ({ data }) => {
      const { at_unix_ms: at } = JSON.parse(data);
      if (stream !== source || ![...answers.values()].every(({ isKnown }) => isKnown)) return;
      stopAsking();
      show(Object.fromEntries([...answers].map(([kind, answer]) => [kind, answer.read(kind, at)])), at);
    });
    stream.addEventListener("broker", ({ data }) => {
      const { answers: is, detail } = JSON.parse(data);
      if (!is && stream === source) fail(new Error(detail));
    });
    stream.addEventListener("error", () => { if (stream === source) ask(); });
    stream.addEventListener("open", stopAsking);
  }, signal);
}
