# SPDX-License-Identifier: Apache-2.0
"""Nobody there: requests fail at once instead of timing out, and a publish can ask how many subscriptions it matched."""

import json
import time
import unittest
import uuid

from harness import in_both_homes
import wire

ASK, MATCHED = 22, 23


@in_both_homes
class Nobody:
    def setUp(self):
        self.bus = self.home(spans=False)

    def test_a_request_that_nobody_could_answer_fails_at_once(self):
        start = time.monotonic()
        done = self.bus.loom("request", "nobody.home", "hello?", code=5)
        self.assertIn('nobody is subscribed to "nobody.home"', done.stderr)
        self.assertLess(time.monotonic() - start, 10, "well before its 30 s")

    def test_a_request_to_a_subscriber_is_still_waited_for(self):
        self.bus.subscriber("somebody.home")
        done = self.bus.loom("request", "somebody.home", "hello?", "--timeout", "300ms", code=4)
        self.assertIn("no reply", done.stderr)

    def test_a_publish_says_how_many_it_matched(self):
        self.bus.subscriber("news.*")
        self.bus.subscriber("news.>", "--group", "readers")
        self.bus.subscriber("news.>", "--group", "readers")
        done = self.bus.loom("pub", "news.today", "x", "--matched")
        self.assertEqual("matched 2 subscriptions\n", done.stderr)
        told = json.loads(self.bus.loom("pub", "news.today", "x", "--matched", "--json").stdout)
        self.assertEqual(2, told["matched"])
        done = self.bus.loom("pub", "olds", "x", "--matched", code=5)
        self.assertIn('nobody is subscribed to "olds"', done.stderr)
        done = self.bus.loom("pub", "news.today", "--lines", "--matched", "--json", given="a\nb\nc\n")
        self.assertEqual([2, 2, 2], [json.loads(line)["matched"] for line in done.stdout.splitlines()])

    def test_answers_go_by_number_and_come_in_order(self):
        agent = self.agent(self.bus, "asker").subscribe("here")
        self.assertTrue(agent.welcome["asks"])
        ids = [uuid.uuid4().bytes for _ in range(6)]
        for number, message_id in enumerate(ids):
            agent.send(ASK, number, message_id, number % 2)
        for message_id, topic in zip(ids, ("here", "here", "gone", "gone", "here", "here")):
            agent.publish(topic, id=message_id)
        agent.publish("here", id=ids[1])  # asked once
        agent.wait(lambda: [frame for frame in agent.others if frame[0] == MATCHED][3:], "four answers")
        agent.wait_events(5)
        self.assertEqual([(MATCHED, 1, 1), (MATCHED, 2, 0), (MATCHED, 3, 0), (MATCHED, 5, 1)],
                         [frame for frame in agent.others if frame[0] == MATCHED])

    def test_asks_without_messages_are_bounded(self):
        agent = self.agent(self.bus, "asker")
        for _ in range(100):
            agent.link.send(b"".join(wire.frame(ASK, 1, uuid.uuid4().bytes, 1) for _ in range(1000)))
        agent.sync()
        self.bus.loom("pub", "t", "x", "--matched", code=5)


if __name__ == "__main__":
    unittest.main()
