# SPDX-License-Identifier: Apache-2.0
"""Spans as the tests look at them, read from OTLP/JSON: an export request, Loom's spans file, or Jaeger's answer."""

import json
from dataclasses import dataclass, field

# opentelemetry/proto/trace/v1/trace.proto, Span.SpanKind; JSON may carry the number or the name.
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
# Where Jaeger's query service writes what it finds odd about a span, such as a clock skew.
WARNINGS = "@jaeger@warnings"


@dataclass(frozen=True)
class Link:
    trace_id: str
    span_id: str


@dataclass
class Span:
    trace_id: str
    span_id: str
    parent_id: str  # "" for a root
    name: str
    kind: str  # one of KINDS
    service: str
    start_ns: int = 0
    end_ns: int = 0
    links: list = field(default_factory=list)
    attributes: dict = field(default_factory=dict)
    resource: dict = field(default_factory=dict)
    events: list = field(default_factory=list)  # (name, attributes)
    status: int = 0  # 0 unset, 1 ok, 2 error
    warnings: list = field(default_factory=list)


def _value(any_value):
    """An OTLP AnyValue as a Python value. 64-bit integers travel as text in JSON."""
    if "intValue" in any_value:
        return int(any_value["intValue"])
    if "arrayValue" in any_value:
        return [_value(item) for item in any_value["arrayValue"].get("values", [])]
    if "kvlistValue" in any_value:
        return _attributes(any_value["kvlistValue"].get("values", []))
    for key in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if key in any_value:
            return any_value[key]
    return None


def _attributes(pairs):
    return {pair["key"]: _value(pair.get("value", {})) for pair in pairs}


def _kind(kind):
    if isinstance(kind, str):
        return kind.removeprefix("SPAN_KIND_")
    return KINDS[kind]


def _span(data, resource):
    attributes = _attributes(data.get("attributes", []))
    return Span(
        trace_id=data["traceId"].lower(),
        span_id=data["spanId"].lower(),
        parent_id=data.get("parentSpanId", "").lower(),
        name=data["name"],
        kind=_kind(data.get("kind", 0)),
        service=resource.get("service.name", ""),
        start_ns=int(data.get("startTimeUnixNano", 0)),
        end_ns=int(data.get("endTimeUnixNano", 0)),
        links=[Link(link["traceId"].lower(), link["spanId"].lower()) for link in data.get("links", [])],
        warnings=attributes.pop(WARNINGS, []),
        attributes=attributes,
        resource=resource,
        events=[(event["name"], _attributes(event.get("attributes", []))) for event in data.get("events", [])],
        status=data.get("status", {}).get("code", 0),
    )


def parse(request):
    """The spans of one ExportTraceServiceRequest or TracesData, given as parsed JSON."""
    spans = []
    for of_resource in request.get("resourceSpans", []):
        resource = _attributes(of_resource.get("resource", {}).get("attributes", []))
        for of_scope in of_resource.get("scopeSpans", []):
            spans += [_span(data, resource) for data in of_scope.get("spans", [])]
    return spans


def parse_lines(text):
    """The spans of a file of export requests, one a line."""
    return [span for line in text.splitlines() if line.strip() for span in parse(json.loads(line))]


def draw(spans):
    """The trace as an indented tree, for the message of a failed assertion. Orphans come last, marked."""
    ids = {span.span_id for span in spans}
    children = {}
    for span in sorted(spans, key=lambda span: span.start_ns):
        children.setdefault(span.parent_id if span.parent_id in ids else None, []).append(span)
    lines, seen = [], set()

    def visit(span, depth):
        if id(span) in seen:  # two spans of one id, or a circle of parents
            return
        seen.add(id(span))
        orphan = f"  ORPHAN of {span.parent_id}" if depth == 0 and span.parent_id else ""
        links = "".join(f"  link {link.span_id}" for link in span.links)
        lines.append(f"{'  ' * depth}{span.name}  {span.kind}  {span.service}  {span.span_id}{links}{orphan}")
        for child in children.get(span.span_id, []):
            visit(child, depth + 1)

    for top in sorted(children.get(None, []), key=lambda span: bool(span.parent_id)):
        visit(top, 0)
    for span in spans:
        visit(span, 0)
    return "\n".join(lines) or "(no spans)"
