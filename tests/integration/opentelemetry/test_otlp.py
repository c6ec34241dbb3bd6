# SPDX-License-Identifier: Apache-2.0
"""Our OTLP, protobuf and JSON, decoded field by field by the official definitions (opentelemetry-proto)."""

import environment

if __name__ == "__main__":
    environment.enter()

import base64
import json
import pathlib
import subprocess
import tempfile
import unittest

from harness import BIN, clean_environment

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

ALL_KINDS = BIN.parent / "tests" / "all_kinds"
LONG = ("a value that is long enough for a length of two bytes, which takes one hundred and twenty-eight of "
        "them at the least, and so many there are")
# OTLP, "JSON Protobuf Encoding": these are hexadecimal, where proto3's JSON has base64
IDS = ("traceId", "spanId", "parentSpanId")


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(v) for v in any_value.array_value.values]
    return getattr(any_value, kind)


def attributes(items):
    assert len({a.key for a in items}) == len(items), "a key comes twice"
    return {a.key: value(a.value) for a in items}


def with_base64_ids(node):
    if isinstance(node, list):
        return [with_base64_ids(n) for n in node]
    if not isinstance(node, dict):
        return node
    return {k: base64.b64encode(bytes.fromhex(v)).decode() if k in IDS else with_base64_ids(v) for k, v in node.items()}


class Otlp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            protobuf, text = pathlib.Path(folder, "request.bin"), pathlib.Path(folder, "request.jsonl")
            subprocess.run([ALL_KINDS, protobuf, text], check=True, env=clean_environment())
            cls.request = ExportTraceServiceRequest.FromString(protobuf.read_bytes())
            cls.lines = text.read_text().splitlines()
        (cls.resource,) = cls.request.resource_spans
        (cls.scope,) = cls.resource.scope_spans
        cls.spans = {s.name: s for s in cls.scope.spans}

    def test_there_is_no_field_that_the_definitions_do_not_know(self):
        known = ExportTraceServiceRequest()
        known.CopyFrom(self.request)
        known.DiscardUnknownFields()
        self.assertEqual(self.request.SerializeToString(), known.SerializeToString())

    def test_resource_and_scope(self):
        resource = attributes(self.resource.resource.attributes)
        self.assertEqual("all", resource["service.name"])
        self.assertEqual("loom", resource["telemetry.sdk.name"])
        self.assertIsInstance(resource["process.pid"], int)
        self.assertEqual(("kinds", "2"), (self.scope.scope.name, self.scope.scope.version))
        self.assertEqual({"team": "payments", "shard": 7}, attributes(self.scope.scope.attributes))
        self.assertEqual("https://opentelemetry.io/schemas/1.30.0", self.scope.schema_url)
        self.assertEqual({"parent", "child"}, set(self.spans))

    def test_identity(self):
        parent, child = self.spans["parent"], self.spans["child"]
        self.assertEqual(bytes([1, 2, 3]).ljust(16, b"\0"), parent.trace_id)
        self.assertEqual(bytes([4, 5, 6]).ljust(8, b"\0"), parent.parent_span_id)
        self.assertEqual((parent.trace_id, parent.span_id), (child.trace_id, child.parent_span_id))
        self.assertEqual({8}, {len(parent.span_id), len(child.span_id)})
        self.assertEqual("v=1", parent.trace_state)
        self.assertEqual((0x301, 0x101), (parent.flags, child.flags))
        self.assertEqual((Span.SPAN_KIND_SERVER, Span.SPAN_KIND_PRODUCER), (parent.kind, child.kind))
        self.assertEqual((1700000000000000001, 1700000000000000004), (parent.start_time_unix_nano, parent.end_time_unix_nano))

    def test_attributes_of_every_type(self):
        self.assertEqual({
            "empty": "", "broken": "x\ufffd", "a.key.of.more.than.sixteen.and.of.more.than.thirty-two.bytes": LONG, "yes": True,
            "negative": -1, "double": 129.95, "again": "twice", "strings": ["a", "\u00fc"], "bools": [True, False],
            "ints": [-2**63, 2**63 - 1], "doubles": [0.5, -1e300]}, attributes(self.spans["parent"].attributes))
        self.assertEqual(0, self.spans["parent"].dropped_attributes_count)

    def test_events_links_and_status(self):
        parent, child = self.spans["parent"], self.spans["child"]
        self.assertEqual((128, 2), (len(parent.events), parent.dropped_events_count))
        self.assertTrue(all(e.name == "tick" and e.time_unix_nano > 0 for e in parent.events))
        (link,) = parent.links
        self.assertEqual((parent.trace_id, parent.parent_span_id, "l=2", 0x301, {"why": "cause"}),
                         (link.trace_id, link.span_id, link.trace_state, link.flags, attributes(link.attributes)))
        self.assertEqual((Status.STATUS_CODE_OK, ""), (parent.status.code, parent.status.message))
        self.assertEqual((Status.STATUS_CODE_ERROR, "no answer"), (child.status.code, child.status.message))
        (exception,) = child.events
        self.assertEqual(("exception", "Timeout", "no answer"),
                         (exception.name, *(attributes(exception.attributes)[f"exception.{k}"] for k in ("type", "message"))))

    def test_json_says_the_same(self):
        (line,) = self.lines
        decoded = json_format.ParseDict(with_base64_ids(json.loads(line)), ExportTraceServiceRequest())
        self.assertEqual(self.request, decoded)


if __name__ == "__main__":
    unittest.main()
