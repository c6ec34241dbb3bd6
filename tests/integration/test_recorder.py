# SPDX-License-Identifier: Apache-2.0
"""The flight recorder on the bus: what fails or is slow is kept in every process that it went through, afterwards and whole."""

import collections
import json
import re
import subprocess
import time
import unittest

from harness import BIN, Process, in_both_homes, wait_until
from spans import draw

AGENTS = BIN.parent / "tests" / "recorded_agents"
RECORDED = {"OTEL_TRACES_SAMPLER": "parentbased_always_off", "LOOM_TRACE_RECORDER": "64MiB"}
IDS = {"event_id", "thread_id", "correlation_id", "messaging.message.id", "messaging.message.conversation_id", "loom.kept"}
WHOLE = ["agent.emit", "agent.on_event", "bridge.forward", "bridge.publish", "eventbus.publish"]
COMMANDS = [*WHOLE, "loom pub"]  # of an event that the command has published: it has a span of its own
SEED = 7
PATIENT = {"LOOM_BROKER_BATCHED_DEADLINE": "60s"}  # a busy machine loses nothing


def shape(spans):
    """A trace without what differs from one to the next: each span with its parent's name, status and attributes."""
    names = {span.span_id: span.name for span in spans}
    return tuple(sorted((span.name, span.service, span.kind, names.get(span.parent_id, ""), span.status,
                         tuple(sorted((key, re.sub(r"\.\d$", "", str(value))) for key, value in span.attributes.items() if key not in IDS)))
                        for span in spans))


def by_trace(spans):
    traces = collections.defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    return traces


def matters(spans):
    return any(span.status == 2 or (span.name == "agent.on_event" and span.end_ns - span.start_ns >= 20_000_000)
               for span in spans)


@in_both_homes
class Incidents:
    def agents(self, home, role, *arguments, environment=None, **popen):
        process = Process(home.folder, f"{role}-{len(home.processes)}", [AGENTS, home.url, role, *map(str, arguments)],
                          {**home.environment, **(environment or {})}, **popen)
        home.processes.append(process)
        return process

    def sent(self, source):
        wait_until(lambda: "failed=" in source.out or not source.running(), "all is published", 60)
        self.assertTrue(source.running(), source.err)

    def incident(self, environment, at_most=20000):
        """Runs one to its end; what the source says of it."""
        home = self.home(environment={**environment, **PATIENT})
        events, rate = (2000, 500) if home.broker.sanitized() else (20000, 10000)
        events = min(events, at_most)
        served = [self.agents(home, "worker"), self.agents(home, "sink")]
        for agent in served:
            wait_until(lambda: "ready" in agent.out, "an agent is subscribed")
        source = self.agents(home, "source", events, rate, SEED)
        self.sent(source)
        told = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", source.out)}
        self.assertEqual(0, told["refused"])
        self.assertGreater(told["failed"] * told["slow"], 0)
        wait_until(lambda: home.stats()["eventbus"]["delivered"] >= 2 * events - told["failed"], "all is delivered", 60)
        return home, {"events": events, **told}

    def wait_kept(self, home, failed, wanted):
        """Until all that failed is there, and as much in all, whole as far as can be told by the number of spans."""
        def enough():
            traces = by_trace(home.spans()).values()
            failures = sum(any(span.status == 2 for span in spans) for spans in traces)
            return failures == failed and len(traces) >= wanted and all(len(spans) in (5, 10) for spans in traces)
        wait_until(enough, f"{wanted} whole traces", 60)

    def test_what_is_kept_is_what_a_sampled_run_exports(self):
        home, told = self.incident({**RECORDED, "LOOM_TRACE_SLOW": "agent.on_event>20ms"})
        wanted = told["failed"] + told["slow"]
        self.wait_kept(home, told["failed"], wanted)
        home.stop()
        kept = list(by_trace(home.spans()).values())
        self.assertGreaterEqual(sum(matters(spans) for spans in kept), wanted)  # on a busy machine others are slow, too
        home.loom("trace", "check", "--all", "--quiet", "--file", home.spans_path)
        reasons = collections.Counter(span.attributes["loom.kept"] for spans in kept for span in spans)
        self.assertEqual({"error", "slow"}, set(reasons))
        sampled_home, _ = self.incident({"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_BSP_MAX_QUEUE_SIZE": "1000000"}, at_most=1000)
        sampled_home.stop()
        sampled = {shape(spans) for spans in by_trace(sampled_home.spans()).values()}
        odd = [spans for spans in kept if shape(spans) not in sampled]
        self.assertFalse(odd, odd and draw(odd[0]))
        print(f"\n{self.kind}: {told['events']} events, {told['failed']} failed, {told['slow']} slow, {len(kept)} traces kept, whole")

    def test_nothing_is_kept_when_nothing_happens(self):
        home = self.home(environment=RECORDED)
        receiver = home.subscriber("quiet.>", "--count", "100")
        home.loom("pub", "quiet.day", "nothing", "--count", "100")
        self.assertEqual(0, receiver.wait())
        home.stop()
        self.assertEqual([], home.spans())

    def test_a_process_without_a_recorder_passes_the_trace_on(self):
        home = self.home(environment={**RECORDED, **PATIENT})
        worker = self.agents(home, "worker")
        wait_until(lambda: "ready" in worker.out, "the worker is subscribed")
        source = self.agents(home, "source", 2000, 1000, SEED, environment={"LOOM_TRACE_RECORDER": "off"})
        self.sent(source)
        failed = int(re.search(r"failed=(\d+)", source.out)[1])
        wait_until(lambda: sum(span.name == "agent.on_event" for span in home.spans()) >= failed, "what failed is kept")
        home.stop()
        for spans in by_trace(home.spans()).values():
            self.assertEqual(["agent.on_event", "bridge.forward", "bridge.publish", "eventbus.publish"],
                             sorted(span.name for span in spans))

    def test_a_trace_can_be_asked_for_by_its_id(self):
        home = self.home(environment=RECORDED)
        receiver = home.subscriber("asked.>")
        trace = re.search(r"[0-9a-f]{32}", home.loom("pub", "asked.for", "hello", "--json").stdout)[0]
        wait_until(lambda: "hello" in receiver.out, "the event has come")
        home.loom("trace", "keep", trace, "--reason", "ticket 4711", "--control", f"ipc://{home.control_path}")
        wait_until(lambda: sorted(span.name for span in home.spans()) == COMMANDS, "the trace is kept, also what loom pub left")
        self.assertEqual({"ticket 4711"}, {span.attributes["loom.kept"] for span in home.spans()})
        recent = home.loom("trace", "keep", "--recent", "--control", f"ipc://{home.control_path}").stdout
        self.assertIn(trace, recent)
        self.assertIn("ticket 4711", recent)
        refused = home.loom("trace", "keep", "4711", "--control", f"ipc://{home.control_path}", code=2)
        self.assertIn("32 hex digits", refused.stderr)

    def test_a_kind_of_traces_is_kept_for_a_while(self):
        home = self.home(environment=RECORDED)
        control = ("--control", f"ipc://{home.control_path}")
        receiver = home.subscriber(">")
        self.assertIn("kind 1;", home.loom("trace", "keep", "--topic", "orders.*", "--for", "1h", "--reason", "looked into", *control).stdout)
        self.assertIn("kind 2;", home.loom("trace", "keep", "--capability", "words.count", *control).stdout)
        home.run("loom", "provide", "--url", home.url, "words.count", "--", "wc", "-w")
        wait_until(lambda: "words.count" in home.loom("caps", *control).stdout, "the capability is there")
        home.loom("invoke", "words.count", "a b")
        for topic in ("readings.new", "orders.new"):
            home.loom("pub", topic, topic)
        wait_until(lambda: "orders.new" in receiver.out and "readings.new" in receiver.out, "both events have come")
        names = {"agent.on_event", "bridge.forward", "bridge.publish", "eventbus.publish"}  # loom pub may have gone
        orders = lambda: [span for span in home.spans() if span.attributes.get("topic") == "orders.new"]
        wait_until(lambda: names <= {span.name for span in orders()}, "the event is kept, also where it was handled")
        self.assertEqual({"looked into"}, {span.attributes["loom.kept"] for span in orders()})
        wait_until(lambda: any(span.name == "agent.on_action" for span in home.spans()), "so is the call")
        self.assertEqual({"looked into", "kind"}, {span.attributes["loom.kept"] for span in home.spans()})
        first, second = (json.loads(line) for line in home.loom("trace", "keep", "--kinds", "--json", *control).stdout.splitlines())
        self.assertEqual(("orders.*", "1", "0"), (first["topic"], first["kept"], first["limited"]))
        self.assertLess(first["left_ms"], 3_600_001)
        self.assertEqual("words.count", second["capability"])
        home.loom("trace", "keep", "--end", "1", *control)
        self.assertIn("no such kind", home.loom("trace", "keep", "--end", "1", *control, code=5).stderr)
        home.loom("pub", "orders.new", "after")
        wait_until(lambda: "after" in receiver.out, "the event has come")
        self.assertNotIn("orders", home.loom("trace", "keep", "--kinds", *control).stdout)
        home.stop()
        self.assertEqual(1, len({span.trace_id for span in orders()}))

    def test_kinds_that_make_no_sense_are_refused(self):
        home = self.home(environment={**RECORDED, "LOOM_TRACE_RECORDER": "off"})
        control = ("--control", f"ipc://{home.control_path}")
        for arguments, why in ((("--topic", "a..b"), "a segment is empty"), (("--topic", "a", "--for", "25h"), "24h"), (("--for", "1m"), "--topic"),
                               (("--topic", "a", "--capability", "b"), "one of"), (("--topic", "a", "--per-second", "101"), "1 to 100"),
                               (("--topic", "a", "0" * 32), "different"), (("--end", "x"), "end")):
            self.assertIn(why, home.loom("trace", "keep", *arguments, *control, code=2).stderr)
        self.assertIn("recorder is off", home.loom("trace", "keep", "--topic", "a", *control, code=5).stderr)
        self.assertIn("recorder is off", home.loom("trace", "keep", "--kinds", *control).stderr)

    def test_a_reason_is_text(self):
        home = self.home(environment=RECORDED)
        control = ("--control", f"ipc://{home.control_path}")
        for what in (("1" * 32,), ("--topic", "a")):
            self.assertIn("not UTF-8", home.loom("trace", "keep", *what, "--reason", "\udcff", *control, code=2).stderr)
        told = json.loads(home.loom("trace", "keep", "1" * 32, "--reason", "a\x1b[31mred\nb", "--json", *control).stdout)
        self.assertFalse(told["unsure"])  # no bridge has gone
        recent = home.loom("trace", "keep", "--recent", *control).stdout
        self.assertNotIn("\x1b", recent)
        self.assertEqual(2, len(recent.splitlines()), recent)

    def test_it_can_be_said_in_the_settings(self):
        home = self.home(environment={"OTEL_TRACES_SAMPLER": "parentbased_always_off"},
                         broker=["--telemetry-recorder", "on", "--telemetry-slow", "bridge.publish>0ns,eventbus.publish>0ns"])
        receiver = home.subscriber("set.>")
        home.loom("pub", "set.up", "hello")
        wait_until(lambda: "hello" in receiver.out, "the event has come")
        wait_until(lambda: any(span.name == "eventbus.publish" for span in home.spans()), "it is kept, as slow")
        self.assertEqual({"slow"}, {span.attributes["loom.kept"] for span in home.spans()})

    def test_what_recorders_hold_is_listed(self):
        home = self.home(environment=RECORDED)
        control = ("--control", f"ipc://{home.control_path}")
        receiver = home.subscriber("held.>")
        trace = re.search(r"[0-9a-f]{32}", home.loom("pub", "held.one", "hello", "--json").stdout)[0]
        home.loom("pub", "held.two", "hello")
        wait_until(lambda: receiver.out.count("hello") == 2, "the events have come")
        held = [json.loads(line) for line in home.loom("trace", "ls", "--recorded", "--json", *control).stdout.splitlines()]
        mine = [item for item in held if item.get("topic", "").startswith("held.")]
        self.assertEqual([("held.two", False), ("held.one", False)], [(item["topic"], item["kept"]) for item in mine])
        self.assertEqual(trace, mine[1]["trace_id"])
        self.assertGreater(int(mine[0]["start_unix_ns"]), int(mine[1]["start_unix_ns"]))
        home.loom("trace", "keep", trace.upper(), *control)
        wait_until(lambda: re.search(rf"{trace}.*held\.one  kept", home.loom("trace", "ls", "--recorded", *control).stdout),
                   "the trace is kept")
        uuid = "-".join(trace[at:to] for at, to in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
        home.loom("trace", "keep", uuid, *control)
        refused = home.loom("trace", "ls", "--recorded", "--failed", *control, code=2)
        self.assertIn("--failed", refused.stderr)

    def test_one_that_fails_and_leaves_hands_over_its_part(self):
        home = self.home(environment={**RECORDED, **PATIENT})
        last = self.agents(home, "last")
        wait_until(lambda: "ready" in last.out, "the agent is subscribed")
        source = self.agents(home, "source", 1, 1000, SEED)
        wait_until(lambda: not last.running(), "the agent has left")
        wait_until(lambda: sorted(span.name for span in home.spans()) == WHOLE, "the trace is whole")
        self.assertTrue(source.running())

    def test_what_one_has_recorded_that_left_is_there_when_its_trace_fails(self):
        home = self.home(environment={**RECORDED, **PATIENT, "LOOM_TRACE_MASK": "all", "OTEL_RESOURCE_ATTRIBUTES": "tenant_id=acme"})
        waiter = self.agents(home, "waiter", stdin=subprocess.PIPE)
        wait_until(lambda: "ready" in waiter.out, "the agent is subscribed")
        source = self.agents(home, "steps", 1000, SEED, stdin=subprocess.PIPE)
        source.popen.communicate(b"1\n")
        self.assertEqual(0, source.wait())
        wait_until(lambda: "handling" in waiter.out, "the handler has it")
        self.assertEqual([], home.spans())
        waiter.popen.stdin.close()
        wait_until(lambda: sorted(span.name for span in home.spans()) == WHOLE, "the trace is whole")
        emit = next(span for span in home.spans() if span.name == "agent.emit")
        self.assertEqual(("agent-steps", "steps", "error"), (emit.service, emit.resource["loom.agent.id"], emit.attributes["loom.kept"]))

    def test_one_of_two_agents_of_a_process_leaves_its_part(self):
        home = self.home(environment={**RECORDED, **PATIENT})
        waiter = self.agents(home, "waiter", stdin=subprocess.PIPE)
        wait_until(lambda: "ready" in waiter.out, "the agent is subscribed")
        pair = self.agents(home, "pair", stdin=subprocess.PIPE)
        wait_until(lambda: "left" in pair.out and "handling" in waiter.out, "one has left, and the handler has its event")
        waiter.popen.stdin.close()
        wait_until(lambda: sorted(span.name for span in home.spans()) == WHOLE, "the trace is whole")
        pair.popen.stdin.close()
        self.assertEqual(0, pair.wait())

    def test_what_fails_while_the_broker_is_away_is_kept_elsewhere_when_it_is_back(self):
        home = self.home(environment={**RECORDED, **PATIENT})
        waiter = self.agents(home, "waiter", stdin=subprocess.PIPE)
        wait_until(lambda: "ready" in waiter.out, "the agent is subscribed")
        source = self.agents(home, "source", 1, 1000, SEED)
        wait_until(lambda: "handling" in waiter.out, "the handler has it")
        home.kill(home.broker)
        waiter.popen.stdin.close()
        wait_until(lambda: any(span.name == "agent.on_event" for span in home.spans()), "the handler has failed")
        home.start_broker()
        wait_until(lambda: any(span.name == "agent.emit" for span in home.spans()), "who published it has been told")
        self.assertTrue(source.running())

    def test_keeping_says_what_is_gone(self):
        home = self.home(environment={**RECORDED, **PATIENT, "LOOM_TRACE_RECORDER": "512KiB"})
        control = ("--control", f"ipc://{home.control_path}")
        receiver = home.subscriber("gone.>", "--count", "1")
        trace = re.search(r"[0-9a-f]{32}", home.loom("pub", "gone.one", "hello", "--json").stdout)[0]
        self.assertEqual(0, receiver.wait())
        self.assertEqual("", home.loom("trace", "keep", trace, *control).stderr)
        watcher = self.agents(home, "watcher")
        wait_until(lambda: "ready" in watcher.out, "the watcher is subscribed")
        killed = self.agents(home, "steps", 1000, SEED, stdin=subprocess.PIPE)
        killed.popen.stdin.write(b"1\n")
        killed.popen.stdin.flush()
        wait_until(lambda: "failed=" in killed.out, "it has published")
        held = lambda: [json.loads(line) for line in home.loom("trace", "ls", "--recorded", "--json", *control).stdout.splitlines()]
        wait_until(lambda: any(item["topic"] == "work.0" for item in held()), "the broker has it")
        wait_until(lambda: home.stats()["eventbus"]["delivered"] >= 2, "the watcher has it")
        home.kill(killed)
        home.kill(watcher)
        gone = lambda agents: "steps" not in agents and "watcher" not in agents
        wait_until(lambda: gone(home.loom("agents", *control).stdout), "the broker knows")
        lost = next(item for item in held() if item["topic"] == "work.0")["trace_id"]
        self.assertIn("steps has left, and with it what it recorded", home.loom("trace", "keep", lost, *control).stderr)
        told = json.loads(home.loom("trace", "keep", lost, "--json", *control).stdout)
        self.assertEqual((["steps", "watcher"], False, False), (sorted(told["left"]), told["cut"], told["unsure"]))
        self.assertIn("nothing of it", home.loom("trace", "keep", "1" * 32, *control).stderr)
        old = re.search(r"[0-9a-f]{32}", home.loom("pub", "gone.two", "hello", "--json").stdout)[0]
        begun = time.monotonic()
        home.loom("pub", "gone.on", "hello", "--count", "20000", environment={"TRACEPARENT": f"00-{'2' * 32}-00f067aa0ba902b7-00"})
        said = home.loom("trace", "keep", old, *control).stderr
        self.assertRegex(said, "has been overwritten .*has overwritten nothing of the last [0-9.]+ .*agents may have overwritten what is older")
        reach_ms = json.loads(home.loom("trace", "keep", old, "--json", *control).stdout)["reach_ms"]
        self.assertLess(reach_ms, 1000 * (time.monotonic() - begun))

    def test_a_caller_that_has_handed_over_its_part_is_not_called_gone(self):
        home = self.home(environment=RECORDED)
        control = ("--control", f"ipc://{home.control_path}")
        provider = Process(home.folder, "provider", [BIN / "loom", "provide", "words", "--url", home.url, "--", "cat"], home.environment)
        home.processes.append(provider)
        wait_until(lambda: "words" in home.loom("caps", *control, code=(0, 5)).stdout, "the capability is there")
        home.loom("invoke", "words", "hi")
        held = lambda: [json.loads(line) for line in home.loom("trace", "ls", "--recorded", "--json", *control).stdout.splitlines()]
        trace = next(item["trace_id"] for item in held() if item["name"] in ("loom invoke", "action.invoke", "action.dispatch"))
        self.assertEqual("", home.loom("trace", "keep", trace, *control).stderr)
        wait_until(lambda: {"action.invoke", "action.dispatch", "bridge.forward", "agent.on_action"} <= {span.name for span in home.spans()}, "it is whole")
        self.assertNotIn("incomplete", home.loom("trace", "show", trace, "--file", home.spans_path).stdout)

    def test_what_was_too_many_at_once_can_be_asked_for(self):
        home = self.home(environment={**RECORDED, **PATIENT})
        control = ("--control", f"ipc://{home.control_path}")
        failer = self.agents(home, "failer")
        wait_until(lambda: "ready" in failer.out, "the agent is subscribed")
        source = self.agents(home, "source", 8000, 1000000, SEED)
        self.sent(source)
        wait_until(lambda: home.stats()["eventbus"]["delivered"] >= 8000, "all is delivered", 60)

        def settled():
            count = len(by_trace(home.spans()))
            time.sleep(0.3)
            return count if count > 0 and len(by_trace(home.spans())) == count else None
        before = wait_until(settled, "what is kept of the storm is there", 60)
        self.assertLess(before, 8000)
        self.assertIn("every process", home.loom("trace", "keep", "--last-errors", *control).stdout)
        wait_until(lambda: len(by_trace(home.spans())) >= before + 100, "more are kept")
        wait_until(lambda: all(sorted(span.name for span in spans) == WHOLE for spans in by_trace(home.spans()).values()), "all of them whole")

    def test_one_that_comes_late_is_told_what_is_kept(self):
        home = self.home(environment={**RECORDED, **PATIENT})
        receiver = home.subscriber("late.>")
        published = home.loom("pub", "late.one", "hello", "--json").stdout
        trace = re.search(r"[0-9a-f]{32}", published)[0]
        wait_until(lambda: "hello" in receiver.out, "the event has come")
        home.loom("trace", "keep", trace, "--control", f"ipc://{home.control_path}")
        wait_until(lambda: len(home.spans()) == len(COMMANDS), "the trace is kept")
        late = home.subscriber("later.>")
        home.loom("pub", "later.two", "more", environment={"TRACEPARENT": f"00-{trace}-00f067aa0ba902b7-00"})
        wait_until(lambda: "more" in late.out, "the event has come")
        wait_until(lambda: sum(span.name == "agent.on_event" for span in home.spans()) == 2, "what comes later is kept, too")
        wait_until(lambda: sum(span.name == "agent.emit" for span in home.spans()) == 2, "and of who published it")
        self.assertEqual({trace}, {span.trace_id for span in home.spans()})

    def test_a_bridge_that_comes_late_is_told_what_is_kept(self):
        home = self.home(environment={**RECORDED, **PATIENT})
        receiver = home.subscriber("late.>")
        trace = re.search(r"[0-9a-f]{32}", home.loom("pub", "late.one", "hello", "--json").stdout)[0]
        wait_until(lambda: "hello" in receiver.out, "the event has come")
        home.loom("trace", "keep", trace, "--control", f"ipc://{home.control_path}")
        wait_until(lambda: len(home.spans()) == len(COMMANDS), "the trace is kept")
        bridge, (url, *_) = home._serve("loom-bridge", ["--bus-bridge", f"ipc://{home.folder}/bus-bridge.sock", "--id", "late-bridge",
                                                        "--listen", f"ipc://{home.folder}/late.sock"])
        wait_until(lambda: home.stats()["bus"]["bridges"] == (2 if home.bridge else 1), "the bridge is attached")
        home.loom("pub", "late.two", "more", "--url", url, environment={"TRACEPARENT": f"00-{trace}-00f067aa0ba902b7-00"})
        wait_until(lambda: "more" in receiver.out, "the event has come")
        wait_until(lambda: sum(span.name == "bridge.publish" for span in home.spans()) == 2, "the late bridge has kept its part")
        self.assertEqual({trace}, {span.trace_id for span in home.spans()})
        self.assertEqual(0, bridge.stop())

    def test_a_worker_that_is_killed_leaves_the_others_what_they_have(self):
        """But for what failed in its last second, of which it may not have told them."""
        home = self.home(environment={**RECORDED, **PATIENT})
        worker = self.agents(home, "worker")
        wait_until(lambda: "ready" in worker.out, "the worker is subscribed")
        source = self.agents(home, "source", 2000, 1000, SEED)
        wait_until(lambda: any(len(spans) == 5 for spans in by_trace(home.spans()).values()), "one that failed is kept")
        killed_ns = time.time_ns()
        home.kill(worker)
        self.sent(source)
        home.stop()
        kept = [spans for spans in by_trace(home.spans()).values() if any(span.name == "agent.on_event" for span in spans)]
        self.assertIn(5, [len(spans) for spans in kept])
        for spans in kept:
            late = all(span.end_ns > killed_ns - 1_000_000_000 for span in spans)
            self.assertTrue(len(spans) == 5 or late, draw(spans))


if __name__ == "__main__":
    unittest.main()
