# SPDX-License-Identifier: Apache-2.0
"""The control socket: who is there, what can be called, what is published, and calls from a program with only REQ."""

import json
import unittest

import control
import wire
from harness import LoomTest, in_both_homes, wait_until


class Control:
    def setUp(self):
        self.bus = self.home(spans=False)

    def ask(self, **request):
        return control.ask(self.bus.control_path, **request)

    def provider(self, agent_id, *names, version="1"):
        agent = self.agent(self.bus, agent_id)
        for name in names:
            self.assertEqual(wire.OK, agent.request(wire.PROVIDE, name=name, version=version, description=f"about {name}")["status"])
        return agent

    def work(self, provider):
        call = provider.wait(lambda: next((f for f in provider.others if f[0] == wire.CALL), None), "a call")
        provider.others.remove(call)
        return call[1], call[-1]


@in_both_homes
class Directory(Control):
    def test_agents_are_listed_with_what_they_subscribe_to_and_provide(self):
        self.agent(self.bus, "listener").subscribe("sensor.*").subscribe("a.b", 2, qos=wire.REALTIME)
        self.provider("worker", "do.this", "do.that")
        agents = {a["agent"]: a for a in self.ask(op="agents")["agents"]}
        listener, worker = agents["listener"], agents["worker"]
        self.assertEqual([("a.b", 1), ("sensor.*", 0)], sorted((s["filter"], s["qos"]) for s in listener["subscriptions"]))
        self.assertEqual(["do.that", "do.this"], sorted(c["name"] for c in worker["capabilities"]))
        self.assertEqual(("python/1", "active", bytes(16)), (listener["software"], listener["state"], listener["instance"]))
        self.assertEqual("bridge" if self.kind == "own_process" else "broker", listener["bridge"])
        self.assertTrue(listener["peer"].startswith("ipc"), listener)
        self.assertLess(listener["heard_ms_ago"], 20_000)
        self.assertGreater(listener["since_unix_ns"], 1 << 60)

    def names(self, **request):
        return [a["agent"] for a in self.ask(op="agents", **request)["agents"]]

    def test_agents_are_found_by_name_by_topic_and_by_capability(self):
        self.agent(self.bus, "one").subscribe("sensor.*")
        self.agent(self.bus, "two").subscribe(">")
        self.provider("three", "do.this")
        self.assertEqual(["two"], self.names(agent="two"))
        self.assertEqual([], self.names(agent="nobody"))
        self.assertEqual(["one", "two"], self.names(topic="sensor.x"))
        self.assertEqual(["two"], self.names(topic="elsewhere"))
        self.assertEqual(["three"], self.names(capability="do.this"))

    def test_an_agent_that_leaves_is_not_listed_any_more(self):
        with self.bus.agent("fleeting"):
            self.assertEqual(["fleeting"], wait_until(lambda: self.names(agent="fleeting"), "the agent"))
        wait_until(lambda: not self.names(agent="fleeting"), "the end of the agent")

    def test_lists_come_in_parts(self):
        for number in range(5):
            self.provider(f"agent-{number}", f"cap.{number}")
        first = self.ask(op="agents", limit=2)
        self.assertEqual((["agent-0", "agent-1"], True), ([a["agent"] for a in first["agents"]], first["more"]))
        rest = self.ask(op="agents", limit=10, after="agent-1")
        self.assertEqual((["agent-2", "agent-3", "agent-4"], False), ([a["agent"] for a in rest["agents"]], rest["more"]))
        caps = self.ask(op="capabilities", limit=3, after="cap.0")
        self.assertEqual(["cap.1", "cap.2", "cap.3"], [c["name"] for c in caps["capabilities"]])

    def test_capabilities_are_listed_with_their_providers(self):
        self.provider("x", "do.this")
        self.provider("y", "do.this", "other")
        self.provider("z", "do.this", version="2")
        one, two = self.ask(op="capabilities", name="do.this")["capabilities"]
        self.assertEqual(("1", ["x", "y"]), (one["version"], [p["agent"] for p in one["providers"]]))
        self.assertEqual(("2", ["z"]), (two["version"], [p["agent"] for p in two["providers"]]))
        self.assertEqual(("plain", "about do.this"), (one["kind"], one["description"]))
        self.assertEqual(3, len(self.ask(op="capabilities")["capabilities"]))

    def test_a_list_does_not_end_between_two_versions_of_a_capability(self):
        self.provider("x", "first", "second")
        self.provider("y", "second", version="2")
        found, after = [], {}
        for _ in range(2):
            answer = self.ask(op="capabilities", limit=2, **after)
            found.append([(c["name"], c["version"]) for c in answer["capabilities"]])
            after = {"after": found[-1][-1][0]}
        self.assertEqual([[("first", "1")], [("second", "1"), ("second", "2")]], found)

    def test_topics_are_listed_with_their_counts(self):
        listener = self.agent(self.bus, "listener").subscribe("sensor.a")
        for topic, count in (("sensor.a", 3), ("sensor.b", 2), ("else", 5)):
            for _ in range(count):
                listener.publish(topic, b"x")
        listener.wait_events(3)

        def topics():
            found = self.ask(op="topics", filter="sensor.*")["topics"]
            return found if len(found) == 2 and found[1]["published"] == 2 else None
        found = wait_until(topics, "both topics")
        self.assertEqual([("sensor.a", 3, 3, 1), ("sensor.b", 2, 0, 0)],
                         [(t["topic"], t["published"], t["delivered"], t["subscriptions"]) for t in found])

    def test_the_mailbox_of_an_agent_that_has_gone_is_listed_only_when_asked_for(self):
        here, gone = self.agent(self.bus, "here"), self.agent(self.bus, "gone")
        for topic in ("agent.gone.replies", "agent.here.replies", "agent.a.b.replies", "last"):
            here.publish(topic, b"x")

        def topics(**filter):
            return {t["topic"] for t in self.ask(op="topics", **filter)["topics"] if not t["topic"].startswith("system.")}
        wait_until(lambda: "last" in topics(), "all topics")
        there = {"agent.here.replies", "agent.a.b.replies", "last"}
        self.assertEqual(there | {"agent.gone.replies"}, topics())
        gone.close()
        wait_until(lambda: topics() == there, "the mailbox is not listed")
        self.assertNotIn("agent.gone.replies", {t["topic"] for t in self.ask(op="stats")["topics"]})
        self.assertEqual({"agent.gone.replies"}, topics(filter="agent.gone.>"))

    def test_subscriptions_that_messages_wait_for_are_told_however_many_there_are(self):
        crowd = self.agent(self.bus, "crowd")
        for number in range(1, 1051):
            crowd.subscribe(f"crowd.{number}", number)
        slow = self.agent(self.bus, "slow", credit_messages=1, credit_bytes=1 << 20).subscribe("load.>")
        for _ in range(3):
            crowd.publish("load.data", b"x")
        slow.wait_events(1)

        def told():
            return [(s["subscriber"], s["queued"]) for s in self.ask(op="stats")["subscriptions"]]
        wait_until(lambda: told()[0] == ("slow", 2), "those that wait come first")
        self.assertEqual(1000, len(told()))


@in_both_homes
class Flow(Control):
    def edges(self, **request):
        found = self.ask(op="flow", **request)
        self.assertEqual(0, found["status"], found)
        return {(e["kind"], e["agent"], e["name"]): (e["total"], e["lost"], e["reasons"]) for e in found["edges"]}

    def test_edges_lead_from_publishers_to_topics_and_from_topics_to_subscribers(self):
        listener = self.agent(self.bus, "listener").subscribe("sensor.>")
        with self.bus.agent("fleeting") as fleeting:
            for topic, count in (("sensor.a", 3), ("else", 2)):
                for _ in range(count):
                    fleeting.publish(topic, b"x")
            listener.wait_events(3)
            wait_until(lambda: ("publish", "fleeting", "else") in self.edges(), "the last topic")
        listener.publish("sensor.a", b"y")
        listener.wait_events(4)
        wait_until(lambda: not self.ask(op="agents", agent="fleeting")["agents"], "the end of the agent")
        events = {edge: counts for edge, counts in self.edges().items() if not edge[2].startswith("system.")}
        self.assertEqual({
            ("publish", "fleeting", "sensor.a"): (3, 0, {}),
            ("publish", "fleeting", "else"): (2, 0, {}),
            ("publish", "listener", "sensor.a"): (1, 0, {}),
            ("deliver", "listener", "sensor.a"): (4, 0, {}),
        }, events)
        self.assertEqual({("deliver", "listener", "sensor.a")}, set(self.edges(kind="deliver")))
        self.assertEqual({("publish", "fleeting", "else")}, set(self.edges(agent="fleeting", name="else")))
        self.assertEqual(3, len(self.edges(filter="sensor.*")))

    def test_edges_lead_from_callers_to_capabilities_and_on_to_providers(self):
        provider = self.provider("worker", "do.this")
        with control.Asker(self.bus.control_path) as asker:
            for outcome in (0, 1):
                asker.send(op="invoke", capability="do.this")
                call_id, _ = self.work(provider)
                provider.send(wire.RESULT, call_id, outcome, "", "", b"")
                asker.receive()
        self.assertEqual("timeout", self.ask(op="invoke", capability="do.this", deadline_ms=50)["outcome_name"])
        self.ask(op="invoke", capability="nobody.does.this")
        calls = {**self.edges(kind="invoke"), **self.edges(kind="provide")}
        self.assertEqual({
            ("invoke", "control", "do.this"): (3, 2, {"error": 1, "timeout": 1}),
            ("invoke", "control", "nobody.does.this"): (1, 1, {"no_responders": 1}),
            ("provide", "worker", "do.this"): (3, 2, {"error": 1, "timeout": 1}),
        }, calls)

    def test_the_busiest_come_first_and_a_flood_of_topics_ends_in_other(self):
        flooder = self.agent(self.bus, "flooder")
        for number in range(2100):
            flooder.publish(f"flood.{number}", b"x")
        wait_until(lambda: self.bus.stats()["eventbus"]["published"] - self.published_by_the_broker() == 2100, "all of them")
        found = self.ask(op="flow", agent="flooder", limit=1000)
        self.assertEqual((1000, True), (len(found["edges"]), found["more"]))
        first = found["edges"][0]
        self.assertEqual(("publish", "flooder", "other", "name"), tuple(first[k] for k in ("kind", "agent", "name", "other")))
        self.assertGreaterEqual(first["total"], 2100 - 2048)
        self.assertEqual({1}, {e["total"] for e in found["edges"][1:]})

    def published_by_the_broker(self):
        return sum(total for total, *_ in self.edges(agent="loom-broker", kind="publish").values())

    def test_what_makes_no_sense_is_refused(self):
        self.assertEqual("kind is not publish, deliver, invoke or provide", self.ask(op="flow", kind="publishes")["text"])
        self.assertEqual("filter is not valid", self.ask(op="flow", filter="a..b")["text"])

    def test_the_command_line_prints_it(self):
        listener = self.agent(self.bus, "listener").subscribe("sensor.*")
        listener.publish("sensor.a", b"x")
        listener.wait_events(1)
        where = ("--control", f"ipc://{self.bus.control_path}")
        lines = [line.split() for line in self.bus.loom("flow", *where, "sensor.>").stdout.splitlines()]
        self.assertEqual(["KIND", "FROM", "TO", "TOTAL", "LOST", "REASONS"], lines[0])
        self.assertEqual([["deliver", "sensor.a", "listener", "1", "0"], ["publish", "listener", "sensor.a", "1", "0"]], sorted(lines[1:]))
        printed = json.loads(self.bus.loom("flow", *where, "--kind", "deliver", "--agent", "listener", "--json").stdout)
        self.assertEqual(([{"kind": "deliver", "agent": "listener", "name": "sensor.a", "total": "1", "lost": "0",
                            "reasons": {}}], False), (printed["edges"], printed["more"]))


@in_both_homes
class Invoke(Control):
    def test_a_call_reaches_its_provider_and_is_answered(self):
        provider = self.provider("worker", "do.this")
        with control.Asker(self.bus.control_path) as asker:
            asker.send(op="invoke", capability="do.this", payload=b"question")
            call_id, envelope = self.work(provider)
            self.assertEqual((b"question", "control"), (envelope[15], envelope[5]))
            provider.send(wire.RESULT, call_id, 0, "", "", b"answer")
            answer = asker.receive()
        self.assertEqual((0, "ok", b"answer"), (answer["status"], answer["outcome_name"], answer["payload"]))
        actions = self.bus.stats()["actions"]
        self.assertEqual((1, 1, 0), (actions["invoked"], actions["outcomes"]["ok"], actions["pending"]))

    def test_a_call_that_nobody_answers_ends_at_its_deadline(self):
        self.provider("worker", "do.this")
        answer = self.ask(op="invoke", capability="do.this", deadline_ms=50)
        self.assertEqual(("timeout", "deadline_exceeded"), (answer["outcome_name"], answer["code"]))

    def test_when_the_one_who_asked_goes_away_the_call_is_cancelled(self):
        provider = self.provider("worker", "do.this")
        with control.Asker(self.bus.control_path) as asker:
            asker.send(op="invoke", capability="do.this")
            call_id, _ = self.work(provider)
        cancel = provider.wait(lambda: next((f for f in provider.others if f[0] == wire.CANCEL), None), "the cancel")
        self.assertEqual(call_id, cancel[1])
        wait_until(lambda: self.bus.stats()["actions"]["pending"] == 0, "the end of the call")

    def test_a_provider_that_is_killed_fails_the_call_at_once(self):
        with self.bus.agent("worker") as provider, control.Asker(self.bus.control_path) as asker:
            provider.request(wire.PROVIDE, name="do.this")
            asker.send(op="invoke", capability="do.this")
            self.work(provider)
            provider.close()
            answer = asker.receive()
        self.assertEqual(("error", "provider_gone"), (answer["outcome_name"], answer["code"]))

    def test_two_who_ask_with_the_same_id_get_the_same_result(self):
        provider = self.provider("worker", "do.this")
        with control.Asker(self.bus.control_path) as one, control.Asker(self.bus.control_path) as two:
            one.send(op="invoke", capability="do.this", call_id=b"same")
            call_id, _ = self.work(provider)
            two.send(op="invoke", capability="do.this", call_id=b"same")
            wait_until(lambda: self.bus.stats()["actions"]["joined"] == 1, "the second to join")
            provider.send(wire.RESULT, call_id, 0, "", "", b"once")
            self.assertEqual([b"once", b"once"], [one.receive()["payload"], two.receive()["payload"]])

    def test_an_agent_calls_another_whatever_the_home(self):
        provider, caller = self.provider("worker", "do.this"), self.agent(self.bus, "caller")
        envelope = wire.envelope("do.this", b"question", "caller")
        body = wire.pack([wire.CALL, b"id", "do.this", "", 5000, 0, 0])
        frame = bytes([body[0] + 1]) + body[1:] + envelope
        caller.link.send(len(frame).to_bytes(4, "big") + frame)
        call_id, received = self.work(provider)
        self.assertEqual(b"question", received[15])
        provider.send(wire.RESULT, call_id, 0, "", "", b"answer")
        result = caller.wait(lambda: next((f for f in caller.others if f[0] == wire.RESULT), None), "the result")
        self.assertEqual((b"id", 0, b"answer"), (result[1], result[2], result[5]))

    def test_bad_requests_are_answered_with_what_is_wrong(self):
        for request, status in (({}, wire.EINVAL), ({"capability": "a", "call_id": bytes(65)}, wire.ETOOBIG),
                                ({"capability": "a", "payload": 7}, wire.EMALFORMED),
                                ({"capability": "a", "headers": {"k": 1}}, wire.EMALFORMED),
                                ({"capability": "a", "headers": {str(n): "" for n in range(200)}}, wire.ETOOBIG),
                                ({"capability": "a", "payload": bytes((1 << 20) + 1)}, wire.ETOOBIG),
                                ({"capability": "t" * 300}, wire.ETOOBIG)):
            answer = self.ask(op="invoke", **request)
            self.assertEqual(status, answer["status"], answer)
            self.assertTrue(answer["text"])


if __name__ == "__main__":
    unittest.main()
