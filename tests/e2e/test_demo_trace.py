# SPDX-License-Identifier: Apache-2.0
"""The trace-test demo, asked about in a real Jaeger: every reading is one whole ladder, in both homes of the bridge."""

import unittest

import demos
import jaeger
import ladder
import spans

DEMO = jaeger.ROOT / "tools" / "demo.sh"
READINGS = 3


def setUpModule():
    global server  # unittest gives a module's fixture no other place
    server = unittest.enterModuleContext(jaeger.Jaeger())


class Readings:
    """What holds in each home of the bridge and over each protocol. The classes below say which."""

    protocol = "grpc"
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.expected = ladder.trace_test()
        cls.written = demos.run(server, DEMO, "--readings", str(READINGS), "--interval", "200", *cls.options,
                                protocol=cls.protocol)
        cls.trace_ids = [span.trace_id for span in cls.written if span.name == "sensor.emit_data" and not span.parent_id]
        if len(set(cls.trace_ids)) != READINGS:
            raise AssertionError(f"{len(set(cls.trace_ids))} traces instead of {READINGS}\n{spans.draw(cls.written)}")
        cls.traces = [server.wait_trace(trace_id, lambda found: len(found) >= len(cls.expected), demos.TRACE_DEADLINE_S)
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

    def test_jaegers_own_page_warns_of_nothing(self):
        for found in self.traces:
            self.assertEqual({}, server.page_warnings(found[0].trace_id))

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
