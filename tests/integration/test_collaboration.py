# SPDX-License-Identifier: Apache-2.0
"""Agents that ask each other: C programs on libloom through a real broker, and what they leave behind; in both homes."""

import itertools
import json
import subprocess
import unittest

import control
import harness
from harness import LoomTest, in_both_homes, wait_until

AGENTS = harness.BIN.parent / "tests"
REQUESTS, IN_FLIGHT = 100_000, 1000


@in_both_homes
class Requests:
    def program(self, bus, name, *arguments, **popen):
        """One of the programs in agents/."""
        process = harness.Process(bus.folder, f"{name}-{len(bus.processes)}",
                                  [str(AGENTS / name), bus.url, *map(str, arguments)], bus.environment, **popen)
        bus.processes.append(process)
        return process

    def answering(self, bus, agent_id):
        process = self.program(bus, "answering_agent", agent_id)
        wait_until(lambda: "ready" in process.out or not process.running(), f"{agent_id} answers")
        self.assertTrue(process.running(), process.err)
        return process

    def lines(self, process, count):
        """What an asking agent has told."""
        wait_until(lambda: process.out.count("\n") >= count or not process.running(), "the agent is through", 100)
        lines = process.out.splitlines()
        self.assertEqual(count, len(lines), process.err)
        return json.loads(lines[-1])

    def go(self, process, count):
        """Once more; what it tells then is its count-th line."""
        process.popen.stdin.write(b"go\n")
        process.popen.stdin.flush()
        return self.lines(process, count)

    def end(self, process):
        process.popen.stdin.close()
        self.assertEqual(0, process.wait())

    def kept(self, bus):
        """All that the bus keeps of subscriptions and of topics."""
        subscriptions = sorted((agent["agent"], s["filter"]) for agent in control.ask(bus.control_path, op="agents")["agents"]
                               for s in agent["subscriptions"])
        topics = sorted(topic["topic"] for topic in control.ask(bus.control_path, op="topics", filter=">")["topics"])
        stats = bus.stats()["eventbus"]
        return {"agents": subscriptions, "topics": topics, "entries": stats["topics"], "filters": stats["subscriptions"]}

    def test_a_hundred_thousand_requests_leave_nothing_behind(self):
        bus = self.home(spans=False)
        self.answering(bus, "answering")
        asking = self.program(bus, "asking_agent", "answering.echo", REQUESTS, IN_FLIGHT, stdin=subprocess.PIPE)
        before = self.lines(asking, 1)
        kept, resident = wait_until(lambda: self.kept(bus), "what there is"), asking.resident_kib()
        served = bus.serving.resident_kib()
        after = self.go(asking, 2)
        self.assertEqual(kept, self.kept(bus))
        self.assertEqual({}, bus.dropped())
        self.assertEqual(REQUESTS + before["answered"], after["answered"])
        self.assertEqual(after["requests"], after["replies"])
        self.assertEqual([0] * 6, [after[key] for key in ("wrong", "failed", "timeouts", "late", "surplus", "open")])
        self.assertLess(after["heap"], before["heap"] + (1 << 20))
        if not harness.SANITIZER:
            self.assertLess(asking.resident_kib(), resident + 16 * 1024)
            self.assertLess(bus.serving.resident_kib(), served + 32 * 1024)
            self.assertLess(after["seconds"], 30)
        self.end(asking)

    def test_a_handler_asks_another_agent_before_it_answers(self):
        bus = self.home()
        self.answering(bus, "inner")
        self.answering(bus, "outer")
        asked = bus.loom("request", "outer.pass.inner", "hello", "--timeout", "10s")
        self.assertEqual("hello", asked.stdout.strip())
        trace_id = asked.stderr.split()[1]

        def whole():
            spans = [span for span in bus.spans() if span.trace_id == trace_id and span.name == "agent.on_event"]
            return spans if len(spans) == 4 else None
        handled = wait_until(whole, "one trace of both requests and both replies")
        self.assertEqual(4, len({span.span_id for span in handled}))

    def test_many_requests_inside_handlers_are_all_answered(self):
        bus = self.home(spans=False)
        self.answering(bus, "inner")
        self.answering(bus, "outer")
        asking = self.program(bus, "asking_agent", "outer.pass.inner", 2000, 50, stdin=subprocess.PIPE)
        self.lines(asking, 1)
        after = self.go(asking, 2)
        self.assertEqual((2100, 0, 0), (after["answered"], after["wrong"], after["failed"]))
        self.end(asking)

    def test_replies_that_come_after_the_timeout_are_counted(self):
        bus = self.home(spans=False)
        self.answering(bus, "slow")
        asking = self.program(bus, "asking_agent", "slow.late", 0, 5, 50, stdin=subprocess.PIPE)
        told = self.lines(asking, 1)
        self.assertEqual((10, 10, 0, 0), (told["failed"], told["timeouts"], told["late"], told["open"]))
        bus.loom("pub", "slow.now", "x")
        lines = itertools.count(2)
        wait_until(lambda: self.go(asking, next(lines))["late"] == 10, "all of them have come, late")
        self.end(asking)

    def test_a_request_that_nobody_answers_in_time_leaves_no_subscription(self):
        bus = self.home(spans=False)
        self.answering(bus, "slow")
        before = self.kept(bus)
        done = bus.loom("request", "slow.late", "x", "--timeout", "200ms", code=4)
        self.assertIn("no reply on", done.stderr)
        bus.loom("pub", "slow.now", "x")  # it answers now, to nobody
        wait_until(lambda: self.kept(bus)["agents"] == before["agents"], "only who was there before")


if __name__ == "__main__":
    unittest.main()
