# SPDX-License-Identifier: Apache-2.0
"""What is kept is whole, or says what is missing: a part that was overwritten, a process without a recorder, one that was killed."""

import collections
import json
import re
import subprocess
import unittest

from harness import BIN, OWN_PROCESS, Process, in_both_homes, wait_until

AGENTS = BIN.parent / "tests" / "recorded_agents"
RECORDED = {"OTEL_TRACES_SAMPLER": "parentbased_always_off", "LOOM_TRACE_RECORDER": "64MiB", "LOOM_BROKER_BATCHED_DEADLINE": "60s"}
SEED = 7
WHOLE = ["agent.emit", "agent.on_event", "bridge.forward", "bridge.publish", "eventbus.publish"]
FULL = 20000  # events, of which 512 KiB hold a third


@in_both_homes
class Gaps:
    def agents(self, home, role, *arguments, environment=None):
        process = Process(home.folder, f"{role}-{len(home.processes)}", [AGENTS, home.url, role, *map(str, arguments)],
                          {**home.environment, **(environment or {})}, stdin=subprocess.PIPE)
        home.processes.append(process)
        return process

    def watcher(self, home, environment=None):
        watcher = self.agents(home, "watcher", environment=environment)
        wait_until(lambda: "ready" in watcher.out, "the watcher is subscribed")
        return watcher

    def publish(self, home, source, count):
        delivered, said = home.stats()["eventbus"]["delivered"], source.out.count("failed=")
        source.popen.stdin.write(f"{count}\n".encode())
        source.popen.stdin.flush()
        wait_until(lambda: source.out.count("failed=") > said, "all is published", 60)
        wait_until(lambda: home.stats()["eventbus"]["delivered"] >= delivered + count, "all is delivered", 60)

    def control(self, home):
        return ("--control", f"ipc://{home.control_path}")

    def recorded(self, home):
        """The trace of the first event."""
        lines = home.loom("trace", "ls", "--recorded", "--json", *self.control(home)).stdout.splitlines()
        return min((item for item in map(json.loads, lines) if item["topic"] == "work.0"), key=lambda item: int(item["start_unix_ns"]))["trace_id"]

    def keep(self, home, trace):
        """What `loom trace keep` says, once what it asked for is there."""
        said = home.loom("trace", "keep", trace, *self.control(home)).stderr
        wait_until(lambda: "eventbus.publish" in {span.name for span in home.spans()}, "what there is of the trace is kept")
        return said

    def show(self, home, trace, *wanted):
        def drawn():
            text = home.loom("trace", "show", trace, "--file", home.spans_path).stdout
            return text if all(re.search(pattern, text) for pattern in wanted) else None
        wait_until(drawn, f"the trace is shown with {wanted}")

    def listed(self, home, trace):
        """Whether `loom trace ls` calls it incomplete, in text as in JSON."""
        rows = [json.loads(line) for line in home.loom("trace", "ls", "--json", "--file", home.spans_path).stdout.splitlines()]
        text = [line for line in home.loom("trace", "ls", "--file", home.spans_path).stdout.splitlines() if line.startswith(trace)]
        said = [row["incomplete"] for row in rows if row["trace_id"] == trace]
        self.assertEqual(said, [line.endswith("  incomplete") for line in text])
        return said

    def test_a_trace_that_is_whole_is_not_called_incomplete(self):
        home = self.home(environment=RECORDED)
        self.watcher(home)
        source = self.agents(home, "steps", 1000, SEED)
        self.publish(home, source, 1)
        trace = self.recorded(home)
        self.assertEqual("", self.keep(home, trace))
        wait_until(lambda: len(home.spans()) == 5, "all of the trace is there")
        self.assertNotIn("incomplete", home.loom("trace", "show", trace, "--file", home.spans_path).stdout)
        self.assertEqual([False], self.listed(home, trace))
        home.loom("trace", "check", trace, "--file", home.spans_path)

    def test_an_agent_that_has_overwritten_its_part_is_seen_to_be_missing(self):
        home = self.home(environment=RECORDED)
        self.watcher(home)
        source = self.agents(home, "steps", 20000, SEED, environment={"LOOM_TRACE_RECORDER": "512KiB"})
        self.publish(home, source, 1)
        trace = self.recorded(home)
        self.publish(home, source, FULL)
        self.keep(home, trace)
        self.show(home, trace, "incomplete\n", r"\(orphan\) bridge.publish", "agent.on_event")
        self.assertIn("orphan", home.loom("trace", "check", trace, "--file", home.spans_path, code=1).stdout)
        self.assertEqual([True], self.listed(home, trace))
        whole = json.loads(home.loom("trace", "show", trace, "--json", "--file", home.spans_path).stdout)
        self.assertTrue(whole["incomplete"])
        self.assertTrue(any("is not in the trace" in missing["text"] for missing in whole["missing"]), whole["missing"])

    def test_with_full_rings_every_kept_trace_is_whole_or_says_that_it_is_not(self):
        home = self.home(environment={**RECORDED, "LOOM_TRACE_RECORDER": "512KiB"})
        worker = self.agents(home, "worker")
        wait_until(lambda: "ready" in worker.out, "the worker is subscribed")
        source = self.agents(home, "source", 3 * FULL, 2 * FULL, SEED)
        wait_until(lambda: "failed=" in source.out, "all is published", 60)
        wait_until(lambda: home.stats()["eventbus"]["delivered"] >= 3 * FULL, "all is delivered", 60)
        worker.stop()  # which first handles what has come
        source.stop()
        home.stop()
        kept = collections.defaultdict(list)
        for span in home.spans():
            kept[span.trace_id].append(span.name)
        said = home.loom("trace", "check", "--all", "--quiet", "--file", home.spans_path, code=(0, 1)).stdout
        told = set(re.findall("^([0-9a-f]{32}): [0-9]+ difference", said, re.MULTILINE))
        incomplete = {trace for trace, names in kept.items() if sorted(names) != WHOLE}
        self.assertGreater(len(kept), 0)
        self.assertLessEqual(incomplete, told, [sorted(kept[trace]) for trace in incomplete - told])
        print(f"\n{self.kind}: {len(kept)} kept, {len(incomplete)} incomplete, all of which say so")

    def test_an_agent_without_a_recorder_is_named(self):
        home = self.home(environment=RECORDED)
        self.watcher(home, environment={"LOOM_TRACE_RECORDER": "off"})
        source = self.agents(home, "steps", 1000, SEED)
        self.publish(home, source, 1)
        trace = self.recorded(home)
        self.assertIn("watcher has no recorder", self.keep(home, trace))
        told = json.loads(home.loom("trace", "keep", trace, "--json", *self.control(home)).stdout)
        self.assertEqual((["watcher"], []), (told["unrecorded"], told["left"]))
        self.show(home, trace, "incomplete\n", "! nothing of watcher is in the trace")
        self.assertIn("nothing of the agent", home.loom("trace", "check", trace, "--file", home.spans_path, code=1).stdout)

    def test_another_process_under_the_id_of_one_that_was_killed_does_not_hide_it(self):
        home = self.home(environment=RECORDED)
        watcher = self.watcher(home)
        source = self.agents(home, "steps", 1000, SEED)
        self.publish(home, source, 1)
        trace = self.recorded(home)
        home.kill(watcher)
        self.watcher(home)
        self.assertIn("watcher has left, and with it what it recorded", self.keep(home, trace))
        self.show(home, trace, "incomplete\n", "! nothing of watcher is in the trace")

    def test_one_whose_connection_broke_has_not_left(self):
        if self.kind != OWN_PROCESS:
            self.skipTest("the broker would forget it, too")
        home = self.home(environment=RECORDED)
        watcher = self.watcher(home)
        source = self.agents(home, "steps", 1000, SEED)
        self.publish(home, source, 1)
        trace = self.recorded(home)
        home.kill(home.bridge)
        home.start_bridge()
        ids = lambda: home.loom("agents", *self.control(home)).stdout
        wait_until(lambda: "steps" in ids() and "watcher" in ids(), "both are back", 60)
        self.assertNotIn("has left", self.keep(home, trace))
        self.show(home, trace, "incomplete\n", "agent.on_event", "agent.emit")
        self.assertTrue(watcher.running())

    def test_a_broker_that_was_started_anew_says_that_its_part_is_gone(self):
        home = self.home(environment=RECORDED)
        self.watcher(home)
        source = self.agents(home, "steps", 1000, SEED)
        self.publish(home, source, 1)
        trace = self.recorded(home)
        home.kill(home.broker)
        home.start_broker()
        ids = lambda: home.loom("agents", *self.control(home)).stdout
        wait_until(lambda: "steps" in ids() and "watcher" in ids(), "both are back", 60)
        said = home.loom("trace", "keep", trace, *self.control(home)).stderr
        self.assertIn("the broker has recorded nothing of it" if home.kind == OWN_PROCESS else "broker and bridges have recorded nothing of it", said)
        wait_until(home.spans, "what there is of the trace is kept")
        self.show(home, trace, "incomplete\n", "agent.on_event", "agent.emit")

    def test_a_bridge_without_a_recorder_is_told(self):
        home = self.home(environment={**RECORDED, "LOOM_TRACE_RECORDER": "off"}, broker=["--telemetry-recorder", "64MiB"])
        on = {"LOOM_TRACE_RECORDER": "64MiB"}
        self.watcher(home, environment=on)
        source = self.agents(home, "steps", 1000, SEED, environment=on)
        self.publish(home, source, 1)
        trace = self.recorded(home)
        self.assertEqual(home.kind == OWN_PROCESS, "1 bridge has no recorder" in self.keep(home, trace))
        wait_until(lambda: len(home.spans()) == (3 if home.kind == OWN_PROCESS else 5), "what there is is kept")
        text = home.loom("trace", "show", trace, "--file", home.spans_path).stdout
        self.assertNotIn("orphan", text)  # it passes the context on as it came


if __name__ == "__main__":
    unittest.main()
