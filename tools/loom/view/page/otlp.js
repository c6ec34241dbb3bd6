// SPDX-License-Identifier: Apache-2.0
// OTLP/JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding) as a list of spans. Times become nanoseconds
// since the trace began: as they stand they are too large for a Number.

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];

export function valueText(value) {
  if (value === undefined || value === null) return "";
  if ("stringValue" in value) return value.stringValue;
  if ("arrayValue" in value) return `[${(value.arrayValue.values ?? []).map(valueText).join(", ")}]`;
  if ("kvlistValue" in value) return `{${(value.kvlistValue.values ?? []).map(({ key, value }) => `${key}: ${valueText(value)}`).join(", ")}}`;
  return String(Object.values(value)[0] ?? "");
}

const pairs = (attributes) => (attributes ?? []).map(({ key, value }) => [key, valueText(value)]);

function* spansOf(request) {
  for (const { resource, scopeSpans } of request.resourceSpans ?? []) {
    const service = valueText(resource?.attributes?.find(({ key }) => key === "service.name")?.value);
    for (const { spans } of scopeSpans ?? []) {
      for (const span of spans ?? []) yield [service, span];
    }
  }
}

export function readTrace(request) {
  const all = [...spansOf(request)], missing = new Map((request.missing ?? []).map(({ spanId, text }) => [spanId, text]));
  const begin = all.reduce((least, [, { startTimeUnixNano }]) => {
    const start = BigInt(startTimeUnixNano ?? 0);
    return least === null || start < least ? start : least;
  }, null) ?? 0n;
  const since = (text) => Number(BigInt(text ?? 0) - begin);
  const spans = all.map(([service, span]) => ({
    id: span.spanId,
    parent: span.parentSpanId || null,
    name: span.name,
    kind: KINDS[span.kind ?? 0] ?? "unspecified",
    service,
    start: since(span.startTimeUnixNano),
    end: Math.max(since(span.endTimeUnixNano), since(span.startTimeUnixNano)),
    error: span.status?.code === 2,
    message: span.status?.message ?? "",
    missing: missing.get(span.spanId) ?? "",
    attributes: pairs(span.attributes),
    events: (span.events ?? []).map((event) => ({ name: event.name, at: since(event.timeUnixNano), attributes: pairs(event.attributes) })),
    logs: [],
    links: (span.links ?? []).map(({ traceId, spanId }) => ({ traceId, spanId })),
  }));
  spans.sort((a, b) => a.start - b.start || b.end - a.end);
  return { beginMs: Number(begin / 1000000n), begin, spans, incomplete: request.incomplete === true };
}

/** Log records of /api/logs as what the page shows, on the same scale of time. Of which span: "" when it is not said. */
export function readLogs(logs, begin) {
  const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  return logs.map(({ time_unix_ns: at, span_id: spanId, severity, severity_text: word, event, body, service, attributes }) => ({
    spanId: spanId ?? "", service: service ?? "", at: Number(BigInt(at) - begin), level: severity ?? 0,
    word: word || (["", "trace", "debug", "info", "warn", "error", "fatal"][Math.ceil((severity ?? 0) / 4)] ?? ""),
    text: body !== undefined ? plain(body) : event ?? "", attributes: (attributes ?? []).map(([key, value]) => [key, plain(value)]),
  }));
}
