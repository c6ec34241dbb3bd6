// SPDX-License-Identifier: Apache-2.0
// Asking again when the server says that there is something new, instead of each second. One stream for the whole page, open
// while a view follows something and the page is seen; without it a second is waited, as before.

const PAUSE_MS = 1000; // without a stream, or after a failure
const LONGEST_MS = 15000; // with one: to find out that the server has gone, and what no event tells

let source = null, followers = 0;

function open() {
  source ??= new EventSource("/api/stream?events=traces");
}

function close() {
  source?.close();
  source = null;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) close(); // there are only so many streams
  else if (followers > 0) open();
});

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
  followers++;
  if (!document.hidden) open();
  signal.addEventListener("abort", () => { if (--followers === 0) close(); }, { once: true });
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
