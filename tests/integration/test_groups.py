# SPDX-License-Identifier: Apache-2.0
"""Groups: each message to one member, whoever comes, goes, is slow or is killed; and what the tools say of it."""

import collections
import json
import signal
import unittest

import control
from agent import payloads
from harness import in_both_homes, wait_until
import wire

GROUP = {"group": "workers"}


def numbers(first, last):
    return [b"%d" % number for number in range(first, last)]


@in_both_homes
class Groups:
    def setUp(self):
        self.bus = self.home(spans=False, listen=("ipc", "ws"))
        self.sender = self.agent(self.bus, "sender")

    def member(self, name, credit=1000, **options):
        member = self.agent(self.bus, name, scheme=options.pop("scheme", "ipc"), credit_messages=credit, credit_bytes=1 << 30)
        member.credit_step = options.pop("credit_step", 0)
        return member.subscribe("jobs.>", **{**GROUP, **options})

    def send(self, first, last):
        for number in numbers(first, last):
            self.sender.publish("jobs.new", number)
        self.sender.sync()

    def settled(self, published):
        """When the broker has seen so many publishes of ours."""
        def seen():
            stats = self.bus.stats()
            topic = next((t for t in stats["topics"] if t["topic"] == "jobs.new"), None)
            return topic and topic["published"] >= published and stats
        return wait_until(seen, "the broker has read everything")

    def group(self):
        return next(s for s in self.bus.stats()["subscriptions"] if s["subscriber"] == "group.workers")

    def test_each_message_goes_to_one_member_and_to_all_others(self):
        members = [self.member(f"worker-{n}") for n in range(3)]
        other = self.agent(self.bus, "other").subscribe("jobs.>")
        self.send(0, 300)
        self.assertEqual(numbers(0, 300), payloads(other.wait_events(300)))
        for member in members:  # equal credit: in turns
            self.assertEqual(100, len(payloads(member.wait_events(100))))
        taken = [payload for member in members for payload in payloads(member.events)]
        self.assertEqual(sorted(numbers(0, 300)), sorted(taken))
        for member in members:
            self.assertEqual(sorted(map(int, payloads(member.events))), list(map(int, payloads(member.events))))

    def test_a_member_without_credit_gets_nothing_and_costs_nothing(self):
        slow, quick = self.member("slow", credit=10), self.member("quick", credit=10_000)
        self.send(0, 1000)
        quick.wait_events(1000 - len(slow.events))
        self.settled(1000)
        slow.sync()
        self.assertLessEqual(len(slow.events), 10)
        self.assertEqual(1000, len(slow.events) + len(quick.wait_events(1000 - len(slow.events))))

    def test_what_waited_for_a_member_that_is_killed_goes_to_the_others(self):
        self.member("first", credit=1)
        self.send(0, 1)
        killed, other = self.member("killed", credit=1), self.member("other", credit=1)
        self.send(1, 100)
        wait_until(lambda: self.group()["queued"] == 97, "97 wait")
        killed.close()  # without a word, as after kill -9
        wait_until(lambda: self.group()["members"] == 2, "it is gone")
        self.assertEqual(97, self.group()["queued"])
        other.grant(1000)
        self.assertEqual(numbers(3, 100), payloads(other.wait_events(98))[1:])
        self.assertEqual({}, self.bus.dropped())

    def test_what_a_killed_member_was_not_sent_comes_back(self):
        self.comes_back("ipc", 500)

    def test_so_it_does_over_websocket(self):
        self.comes_back("ws", 900)

    def comes_back(self, scheme, total):
        """It reads nothing, so the bridge holds megabytes for it when it dies."""
        size = 8192
        dead = self.member("dead", credit=1 << 20, scheme=scheme)
        for number in range(total):
            self.sender.publish("jobs.new", b"%d" % number + bytes(size))
        self.sender.sync()
        self.settled(total)
        self.assertEqual(0, self.group()["queued"], "all of it is with the bridge")
        other = self.member("other", credit=1 << 20)
        dead.close()
        wait_until(lambda: self.group()["members"] == 1, "it is gone")
        given_back = wait_until(lambda: self.bus.stats()["eventbus"]["given_back"], "what it was not sent comes back")
        other.wait_events(given_back)
        other.sync()
        taken = [int(event.payload.rstrip(b"\0")) for event in other.events]
        self.assertEqual(len(set(taken)), len(taken), "nothing twice")
        self.assertEqual(list(range(total - len(taken), total)), sorted(taken), "all but the first, which its socket had")
        self.assertGreater(len(taken), total // 4, "sockets take a part of it")
        self.assertEqual({}, self.bus.dropped())

    def test_who_says_goodbye_gives_back_and_loses_nothing_of_its_own(self):
        total, size = 500, 8192
        leaver, other = self.member("leaver", credit=1 << 20), self.agent(self.bus, "other", credit_messages=0, credit_bytes=1 << 30)
        leaver.subscribe("own", subscription=2)
        for number in range(total):
            self.sender.publish("jobs.new", b"%d" % number + bytes(size))
            self.sender.publish("own", b"%d" % number)
        self.sender.sync()
        self.settled(total)
        other.credit_step = 0
        other.subscribe("jobs.>", **GROUP)
        leaver.send(wire.BYE, {})
        leaver.wait_end()
        other.grant(1 << 20)
        taken = [int(event.payload) for event in leaver.events if event.subscription == 2]
        self.assertEqual(list(range(total)), taken, "what is not the group's still comes before the bridge's goodbye")
        jobs = [event for event in leaver.events if event.subscription == 1]
        other.wait_events(total - len(jobs))
        self.assertEqual(total, len({event.payload for event in jobs + other.events}))

    def test_the_last_member_takes_what_waits_with_it(self):
        only = self.member("only", credit=1)
        self.send(0, 11)
        only.wait_events(1)
        wait_until(lambda: self.group()["queued"] == 10, "ten wait")
        only.close()
        wait_until(lambda: self.bus.dropped() == {"subscription_ended": 10}, "they are counted as lost")
        self.assertEqual(0, self.bus.stats()["eventbus"]["groups"])

    def test_a_stopped_member_holds_nobody_up(self):
        stopped = self.bus.subscriber("jobs.>", "--group", "workers")
        stopped.popen.send_signal(signal.SIGSTOP)
        member = self.member("quick", credit=100_000, credit_step=10_000)
        self.send(0, 2000)
        self.settled(2000)
        member.wait_events(1)
        member.sync()
        taken = len(member.events)
        stopped.popen.send_signal(signal.SIGCONT)
        wait_until(lambda: len(stopped.out.splitlines()) + taken == 2000, "what it had been sent is there when it goes on")
        self.assertGreater(taken, len(stopped.out.splitlines()), "the slow one gets less")

    def test_refusals_say_what_is_wrong(self):
        self.member("one")
        two = self.agent(self.bus, "two")
        for fields, text in (({"filter": "jobs.>", "group": "a.b"}, "the name of the group is not one segment of a topic"),
                             ({"filter": "jobs.>", "qos": wire.REALTIME, **GROUP},
                              "the other members of the group have another qos or other types"),
                             ({"filter": "jobs.>", "types": ["t"], **GROUP},
                              "the other members of the group have another qos or other types")):
            ack = two.request(wire.SUBSCRIBE, subscription=7, **fields)
            self.assertEqual((2, text), (ack["status"], ack["text"]))
        two.subscribe("jobs.>", subscription=7, **GROUP)

    def test_many_groups_with_members_that_come_and_go_lose_nothing(self):
        keepers = [self.agent(self.bus, f"keeper-{n}", credit_messages=1 << 30, credit_bytes=1 << 40) for n in range(4)]
        for number, keeper in enumerate(keepers):
            for group in range(20):
                keeper.subscribe("jobs.>", subscription=group + 1, group=f"group-{group}")
            keeper.credit_step = 0
        for turn in range(10):
            visitors = [self.agent(self.bus, f"visitor-{n}", credit_messages=0, credit_bytes=1) for n in range(3)]
            for visitor in visitors:
                for group in range(20):
                    visitor.subscribe("jobs.>", subscription=group + 1, group=f"group-{group}")
            self.send(turn * 50, turn * 50 + 50)
            for visitor in visitors:
                visitor.close()
        expected = 500 * 20
        taken = lambda: sum(len(keeper.events) for keeper in keepers)
        def all_taken():
            for keeper in keepers:
                keeper.pump(0)
            return self.bus.stats()["eventbus"]["delivered"] >= expected and self.bus.stats()["eventbus"]["queued"] == 0
        wait_until(all_taken, "everything is handed over")
        for keeper in keepers:
            keeper.sync()
        counts = collections.Counter((event.subscription, event.payload) for keeper in keepers for event in keeper.events)
        self.assertEqual({1}, set(counts.values()), "nothing twice")
        self.assertGreaterEqual(taken(), expected - 10 * 3 * 20, "at most what visitors with a byte of credit were sent")

    def test_the_tools_name_the_group(self):
        receiver = self.bus.subscriber("jobs.>", "--group", "workers", "--count", "1")
        stats = self.bus.loom("stats", "--control", f"ipc://{self.bus.control_path}").stdout
        self.assertRegex(stats, r"group\.workers +jobs\.> +batched .* 1 member\n")
        self.assertRegex(stats, r"loom-sub\S* +jobs\.> .* in workers\n")
        agents = control.ask(str(self.bus.control_path), op="agents", topic="jobs.new")["agents"]
        self.assertIn({"filter": "jobs.>", "qos": 0, "group": "workers"}, agents[0]["subscriptions"])
        self.send(0, 1)
        self.assertEqual(0, receiver.wait())
        wrong = self.bus.loom("sub", "jobs.>", "--group", "a.b", code=2)
        self.assertIn('invalid group "a.b": it contains a dot', wrong.stderr)


@in_both_homes
class Spans:
    def test_the_spans_of_a_delivery_name_the_group(self):
        home = self.home()
        receiver = home.subscriber("jobs.>", "--group", "workers", "--count", "1")
        home.loom("pub", "jobs.new", "x")
        self.assertEqual(0, receiver.wait())
        spans = {span.name: span for span in home.wait_spans(6)}
        for name in ("bridge.forward", "agent.on_event"):
            self.assertEqual("workers", spans[name].attributes["messaging.consumer.group.name"], json.dumps(spans[name].attributes))
        self.assertNotIn("messaging.consumer.group.name", spans["bridge.publish"].attributes)


if __name__ == "__main__":
    unittest.main()
