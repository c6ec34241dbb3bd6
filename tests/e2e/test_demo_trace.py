# SPDX-License-Identifier: Apache-2.0
"""The trace-test demo, asked about in a real Jaeger: every reading is one whole ladder, in both homes of the bridge."""

import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

import jaeger
import ladder
import spans

DEMO = jaeger.ROOT / "tools" / "demo.sh"
READINGS = 3
DEMO_DEADLINE_S = 120.0
TRACE_DEADLINE_S = 30.0


def setUpModule():
    global server  # unittest gives a module's fixture no other place
    server = unittest.enterModuleContext(jaeger.Jaeger())


def demo_environment(protocol):
    """Nothing of the caller's telemetry settings; the protocol is named only where it is not the default."""
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith("OTEL_") and key != "LOOM_SPANS_FILE"}
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.endpoint(protocol)
    if protocol != "grpc":
        environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
    return environment


def run_demo(protocol, options):
    """The spans that the demo's processes wrote to their file, which tells which traces to ask Jaeger for."""
    with tempfile.TemporaryDirectory(prefix="loom-e2e-") as folder:
        file = pathlib.Path(folder) / "spans.jsonl"
        command = [DEMO, "--readings", str(READINGS), "--interval", "200", "--spans", file, *options]
        # A session of its own, so that a demo that hangs is ended with every process that it started.
        demo = subprocess.Popen(command, env=demo_environment(protocol), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
                                preexec_fn=jaeger.die_with_parent)
        try:
            output, _ = demo.communicate(timeout=DEMO_DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(demo.pid, signal.SIGKILL)
            output, _ = demo.communicate()
            raise AssertionError(f"the demo did not end within {DEMO_DEADLINE_S} s\n{output}") from None
        if demo.returncode != 0:
            raise AssertionError(f"the demo ended with status {demo.returncode}\n{output}")
        if not file.exists():
            raise AssertionError(f"the demo wrote no spans\n{output}")
        return spans.parse_lines(file.read_text())


class Readings:
    """What holds in each home of the bridge and over each protocol. The classes below say which."""

    protocol = "grpc"
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.expected = ladder.trace_test()
        cls.written = run_demo(cls.protocol, cls.options)
        cls.trace_ids = [span.trace_id for span in cls.written if span.name == "sensor.emit_data" and not span.parent_id]
        if len(set(cls.trace_ids)) != READINGS:
            raise AssertionError(f"{len(set(cls.trace_ids))} traces instead of {READINGS}\n{spans.draw(cls.written)}")
        cls.traces = [server.wait_trace(trace_id, lambda found: len(found) >= len(cls.expected), TRACE_DEADLINE_S)
                      for trace_id in cls.trace_ids]

    def test_every_reading_starts_one_trace(self):
        self.assertEqual(READINGS, len(self.trace_ids), spans.draw(self.written))

    def test_every_trace_is_the_whole_ladder(self):
        for found in self.traces:
            ladder.assert_ladder(found, self.expected)

    def test_every_hop_names_its_message(self):
        for found in self.traces:
            ladder.assert_searchable(ladder.assert_ladder(found, self.expected), self.expected)

    def test_jaeger_finds_nothing_odd(self):
        for found in self.traces:
            ladder.assert_nothing_odd(found)

    def test_jaeger_holds_exactly_what_the_processes_wrote(self):
        for found in self.traces:
            written = {(span.span_id, span.parent_id, span.name, span.service, span.start_ns, span.end_ns)
                       for span in self.written if span.trace_id == found[0].trace_id}
            held = {(span.span_id, span.parent_id, span.name, span.service, span.start_ns, span.end_ns) for span in found}
            self.assertEqual(written, held)

    def test_a_message_is_found_by_its_event_id(self):
        for found in self.traces:
            for delivery in (span for span in found if span.name == "agent.on_event"):
                tags = {"event_id": delivery.attributes["event_id"]}
                self.assertEqual({delivery.trace_id}, server.search(delivery.service, tags))


class WithTheBridgeInItsOwnProcess(Readings, unittest.TestCase):
    pass


class WithTheBridgeInsideTheBroker(Readings, unittest.TestCase):
    options = ("--in-process-bridge",)


class OverHttp(Readings, unittest.TestCase):
    protocol = "http/protobuf"


if __name__ == "__main__":
    jaeger.require()
    unittest.main()
