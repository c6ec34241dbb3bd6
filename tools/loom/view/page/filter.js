// SPDX-License-Identifier: Apache-2.0
// What the filter of the traces says: service topic=sensor.data duration>5ms, or key="a value with spaces". No DOM here.

const DURATION = /^duration([<>])=?(.+)$/;

export function words(text) {
  return [...text.matchAll(/(?:[^\s"]|"[^"]*")+/g)].map(([word]) => word.replaceAll('"', ""));
}

/** Of /api/traces. order: newest, slowest or failed. */
export function queryOf(text, order, limit) {
  const query = new URLSearchParams({ limit });
  for (const word of words(text)) {
    const at = word.indexOf("="), bound = DURATION.exec(word);
    if (bound) query.append(bound[1] === ">" ? "min_duration" : "max_duration", bound[2]);
    else if (at <= 0 || word.startsWith("service=")) query.append("service", at > 0 ? word.slice(at + 1) : word);
    else query.append("attribute", word);
  }
  if (order === "slowest") query.append("order", "slowest");
  if (order === "failed") query.append("failed", "true");
  return query.toString().replaceAll("+", "%20");
}
