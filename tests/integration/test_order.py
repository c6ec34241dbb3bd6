# SPDX-License-Identifier: Apache-2.0
"""50,000 messages of three publishers reach two subscribers, each publisher's in its order, none lost, none twice."""

import threading
import unittest

import wire
from agent import Agent
from harness import in_both_homes

COUNTS = (16_667, 16_667, 16_666)
BATCH = 100  # envelopes in one frame


def publish(url, name, count):
    with Agent(url, name) as sender:
        for first in range(0, count, BATCH):
            sender.publish_raw([wire.envelope("order.kept", f"{name} {number}".encode(), name)
                                for number in range(first, min(first + BATCH, count))])
        sender.sync()


@in_both_homes
class Order:
    def test_everything_arrives_once_and_in_the_order_of_its_publisher(self):
        bus = self.home(spans=False, broker=("--batched-deadline", "60s"))  # Python may be slow on a busy machine
        total = sum(COUNTS)
        by_sdk = bus.subscriber("order.>", "--count", total)
        by_hand = self.agent(bus, "by-hand", credit_messages=2000).subscribe("order.>")
        threads = [threading.Thread(target=publish, args=(bus.url, f"p{index}", count)) for index, count in enumerate(COUNTS)]
        for thread in threads:
            thread.start()
        events = by_hand.wait_events(total)
        for thread in threads:
            thread.join()
        self.check([event.payload.decode() for event in events])
        self.assertEqual(0, by_sdk.wait())
        self.check([line.split("  ")[-1] for line in by_sdk.out.splitlines()])
        self.assertEqual({}, bus.dropped())

    def check(self, texts):
        self.assertEqual(sum(COUNTS), len(texts))
        for index, count in enumerate(COUNTS):
            mine = [int(text.split()[1]) for text in texts if text.startswith(f"p{index} ")]
            self.assertTrue(mine == list(range(count)), f"p{index}: lost, twice or out of order")


if __name__ == "__main__":
    unittest.main()
