// SPDX-License-Identifier: Apache-2.0
// Failed spans grouped by their reason, the topic or capability they are about, and what they said. No DOM here.

/** Ids and numbers differ from one to the next of a kind. */
function kindOf(message) {
  return message.replaceAll(/\b[0-9a-f]{8,}(-[0-9a-f]{4,})*\b/gi, "…").replaceAll(/\d+/g, "0");
}

const reasonOf = (error) => error["error.type"] ?? (error.message || "error");
const placeOf = ({ topic, capability }) => topic ?? capability;

/** What one failure says in each of the spans that it went through is one failure: told by the last of them to begin that has
 *  a topic or capability. */
function once(errors) {
  const told = new Map(), rank = (error) => (placeOf(error) ? 1 : 0);
  for (const error of errors) {
    const key = [error.trace_id, ...(error.dropped ? [error.span_id] : [reasonOf(error), kindOf(error.message ?? "")])].join("\n"), was = told.get(key);
    if (!was || rank(error) > rank(was) || (rank(error) === rank(was) && error.start_unix_ns > was.start_unix_ns)) told.set(key, error);
  }
  return [...told.values()];
}

export function groupErrors(errors, filter = "") {
  const groups = new Map(), words = filter.toLowerCase();
  const wanted = words === "" ? errors : errors.filter((error) => Object.values(error).some((value) => String(value).toLowerCase().includes(words)));
  for (const error of once(wanted)) {
    const reason = reasonOf(error), message = error.message ?? "", key = [reason, placeOf(error) ?? `${error.name} of ${error.service}`, kindOf(message)].join("\n");
    if (!groups.has(key)) groups.set(key, { key, reason, message, errors: [] });
    groups.get(key).errors.push(error);
  }
  for (const group of groups.values()) {
    group.errors.sort((a, b) => b.start_unix_ns - a.start_unix_ns);
    [group.latest] = group.errors;
    group.name = group.latest.name ?? "(no name)";
  }
  return [...groups.values()].sort((a, b) => b.latest.start_unix_ns - a.latest.start_unix_ns);
}
