# SPDX-License-Identifier: Apache-2.0
"""Tracing never slows or fails the bus: collectors that are dead, that refuse, that die; and one that lives."""

import json
import time
import unittest

import wire
from agent import payloads
from collector import OK, Answer, Collector
from harness import Home, in_both_homes, wait_until
import ladder
from spans import parse

COUNT = 5000


def exported_to(port, protocol="http/protobuf"):
    return {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}


@in_both_homes
class Exporters:
    def bus_works(self, environment, spans=False):
        """COUNT sampled messages cross the bus and arrive; returns how long that took."""
        bus = self.home(environment=environment, spans=spans, broker=("--drain-timeout", "1s"),
                        serving=("--drain-timeout", "1s"))
        receiver, sender = self.agent(bus, "receiver").subscribe("flow"), self.agent(bus, "sender")
        start = time.monotonic()
        for first in range(0, COUNT, 100):
            sender.publish_raw([wire.envelope("flow", b"%d" % number, "sender", hop=wire.new_hop())
                                for number in range(first, first + 100)])
        self.assertEqual([b"%d" % number for number in range(COUNT)], payloads(receiver.wait_events(COUNT)))
        return bus, time.monotonic() - start

    def ends_well(self, bus):
        for process in filter(None, (bus.bridge, bus.broker)):
            start = time.monotonic()
            self.assertEqual(0, process.stop())
            self.assertLess(time.monotonic() - start, 6, process.name)

    def test_a_collector_that_is_not_there_neither_slows_nor_fails_the_bus(self):
        without, plain = self.bus_works({})
        self.ends_well(without)
        for protocol in ("http/protobuf", "grpc"):
            with self.subTest(protocol):
                bus, took = self.bus_works(exported_to(1, protocol))  # nobody has port 1
                self.assertLess(took, plain + 20)  # a bus that waited would wait for 30 s a batch
                self.ends_well(bus)
                self.assertIn("span export failed", bus.serving.err)

    def test_spans_that_could_not_be_delivered_are_counted_in_the_log(self):
        bus, _ = self.bus_works(exported_to(1))
        self.ends_well(bus)
        self.assertRegex(bus.broker.err, r"spans were lost ended=\d+ exported=0 ")

    def test_a_collector_that_refuses_everything_fails_nothing(self):
        with Collector([Answer(http=400, grpc=3)]) as collector:
            bus, _ = self.bus_works(exported_to(collector.port))
            wait_until(lambda: collector.requests, "an export")
            self.ends_well(bus)

    def test_a_collector_that_dies_fails_nothing(self):
        collector = Collector([OK])
        with collector:
            bus, _ = self.bus_works(exported_to(collector.port))
            wait_until(lambda: collector.requests, "an export")
        sender = self.agent(bus, "second").subscribe("flow")
        sender.publish("flow", b"x", hop=wire.new_hop())
        sender.wait_events(1)
        self.ends_well(bus)

    def test_finished_spans_are_logged_when_they_are_asked_for(self):
        bus = self.home(environment={"LOOM_LOG_SPANS": "all,attr:messaging.destination.name"})
        receiver, sender = self.agent(bus, "receiver").subscribe("flow"), self.agent(bus, "sender")
        sender.publish("flow", b"x", hop=wire.new_hop())
        receiver.wait_events(1)
        self.ends_well(bus)
        lines = "".join(process.err for process in bus.processes).splitlines()
        records = {r["span_id"]: r for r in (json.loads(line) for line in lines if '"message":"span completed"' in line)}
        spans = {span.span_id: span for span in bus.spans()}
        self.assertGreater(len(spans), 1)
        self.assertEqual(set(spans), set(records))
        for span_id, span in spans.items():
            record = records[span_id]
            self.assertEqual((span.trace_id, span.parent_id, span.name, span.service, span.kind),
                             (record["trace_id"], record["parent_id"], record["operation"], record["service"], record["kind"]))
            self.assertAlmostEqual((span.end_ns - span.start_ns) / 1e6, record["duration_ms"], 6)
            self.assertEqual("info", record["level"])

    def test_masks_and_attributes_of_the_environment_hold_for_every_process(self):
        bus = self.home(environment={"LOOM_TRACE_MASK": "mail,fone", "LOOM_TRACE_ATTRIBUTES": "ring=blue"})
        receiver = bus.subscriber("orders.>", "--count", "1")
        bus.loom("pub", "orders.bob@example.com", "hello")
        self.assertEqual(0, receiver.wait())
        spans = bus.wait_spans(6)
        for span in spans:
            self.assertEqual("blue", span.attributes["ring"], span.name)
            self.assertNotIn("bob", str(span), span.name)
        self.assertIn("[mail]", [span.attributes.get("topic") for span in spans])
        self.assertIn("hello", receiver.out)
        wait_until(lambda: 'LOOM_TRACE_MASK: "fone" is none of' in bus.serving.err, "the log says so")

    def test_the_collector_of_the_command_line_gets_the_whole_ladder(self):
        bus = Home(self.kind, spans=False)
        port_file, database = bus.folder / "port", bus.folder / "traces.db"
        collector = bus.run("loom", "trace", "collect", "--listen", "127.0.0.1:0", "--port-file", port_file, "--db", database)
        wait_until(lambda: port_file.exists() and port_file.read_text() or not collector.running(), "the collector listens")
        self.assertTrue(collector.running(), collector.err)
        bus.environment.update(exported_to(port_file.read_text().strip()))
        self.enterContext(bus)
        receiver = bus.subscriber("greetings.>", "--count", "1")
        bus.loom("pub", "greetings.all", "hello")
        self.assertEqual(0, receiver.wait())
        self.ends_well(bus)
        expected = [ladder.Rung("loom pub", "INTERNAL", "loom-cli"), *ladder.hop("loom-cli", "loom-cli", first=1)]
        ladder.assert_ladder(parse(json.loads(bus.loom("trace", "show", "--last", "--json", "--db", database).stdout)), expected)


if __name__ == "__main__":
    unittest.main()
