# SPDX-License-Identifier: Apache-2.0
"""Reads what a library has written on standard error, strictly as FORMAT.md has it."""

import dataclasses
import datetime
import json
import re

SPAN, ERROR = b"__LOOM_TRACE__:", b"__LOOM_TRACE_ERROR__: "
LINE_MAX = 262144
FIELDS = {"trace_id": str, "span_id": str, "parent_id": str, "name": str, "start_time": str, "end_time": str, "attributes": dict,
          "status": str, "status_message": str, "kind": str, "events": list, "links": list, "trace_state": str, "service": str,
          "scope": dict, "dropped_attributes": int, "dropped_events": int, "dropped_links": int}
REQUIRED = ("trace_id", "span_id", "name", "start_time", "end_time")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


@dataclasses.dataclass
class Lines:
    spans: list
    errors: list
    rest: str  # what is the program's

    @property
    def by_name(self):
        return {span["name"]: span for span in self.spans}

    @property
    def parents(self):
        """The name of each span's parent, by its own; None: it is not among these."""
        names = {span["span_id"]: span["name"] for span in self.spans}
        return {span["name"]: names.get(span.get("parent_id")) for span in self.spans}


def unique(pairs):
    """An object in which no name stands twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a name stands twice: {[name for name, _ in pairs]}")
    return found


def check(condition, why, span):
    if not condition:
        raise ValueError(f"{why}: {span}")


def nanoseconds(text):
    whole, _, fraction = text.removesuffix("Z").partition(".")
    at = datetime.datetime.fromisoformat(whole + "+00:00")
    return int(at.timestamp()) * 10**9 + int(fraction.ljust(9, "0") or 0)


def span_of(text):
    span = json.loads(text, object_pairs_hook=unique, parse_constant=lambda name: check(False, f"{name} is no JSON", text))
    json.dumps(span, ensure_ascii=False).encode()  # no lone surrogates
    check(not [name for name in REQUIRED if not span.get(name)], "a required field is not there", span)
    for name, value in span.items():
        check(isinstance(value, FIELDS[name]), f"{name} has the wrong type", span)
    check(span.get("status", "unset") in ("ok", "error", "unset"), "no status", span)
    check(re.fullmatch("[0-9a-f]{16}", span["span_id"]) and int(span["span_id"], 16), "no span id of a library", span)
    for time in [span["start_time"], span["end_time"]] + [event["time"] for event in span.get("events", ())]:
        check(TIME.fullmatch(time), f"{time} is no time", span)
    check(nanoseconds(span["start_time"]) <= nanoseconds(span["end_time"]), "ends before it starts", span)
    check(all(span.get("attributes", {})), "a name is empty", span)
    check(None not in span.get("attributes", {}).values(), "an attribute is null", span)
    check(len(span.get("attributes", ())) <= 128 and len(span.get("events", ())) <= 128, "too much", span)
    for event in span.get("events", ()):
        check(event["name"] and set(event) <= {"name", "time", "attributes"}, "no event", span)
    return span


def read(stderr):
    found = Lines([], [], "")
    for line in re.findall(rb"[^\n]*\n|[^\n]+$", stderr):
        if line.startswith(SPAN):
            check(line.endswith(b"\n") and len(line) <= LINE_MAX, f"a line of {len(line)} bytes", line[:100])
            found.spans.append(span_of(line[len(SPAN):].decode()))
        elif line.startswith(ERROR):
            check(line.endswith(b"\n") and len(line) <= 1024, f"a complaint of {len(line)} bytes", line[:100])
            found.errors.append(line[len(ERROR):].decode().rstrip("\n"))
        else:
            check(b"__LOOM_TRACE" not in line, "a marker within a line", line[:200])
            found.rest += line.decode(errors="replace")
    return found


def any_value(value):
    """An attribute as OTLP/JSON has it (FORMAT.md, "Values")."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and -2**63 <= value < 2**63:
        return {"intValue": str(value)}
    if isinstance(value, (int, float)):
        return {"doubleValue": float(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": key_values(value)}}
    return {} if value is None else {"stringValue": value}


def key_values(attributes):
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def otlp(span):
    """The ExportTraceServiceRequest of a span, for readers of OTLP/JSON."""
    events = [{"name": event["name"], "timeUnixNano": str(nanoseconds(event["time"])), "attributes": key_values(event["attributes"])}
              for event in span.get("events", ())]
    converted = {"traceId": span["trace_id"], "spanId": span["span_id"], "parentSpanId": span.get("parent_id", ""), "name": span["name"], "kind": 1,
                 "startTimeUnixNano": str(nanoseconds(span["start_time"])), "endTimeUnixNano": str(nanoseconds(span["end_time"])),
                 "attributes": key_values(span["attributes"]), "events": events,
                 "status": {"code": ["unset", "ok", "error"].index(span["status"]), "message": span.get("status_message", "")}}
    resource = {"attributes": key_values({"service.name": span.get("service", "command")})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "loom_trace"}, "spans": [converted]}]}]}
