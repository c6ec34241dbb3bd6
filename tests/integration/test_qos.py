# SPDX-License-Identifier: Apache-2.0
"""What happens when a subscriber is slower than its publishers: each quality of service, and that nobody else suffers."""

import signal
import time
import unittest

import wire
from agent import payloads
from harness import in_both_homes, wait_until

QUEUE = 100      # messages that wait for one subscription
AT_ONCE = 10     # what the slow subscriber grants
LARGE = 8 * 1024 # bytes of payload, so that publish credit is used up after about 130 messages


def numbers(first, last):
    return [b"%d" % number for number in range(first, last)]


class SlowSubscriber:
    """A subscriber that grants AT_ONCE messages and no more, and somebody who publishes to it."""

    qos = wire.BATCHED
    deadline = "60s"
    share = "64MiB"

    def setUp(self):
        self.bus = self.home(spans=False, broker=("--queue-messages", QUEUE, "--batched-deadline", self.deadline,
                                                  "--agent-queue-bytes", self.share))
        self.slow = self.agent(self.bus, "slow", credit_messages=AT_ONCE)
        self.slow.credit_step = 0
        self.slow.subscribe("flow", qos=self.qos)
        self.sender = self.agent(self.bus, "sender")
        self.sent = 0

    def send(self, count, size=0):
        for number in range(self.sent, self.sent + count):
            self.sender.publish("flow", b"%d" % number + bytes(size))
        self.sent += count

    def send_until_held_back(self):
        """Publishes as long as there is credit. The bridge gives none any more, however often it is asked."""
        while True:
            self.sender.sync()
            pressed = self.bus.stats()["eventbus"]["pressure"] > 0
            if self.sender.published >= self.sender.granted:
                if pressed:
                    return
                self.sender.wait(lambda: self.sender.published < self.sender.granted, "publish credit")
            self.send(1, LARGE)

    def settled(self):
        """The EventBus's numbers when everything sent has reached it. The broker publishes, too, but not to who is here."""
        return wait_until(lambda: (stats := self.bus.stats()["eventbus"])["matched"] >= self.sent and stats,
                          "the broker has read everything")

    def assert_conserved(self):
        stats = self.settled()
        self.assertEqual(stats["matched"], stats["delivered"] + stats["queued"] + sum(stats["dropped"].values()))
        self.assertEqual(self.sent, stats["matched"])
        return stats


@in_both_homes
class Realtime(SlowSubscriber):
    qos = wire.REALTIME

    def test_the_oldest_are_dropped_and_the_newest_arrive(self):
        self.send(1000)
        stats = self.assert_conserved()
        self.assertEqual({"queue_full_oldest": 1000 - AT_ONCE - QUEUE}, self.bus.dropped())
        self.assertEqual(0, stats["pressure"])
        wait_until(lambda: "subscription began to lose messages agent=slow filter=flow qos=realtime reason=queue_full_oldest"
                   in self.bus.broker.err, "the log says who loses messages")
        self.slow.grant(10_000)
        self.assertEqual(numbers(0, AT_ONCE) + numbers(1000 - QUEUE, 1000), payloads(self.slow.wait_events(AT_ONCE + QUEUE)))

    def test_its_publisher_is_never_held_back(self):
        self.send(500, LARGE)  # four times the publish credit
        stats = self.assert_conserved()
        self.assertEqual(0, stats["pressure"])
        self.assertGreater(self.bus.dropped()["queue_full_oldest"], 0)


@in_both_homes
class Batched(SlowSubscriber):
    def test_the_publisher_is_held_back_and_nothing_is_lost_when_the_subscriber_goes_on(self):
        self.send_until_held_back()
        held = self.settled()
        self.assertEqual((1, 0), (held["pressure"], sum(held["dropped"].values())))
        self.slow.grant(10_000)
        self.sender.wait(lambda: self.sender.published < self.sender.granted, "publish credit after the queue was read")
        self.send(100, LARGE)
        events = self.slow.wait_events(self.sent)
        self.assertEqual(numbers(0, self.sent), [payload.rstrip(b"\0") for payload in payloads(events)])
        self.assertEqual({}, self.bus.dropped())

    def test_a_publisher_of_another_topic_is_not_held_back(self):
        self.send_until_held_back()
        other = self.agent(self.bus, "other").subscribe("elsewhere")
        for number in range(300):
            other.publish("elsewhere", bytes(LARGE))
        other.wait_events(300)


@in_both_homes
class BatchedPastItsDeadline(SlowSubscriber):
    deadline = "3s"  # long enough to be seen by `loom stats` on a machine that is busy
    share = "100KiB"  # used up when the deadline passes: nothing is kept beyond it

    def test_the_publisher_is_held_back_up_to_the_deadline_and_then_drops_are_counted(self):
        self.send_until_held_back()
        start = time.monotonic()
        self.sender.wait(lambda: self.sender.published < self.sender.granted, "publish credit after the deadline")
        self.assertLess(time.monotonic() - start, 10)
        before = self.settled()["delivered"] + self.settled()["queued"]
        self.send(50, LARGE)
        stats = self.assert_conserved()
        self.assertEqual({"queue_full_deadline": 50}, self.bus.dropped())
        self.assertEqual(before, stats["delivered"] + stats["queued"])
        self.slow.grant(10_000)
        self.slow.wait_events(before)
        self.send(1)
        self.assertEqual(b"%d" % (self.sent - 1), self.slow.wait_events(before + 1)[-1].payload)


@in_both_homes
class Background(SlowSubscriber):
    qos = wire.BACKGROUND

    def test_its_queue_is_larger(self):
        self.send(AT_ONCE + 3 * QUEUE)
        stats = self.assert_conserved()
        self.assertEqual((0, {}), (stats["pressure"], self.bus.dropped()))
        self.slow.grant(10_000)
        self.assertEqual(numbers(0, self.sent), payloads(self.slow.wait_events(self.sent)))

    def test_what_is_realtime_goes_first(self):
        self.slow.subscribe("urgent", 2, qos=wire.REALTIME)
        self.send(AT_ONCE + 5)
        self.sender.publish("urgent", b"now")
        self.sent += 1
        self.settled()
        self.slow.grant(10_000)
        self.assertEqual(b"now", self.slow.wait_events(self.sent)[AT_ONCE].payload)


@in_both_homes
class Stopped:
    """A subscriber whose process is stopped keeps none of the others waiting."""

    COUNT, SIZE = 1000, 10 * 1024

    def stopped_one(self, qos, *broker):
        self.bus = self.home(spans=False, broker=("--queue-bytes", "1MiB", *broker))
        self.stopped = self.bus.subscriber("flow", "--qos", qos)
        self.stopped.signal(signal.SIGSTOP)
        self.receivers = [self.agent(self.bus, f"r{number}").subscribe("flow") for number in range(2)]
        self.sender = self.agent(self.bus, "sender")
        for number in range(self.COUNT):
            self.sender.publish("flow", b"%06d" % number + b"." * self.SIZE)
            if number % 50 == 0:
                for receiver in self.receivers:
                    receiver.pump(0)
        for receiver in self.receivers:
            events = receiver.wait_events(self.COUNT)
            self.assertEqual([b"%06d" % number for number in range(self.COUNT)], [event.payload[:6] for event in events])

    def goes_on(self):
        """It reads what waited for it; what is published then reaches it."""
        self.stopped.signal(signal.SIGCONT)
        wait_until(lambda: self.bus.stats()["eventbus"]["queued"] == 0, "the queue of the stopped one is read")
        self.sender.publish("flow", b"the last")
        wait_until(lambda: "the last" in self.stopped.out, "the stopped one gets the newest message")
        self.assertEqual(0, self.stopped.stop())

    def test_the_others_get_everything_while_a_realtime_one_is_stopped(self):
        self.stopped_one("realtime")
        self.assertEqual(["queue_full_oldest"], list(self.bus.dropped()))
        self.assertEqual(0, self.bus.stats()["eventbus"]["pressure"])
        self.goes_on()

    def test_the_others_get_everything_while_a_batched_one_is_stopped(self):
        self.stopped_one("batched", "--agent-queue-bytes", "1MiB")
        self.assertEqual(["queue_full_deadline"], list(self.bus.dropped()))
        self.goes_on()

    def test_a_batched_one_that_is_stopped_for_a_moment_loses_nothing(self):
        self.stopped_one("batched")  # 10 MiB, of the 64 that an agent may have
        self.assertEqual({}, self.bus.dropped())
        self.goes_on()
        self.assertEqual(self.COUNT + 1, len(self.stopped.out.splitlines()))


if __name__ == "__main__":
    unittest.main()
