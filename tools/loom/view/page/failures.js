// SPDX-License-Identifier: Apache-2.0
// Failed spans grouped by their reason, where they failed, and what they said. No DOM here.

/** Ids and numbers differ from one to the next of a kind. */
function kindOf(message) {
  return message.replaceAll(/\b[0-9a-f]{8,}(-[0-9a-f]{4,})*\b/gi, "…").replaceAll(/\d+/g, "0");
}

export function groupErrors(errors, filter = "") {
  const groups = new Map(), wanted = filter.toLowerCase();
  for (const error of errors) {
    if (wanted !== "" && !Object.values(error).some((value) => String(value).toLowerCase().includes(wanted))) continue;
    const message = error.message ?? "", reason = error["error.type"] ?? (message || "error");
    const key = [reason, error.name, error.service, error.topic ?? error.capability ?? "", kindOf(message)].join("\n");
    if (!groups.has(key)) groups.set(key, { key, reason, message, name: error.name ?? "(no name)", errors: [] });
    groups.get(key).errors.push(error);
  }
  for (const group of groups.values()) {
    group.errors.sort((a, b) => b.start_unix_ns - a.start_unix_ns);
    [group.latest] = group.errors;
  }
  return [...groups.values()].sort((a, b) => b.latest.start_unix_ns - a.latest.start_unix_ns);
}
