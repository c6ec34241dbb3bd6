# SPDX-License-Identifier: Apache-2.0
"""Who gets which event: filters, types, several subscriptions of one agent, and their end."""

import unittest

import wire
from agent import payloads
from harness import in_both_homes, wait_until


@in_both_homes
class Subscriptions:
    def setUp(self):
        self.bus = self.home(spans=False)
        self.sender = self.agent(self.bus, "sender")

    def receiver(self, name="receiver", **hello):
        return self.agent(self.bus, name, **hello)

    def publish_all(self, *topics, **fields):
        """Every topic is its message's payload; then one to the topic "end"."""
        for topic in (*topics, "end"):
            self.sender.publish(topic, topic.encode(), **fields)

    def received(self, receiver):
        """What came up to the message "end"."""
        receiver.wait(lambda: b"end" in payloads(receiver.events), "the last message")
        return [event.payload.decode() for event in receiver.events if event.payload != b"end"]

    def selected(self, topic_filter, *topics):
        receiver = self.receiver(f"receiver-{len(topics)}").subscribe("end", 99).subscribe(topic_filter)
        self.publish_all(*topics)
        return self.received(receiver)

    def test_a_filter_without_wildcards_selects_its_topic_alone(self):
        self.assertEqual(["a.b"], self.selected("a.b", "a", "a.b", "a.b.c", "a.bb", "A.b"))

    def test_a_star_is_exactly_one_segment(self):
        self.assertEqual(["a.x.c", "a.y.c"], self.selected("a.*.c", "a.x.c", "a.c", "a.x.y.c", "a.y.c", "a.x.d"))

    def test_a_trailing_arrow_is_one_segment_or_more(self):
        self.assertEqual(["a.b", "a.b.c"], self.selected("a.>", "a", "a.b", "b.a", "a.b.c"))

    def test_an_arrow_alone_selects_everything(self):
        self.assertEqual(["a", "b.c", "end"], [*self.selected(">", "a", "b.c"), "end"])

    def test_a_star_and_an_arrow_may_stand_together(self):
        self.assertEqual(["x.a.b", "y.a.b.c"], self.selected("*.a.>", "x.a", "x.a.b", "a.b", "y.a.b.c"))

    def test_overlapping_subscriptions_of_one_agent_get_one_copy_each(self):
        receiver = self.receiver().subscribe("a.b", 1).subscribe("a.*", 2).subscribe("a.>", 3).subscribe("b.>", 4)
        receiver.subscribe("end", 9)
        self.publish_all("a.b")
        self.received(receiver)
        self.assertEqual([1, 2, 3, 9], sorted(event.subscription for event in receiver.events))

    def test_several_agents_get_a_copy_each_and_the_sender_too_if_it_subscribed(self):
        receivers = [self.receiver(f"r{number}").subscribe(">") for number in range(5)]
        self.sender.subscribe("a")
        self.publish_all("a")
        for receiver in (*receivers, self.sender):
            receiver.wait_events(1)
            self.assertEqual(("a", "sender"), (receiver.events[0].topic, receiver.events[0].sender))

    def test_a_subscription_for_types_gets_those_types_alone(self):
        receiver = self.receiver().subscribe("t.>", 1, types=["reading", "alarm"]).subscribe("end", 9)
        for kind in ("reading", "other", None, "alarm", "readings"):
            self.sender.publish(f"t.{kind}", str(kind).encode(), type=kind)
        self.publish_all()
        self.assertEqual(["reading", "alarm"], self.received(receiver))

    def test_nothing_comes_after_an_unsubscribe_was_answered(self):
        receiver = self.receiver().subscribe("a.>", 1).subscribe("a.b", 2).subscribe("end", 9)
        self.publish_all("a.b")
        self.assertEqual(["a.b", "a.b"], self.received(receiver))
        self.assertEqual(wire.OK, receiver.request(wire.UNSUBSCRIBE, subscription=1)["status"])
        del receiver.events[:]
        self.publish_all("a.b", "a.c")
        self.received(receiver)
        self.assertEqual([2, 9], [event.subscription for event in receiver.events])

    def test_unsubscribing_what_is_not_there_is_answered_with_not_found(self):
        self.assertEqual(wire.ENOTFOUND, self.receiver().request(wire.UNSUBSCRIBE, subscription=5)["status"])

    def test_a_number_of_a_subscription_is_taken_once(self):
        receiver = self.receiver().subscribe("a", 1)
        self.assertEqual(wire.EEXIST, receiver.request(wire.SUBSCRIBE, subscription=1, filter="b")["status"])
        self.publish_all("a", "b")
        self.assertEqual(["a"], payloads_as_text(receiver.wait_events(1)))

    def test_filters_and_qualities_that_are_not_valid_are_refused_with_a_reason(self):
        receiver = self.receiver()
        for bad in ("", "a..b", ".a", "a.", "a.>.b", "a b", "a.b*", ">>"):
            ack = receiver.request(wire.SUBSCRIBE, subscription=1, filter=bad)
            self.assertEqual(wire.EINVAL, ack["status"], bad)
            self.assertTrue(ack["text"], bad)
        ack = receiver.request(wire.SUBSCRIBE, subscription=1, filter="a", qos=77)
        self.assertEqual((wire.EINVAL, True), (ack["status"], "qos" in ack["text"]))
        self.assertIsNone(receiver.end)

    def test_an_agent_that_leaves_takes_its_subscriptions_with_it(self):
        self.receiver("leaver").subscribe("a").close()
        stays = self.receiver("stayer").subscribe("end")
        wait_until(lambda: self.bus.stats()["eventbus"]["subscriptions"] == 1, "the subscription of the leaver is gone")
        self.publish_all("a")
        self.received(stays)
        self.assertEqual({}, self.bus.dropped())


def payloads_as_text(events):
    return [event.payload.decode() for event in events]


if __name__ == "__main__":
    unittest.main()
