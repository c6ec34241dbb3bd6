# SPDX-License-Identifier: Apache-2.0
"""/metrics, /healthz and /readyz, and what contrib/ has for Prometheus and Grafana, in a real Prometheus after real traffic."""

import json
import pathlib
import re
import shutil
import signal
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request

from harness import Home, IN_BROKER, LoomTest, OWN_PROCESS, wait_until
from test_counters import free_port

CONTRIB = pathlib.Path(__file__).resolve().parents[2] / "contrib"


def get(port, path, **headers):
    """Status, body and content type."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(), refused.headers["Content-Type"]


class Measured(LoomTest):
    def measured(self, kind=IN_BROKER, **options):
        self.port = free_port()
        home = Home(kind, serving=("--metrics-listen", f"http://127.0.0.1:{self.port}", "--heartbeat-interval", "300s"), **options)
        home.start()
        self.homes.append(home)
        self.addCleanup(home.__exit__, None)
        return home

    def traffic(self, home, count=20):
        taker, sender = self.agent(home, "taker"), self.agent(home, "sender")
        taker.subscribe("measured.>")
        for _ in range(count):
            sender.publish("measured.here", b"x")
        taker.wait_events(count)
        home.loom("invoke", "nobody.there", "x", code=5)


class Health(Measured):
    def test_a_broker_is_healthy_and_ready_until_it_drains(self):
        home = self.measured(broker=("--drain-timeout", "60s"))
        self.assertEqual((200, "ok"), tuple(text.strip() if isinstance(text, str) else text for text in get(self.port, "/healthz")[:2]))
        self.assertEqual(200, get(self.port, "/readyz")[0])
        slow = self.agent(home, "slow", credit_messages=1)
        slow.credit_step = 0
        slow.subscribe("flow")
        sender = self.agent(home, "sender")
        for _ in range(3):
            sender.publish("flow", b"x")
        sender.sync()
        wait_until(lambda: home.stats()["eventbus"]["queued"] == 2, "two wait")
        home.broker.signal(signal.SIGTERM)
        wait_until(lambda: "shutting down" in home.broker.err, "the drain begins")
        status, text, _ = get(self.port, "/readyz")
        self.assertEqual((503, "draining"), (status, text.strip()))
        self.assertEqual(200, get(self.port, "/healthz")[0])
        home.broker.signal(signal.SIGTERM)
        home.broker.wait()
        home.broken_on_purpose.add(home.broker.pid)

    def test_a_bridge_without_its_broker_is_healthy_and_not_ready(self):
        home = self.measured(OWN_PROCESS)
        wait_until(lambda: get(self.port, "/readyz")[0] == 200, "it is ready")
        home.kill(home.broker)
        wait_until(lambda: get(self.port, "/readyz")[:1] == (503,), "it is not ready any more")
        self.assertEqual("waiting for the broker", get(self.port, "/readyz")[1].strip())
        self.assertEqual(200, get(self.port, "/healthz")[0])


class Metrics(Measured):
    def test_the_process_its_build_and_single_topics_and_agents_are_there(self):
        home = self.measured()
        self.traffic(home)
        _, text, kind = get(self.port, "/metrics")
        self.assertTrue(kind.startswith("text/plain; version=0.0.4"))
        self.assertRegex(text, r'(?m)^loom_build_info\{program="loom-broker",version="[0-9.]+"\} 1$')
        for name in ("process_cpu_seconds_total", "process_open_fds", "process_max_fds", "process_resident_memory_bytes",
                     "process_virtual_memory_bytes", "process_start_time_seconds"):
            self.assertGreater(float(re.search(rf"(?m)^{name} (\S+)$", text)[1]), 0, name)
        self.assertRegex(text, r'(?m)^loom_topic_published_total\{topic="measured.here"\} 20$')
        self.assertRegex(text, r'(?m)^loom_agent_taken_total\{agent="taker"\} 20$')

    def test_single_series_have_a_cap(self):
        home = self.measured(broker=("--metrics-series", "3"))
        with home.agent("sender") as sender:
            for number in range(10):
                sender.publish(f"many.{number}", b"x")
            sender.sync()
        self.assertEqual(3, get(self.port, "/metrics")[1].count("\nloom_topic_published_total{"))

    def test_hops_and_calls_have_histograms_whose_exemplars_are_traces(self):
        home = self.measured()
        self.traffic(home)
        wait_until(lambda: 'loom_call_duration_seconds_count{outcome="no_responders"} 1' in get(self.port, "/metrics")[1], "spans have ended")
        _, text, kind = get(self.port, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
        self.assertTrue(kind.startswith("application/openmetrics-text; version=1.0.0"))
        self.assertTrue(text.endswith("# EOF\n"))
        self.assertEqual(1, text.count("# EOF"))
        self.assertRegex(text, r"(?m)^# TYPE loom_eventbus_published counter$")
        traces = {span.trace_id for span in home.spans()}
        found = set(re.findall(r'loom_hop_duration_seconds_bucket\{.*\} \d+ # \{.*trace_id="([0-9a-f]{32})"', text))
        self.assertTrue(found)
        self.assertLessEqual(found, traces)
        self.assertIn('loom_call_duration_seconds_count{outcome="no_responders"} 1', text)

    @unittest.skipUnless(shutil.which("promtool"), "no promtool (Debian: prometheus)")
    def test_promtool_finds_nothing_wrong(self):
        home = self.measured()
        self.traffic(home)
        text = get(self.port, "/metrics")[1]
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
        self.assertEqual((0, ""), (done.returncode, done.stdout + done.stderr))


@unittest.skipUnless(shutil.which("prometheus") and shutil.which("promtool"), "no Prometheus (Debian: prometheus)")
class Prometheus(Measured):
    def query(self, expression):
        url = f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        answer = json.loads(get(self.prometheus, url)[1])
        self.assertEqual("success", answer["status"], f"{expression}: {answer}")
        return answer["data"]["result"]

    def start(self, home):
        self.prometheus = free_port()
        shutil.copy(CONTRIB / "prometheus" / "loom-alerts.yml", home.folder)
        text = (CONTRIB / "prometheus" / "prometheus.yml").read_text()
        (home.folder / "prometheus.yml").write_text(text.replace("15s", "1s").replace("127.0.0.1:7780", f"127.0.0.1:{self.port}"))
        log = open(home.folder / "prometheus.log", "w")
        self.addCleanup(log.close)
        server = subprocess.Popen(["prometheus", f"--config.file={home.folder}/prometheus.yml", f"--storage.tsdb.path={home.folder}/tsdb",
                                   f"--web.listen-address=127.0.0.1:{self.prometheus}"], stdout=log, stderr=log)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)

        def answers():
            try:
                return get(self.prometheus, "/-/ready")[0] == 200
            except OSError:
                return False
        wait_until(answers, "Prometheus is up", 60)

    def test_rules_load_and_every_series_of_dashboard_and_alerts_is_there(self):
        done = subprocess.run(["promtool", "check", "rules", CONTRIB / "prometheus" / "loom-alerts.yml"], capture_output=True, text=True)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        home = self.measured()
        self.traffic(home)
        slow = self.agent(home, "slow", credit_messages=1)
        slow.credit_step = 0
        slow.subscribe("slow.topic")
        with home.agent("other") as other:
            for _ in range(3):
                other.publish("slow.topic", b"x")
            other.sync()
        self.start(home)
        wait_until(lambda: self.query('up{job="loom"} == 1'), "a scrape", 60)
        wait_until(lambda: self.query('loom_hop_duration_seconds_count{hop="eventbus.publish"} > 0'), "histograms", 60)
        rules = json.loads(get(self.prometheus, "/api/v1/rules")[1])["data"]["groups"][0]["rules"]
        self.assertEqual(8, len(rules))
        wait_until(lambda: all(rule["health"] == "ok" for rule in json.loads(get(self.prometheus, "/api/v1/rules")[1])["data"]["groups"][0]["rules"]),
                   "every rule was evaluated", 60)
        dashboard = json.loads((CONTRIB / "grafana" / "loom.json").read_text())
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]] + [rule["query"] for rule in rules]
        for expression in expressions:
            self.query(expression.replace("$__rate_interval", "1m").replace("$instance", ".*"))  # it is understood
            for name in re.findall(r"\b(?:loom|process)_[a-z_]+\b", expression):
                self.assertTrue(self.query(name), f"{name} of {expression}")


if __name__ == "__main__":
    unittest.main()
