// SPDX-License-Identifier: Apache-2.0
// How each agent and subscription is doing, out of what the control socket says. No DOM here.

const GONE_MAX = 100; // agents that stay in sight after they have gone
const QOS = ["batched", "realtime", "background"];

/** Worst first. level is how it is drawn; the word and the reason say it without colour. */
const VERDICTS = [
  { word: "stuck", level: "bad", why: "its queue has been full for too long: it loses messages" },
  { word: "slow", level: "warn", why: "its queue is full: publishers wait for it" },
  { word: "losing", level: "bad", why: "messages to it are being lost right now" },
  { word: "failing", level: "bad", why: "calls to it are failing right now" },
  { word: "behind", level: "warn", why: "messages wait in its queue" },
  { word: "silent", level: "warn", why: "it has missed heartbeats" },
  { word: "active", level: "ok", why: "it is connected and keeps up" },
  { word: "expired", level: "gone", why: "its session has ended" },
  { word: "gone", level: "gone", why: "it was here, and has left" },
];
const WORST = new Map(VERDICTS.map((verdict, i) => [verdict.word, { ...verdict, rank: i }]));

function addReasons(to, reasons) {
  for (const [reason, count] of Object.entries(reasons ?? {})) to[reason] = (to[reason] ?? 0) + count;
}

export function subscriptionRows(subscriptions, rates) {
  return (subscriptions ?? []).map((s) => {
    const key = `subscription ${s.subscriber} ${s.id}`;
    const perSecond = rates.of(key, s.delivered), losing = rates.of(`${key} dropped`, s.dropped) > 0;
    const word = s.overdue ? "stuck" : s.pressing ? "slow" : losing ? "losing" : s.queued > 0 ? "behind" : "active";
    return { ...s, qos: QOS[s.qos] ?? String(s.qos), key, perSecond, verdict: WORST.get(word) };
  }).sort((a, b) => a.verdict.rank - b.verdict.rank || b.queued - a.queued || a.subscriber.localeCompare(b.subscriber) || a.filter.localeCompare(b.filter));
}

function byAgent(rows, agentOf) {
  const groups = new Map();
  for (const row of rows) {
    const agent = agentOf(row);
    if (!groups.has(agent)) groups.set(agent, []);
    groups.get(agent).push(row);
  }
  return groups;
}

/** What the edges of one agent say: rates, losses by reason, failed calls by outcome. */
function flowOf(edges, rates) {
  const sum = { in: 0, out: 0, lost: {}, failed: {}, losing: false, failing: false };
  for (const edge of edges) {
    const key = `${edge.kind} ${edge.agent} ${edge.name}`;
    const perSecond = rates.of(key, edge.total), worse = rates.of(`${key} lost`, edge.lost) > 0;
    if (edge.kind === "publish" || edge.kind === "invoke") sum.out += perSecond;
    else sum.in += perSecond;
    if (edge.kind === "deliver") {
      addReasons(sum.lost, edge.reasons);
      sum.losing ||= worse;
    } else if (edge.kind === "provide") {
      addReasons(sum.failed, edge.reasons);
      sum.failing ||= worse;
    }
  }
  return sum;
}

function agentRow(agent, own, edges, rates, isPart) {
  const flow = flowOf(edges, rates);
  const words = [agent.state, ...own.map(({ verdict }) => verdict.word), ...(flow.losing ? ["losing"] : []), ...(flow.failing ? ["failing"] : [])];
  const verdict = words.map((word) => WORST.get(word) ?? WORST.get("active")).reduce((a, b) => (b.rank < a.rank ? b : a));
  return {
    ...agent, ...flow, own, isUntold: isPart && edges.length === 0, verdict: agent.state === "expired" ? WORST.get("expired") : verdict,
    queued: own.reduce((sum, s) => sum + s.queued, 0), queuedBytes: own.reduce((sum, s) => sum + s.queued_bytes, 0),
    credit: own.length > 0 ? own[0].credit_messages : null, creditBytes: own.length > 0 ? own[0].credit_bytes : null,
  };
}

/** Remembers who was there. */
export class Agents {
  #seen = new Map();

  /** Rows, the worst first; those that have gone last. isPart: there are edges that are not told. */
  rows(agents, subscriptions, edges, rates, isPart = false) {
    const here = new Set(agents.map(({ agent }) => agent));
    const owned = byAgent(subscriptions, ({ subscriber }) => subscriber), joined = byAgent(edges.filter(({ other }) => other !== "agent"), ({ agent }) => agent);
    for (const agent of agents) this.#seen.set(agent.agent, agentRow(agent, owned.get(agent.agent) ?? [], joined.get(agent.agent) ?? [], rates, isPart));
    const gone = [...this.#seen.keys()].filter((name) => !here.has(name));
    for (const name of gone) {
      this.#seen.set(name, { ...this.#seen.get(name), state: "gone", verdict: WORST.get("gone"), heard_ms_ago: null, in: 0, out: 0, queued: 0, queuedBytes: 0, credit: null, own: [] });
    }
    for (const name of gone.slice(0, Math.max(0, gone.length - GONE_MAX))) this.#seen.delete(name);
    return [...this.#seen.values()].sort((a, b) => a.verdict.rank - b.verdict.rank || b.queued - a.queued || a.agent.localeCompare(b.agent));
  }
}
