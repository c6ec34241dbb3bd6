// SPDX-License-Identifier: Apache-2.0
// Keys go to the view in sight: {focus, next, previous, enter, back, pause}, each of which it may lack.

const ACTIONS = { "/": "focus", j: "next", k: "previous", Enter: "enter", p: "pause" };

export function listen(current, help) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.target.matches("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "?") help.showModal();
    else if (event.key === "Escape") current()?.back?.();
    else if (ACTIONS[event.key] && !(event.key === "Enter" && event.target.closest("a, button, summary"))) current()?.[ACTIONS[event.key]]?.();
    else return;
    event.preventDefault();
  });
}
