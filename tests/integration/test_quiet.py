# SPDX-License-Identifier: Apache-2.0
"""A quiet bus: a message arrives by itself, with nothing else on its way that would wake a loop in which it lies."""

import os
import statistics
import time
import unittest

import agent
from harness import IN_BROKER, in_both_homes

# Nothing; what is shared and travels in parts, just, a little more, and much; the largest payload.
SIZES = (0, 65_536, 70_000, 300_000, 1 << 20)
CARRIERS = ("ipc", "tcp", "ws")
TIMES = 5
# What lies somewhere lies there until the next tick, and that was the last one's end: most of a second. What does not takes
# milliseconds, but for one or the other during which the machine had other things to do.
LATE_S = 0.5
SILENCE_S = 0.02


def be_quiet(*agents):
    """Until none of them hears anything more: credit, say, that follows a message."""
    for one in agents:
        before = None
        while before != (before := (len(one.buffer), one.granted, len(one.others), len(one.events))):
            one.pump(SILENCE_S)


@in_both_homes
class Quiet:
    def setUp(self):
        self.bus = self.home(spans=False, listen=CARRIERS, environment={
            "LOOM_BROKER_HEARTBEAT_INTERVAL": "1h", "LOOM_BRIDGE_HEARTBEAT_INTERVAL": "1h"})

    def at_broker(self, agent_id):
        """Not through the bridge, if that is a process of its own."""
        url = self.bus.url if self.kind == IN_BROKER else f"ipc://{self.bus.folder}/broker.sock"
        return self.enterContext(agent.Agent(url, agent_id))

    def assert_by_itself(self, before, step):
        """step does one thing, and waits until it has happened."""
        took = []
        for _ in range(TIMES):
            before()
            begin = time.monotonic()
            step()
            took.append(time.monotonic() - begin)
        self.assertLess(statistics.median(took), LATE_S, [round(one, 3) for one in took])

    def publishes(self, sender, receiver, other=None):
        """other: has just said something, so that large messages leave in parts."""
        receiver.subscribe("to.one")
        for size in SIZES:
            payload = os.urandom(size)

            def publish(who, what):
                count = len(receiver.events)
                who.publish("to.one", what)
                receiver.wait_events(count + 1)

            def just_before():
                be_quiet(sender, receiver)
                if other is not None:
                    publish(other, b"")
            with self.subTest(size=size):
                self.assert_by_itself(just_before, lambda: publish(sender, payload))

    def test_a_message_on_every_carrier(self):
        for scheme in CARRIERS:
            with self.subTest(scheme):
                self.publishes(self.agent(self.bus, f"{scheme}-sender", scheme), self.agent(self.bus, f"{scheme}-receiver", scheme))

    def test_a_message_just_after_that_of_another(self):
        self.publishes(self.agent(self.bus, "sender"), self.agent(self.bus, "receiver"), self.agent(self.bus, "other"))

    def test_a_message_from_the_broker_to_the_bridge(self):
        self.publishes(self.at_broker("sender"), self.agent(self.bus, "receiver"))

    def test_a_message_from_the_bridge_to_the_broker(self):
        self.publishes(self.agent(self.bus, "sender"), self.at_broker("receiver"))

    def test_a_call_and_its_result(self):
        caller, provider = self.agent(self.bus, "caller"), self.agent(self.bus, "provider").provide("work")
        for size in SIZES[:-1]:  # the frame of a result has to have room for more than its payload
            payload = os.urandom(size)
            asked = []

            def call():
                asked.append((caller.call("work", payload), provider.wait_call()))

            def answer():
                call_id, asked_for = asked.pop(0)
                provider.answer(asked_for.call_id, payload=payload)
                caller.wait_result(call_id)
            with self.subTest(size=size):
                self.assert_by_itself(lambda: be_quiet(caller, provider), call)
                self.assert_by_itself(lambda: be_quiet(caller, provider), answer)

    def test_a_message_to_many(self):
        sender = self.agent(self.bus, "sender")
        receivers = [self.agent(self.bus, f"receiver-{i}").subscribe("to.all") for i in range(3)]
        for size in SIZES:
            payload = os.urandom(size)

            def publish():
                count = len(receivers[0].events)
                sender.publish("to.all", payload)
                for receiver in receivers:
                    receiver.wait_events(count + 1)
            with self.subTest(size=size):
                self.assert_by_itself(lambda: be_quiet(sender, *receivers), publish)


if __name__ == "__main__":
    unittest.main()
