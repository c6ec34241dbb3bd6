# SPDX-License-Identifier: Apache-2.0
"""The harness against the real Jaeger: what is sent comes back whole, is found by its tags, and oddities are reported."""

import os
import secrets
import subprocess
import time
import unittest

import jaeger
import ladder
from spans import KINDS

DEADLINE_S = 20.0


def otlp(spans, service, host="one-host"):
    """An ExportTraceServiceRequest of one resource."""
    attributes = [{"key": "service.name", "value": {"stringValue": service}}]
    if host:
        attributes.append({"key": "host.name", "value": {"stringValue": host}})
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"scope": {"name": "loom"},
                                                                                    "spans": spans}]}]}


def made(trace_id, span_id, parent_id, name, kind, start_ns, links=(), **attributes):
    """A span as OTLP/JSON, a millisecond long."""
    return {"traceId": trace_id, "spanId": span_id, "parentSpanId": parent_id, "name": name, "kind": KINDS.index(kind),
            "startTimeUnixNano": str(start_ns), "endTimeUnixNano": str(start_ns + 1_000_000),
            "links": [{"traceId": trace_id, "spanId": link} for link in links],
            "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]}


class ARealJaeger(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.jaeger = cls.enterClassContext(jaeger.Jaeger())

    def setUp(self):
        self.trace_id = secrets.token_hex(16)
        self.now = time.time_ns()

    def send_ladder(self, host="one-host"):
        """The trace of the demo, made by hand: one request per span, the last one first."""
        expected = ladder.trace_test()
        ids = [secrets.token_hex(8) for _ in expected]
        for index in reversed(range(len(expected))):
            rung, message = expected[index], f"{self.trace_id}-{(index - 1) // 5}"
            tags = {} if index == 0 else {"messaging.system": "loom", "agent_id": "a", "topic": "readings.raw",
                                          "event_id": message, "thread_id": message, "correlation_id": message}
            span = made(self.trace_id, ids[index], ids[index - 1] if index else "", rung.name, rung.kind,
                        self.now + index * 100_000, [] if rung.link_to is None else [ids[rung.link_to]], **tags)
            self.assertEqual(200, self.jaeger.send(otlp([span], rung.service, host)))
        return expected

    def wait_whole(self, expected):
        return self.jaeger.wait_trace(self.trace_id, lambda spans: len(spans) >= len(expected), DEADLINE_S)

    def test_a_ladder_that_was_sent_is_read_back_whole(self):
        expected = self.send_ladder()
        spans = self.wait_whole(expected)
        climbed = ladder.assert_ladder(spans, expected)
        ladder.assert_searchable(climbed, expected)
        ladder.assert_nothing_odd(spans)

    def test_a_trace_is_found_by_each_name_that_users_search_for(self):
        expected = self.send_ladder()
        self.wait_whole(expected)
        message = f"{self.trace_id}-0"
        for tag in ("event_id", "thread_id", "correlation_id"):
            self.assertEqual({self.trace_id}, self.jaeger.search("loom-broker", {tag: message}), tag)
        self.assertIn(self.trace_id, self.jaeger.search("agent-output", {"topic": "readings.raw", "agent_id": "a"}))
        self.assertEqual(set(), self.jaeger.search("loom-broker", {"event_id": "of nobody"}))

    def test_jaeger_warns_about_clocks_when_no_resource_names_its_host(self):
        spans = self.wait_whole(self.send_ladder(host=None))
        warned = [span for span in spans if any("clock skew" in warning for warning in span.warnings)]
        self.assertTrue(warned, "Jaeger no longer warns; docs/JAEGER.md says it does")

    def test_jaeger_warns_about_a_parent_that_is_not_in_the_trace(self):
        span = made(self.trace_id, "1" * 16, "2" * 16, "bridge.publish", "CONSUMER", self.now)
        self.jaeger.send(otlp([span], "loom-bridge"))
        spans = self.jaeger.wait_trace(self.trace_id, bool, DEADLINE_S)
        self.assertRegex(spans[0].warnings[0], "parent span ID=2222222222222222 is not in the trace")

    def test_looking_at_half_a_trace_leaves_no_warning_on_it(self):
        child = made(self.trace_id, "1" * 16, "2" * 16, "agent.emit", "PRODUCER", self.now)
        root = made(self.trace_id, "2" * 16, "", "sensor.emit_data", "INTERNAL", self.now)
        self.jaeger.send(otlp([child], "agent-sensor"))
        with self.assertRaisesRegex(TimeoutError, "ORPHAN of 2222222222222222"):
            self.jaeger.wait_trace(self.trace_id, lambda spans: len(spans) == 2, deadline_s=0.2)
        self.jaeger.send(otlp([root], "agent-sensor"))
        spans = self.jaeger.wait_trace(self.trace_id, lambda spans: len(spans) == 2, DEADLINE_S)
        ladder.assert_nothing_odd(spans)

    def test_an_unknown_trace_has_no_spans(self):
        self.assertEqual([], self.jaeger.trace(self.trace_id))


class TheScript(unittest.TestCase):
    def run_script(self, *arguments, **environment):
        return subprocess.run([jaeger.SCRIPT, *arguments], env={**os.environ, **environment}, capture_output=True, text=True,
                              timeout=60)

    def test_help_names_every_option(self):
        done = self.run_script("--help")
        self.assertEqual(0, done.returncode)
        for option in ("--otlp-grpc", "--otlp-http", "--query", "--health", "--build"):
            self.assertIn(option, done.stdout)

    def test_a_usage_error_is_status_two(self):
        for arguments in (["--nonsense"], ["--query"], ["--query", "http"], ["--query", "0"], ["--query", "65536"],
                          ["--query", "-1"], ["--query", ""]):
            done = self.run_script(*arguments)
            self.assertEqual(2, done.returncode, arguments)
            self.assertIn("jaeger.sh: ", done.stderr)

    def test_a_wrong_LOOM_JAEGER_is_an_error_and_not_built_around(self):
        for wrong in ("/no/such/jaeger", "/bin/true"):
            done = self.run_script("--build", LOOM_JAEGER=wrong)
            self.assertEqual(1, done.returncode)
            self.assertIn(f"LOOM_JAEGER is {wrong}", done.stderr)

    def test_build_prints_the_path_of_a_jaeger(self):
        done = self.run_script("--build")
        self.assertEqual(0, done.returncode, done.stderr)
        path = done.stdout.strip()
        self.assertEqual(path, self.run_script("--build", LOOM_JAEGER=path).stdout.strip())


if __name__ == "__main__":
    jaeger.require()
    unittest.main()
