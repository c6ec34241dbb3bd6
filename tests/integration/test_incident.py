# SPDX-License-Identifier: Apache-2.0
"""An incident, twice: the same events fully sampled and with the flight recorder. What is kept is what was sampled."""

import collections
import json
import signal
import subprocess
import time
import unittest

from harness import BIN, Process, in_both_homes, wait_until
from spans import draw, parse

AGENTS = BIN.parent / "tests" / "recorded_agents"
SAMPLED = {"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_BSP_MAX_QUEUE_SIZE": "1000000"}
RECORDED = {"OTEL_TRACES_SAMPLER": "parentbased_always_off", "LOOM_TRACE_RECORDER": "64MiB",
            "LOOM_TRACE_SLOW": "agent.on_event>20ms"}
PATIENT = {"LOOM_BROKER_BATCHED_DEADLINE": "60s"}  # a busy machine loses nothing
SEED, RATE = 7, 1000
STEPS = {"all is well": 1500, "the watcher is stopped": 800, "the victim is killed": 1500}
SLOW_NS = 30_000_000  # what a slow handler takes at least
CLOCK_NS = 2_000_000  # by which the clocks of two processes may differ
IDS = {"event_id", "thread_id", "messaging.message.id", "messaging.message.conversation_id", "loom.kept"}
COUNTS = {"loom.matched", "loom.delivered", "loom.dropped"}


def fate(n):
    """As recorded_agents.c has it: 0 fails, 1 is slow."""
    mask = (1 << 64) - 1
    x = ((n + 1) * 0x9e3779b97f4a7c15 + SEED) & mask
    x ^= x >> 31
    x = x * 0xbf58476d1ce4e5b9 & mask
    x ^= x >> 29
    return x % 1000


def wanted(first, count):
    return {n for n in range(first, first + count) if fate(n) <= 1}


class SpansFile:
    """What has been written since it was last looked at."""

    def __init__(self, path):
        self.path, self.at = path, 0
        self.traces = collections.defaultdict(list)
        self.count = 0

    def read(self):
        if self.path.exists():
            with open(self.path, "rb") as file:
                file.seek(self.at)
                text = file.read()
            whole = text[:text.rfind(b"\n") + 1]
            self.at += len(whole)
            for line in filter(bytes.strip, whole.splitlines()):
                for span in parse(json.loads(line)):
                    self.traces[span.trace_id].append(span)
                    self.count += 1
        return self

    def events(self):
        """The traces by the number of their event. A trace without any span that says it is none."""
        found = {}
        for spans in self.traces.values():
            number = next((span.attributes["correlation_id"] for span in spans if "correlation_id" in span.attributes), None)
            if number is not None:
                assert int(number) not in found, f"event {number} has two traces"
                found[int(number)] = spans
        return found


def who(span):
    """Whose hop it is: bridges and brokers make one for each agent."""
    return span.attributes.get("agent_id", span.service)


def shape(spans, but_for=()):
    """A trace without what differs from one run to the next: each span with its parent, status and attributes.
    but_for: agents whose hops are left out, and with them how many took it."""
    by_id = {span.span_id: span for span in spans}
    def place(span):
        return (span.name, who(span))
    def facts(span):
        return tuple(sorted((key, str(value)) for key, value in span.attributes.items()
                            if key not in IDS and not (but_for and key in COUNTS)))
    return collections.Counter((place(span), span.service, span.kind, span.status,
                                place(by_id[span.parent_id]) if span.parent_id in by_id else span.parent_id,
                                len(span.links), facts(span))
                               for span in spans if who(span) not in but_for and not (but_for and span.name == "eventbus.drop"))


@in_both_homes
class Incident:
    def agents(self, home, role, *arguments, **popen):
        process = Process(home.folder, role, [AGENTS, home.url, role, *map(str, arguments)], home.environment, **popen)
        home.processes.append(process)
        return process

    def step(self, home, source, count, meanwhile=None):
        """Publishes that many; returns when the source has."""
        before = source.out.count("failed=")
        source.popen.stdin.write(f"{count}\n".encode())
        source.popen.stdin.flush()
        if meanwhile is not None:
            meanwhile()
        wait_until(lambda: source.out.count("failed=") > before or not source.running(), "all is published", 60)
        self.assertTrue(source.running(), source.err)
        self.assertIn("refused=0", source.out.splitlines()[-1])

    def run_incident(self, environment, settle):
        """settle(file, n): waits until the spans of the events before n are there. Returns the file."""
        home = self.home(environment={**environment, **PATIENT})
        slower = 4 if home.broker.sanitized() else 1
        crew = {role: self.agents(home, role) for role in ("worker", "sink", "watcher", "victim")}
        for agent in crew.values():
            wait_until(lambda: "ready" in agent.out, "an agent is subscribed")
        source = self.agents(home, "steps", RATE // slower, SEED, stdin=subprocess.PIPE)
        file = SpansFile(home.spans_path)
        begun = time.time_ns()
        well, stopped, killed = STEPS.values()

        self.step(home, source, well)
        crew["watcher"].signal(signal.SIGSTOP)
        self.step(home, source, stopped)
        crew["watcher"].signal(signal.SIGCONT)
        settle(file, well + stopped)

        seen = home.stats()["eventbus"]["published"]
        def kill():
            wait_until(lambda: home.stats()["eventbus"]["published"] >= seen + killed // 4, "a part of it is published")
            home.kill(crew["victim"])
        self.step(home, source, killed, kill)
        settle(file, well + stopped + killed)
        source.popen.stdin.close()
        source.wait()
        for role in ("worker", "watcher", "sink"):
            crew[role].stop()
        home.stop()
        return file.read(), (begun, time.time_ns())

    def hops(self, n):
        """How many spans event n makes while all are there."""
        return 9 if fate(n) == 0 else 14

    def check_times(self, spans, run):
        by_id = {span.span_id: span for span in spans}
        for span in spans:
            self.assertLessEqual(run[0] - CLOCK_NS, span.start_ns, draw(spans))
            self.assertLessEqual(span.start_ns, span.end_ns, draw(spans))
            self.assertLessEqual(span.end_ns, run[1] + CLOCK_NS, draw(spans))
            parent = by_id.get(span.parent_id)
            if parent is not None:
                self.assertLessEqual(parent.start_ns - CLOCK_NS, span.start_ns, draw(spans))

    def test_what_is_kept_is_what_a_sampled_run_of_the_same_events_exports(self):
        well, stopped, killed = STEPS.values()
        total, calm = well + stopped + killed, well + stopped

        def but_for(n):
            return () if n < calm else ("victim",)

        def all_there(file, until):
            count = sum(self.hops(n) for n in range(min(until, calm)))  # what becomes of the victim's last ones is open
            wait_until(lambda: file.read().count >= count, f"{count} spans", 60)
        sampled_file, sampled_run = self.run_incident(SAMPLED, all_there)
        sampled = sampled_file.events()
        self.assertEqual(total, len(sampled))

        def kept_there(file, until):
            def whole():
                kept = file.read().events()
                return all(n in kept and shape(kept[n], but_for(n)) == shape(sampled[n], but_for(n)) for n in wanted(0, until))
            try:
                wait_until(whole, "all that failed or was slow is there, as it was sampled", 30)
            except TimeoutError:
                kept = file.events()
                for n in wanted(0, until):
                    self.assertIn(n, kept, f"event {n} (fate {fate(n)}) was not kept")
                    self.assertEqual(shape(sampled[n], but_for(n)), shape(kept[n], but_for(n)), f"event {n}\n{draw(kept[n])}")
        kept_file, run = self.run_incident(RECORDED, kept_there)
        kept = kept_file.events()

        for n, spans in kept.items():  # on a busy machine others are slow, too
            self.assertEqual(shape(sampled[n], but_for(n)), shape(spans, but_for(n)), f"event {n}\n{draw(spans)}")
            self.check_times(spans, run)
            self.check_times(sampled[n], sampled_run)
            took = [span.end_ns - span.start_ns for span in spans if (span.name, who(span)) == ("agent.on_event", "worker")]
            self.assertTrue(fate(n) != 1 or min(took) >= SLOW_NS, f"event {n} took its handler {took} ns\n{draw(spans)}")
        self.assertEqual(len(kept_file.traces), len(kept))
        reasons = collections.Counter(spans[0].attributes["loom.kept"] for spans in kept.values())
        print(f"\n{self.kind}: {total} events, {len(wanted(0, total))} failed or were slow, kept {dict(reasons)}, whole")


if __name__ == "__main__":
    unittest.main()
