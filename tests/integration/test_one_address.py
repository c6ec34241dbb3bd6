# SPDX-License-Identifier: Apache-2.0
"""One address: what the control socket tells is told over the agent link, too; and an operator ends a session."""

import json
import subprocess
import unittest

import harness
from harness import in_both_homes, wait_until
from packing import pack, unpack
import wire

ECANCELED = 20
TOPICS = 10_000


@in_both_homes
class OneAddress:
    def setUp(self):
        self.bus = self.home(spans=False, listen=("ipc", "ws"))
        self.worker = self.agent(self.bus, "worker").subscribe("jobs.>").provide("math.add", "1.0", description="adds")
        self.control = ("--control", f"ipc://{self.bus.control_path}")

    def told(self, verb, *arguments):
        """The same question both ways."""
        over_link = json.loads(self.bus.loom(verb, "--url", self.bus.url, "--json", *arguments).stdout)
        by_socket = json.loads(self.bus.loom(verb, *self.control, "--json", *arguments).stdout)
        return over_link, by_socket

    def ask(self, agent, name, /, **question):
        result = agent.wait_result(agent.call(f"system.{name}", pack(question) if question else b""))
        self.assertEqual(0, result.outcome, result)
        return unpack(result.payload)

    def test_every_list_is_the_same_over_the_link(self):
        self.worker.publish("jobs.new", b"x")
        self.worker.wait_events(1)
        link, socket = self.told("agents")
        self.assertEqual(["worker"], [agent["agent"] for agent in link["agents"]], "but for the one who asks")
        self.assertEqual([agent["agent"] for agent in socket["agents"]], [agent["agent"] for agent in link["agents"]])
        self.assertEqual("math.add", self.told("caps")[0]["capabilities"][0]["name"])
        link, socket = self.told("topics", "jobs.>")
        self.assertEqual(socket, link)
        link, socket = self.told("stats")
        self.assertEqual(set(socket), set(link))
        self.assertEqual(1, len([t for t in link["topics"] if t["topic"] == "jobs.new"]))
        self.assertIn("edges", self.told("flow")[0])

    def test_the_environments_address_will_do(self):
        listed = self.bus.loom("agents", environment={"LOOM_URL": self.bus.url})
        self.assertIn("worker", listed.stdout)
        asked = self.bus.loom("caps", "math.add", environment={"LOOM_URL": self.bus.url_of("ws")})
        self.assertIn("adds", asked.stdout)
        self.assertIn('not found: "nobody"', self.bus.loom("agents", "nobody", code=5).stderr)

    def test_whatever_only_asks_is_answered_there(self):
        self.worker.publish("jobs.new", b"x")
        self.worker.wait_events(1)
        at = ("--url", self.bus.url)
        pages = self.bus.loom("top", *at, "-n", "2", "--interval", "50ms").stdout
        self.assertEqual(2, pages.count("jobs.new"))
        self.assertNotIn("loom-ask", pages, "who asks is not listed")
        for check in ("agent worker", "topic jobs.new", "capability math.add", "queue worker"):
            self.assertIn("LOOM OK", self.bus.loom("check", *check.split(), *at).stdout)
        words = self.bus.loom("completion", "words", "--", "invoke", "", environment={"LOOM_URL": self.bus.url}).stdout
        self.assertEqual("math.add\n", words)

    def test_what_is_asked_at_the_control_socket_alone_goes_to_no_other_broker(self):
        for command in ("drain", "kick worker", "trace keep --recent", "trace ls --recorded"):
            refused = self.bus.loom(*command.split(), environment={"LOOM_URL": self.bus.url}, code=2).stderr
            self.assertIn(f"control socket of the broker at {self.bus.url}", refused)

    def test_what_is_no_address_is_a_wrong_command_line(self):
        for command in ("agents", "stats", "top", "flow", "drain"):
            self.assertIn('"nonsense"', self.bus.loom(command, "--control", "nonsense", code=2).stderr)
        for command in ("agents", "stats", "top", "flow"):
            self.assertIn('"nonsense"', self.bus.loom(command, "--url", "nonsense", code=2).stderr)
        self.assertIn("filter is not valid", self.bus.loom("topics", "--url", self.bus.url, "a..b", code=2).stderr)

    def test_a_page_waits_for_a_broker_that_comes_back(self):
        top = self.bus.run("loom", "top", "--url", self.bus.url, "--interval", "50ms")
        wait_until(lambda: "up " in top.out, "the first page")
        self.bus.kill(self.bus.broker)
        wait_until(lambda: "no answer from the broker" in top.out, "there is none")
        self.bus.start_broker()
        pages = top.out.count("published")
        wait_until(lambda: top.out.count("published") > pages, "it is back")

    def test_pages_are_put_together(self):
        more = [self.agent(self.bus, f"agent-{n:03}") for n in range(150)]
        listed = json.loads(self.bus.loom("agents", "--url", self.bus.url, "--json").stdout)["agents"]
        self.assertEqual(sorted(["worker"] + [agent.id for agent in more]), [agent["agent"] for agent in listed])

    def test_an_agent_in_any_language_may_ask(self):
        for scheme in ("ipc", "ws"):
            asker = self.agent(self.bus, f"asker-{scheme}", scheme=scheme)
            answer = self.ask(asker, "capabilities", name="math.add")
            self.assertEqual([0, "worker"], [answer["status"], answer["capabilities"][0]["providers"][0]["agent"]])
            self.assertIn("worker", [agent["agent"] for agent in self.ask(asker, "agents")["agents"]])
            self.assertTrue(self.ask(asker, "ping")["software"].startswith("loom-broker/"))
            self.assertEqual(wire.EINVAL, self.ask(asker, "topics", filter="a..b")["status"])

    def test_what_is_not_to_be_asked_there_has_nobody_who_answers(self):
        for name in ("kick", "invoke", "nothing", ""):
            result = self.worker.wait_result(self.worker.call(f"system.{name}" if name else "system.x.y", pack({"agent": "worker"})))
            self.assertEqual((3, "no_provider"), (result.outcome, result.code))
        result = self.worker.wait_result(self.worker.call("system.agents", b"\xc1"))
        self.assertEqual(wire.EMALFORMED, unpack(result.payload)["status"])

    def test_a_flood_of_questions_has_an_outcome_each(self):
        calls = [self.worker.call("system.stats") for _ in range(2000)]
        results = [self.worker.wait_result(call) for call in calls]
        self.assertLessEqual({(result.outcome, result.code) for result in results}, {(0, ""), (1, "system_busy")})
        self.assertEqual(0, results[0].outcome)

    def test_who_asks_too_much_is_told_so_and_answered_later(self):
        """Each answer is short, and looks at every topic there is."""
        for number in range(TOPICS):
            self.worker.publish(f"many.t{number}", b"")
        self.worker.sync()
        question = pack({"filter": "nothing.at.all"})
        for _ in range(100):
            calls = [self.worker.call("system.topics", question) for _ in range(100)]
            refused = next((r for r in map(self.worker.wait_result, calls) if r.outcome != 0), None)
            if refused:
                break
        self.assertIsNotNone(refused, "a twentieth of the time and a fifth of a second are used up")
        self.assertEqual((1, "system_busy"), (refused.outcome, refused.code))
        wait_until(lambda: self.worker.wait_result(self.worker.call("system.topics", question)).outcome == 0, "there is an answer again")

    def test_an_operator_ends_a_session(self):
        self.bus.loom("kick", "worker", *self.control)
        kind, status, text = self.worker.wait_end()
        self.assertEqual((wire.ERROR, ECANCELED, "an operator has ended the session"), (kind, status, text))
        self.assertIn("there is no such agent", self.bus.loom("kick", "worker", *self.control, code=5).stderr)
        self.agent(self.bus, "worker").subscribe("jobs.>")

    def test_an_agent_on_libloom_comes_back_after_a_kick(self):
        receiver = self.bus.subscriber("jobs.>", "--id", "receiver")
        first = next(agent["since_unix_ns"] for agent in self.told("agents")[1]["agents"] if agent["agent"] == "receiver")
        self.bus.loom("kick", "receiver", *self.control)
        wait_until(lambda: any(agent["agent"] == "receiver" and agent["since_unix_ns"] > first
                               for agent in self.told("agents")[1]["agents"]), "it is back")
        self.assertTrue(receiver.running())


@in_both_homes
class Discovery:
    def setUp(self):
        self.bus = self.home(spans=False)

    def discovering(self):
        process = harness.Process(self.bus.folder, "discovering", [str(harness.BIN.parent / "tests" / "discovering_agent"), self.bus.url],
                                  self.bus.environment, stdin=subprocess.PIPE)
        self.bus.processes.append(process)
        wait_until(lambda: "ready" in process.out or not process.running(), "it watches")
        self.assertTrue(process.running(), process.err)
        return process

    def test_an_agent_on_libloom_lists_and_watches(self):
        process = self.discovering()
        worker = self.agent(self.bus, "worker").provide("math.add", "1.0", description="adds", kind="tool")
        wait_until(lambda: "+ capability math.add 1.0 of worker\n" in process.out, "the capability is told")
        self.assertIn("+ agent worker\n", process.out)
        process.popen.stdin.write(b"list\n")
        process.popen.stdin.flush()
        wait_until(lambda: "listed" in process.out, "the lists")
        self.assertIn('agent worker active\ncapability math.add 1.0 tool "adds" worker of 1\nlisted OK\n', process.out)
        worker.request(wire.PROVIDE, name="math.add", version="1.0", withdraw=True)
        wait_until(lambda: "- capability math.add 1.0 of worker\n" in process.out, "its withdrawal is told")
        worker.provide("math.sub", "2")
        worker.close()
        wait_until(lambda: "- agent worker\n" in process.out, "the end is told")
        self.assertIn("- capability math.sub 2 of worker\n", process.out)
        process.popen.stdin.close()
        self.assertEqual(0, process.wait())

    def test_the_news_of_capabilities_is_json(self):
        reader = self.agent(self.bus, "reader").subscribe("system.capabilities")
        worker = self.agent(self.bus, "worker").provide("math.add", "1.0", kind="tool")
        worker.close()
        events = reader.wait_events(2)
        self.assertEqual(["capability.provided", "capability.withdrawn"], [event.type for event in events])
        told = json.loads(events[0].payload)
        self.assertEqual({"name": "math.add", "version": "1.0", "kind": "tool", "agent": "worker", "bridge": told["bridge"]}, told)
        self.assertEqual({"name": "math.add", "version": "1.0", "agent": "worker"}, events[1].headers)


if __name__ == "__main__":
    unittest.main()
