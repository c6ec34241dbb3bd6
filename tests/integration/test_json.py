# SPDX-License-Identifier: Apache-2.0
"""What every --json prints: numbers that any reader keeps exactly, schemas as objects, and nothing that is not there."""

import json
import unittest

from harness import LoomTest, wait_until

# What never comes near 2^53: there are that many now, times that pass, codes.
SMALL = {"agents", "agents_away", "bridges", "cache_entries", "capabilities", "groups", "heard_ms_ago", "id", "last_ms", "members",
         "open_peers", "outstanding", "parties", "pending", "publishers", "qos", "running", "sessions", "subscribers", "subscriptions", "topics",
         "uptime_ms", "ttl", "matched", "code", "agents_left", "agents_at_first", "services", "spans", "errors"}
FREE_TEXT = {"payload", "text"}  # of others: may be empty
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "description": ""}
VERBS = ("agents", "bench", "caps", "check", "context", "drain", "flow", "invoke", "ping", "ps", "pub", "request", "stats", "sub", "topics",
         "trace ls", "trace show", "trace keep", "exec")


class Json(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)
        self.control = ("--control", f"ipc://{self.bus.control_path}")
        schema = self.bus.folder / "schema.json"
        schema.write_text(json.dumps(SCHEMA))
        self.provider = self.bus.run("loom", "provide", "--url", self.bus.url, "text.echo", "--input-schema", str(schema), "--", "cat")
        self.listener = self.bus.run("loom", "sub", "--url", self.bus.url, "--json", "a.>")
        self.responder = self.bus.run("loom", "reply", "--url", self.bus.url, "--echo", "ask.me")
        wait_until(lambda: "text.echo" in self.bus.loom("caps", *self.control).stdout, "the capability is there")
        wait_until(lambda: {"a.>", "ask.me"} <= {s["filter"] for s in self.bus.stats()["subscriptions"]}, "both have subscribed")

    def check(self, value, where=""):
        if isinstance(value, dict):
            for key, item in value.items():
                at = f"{where}.{key}"
                self.assertIsNotNone(item, f"{at}: what there is not is left out")
                if key.endswith("_schema"):
                    self.assertIsInstance(item, dict, f"{at}: a schema is an object")
                    continue
                if isinstance(item, int) and not isinstance(item, bool):
                    self.assertIn(key, SMALL, f"{at}: a number of 64 bits is text")
                if isinstance(item, str) and key not in FREE_TEXT:
                    self.assertNotEqual("", item, f"{at}: what there is not is left out")
                self.check(item, at)
        elif isinstance(value, list):
            for item in value:
                self.check(item, f"{where}[]")

    def printed(self, *arguments, code=0, **options):
        out = self.bus.loom(*arguments, code=code, **options).stdout
        self.assertNotEqual("", out, arguments)
        lines = [json.loads(line) for line in out.splitlines()] if out.startswith("{") and "\n{" in out.strip() else [json.loads(out)]
        for line in lines:
            self.check(line, " ".join(arguments[:2]))
        return lines[0]

    def test_lists_and_counters(self):
        self.bus.loom("pub", "a.b", "x")
        for how in (self.control, ("--url", self.bus.url)):
            self.assertEqual("1", next(t for t in self.printed("topics", *how, "--json")["topics"] if t["topic"] == "a.b")["published"])
            stats = self.printed("stats", *how, "--json")
            self.assertNotIn("status", stats)
            self.assertEqual("1", stats["bridge"]["forwarded"])
            edge = next(e for e in self.printed("flow", *how, "--json")["edges"] if e["name"] == "a.b" and e["kind"] == "publish")
            self.assertEqual(("1", "0"), (edge["total"], edge["lost"]))
            self.assertNotIn("other", edge)
            self.printed("agents", *how, "--json")
            [capability] = self.printed("caps", *how, "--json")["capabilities"]
            self.assertEqual(SCHEMA, capability["input_schema"])
            self.assertNotIn("output_schema", capability)
            self.assertNotIn("description", capability)

    def test_messages_and_calls(self):
        self.printed("pub", "a.b", "x", "--json")
        self.printed("pub", "a.b", "x", "--matched", "--json")
        self.printed("request", "ask.me", "x", "--json")
        self.printed("invoke", "text.echo", '{"a": 1}', "--json")
        wait_until(lambda: self.listener.out.count("\n") >= 2, "both came")
        for line in self.listener.out.splitlines():
            self.check(json.loads(line), "sub")

    def test_measures_and_checks(self):
        self.printed("ping", "-n", "2", "-q", "--json")
        self.printed("bench", "-n", "100", "--json")
        for what in (("connection",), ("agent", "nobody"), ("topic", "a.b"), ("capability", "text.echo")):
            self.printed("check", *what, "--json", code=(0, 1, 2, 3))

    def test_drain(self):
        self.printed("drain", *self.control, "--within", "10ms", "--json", code=4)
        self.printed("drain", *self.control, "--cancel", "--json")

    def test_traces(self):
        spans = self.bus.folder / "spans.jsonl"
        self.bus.loom("pub", "a.b", "x", environment={"OTEL_TRACES_EXPORTER": "none", "LOOM_SPANS_FILE": str(spans)})
        trace = self.printed("trace", "ls", "--file", str(spans), "--json")
        self.assertRegex(trace["start_unix_ns"], r"^\d{19}$")
        self.assertIn("resourceSpans", json.loads(self.bus.loom("trace", "show", "--last", "--file", str(spans), "--json").stdout))

    def test_contexts(self):
        environment = {"XDG_CONFIG_HOME": str(self.bus.folder / "config")}
        self.bus.loom("context", "add", "prod", "--url", self.bus.url, environment=environment)
        self.printed("context", "ls", "--json", environment=environment)
        self.printed("context", "show", "prod", "--json", environment=environment)

    def test_every_verb_that_has_it_is_here(self):
        """A new one is to be checked, too."""
        def has_json(*verb):
            return "\n      --json" in self.bus.loom(*verb, "--help").stdout
        table = [line.split()[0] for line in self.bus.loom("--help").stdout.split("\n") if line.startswith("  ") and not line.startswith("   ")]
        found = set()
        for verb in table:
            if verb.isalpha() and verb != "loom" and has_json(verb):
                found.add(verb)
        self.assertLessEqual(found, {v.split()[0] for v in VERBS}, "verbs with --json that no test here looks at")


if __name__ == "__main__":
    unittest.main()
