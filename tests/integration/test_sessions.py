# SPDX-License-Identifier: Apache-2.0
"""Sessions: hello, refusals that a session survives, a newer session of the same agent, heartbeats."""

import time
import unittest

import wire
from harness import LoomTest, in_both_homes


@in_both_homes
class Hello:
    def setUp(self):
        self.bus = self.home(spans=False)

    def refused(self, status, *frames):
        stranger = self.agent(self.bus)
        for frame in frames:
            stranger.send(*frame)
        kind, got, text = stranger.wait_end()
        self.assertEqual((wire.ERROR, status), (kind, got), text)
        self.assertTrue(text)
        return text

    def test_the_welcome_names_bridge_limits_and_heartbeat(self):
        welcome = self.agent(self.bus, "someone").welcome
        self.assertEqual(("bridge" if self.bus.bridge else "broker", 1, 1 << 20, 15000),
                         (welcome["bridge"], welcome["protocol"], welcome["max_payload"], welcome["heartbeat_ms"]))
        self.assertGreater(welcome["credit_bytes"], 0)

    def test_another_protocol_is_refused(self):
        self.refused(wire.EVERSION, (wire.HELLO, {"protocol": 2, "agent": "a"}))

    def test_agent_ids_that_are_no_single_segment_are_refused(self):
        for agent_id in ("", "a.b", "a*", ">", "a b", "a\n"):
            with self.subTest(agent_id=agent_id):
                self.assertIn("agent id", self.refused(wire.EINVAL, (wire.HELLO, {"protocol": 1, "agent": agent_id})))

    def test_a_frame_before_hello_is_refused(self):
        self.assertIn("before hello", self.refused(wire.EPROTO, (wire.SUBSCRIBE, {"request": 1})))

    def test_a_second_hello_is_refused(self):
        self.refused(wire.EPROTO, *[(wire.HELLO, {"protocol": 1, "agent": "a"})] * 2)

    def test_frames_of_a_type_that_is_not_known_are_refused(self):
        for kind in (29, 32, 48, 63, 64, 2**40):
            with self.subTest(kind=kind):
                self.refused(wire.EVERSION, (kind, 0))

    def test_goodbye_is_answered_with_goodbye(self):
        someone = self.agent(self.bus, "someone")
        someone.send(wire.BYE, {"status": 0})
        self.assertEqual((wire.BYE, wire.OK), someone.wait_end()[:2])

    def test_keys_that_are_not_known_are_ignored(self):
        someone = self.agent(self.bus, "someone", future={"x": [1, 2.5, None]}, more=b"bytes")
        self.assertEqual(wire.OK, someone.request(wire.SUBSCRIBE, subscription=1, filter="a", later=[{}])["status"])


@in_both_homes
class Refusals:
    """One message is refused by a notice, and the session goes on."""

    def setUp(self):
        self.bus = self.home(spans=False)
        self.receiver = self.agent(self.bus, "receiver").subscribe(">")
        self.sender = self.agent(self.bus, "sender")

    def refused(self, status, envelope, message_id):
        self.sender.publish_raw([envelope])
        notice = self.sender.wait(lambda: self.sender.notices, "a notice")[-1]
        self.assertEqual((status, message_id), (notice["status"], notice["message_id"]), notice["text"])
        self.sender.publish("fine", b"alive")
        self.assertEqual([b"alive"], [event.payload for event in self.receiver.wait_events(1)])
        return notice["text"]

    def test_a_forged_sender_is_refused(self):
        self.assertIn("sender", self.refused(wire.EDENIED, wire.envelope("t", b"x", "receiver", id=b"1" * 16), b"1" * 16))

    def test_topics_that_are_not_valid_are_refused(self):
        for number, topic in enumerate(("", "a..b", "a.*", "a.>", "with space", ".a", "a.", "new\nline")):
            with self.subTest(topic=topic):
                message_id = bytes([number + 1]) * 16
                del self.receiver.events[:], self.sender.notices[:]
                self.refused(wire.EINVAL, wire.envelope(topic, b"x", "sender", id=message_id), message_id)

    def test_the_others_in_a_batch_are_delivered(self):
        self.sender.publish_raw([wire.envelope("a", b"1", "sender"), wire.envelope("a..b", b"2", "sender"),
                                 wire.envelope("a", b"3", "forger"), wire.envelope("a", b"4", "sender")])
        self.assertEqual([b"1", b"4"], [event.payload for event in self.receiver.wait_events(2)])
        self.sender.wait(lambda: len(self.sender.notices) == 2, "two notices")
        self.assertEqual({wire.EINVAL, wire.EDENIED}, {notice["status"] for notice in self.sender.notices})


@in_both_homes
class Replaced:
    def setUp(self):
        self.bus = self.home(spans=False)

    def test_a_newer_session_of_the_same_agent_replaces_the_older_one(self):
        older = self.agent(self.bus, "twin").subscribe("to.twin")
        newer = self.agent(self.bus, "twin").subscribe("to.twin")
        self.assertEqual((wire.ERROR, wire.EREPLACED), older.wait_end()[:2])
        self.agent(self.bus, "sender").publish("to.twin", b"hello")
        self.assertEqual([b"hello"], [event.payload for event in newer.wait_events(1)])
        self.assertEqual([], older.events)

    def test_many_sessions_in_a_row_leave_the_last_one(self):
        sessions = [self.agent(self.bus, "twin").subscribe("to.twin") for _ in range(20)]
        for older in sessions[:-1]:
            self.assertEqual(wire.EREPLACED, older.wait_end()[1])
        self.agent(self.bus, "sender").publish("to.twin", b"hello")
        sessions[-1].wait_events(1)

    def test_the_command_that_was_replaced_ends_and_says_so(self):
        older = self.bus.subscriber(">", "--id", "twin")
        self.agent(self.bus, "twin")
        self.assertEqual(1, older.wait())
        self.assertIn("a newer session of the same agent took its place", older.err)


@in_both_homes
class Heartbeats:
    INTERVAL_MS = 300

    def setUp(self):
        self.bus = self.home(spans=False, serving=("--heartbeat-interval", f"{self.INTERVAL_MS}ms"))

    def test_an_idle_session_is_pinged_and_lives_as_long_as_it_answers(self):
        idle = self.agent(self.bus, "idle")
        self.assertEqual(self.INTERVAL_MS, idle.welcome["heartbeat_ms"])
        idle.wait(lambda: idle.pings >= 3, "three pings")
        self.assertIsNone(idle.end)

    def test_a_silent_session_expires_and_its_agent_may_come_again(self):
        silent = self.agent(self.bus, "silent")
        silent.answers_pings = False
        start = time.monotonic()
        self.assertEqual((wire.ERROR, wire.EEXPIRED), silent.wait_end()[:2])
        self.assertGreater(time.monotonic() - start, 2 * self.INTERVAL_MS / 1000)
        self.agent(self.bus, "silent").subscribe("a")

    def test_an_agent_of_the_sdk_lives(self):
        other = self.agent(self.bus, "other")
        living = self.bus.subscriber("late", "--count", "1")
        other.wait(lambda: other.pings >= 4, "four pings")
        other.publish("late", b"x")
        self.assertEqual(0, living.wait())


class Silence(LoomTest):
    def test_a_connection_that_never_says_hello_is_not_kept_for_ever(self):
        quiet = self.agent(self.home(spans=False))  # the rule is the bridge core's, the same in both homes
        self.assertEqual(wire.ETIMEDOUT, quiet.wait_end()[1])


if __name__ == "__main__":
    unittest.main()
