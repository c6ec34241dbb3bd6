// SPDX-License-Identifier: Apache-2.0
// Failed spans grouped by their reason, the topic or capability they are about, and what they said. No DOM here.

/** What one failed call says in each of the spans that it went through is one failure, told by the last of them to begin. */
function once(errors) {
  const last = new Map();
  for (const error of errors) {
    const key = error.dropped ? `${error.trace_id} ${error.span_id}` : error.trace_id;
    if (!(last.get(key)?.start_unix_ns > error.start_unix_ns)) last.set(key, error);
  }
  return [...last.values()].sort((a, b) => b.start_unix_ns - a.start_unix_ns);
}

/** Ids and numbers differ from one to the next of a kind. */
function kindOf(message) {
  return message.replaceAll(/\b[0-9a-f]{8,}(-[0-9a-f]{4,})*\b/gi, "…").replaceAll(/\d+/g, "0");
}

export function groupErrors(errors, filter = "") {
  const groups = new Map(), wanted = filter.toLowerCase();
  for (const error of errors) {
    if (wanted !== "" && !Object.values(error).some((value) => String(value).toLowerCase().includes(wanted))) continue;
    const message = error.message ?? "", reason = error["error.type"] ?? (message || "error");
    const key = [reason, error.topic ?? error.capability ?? `${error.name} of ${error.service}`, kindOf(message)].join("\n");
    if (!groups.has(key)) groups.set(key, { key, reason, message, errors: [] });
    groups.get(key).errors.push(error);
  }
  for (const group of groups.values()) {
    group.errors = once(group.errors);
    [group.latest] = group.errors;
    group.name = group.latest.name ?? "(no name)";
  }
  return [...groups.values()].sort((a, b) => b.latest.start_unix_ns - a.latest.start_unix_ns);
}
