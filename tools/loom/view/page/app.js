// SPDX-License-Identifier: Apache-2.0
// Which view is in sight: the URL says it, behind its #.

import { showAgent } from "./agent.js";
import { showAgents } from "./agents.js";
import { get } from "./api.js";
import { el, emptyView } from "./dom.js";
import { showCompare } from "./compare.js";
import { showErrors } from "./errors.js";
import { showFlow } from "./flow.js";
import { listen } from "./keys.js";
import { showTopics } from "./topics.js";
import { showTrace } from "./trace.js";
import { showTraces } from "./traces.js";

const main = document.getElementById("main"), line = document.getElementById("status");
let leave = new AbortController(), current = null, state = null, place = null;

function status(text, bad = false) {
  if (line.textContent === text) return;
  line.textContent = text;
  line.classList.toggle("bad", bad);
}

/** What the URL asks for: {view, id, query}. */
function asked() {
  const [, path, query] = location.hash.match(/^#?([^?]*)\??([^]*)$/), [, view, id] = path.split("/");
  try {
    return { view: view || "traces", id: id && decodeURIComponent(id), query };
  } catch { // that is no URL of ours
    return { view: "?", query };
  }
}

async function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave, { view, id, query } = asked();
  document.title = `${view[0].toUpperCase()}${view.slice(1)} – Loom`;
  if (place !== null && place !== `${view}/${id}`) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true }); // what had the focus goes with the old view
  }
  place = `${view}/${id}`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${view === "compare" ? "traces" : view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  status("");
  try {
    state ??= await get("/api/state", signal);
  } catch (error) {
    if (error.name !== "AbortError") main.replaceChildren(emptyView("The view cannot be shown", error.message));
    return;
  }
  const context = { id, parameters: new URLSearchParams(query), signal, state, status };
  const views = { traces: id ? showTrace : showTraces, compare: showCompare, flow: showFlow, topics: showTopics, errors: showErrors, agents: id ? showAgent : showAgents };
  current = null;
  if (!Object.hasOwn(views, view)) {
    main.replaceChildren(emptyView("There is no such view", el("a", { href: "#/traces" }, "To the traces")));
    return;
  }
  try {
    const shown = await views[view](main, context);
    if (!signal.aborted) current = shown; // and nobody has gone elsewhere meanwhile
  } catch (error) { // of ours: an empty page would say less
    console.error(error);
    main.replaceChildren(emptyView("This view cannot be shown", String(error)));
  }
}

document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme === "dark" ||
    (document.documentElement.dataset.theme === "" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
});
const help = document.getElementById("help");
listen(() => current, help);
document.getElementById("keys").addEventListener("click", () => help.showModal());
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash is the view's
  main.focus();
});
addEventListener("hashchange", show);
show();
