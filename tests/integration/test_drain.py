# SPDX-License-Identifier: Apache-2.0
"""loom drain: a broker takes no new agents and asks those it has to go elsewhere. And agents that come for a moment only."""

import json
import signal
import subprocess
import unittest
import urllib.request

import control
import harness
from harness import LoomTest, in_both_homes, wait_until
import wire


def subscribed(home, topics):
    return any(subscription["filter"] == topics for subscription in home.stats()["subscriptions"])


class Draining:
    def setUp(self):
        self.bus = self.home(spans=False, listen=("ipc", "http"), broker=("--log-level", "debug"), serving=("--log-level", "debug"))
        self.control = ("--control", f"ipc://{self.bus.control_path}")

    def drain(self, *arguments, code=0):
        return self.bus.loom("drain", *self.control, *arguments, code=code)

    def state(self):
        return control.ask(str(self.bus.control_path), op="drain")

    def names(self, home):
        return sorted(a["agent"] for a in json.loads(home.loom("agents", "--control", f"ipc://{home.control_path}", "--json").stdout)["agents"])


@in_both_homes
class Drain(Draining):
    def test_an_agent_with_another_address_goes_there_and_loses_nothing(self):
        other = self.home(spans=False)
        receiver = self.bus.run("loom", "sub", "--url", f"{self.bus.url},{other.url}", "--id", "receiver", "--json", "jobs.>")
        wait_until(lambda: subscribed(self.bus, "jobs.>"), "it is subscribed")
        for n in range(20):
            self.bus.loom("pub", "jobs.new", f"before {n}")
        told = json.loads(self.drain("--within", "10s", "--json").stdout)
        self.assertEqual({"draining": True, "agents_at_first": 1, "agents_left": 0, "agents_away": 0, "stayed": []}, told)
        wait_until(lambda: self.names(other) == ["receiver"], "it is there")
        wait_until(lambda: subscribed(other, "jobs.>"), "it has subscribed again")
        other.loom("pub", "jobs.new", "after")
        wait_until(lambda: receiver.out.count("\n") == 21, "everything came")
        self.assertTrue(receiver.running())

    def test_who_has_no_other_address_stays_and_is_served(self):
        worker = self.agent(self.bus, "worker").subscribe("jobs.>").provide("math.add", "1.0")
        done = self.drain("--within", "300ms", code=4)
        self.assertIn("these stayed: worker", done.stdout)
        self.assertEqual({"status": 0, "draining": True, "agents": 1, "away": 0, "some": ["worker"]}, self.state())
        worker.publish("jobs.new", b"x")
        worker.wait_events(1)
        self.assertEqual([], [other for other in worker.others if other[0] == wire.MOVE], "it did not say that it moves")

    def test_one_that_can_move_is_asked_once_and_told_how_long(self):
        mover = self.agent(self.bus, "mover", moves=1)
        self.drain("--within", "0s")
        mover.wait(lambda: (wire.MOVE, 30000) in mover.others, "it is asked")
        self.drain("--within", "200ms", code=4)
        mover.wait(lambda: (wire.MOVE, 200) in mover.others, "it is asked again")

    def test_nobody_new_is_taken_on_until_it_is_called_off(self):
        self.drain("--within", "0s")
        if self.kind == harness.OWN_PROCESS:
            wait_until(lambda: "new agents are refused" in self.bus.bridge.err, "the bridge has heard of it")
        failed = self.bus.loom("pub", "jobs.new", "x", code=3)
        self.assertIn("is being drained and takes no new agents", failed.stderr)
        done = self.drain("--cancel")
        self.assertEqual("the broker takes agents on\n", done.stdout)
        if self.kind == harness.OWN_PROCESS:
            wait_until(lambda: "takes agents on again" in self.bus.bridge.err, "the bridge has heard of it")
        self.bus.loom("pub", "jobs.new", "x")
        self.assertFalse(self.state()["draining"])

    def test_its_readiness_says_so(self):
        ready = f"{self.bus.url_of('http')}/readyz"
        def asked():
            return subprocess.run(["curl", "-s", "-o", "-", "-w", " %{http_code}", ready], capture_output=True, text=True, check=True).stdout
        wait_until(lambda: asked().endswith(" 200"), "it is ready")
        self.drain("--within", "0s")
        wait_until(lambda: asked().endswith(" 503"), "it is not")
        self.assertIn('"draining"', asked())
        self.drain("--cancel")
        wait_until(lambda: asked().endswith(" 200"), "it is again")

    def test_a_call_under_way_is_finished_first(self):
        other = self.home(spans=False)
        provider = self.bus.run("loom", "provide", "slow.work", "--url", f"{self.bus.url},{other.url}", "--id", "provider", "--",
                                "sh", "-c", f"touch {self.bus.folder}/begun; while [ ! -e {self.bus.folder}/go ]; do sleep 0.02; done; cat")
        wait_until(lambda: "slow.work" in self.bus.loom("caps", *self.control).stdout, "it is provided")
        call = self.bus.run("loom", "invoke", "--url", self.bus.url, "slow.work", "done")
        wait_until(lambda: (self.bus.folder / "begun").exists(), "the call runs")
        self.drain("--within", "0s")
        drain = self.bus.run("loom", "drain", *self.control, "--within", "15s")
        wait_until(lambda: self.state()["draining"], "it drains")
        self.assertIn("provider", self.names(self.bus))
        (self.bus.folder / "go").touch()
        self.assertEqual((0, "done"), (call.wait(), call.out.strip()))
        wait_until(lambda: "provider" in self.names(other), "it has gone elsewhere")
        self.assertEqual(0, drain.wait())
        self.assertTrue(provider.running(), provider.err)

    def test_counters_say_so(self):
        self.agent(self.bus, "worker")
        self.assertNotIn("draining", self.bus.loom("stats", *self.control).stdout)
        self.drain("--within", "0s")
        self.assertIn(", draining\n", self.bus.loom("stats", *self.control).stdout)
        self.assertIn(", draining  ", self.bus.loom("top", *self.control, "-n", "1").stdout)
        directory = self.bus.stats()["directory"]
        self.assertEqual([True, 1], [directory["draining"], directory["guests"]])
        own = self.kind == harness.OWN_PROCESS
        flag = "loom_bus_draining 1\n" if own else "loom_directory_draining 1\n"
        wait_until(lambda: flag in urllib.request.urlopen(f"{self.bus.url_of('http')}/metrics", timeout=30).read().decode(), "the metrics say so")
        self.drain("--cancel")
        self.assertFalse(self.bus.stats()["directory"]["draining"])

    def test_what_makes_no_sense_is_refused(self):
        self.assertIn("--within must be", self.drain("--within", "2h", code=2).stderr)
        self.assertEqual(wire.EINVAL, control.ask(str(self.bus.control_path), op="drain", how="sideways")["status"])
        worker = self.agent(self.bus, "worker")
        result = worker.wait_result(worker.call("system.drain", b""))
        self.assertEqual("no_provider", result.code, "an agent may not drain its broker")


class LateBridge(Draining, LoomTest):
    kind = harness.OWN_PROCESS

    def test_a_bridge_that_comes_later_is_told(self):
        self.drain("--within", "0s")
        self.bus.bridge.stop()
        self.bus.start_bridge()
        wait_until(lambda: "new agents are refused" in self.bus.bridge.err, "the new bridge has heard of it")
        self.bus.loom("pub", "jobs.new", "x", code=3)

    def test_a_bridge_that_comes_back_keeps_its_sessions(self):
        worker = self.agent(self.bus, "worker", moves=1).subscribe("jobs.>").provide("math.add", "1.0")
        wait_until(lambda: "worker" in self.names(self.bus), "the broker knows it")
        self.drain("--within", "0s")
        worker.wait(lambda: (wire.MOVE, 30000) in worker.others, "it is asked to move")
        self.bus.bridge.signal(signal.SIGSTOP)
        wait_until(lambda: self.bus.stats()["bus"]["bridges"] == 0, "the broker gives the bridge up")
        self.bus.bridge.signal(signal.SIGCONT)
        wait_until(lambda: "worker" in self.names(self.bus), "its agent is there again")
        self.assertEqual(0, self.bus.stats()["directory"]["refused"])
        worker.wait(lambda: len([other for other in worker.others if other[0] == wire.MOVE]) == 2, "it is asked again")
        worker.publish("jobs.new", b"x")
        worker.wait_events(1)
        self.bus.loom("pub", "jobs.new", "x", code=3)

    def test_agents_of_a_bridge_that_is_away_for_a_moment_have_not_left(self):
        worker = self.agent(self.bus, "worker")
        wait_until(lambda: "worker" in self.names(self.bus), "the broker knows it")
        self.bus.bridge.signal(signal.SIGSTOP)
        wait_until(lambda: self.bus.stats()["bus"]["bridges"] == 0, "the broker gives the bridge up")
        self.assertEqual([], self.names(self.bus))
        told = json.loads(self.drain("--within", "0s", "--json").stdout)
        self.assertEqual({"draining": True, "agents_at_first": 1, "agents_left": 1, "agents_away": 1, "stayed": []}, told)
        self.assertIn("0 of 1 agents have left", (said := self.drain("--within", "1ms", code=4).stdout))
        self.assertIn("; 1 is with a bridge that is away, and may be back\n", said)
        drain = self.bus.run("loom", "drain", *self.control, "--within", "60s")
        wait_until(lambda: "within_ms=60000" in self.bus.broker.err, "it has asked, and counts")
        self.bus.bridge.signal(signal.SIGCONT)
        wait_until(lambda: self.state() == {"status": 0, "draining": True, "agents": 1, "away": 0, "some": ["worker"]}, "it is back, and is counted once")
        self.assertTrue(drain.running())
        worker.close()
        self.assertEqual(0, drain.wait())
        self.assertIn("all agents have left, 1 in ", drain.out)

    def test_a_bridge_that_does_not_come_back_is_not_waited_for_long(self):
        self.agent(self.bus, "worker")
        wait_until(lambda: "worker" in self.names(self.bus), "the broker knows it")
        self.bus.kill(self.bus.bridge)
        wait_until(lambda: self.bus.stats()["bus"]["bridges"] == 0, "the broker has seen its end")
        self.assertIn("all agents have left, 1 in ", self.drain("--within", "60s").stdout)

    def test_a_bridge_that_begins_anew_has_none_of_its_agents(self):
        self.agent(self.bus, "worker")
        wait_until(lambda: "worker" in self.names(self.bus), "the broker knows it")
        self.bus.kill(self.bus.bridge)
        wait_until(lambda: self.bus.stats()["bus"]["bridges"] == 0, "the broker has seen its end")
        self.assertEqual(1, self.state()["away"])
        self.bus.start_bridge()
        wait_until(lambda: self.state()["away"] == 0, "it has said that it is through")
        self.assertEqual(0, self.state()["agents"])


@in_both_homes
class Elsewhere:
    """An agent whose first address fails takes the next."""

    def test_the_next_address_is_tried(self):
        bus = self.home(spans=False)
        bus.loom("pub", "--url", f"ipc://{bus.folder}/nobody.sock,{bus.url}", "jobs.new", "x")
        both = f"ipc://{bus.folder}/nobody.sock,ipc://{bus.folder}/nobody-else.sock"
        self.assertIn("no broker at", bus.loom("pub", "--url", both, "jobs.new", "x", code=3).stderr, "none of them, and it is told at once")

    def test_what_is_no_address_is_told_with_its_reason(self):
        bus = self.home(spans=False)
        self.assertIn('url "nonsense"', bus.loom("pub", "--url", f"{bus.url}, nonsense", "t", "x", code=2).stderr)
        self.assertIn("at most 8", bus.loom("pub", "--url", ",".join([bus.url] * 9), "t", "x", code=2).stderr)


@in_both_homes
class Quiet:
    def test_commands_of_a_moment_are_no_news(self):
        bus = self.home(spans=False)
        news = bus.run("loom", "sub", "--url", bus.url, "--id", "listener", "--json", "system.agents")
        wait_until(lambda: subscribed(bus, "system.agents"), "it is subscribed")
        bus.loom("pub", "jobs.new", "x")
        bus.loom("agents", "--url", bus.url)
        bus.loom("ping", "-n", "1")
        bus.loom("pub", "--id", "named", "jobs.new", "x")
        wait_until(lambda: news.out.count("\n") >= 2, "the one with a name is news")
        told = [json.loads(line) for line in news.out.splitlines()]
        self.assertEqual({"named"}, {json.loads(event["payload"])["agent"] for event in told}, told)

        def lines(agent):
            return [line for line in bus.serving.err.splitlines() if ("session opened" in line or "session ended" in line) and f"agent={agent}" in line]
        wait_until(lambda: len(lines("named")) == 2, "the log, which is written behind their back, has the last of them")
        self.assertEqual([], lines("loom-"), "commands are in the log")


if __name__ == "__main__":
    unittest.main()
