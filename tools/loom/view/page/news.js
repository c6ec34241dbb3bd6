// SPDX-License-Identifier: Apache-2.0
// What the stream tells of the bus: all of an answer once, and then what is new in it (RFC 7396). No DOM here.

const LISTS = { agents: ["agents"], capabilities: ["capabilities"], topics: ["topics"], flow: ["edges"], stats: ["subscriptions", "topics"] };

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function merge(to, patch) {
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete to[name];
    else if (isObject(value) && isObject(to[name])) merge(to[name], value);
    else to[name] = value;
  }
}

/** One of the answers, as it is now. */
export class Answer {
  #version = 0;
  #whole = null;

  /** Takes an event; false: one before it was missed. */
  take({ version, since, whole, patch }) {
    if (whole !== undefined) this.#whole = whole;
    else if (this.#whole !== null && since === this.#version) merge(this.#whole, patch);
    else return false;
    this.#version = version;
    return true;
  }

  get isKnown() {
    return this.#whole !== null;
  }

  /** As the control socket has it: rows in lists. */
  read(kind, nowMs) {
    const answer = { ...this.#whole };
    for (const list of LISTS[kind]) answer[list] = Object.values(answer[list] ?? {});
    if (kind === "agents") answer.agents = answer.agents.map((agent) => ({ ...agent, heard_ms_ago: Math.max(0, nowMs - agent.heard_unix_ms) }));
    return answer;
  }
}
