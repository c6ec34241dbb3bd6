// SPDX-License-Identifier: Apache-2.0
// What the server is asked. An error says what the server said.

export function get(path, signal) {
  return ask(path, { signal });
}

export function post(path, body, signal) {
  return ask(path, { method: "POST", body, signal, headers: { "Content-Type": "application/octet-stream" } });
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("`loom view` does not answer: is it still running?");
  }
  const text = await response.text();
  if (!response.ok) {
    let detail = text;
    try {
      detail = JSON.parse(text).detail;
    } catch { /* as it stands */ }
    throw new Error(detail || `the server answers ${response.status}`);
  }
  return JSON.parse(text);
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
