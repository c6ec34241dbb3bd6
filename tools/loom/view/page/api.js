// SPDX-License-Identifier: Apache-2.0
// What the server is asked. An error says what the server said.

export function get(path, signal) {
  return ask(path, { signal });
}

export function post(path, body, signal) {
  return ask(path, { method: "POST", body, signal, headers: { "Content-Type": "application/octet-stream" } });
}

/** Posts, and calls told(event, data) for each event of the answer as it comes; resolves with the data of the last one. */
export async function postEvents(path, body, told, signal) {
  const response = await respond(path, { method: "POST", body, signal, headers: { "Content-Type": "application/octet-stream" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "", last = null;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += part.value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const [, event, data] = text.slice(0, end).match(/^event: (.*)\ndata: ([^]*)$/) ?? [];
      text = text.slice(end + 2);
      if (event !== undefined) told(event, last = JSON.parse(data));
    }
  }
  return last;
}

/** The answer, if it is one. */
async function respond(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw Object.assign(new Error("`loom view` does not answer: is it still running?"), { isOfView: true });
  }
  if (response.ok) return response;
  const text = await response.text();
  let detail = text;
  try {
    detail = JSON.parse(text).detail;
  } catch { /* as it stands */ }
  throw new Error(detail || `the server answers ${response.status}`);
}

/** options: as fetch() takes them. */
export async function ask(path, options) {
  return JSON.parse(await (await respond(path, options)).text());
}

/** The answers of the control socket to several questions, by their names. */
export async function askBus(names, signal) {
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await get(`/api/bus/${name}`, signal)])));
}

/** Asks again and again until the signal: each second while the page is seen. */
export async function poll(ask, show, fail, signal) {
  while (!signal.aborted) {
    if (!document.hidden) {
      try {
        show(await ask(signal));
      } catch (error) {
        if (error.name === "AbortError") return;
        fail(error);
      }
    }
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000);
      signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
    });
  }
}
