# SPDX-License-Identifier: Apache-2.0
"""Capabilities: agents that provide and invoke, the command line, and one trace a call; in both homes of the bridge."""

import json
import os
import unittest

import wire
from harness import LoomTest, in_both_homes, wait_until

OK, ERROR, TIMEOUT, NO_RESPONDERS, DENIED, CANCELLED, TOO_LARGE = range(7)


@in_both_homes
class CommandLine:
    def providing(self, bus, capability, *command, options=()):
        """A `loom provide` that provides when this returns."""
        process = bus.run("loom", "provide", "--url", bus.url, *options, capability, "--", *command)
        wait_until(lambda: "providing" in process.err or not process.running(), f"{capability} is provided")
        self.assertTrue(process.running(), process.err)
        return process

    def control(self, bus):
        return "--control", f"ipc://{bus.control_path}"

    def test_a_command_is_called_with_the_payload_and_its_output_is_the_result(self):
        bus = self.home(spans=False)
        self.providing(bus, "text.upper", "tr", "a-z", "A-Z")
        self.assertEqual("HELLO", bus.loom("invoke", "text.upper", "hello").stdout)
        self.assertEqual("FROM A PIPE\n", bus.loom("invoke", "text.upper", "-", given="from a pipe\n").stdout)

    def test_the_command_is_part_of_the_trace(self):
        bus = self.home()
        self.providing(bus, "context.show", "sh", "-c", "echo $TRACEPARENT $LOOM_CAPABILITY $LOOM_CALLER",
                       options=("--kind", "tool"))
        done = bus.loom("invoke", "--id", "asker", "context.show", "--json")
        answer = json.loads(done.stdout)
        traceparent, capability, caller = answer["payload"].split()
        self.assertEqual(answer["trace_id"], traceparent.split("-")[1])
        self.assertEqual(("context.show", "asker"), (capability, caller))
        spans = {span.name: span for span in bus.wait_spans(5)}
        ladder = [("loom invoke", "INTERNAL"), ("action.invoke", "CLIENT"), ("action.dispatch", "SERVER"),
                  ("bridge.forward", "CLIENT"), ("agent.on_action", "SERVER")]
        for (parent, _), (name, kind) in zip(ladder, ladder[1:]):
            self.assertEqual(spans[parent].span_id, spans[name].parent_id)
            self.assertEqual(kind, spans[name].kind)
        self.assertEqual(spans["agent.on_action"].span_id, traceparent.split("-")[2])
        self.assertEqual("execute_tool", spans["agent.on_action"].attributes["gen_ai.operation.name"])
        self.assertFalse([key for key in spans["bridge.forward"].attributes if key.startswith("gen_ai.")])

    def test_a_failing_command_is_an_error_with_its_exit_code_and_last_words(self):
        bus = self.home(spans=False)
        self.providing(bus, "fail.now", "sh", "-c", "echo first >&2; echo oops >&2; exit 3")
        done = bus.loom("invoke", "fail.now", code=1)
        self.assertIn("fail.now: error (exit_3): oops", done.stderr)
        answer = json.loads(bus.loom("invoke", "fail.now", "--json", code=1).stdout)
        self.assertEqual(("error", "exit_3", "oops"), (answer["outcome"], answer["code"], answer["text"]))

    def test_what_nobody_provides_is_told_at_once(self):
        bus = self.home(spans=False)
        done = bus.loom("invoke", "nobody.home", "--deadline", "1h", code=1)
        self.assertIn("no_responders", done.stderr)

    def test_a_command_that_takes_too_long_is_ended(self):
        bus = self.home(spans=False)
        mark = bus.folder / "pid"
        self.providing(bus, "slow", "sh", "-c", f"echo $$ > {mark}; exec sleep 1000")
        done = bus.loom("invoke", "slow", "--deadline", "300ms", code=1)
        self.assertIn("timeout", done.stderr)
        pid = int(mark.read_text())
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the command was killed")

    def test_chunks_come_as_they_are_printed(self):
        bus = self.home(spans=False)
        gate = bus.folder / "gate"
        os.mkfifo(gate)
        self.providing(bus, "count", "sh", "-c", f"echo one; read x < {gate}; echo two")
        caller = bus.run("loom", "invoke", "--url", bus.url, "count", "--stream")
        wait_until(lambda: "one" in caller.out, "the first chunk is there before the command has ended")
        gate.write_text("go\n")
        self.assertEqual(0, caller.wait())
        self.assertEqual("one\ntwo\n", caller.out)

    def test_more_output_than_a_message_holds_goes_in_chunks_or_is_refused(self):
        bus = self.home(spans=False)
        self.providing(bus, "much", "head", "-c", "3000000", "/dev/zero")
        self.assertIn("output_too_large", bus.loom("invoke", "much", code=1).stderr)
        self.assertEqual(3000000, len(bus.loom("invoke", "much", "--stream").stdout))

    def test_the_directory_lists_agents_capabilities_and_topics(self):
        bus = self.home(spans=False)
        schema = bus.folder / "schema.json"
        schema.write_text('{"type": "string"}')
        provider = self.providing(bus, "text.upper", "tr", "a-z", "A-Z", options=(
            "--id", "shouter", "--version", "1.2.0", "--kind", "tool", "--description", "Upper case", "--input-schema", schema))
        listener = self.agent(bus, "listener").subscribe("news.*")
        bus.loom("pub", "news.today", "x")
        listener.wait_events(1)
        bus.loom("invoke", "text.upper", "x")

        agents = {a["agent"]: a for a in json.loads(bus.loom("agents", *self.control(bus), "--json").stdout)["agents"]}
        self.assertLessEqual({"shouter", "listener"}, set(agents))
        self.assertEqual("active", agents["shouter"]["state"])
        self.assertEqual([{"name": "text.upper", "version": "1.2.0"}], agents["shouter"]["capabilities"])
        self.assertEqual(["news.*"], [s["filter"] for s in agents["listener"]["subscriptions"]])
        self.assertIn("listener", bus.loom("agents", *self.control(bus), "--topic", "news.x").stdout)
        self.assertNotIn("shouter", bus.loom("agents", *self.control(bus), "--topic", "news.x").stdout)
        self.assertIn("shouter", bus.loom("agents", *self.control(bus), "--capability", "text.upper").stdout)

        [cap] = json.loads(bus.loom("caps", *self.control(bus), "text.upper", "--json").stdout)["capabilities"]
        self.assertEqual(("1.2.0", "tool", "Upper case", '{"type": "string"}'),
                         (cap["version"], cap["kind"], cap["description"], cap["input_schema"]))
        self.assertEqual([("shouter", 1, 0)], [(p["agent"], p["calls"], p["errors"]) for p in cap["providers"]])
        topics = json.loads(bus.loom("topics", *self.control(bus), "news.>", "--json").stdout)["topics"]
        self.assertEqual([("news.today", 1, 1)], [(t["topic"], t["published"], t["delivered"]) for t in topics])
        self.assertIn('there is no "nobody"', bus.loom("agents", *self.control(bus), "nobody", code=1).stderr)

        bus.kill(provider)
        wait_until(lambda: "shouter" not in bus.loom("agents", *self.control(bus)).stdout, "the provider has left")
        self.assertNotIn("text.upper", bus.loom("caps", *self.control(bus)).stdout)

    def test_who_comes_and_goes_is_news_on_system_agents(self):
        bus = self.home(spans=False)
        watcher = self.agent(bus, "watcher").subscribe("system.agents")
        passing = bus.agent("passing")
        passing.close()
        events = watcher.wait_events(2)
        self.assertEqual([("agent.registered", "passing"), ("agent.unregistered", "passing")],
                         [(event.type, json.loads(event.payload)["agent"]) for event in events])

    def test_a_request_gets_the_first_answer(self):
        bus = self.home(spans=False)
        self.agent(bus, "clock").subscribe("time.now")  # hears it, and says nothing
        done = bus.loom("request", "time.now", "--timeout", "200ms", code=1)
        self.assertIn("nobody answered", done.stderr)


@in_both_homes
class Calls:
    """The same on the wire, where a client does as it likes."""

    def pair(self, **options):
        bus = self.home(spans=False, **options)
        return bus, self.agent(bus, "provider"), self.agent(bus, "caller")

    def test_a_call_goes_to_the_provider_and_its_result_back(self):
        _, provider, caller = self.pair()
        provider.provide("math.add", version="1.0")
        call_id = caller.call("math.add", b"1 2")
        call = provider.wait_call()
        self.assertEqual(("math.add", "1.0", b"1 2"), (call.capability, call.version, call.envelope.payload))
        self.assertLessEqual(call.deadline_ms, 30000)
        provider.answer(call.call_id, payload=b"3")
        self.assertEqual((OK, b"3"), caller.wait_result(call_id)[:2])


if __name__ == "__main__":
    unittest.main()
