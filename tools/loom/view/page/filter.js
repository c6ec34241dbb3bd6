// SPDX-License-Identifier: Apache-2.0
// What the filter of the traces says: service topic=sensor.data duration>5ms, or key="a value with spaces", in which \" and \\
// stand for themselves. No DOM here.

const DURATION = /^duration([<>])=?(.+)$/;
const QUOTED = /"((?:[^"\\]|\\.)*)"/g;

export function words(text) {
  return [...text.matchAll(/(?:[^\s"]|"(?:[^"\\]|\\.)*"|")+/g)]
    .map(([word]) => word.replaceAll(QUOTED, (_, inner) => inner.replaceAll(/\\(["\\])/g, "$1")));
}

/** One attribute as a word of the filter, whatever its value is. */
function word([key, value]) {
  return `${key}=${/[\s"\\]/.test(value) ? `"${value.replaceAll(/["\\]/g, "\\$&")}"` : value}`;
}

/** Where the traces are listed that have these attributes. */
export function tracesOf(attributes) {
  return `#/traces?${new URLSearchParams({ q: Object.entries(attributes).map(word).join(" ") })}`;
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
