# SPDX-License-Identifier: Apache-2.0
"""What is counted: one table serves /metrics, the control socket's stats and counters, and `loom stats --counters`."""

import re
import socket
import subprocess
import unittest
import urllib.request

import control
from harness import BIN, LoomTest, in_both_homes, wait_until


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


SERIES = re.compile(r'^(\w+)(?:\{(\w+)="([^"]*)"\})? (\d+)$')


def fetch(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


def scrape(port):
    text = fetch(port)
    series = {}
    for line in text.splitlines():
        if not line.startswith(("#", "process_", "loom_build_info")):  # these are no counters of Loom's
            name, _, value, number = SERIES.match(line).groups()
            series[(name, value)] = int(number)
    kinds = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M)
    return series, dict(kinds), kinds


@in_both_homes
class Counters:
    def setUp(self):
        self.port, self.serving_port = free_port(), free_port()
        flags = {"broker": ["--metrics-listen", f"http://127.0.0.1:{self.port}"]}
        if self.kind == "own_process":
            flags["serving"] = ["--metrics-listen", f"http://127.0.0.1:{self.serving_port}"]
        self.bus = self.home(spans=False, **flags)

    def ask(self, **request):
        return control.ask(self.bus.control_path, **request)

    def publish(self, count):
        with self.bus.agent("taker") as taker, self.bus.agent("sender") as sender:
            taker.subscribe("counted.>")
            for i in range(count):
                sender.publish("counted.here", b"x")
            taker.wait_events(count)
        wait_until(lambda: self.ask(op="stats")["directory"]["agents"] == 0, "both have left")  # nothing changes any more

    def test_what_the_control_socket_describes_is_what_it_counts_and_what_is_scraped(self):
        self.publish(3)
        stats, (series, kinds, _) = self.ask(op="stats"), scrape(self.port)
        described = self.ask(op="counters")["counters"]
        self.assertGreater(len(described), 50)
        for c in described:
            value = stats[c["group"]][c["key"]]
            self.assertTrue(c["help"].endswith("."), c)
            self.assertEqual("counter" if c["kind"] == "total" else "gauge", kinds[c["metric"]], c)
            labels = {value for name, value in series if name == c["metric"]}
            self.assertEqual(set(value) if c["label"] else {None}, labels, c)
        groups = {c["group"] for c in described}
        for group in groups:
            self.assertEqual(set(stats[group]), {c["key"] for c in described if c["group"] == group})
        self.assertEqual(3, stats["eventbus"]["delivered"])
        for c in described:
            if not c["label"] and c["key"] != "control_requests":
                self.assertEqual(stats[c["group"]][c["key"]], series[(c["metric"], None)], c)

    def test_no_series_and_no_type_is_given_twice(self):
        for port in [self.port] + ([self.serving_port] if self.kind == "own_process" else []):
            series, kinds, all_kinds = scrape(port)
            self.assertEqual(len(kinds), len(all_kinds))
            self.assertTrue({name for name, _ in series} <= set(kinds))

    def test_the_serving_process_counts_what_agents_sent(self):
        self.publish(5)
        port = self.serving_port if self.kind == "own_process" else self.port
        wait_until(lambda: scrape(port)[0][("loom_bridge_forwarded_total", None)] == 5, "the bridge has forwarded them")
        series, _, _ = scrape(port)
        self.assertEqual(5, series[("loom_bridge_published_total", None)])
        self.assertEqual(0, series[("loom_bridge_connections_refused_total", None)])

    def test_loom_stats_prints_each_counter_with_its_meaning(self):
        self.publish(2)
        out = subprocess.run([BIN / "loom", "stats", "--counters", "--control", f"ipc://{self.bus.control_path}"],
                             capture_output=True, text=True, timeout=20, check=True).stdout
        self.assertRegex(out, r"(?m)^eventbus\.published +\d+  Events published\.$")
        self.assertRegex(out, r"(?m)^eventbus\.dropped\{reason=\"ttl_expired\"\} +0  Deliveries lost, by reason\.$")


@in_both_homes
class Tracing:
    """What tracing counts of itself stands in /metrics by the names of OpenTelemetry."""

    def setUp(self):
        self.port = free_port()
        self.bus = self.home(broker=["--metrics-listen", f"http://127.0.0.1:{self.port}"])

    def values(self, name):
        """Of each series of the name: its labels, as text, and the value."""
        return {labels: float(value)
                for labels, value in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", fetch(self.port), re.M)}

    def total(self, name, without="error_type"):
        return sum(value for labels, value in self.values(name).items() if without not in labels)

    def test_every_span_is_in_the_specified_metrics(self):
        with self.bus.agent("taker") as taker, self.bus.agent("sender") as sender:
            taker.subscribe("counted.>")
            for _ in range(10):
                sender.publish("counted.here", b"x")
            taker.wait_events(10)
        wait_until(lambda: self.total("otel_sdk_exporter_span_exported_total") >= 10, "spans are exported")
        wait_until(lambda: self.total("otel_sdk_span_live") == 0, "no span is live")
        started = self.total("otel_sdk_span_started_total")
        wait_until(lambda: self.total("otel_sdk_exporter_span_exported_total") == started, "all of them are exported")
        self.assertEqual(started, self.total("otel_sdk_processor_span_processed_total"))
        self.assertEqual(32768, self.total("otel_sdk_processor_span_queue_capacity"))
        self.assertEqual(0, self.total("otel_sdk_processor_span_queue_size"))
        self.assertEqual(0, self.total("otel_sdk_exporter_span_inflight"))
        self.assertGreater(self.total("otel_sdk_exporter_operation_duration_seconds_count"), 0)
        failed = {labels: value for labels, value in self.values("otel_sdk_processor_span_processed_total").items()
                  if "error_type" in labels}
        self.assertEqual(3, len(failed))
        self.assertEqual({0.0}, set(failed.values()))
        self.assertIn('otel_component_name="batching_span_processor/0"', next(iter(failed)))


if __name__ == "__main__":
    unittest.main()
