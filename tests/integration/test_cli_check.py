#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""loom check, loom completion, and the JSON of lists."""

import json
import shutil
import subprocess
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

    # ---- completion ----

    def words(self, *typed):
        return [line.split("\t")[0] for line in self.loom("completion", "words", "--", *typed).stdout.splitlines()]

    def test_verbs_options_and_what_is_on_the_bus_complete(self):
        self.assertEqual(["pub"], self.words("pu"))
        self.assertLessEqual({"pub", "sub", "trace", "check"}, set(self.words("")))
        self.assertEqual(["show"], self.words("trace", "sh"))
        self.assertIn("--rate", self.words("pub", "--ra"))
        self.assertIn("--since", self.words("trace", "ls", "--"))
        self.provide()
        receiver = self.agent(self.bus, "receiver").subscribe("orders.new")
        self.loom("pub", "orders.new", "x")
        receiver.wait_events(1)
        self.assertEqual(["orders.new"], self.words("sub", "ord"))
        self.assertEqual(["text.upper"], self.words("invoke", ""))
        self.assertEqual(["shouter"], self.words("ping", "sh"))
        self.assertEqual(["shouter"], self.words("check", "agent", "sh"))

    def test_the_broker_is_the_one_that_the_line_leads_to(self):
        other = self.home(spans=False)
        self.agent(other, "elsewhere")
        wait_until(lambda: "elsewhere" in other.loom("agents").stdout, "it is there")
        self.assertEqual([], self.words("kick", "else"))
        for typed in (("kick", "--url", other.url), ("ping", "-u", other.url), ("ping", f"--url={other.url}"),
                      ("kick", "--control", f"ipc://{other.control_path}")):
            self.assertEqual(["elsewhere"], self.words(*typed, "else"), typed)
        self.loom("context", "add", "other", "--control", f"ipc://{other.control_path}")
        self.assertEqual(["elsewhere"], self.words("--context", "other", "ping", "else"))
        self.loom("context", "use", "other")
        chosen = self.loom("completion", "words", "--", "ping", "else", LOOM_CONTROL="", LOOM_URL="")  # empty is as if it were not there
        self.assertEqual("elsewhere\n", chosen.stdout)

    def test_contexts_complete_and_what_stands_behind_dashes_is_anothers(self):
        self.loom("context", "add", "prod")
        self.loom("context", "add", "probe")
        self.assertEqual(["probe", "prod"], self.words("context", "use", "pro"))
        self.assertEqual(["prod"], self.words("--context", "prod"))
        self.assertEqual([], self.words("exec", "--", "l"))

    def test_without_a_broker_completion_offers_what_it_knows(self):
        done = self.loom("completion", "words", "--", "sub", "x", LOOM_CONTROL=f"ipc://{self.bus.folder}/no.sock")
        self.assertEqual("", done.stdout)

    def test_bash_takes_the_words(self):
        script = ('source <(loom completion bash); COMP_WORDS=(loom trace sh); COMP_CWORD=2; _loom; echo "${COMPREPLY[@]}"; '
                  'COMP_WORDS=(loom pub --rat); COMP_CWORD=2; _loom; echo "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script], env={**self.bus.environment, "PATH": f"{BIN}:/usr/bin:/bin"}, text=True,
                              capture_output=True, timeout=30)
        self.assertEqual("show\n--rate\n", done.stdout, done.stderr)

    def test_scripts_of_other_shells_parse(self):
        for shell in ("zsh", "fish"):
            script = self.loom("completion", shell).stdout
            self.assertIn("loom completion words --", script)
            if shutil.which(shell):
                subprocess.run([shell, "-n", "-c", script] if shell == "zsh" else [shell, "--no-execute", "-c", script], check=True, timeout=30)
        self.assertIn("bash, zsh or fish", self.loom("completion", "tcsh", code=2).stderr)

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
