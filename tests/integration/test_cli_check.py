#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""loom check, and the JSON of lists."""

import json
import unittest

from harness import BIN, LoomTest, wait_until


class Check(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)
        self.environment = {"LOOM_CONTROL": f"ipc://{self.bus.control_path}", "XDG_CONFIG_HOME": str(self.bus.folder / "config")}

    def loom(self, *arguments, code=0, **environment):
        return self.bus.loom(*arguments, code=code, environment={**self.environment, **environment})

    def check(self, *arguments, code=0, **environment):
        return self.loom("check", *arguments, code=code, **environment).stdout

    def provide(self):
        provider = self.bus.run("loom", "provide", "--url", self.bus.url, "--id", "shouter", "text.upper", "--", "tr", "a-z", "A-Z")
        wait_until(lambda: "providing" in provider.err, "it provides")

    def test_a_connection(self):
        self.assertRegex(self.check("connection"), r"^LOOM OK: connected in \S+ ms \| connect_seconds=\S+;0\.5;5;0\n$")
        self.assertIn("LOOM CRITICAL: not connected: cannot connect: No such file",
                      self.check("connection", "--url", f"ipc://{self.bus.folder}/no.sock", "-c", "200ms", code=2))
        self.assertIn("LOOM WARNING", self.check("connection", "-w", "1ns", code=1))
        self.assertIn("LOOM UNKNOWN", self.check("connection", "-w", "soon", code=3))

    def test_an_agent(self):
        self.agent(self.bus, "there")
        self.assertIn("LOOM OK: agent there is active", self.check("agent", "there"))
        self.assertIn("LOOM CRITICAL: agent absent is not on the bus", self.check("agent", "absent", code=2))

    def test_a_topic(self):
        receiver = self.agent(self.bus, "receiver").subscribe("t")
        self.loom("pub", "t", "x")
        receiver.wait_events(1)
        self.assertIn("LOOM OK: topic t has 1 subscription, 1 published, 0 dropped | subscriptions=1", self.check("topic", "t"))
        self.assertIn("LOOM CRITICAL", self.check("topic", "t", "--least", "2", code=2))
        self.assertIn("nobody has published", self.check("topic", "u", code=2))

    def test_a_capability(self):
        self.assertIn("LOOM CRITICAL: capability text.upper has 0 providers", self.check("capability", "text.upper", code=2))
        self.provide()
        self.assertIn("LOOM OK: capability text.upper has 1 provider |", self.check("capability", "text.upper"))

    def test_a_queue(self):
        self.assertIn("LOOM OK", self.check("queue"))
        slow = self.agent(self.bus, "slow", credit_messages=1).subscribe("t")
        self.loom("pub", "t", "x", "-n", "20", "-q")
        slow.wait_events(1)
        wait_until(lambda: "LOOM WARNING" in self.loom("check", "queue", "slow", "-w", "5", code=(0, 1)).stdout, "messages wait")
        self.assertRegex(self.check("queue", "-w", "5", "-c", "10", code=2), r"LOOM CRITICAL: \d+ messages wait for slow on t \| waiting=\d+;5;10;0")
        self.assertIn("has no subscriptions", self.check("queue", "nobody", code=2))

    def test_the_same_for_programs(self):
        answer = json.loads(self.check("connection", "--json"))
        self.assertEqual(("connection", "OK", 0), (answer["check"], answer["status"], answer["code"]))
        self.assertGreater(answer["connect_seconds"], 0)
        self.assertNotIn("name", answer)
        self.assertIn('loom_check_status{check="agent",name="a\\"b"} 2\n', self.check("agent", 'a"b', "--prometheus", code=2))

    def test_what_cannot_be_asked_is_unknown(self):
        nowhere = {"LOOM_CONTROL": f"ipc://{self.bus.folder}/no.sock"}
        for arguments in (("agent", "x"), ("topic", "x"), ("capability", "x"), ("queue",)):
            self.assertIn("LOOM UNKNOWN: ", self.check(*arguments, code=3, **nowhere))
        for arguments in (("agent",), ("agent", "--what"), ("topic", "x", "--least", "few")):
            self.check(*arguments, code=3)

    # ---- JSON ----

    def test_times_are_text_schemas_objects_and_absent_is_absent(self):
        self.provide()
        [agent] = [a for a in json.loads(self.loom("agents", "--json").stdout)["agents"] if a["agent"] == "shouter"]
        self.assertRegex(agent["since_unix_ns"], r"^\d{19}$")
        [capability] = json.loads(self.loom("caps", "--json").stdout)["capabilities"]
        self.assertNotIn("input_schema", capability)


class Collector(LoomTest):
    def test_that_nobody_takes_traces_is_told_once_and_names_the_way_out(self):
        bus = self.home(spans=False, environment={"XDG_RUNTIME_DIR": None})
        runtime = bus.folder / "run"
        (runtime / "loom").mkdir(parents=True, mode=0o700)
        environment = {"XDG_RUNTIME_DIR": runtime, "OTEL_TRACES_EXPORTER": None, "OTEL_EXPORTER_OTLP_ENDPOINT": None}
        told = [bus.loom("pub", "t", "x", environment={k: v for k, v in environment.items() if v is not None} | {"OTEL_TRACES_EXPORTER": ""}).stderr
                for _ in range(3)]
        if told[0]:  # unless something listens on the default port here
            self.assertIn("OTEL_TRACES_EXPORTER=none", told[0])
        self.assertEqual(["", ""], told[1:])


if __name__ == "__main__":
    unittest.main()
