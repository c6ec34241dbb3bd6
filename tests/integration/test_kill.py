# SPDX-License-Identifier: Apache-2.0
"""kill -9 of any process at any moment: afterwards messages flow again, and no other process was harmed."""

import signal
import threading
import time
import unittest

import wire
from agent import Agent, Ended
from harness import IN_BROKER, OWN_PROCESS, LoomTest, in_both_homes, wait_until


class Traffic:
    """Publishes to "flow" without end, from a thread; connects again when its session breaks."""

    def __init__(self, url):
        self.url, self.sent, self.over = url, 0, False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.over:
            try:
                with Agent(self.url, "traffic") as sender:
                    self._publish(sender)
            except (OSError, Ended, TimeoutError):
                time.sleep(0.01)  # nobody listens just now

    def _publish(self, sender):
        while not self.over:
            sender.publish_raw([wire.envelope("flow", b"%d" % (self.sent + n), "traffic") for n in range(10)])
            self.sent += 10
            sender.sync()
            if sender.closed:
                return

    def stop(self):
        self.over = True
        self.thread.join()

    def wait_more(self, count):
        wanted = self.sent + count
        wait_until(lambda: self.sent >= wanted, "traffic goes on")


class Killing:

    def with_traffic(self, **options):
        bus = self.home(spans=False, **options)
        traffic = Traffic(bus.url)
        self.addCleanup(traffic.stop)  # before the home goes
        return bus, traffic

    def assert_flows(self, bus, receiver):
        """A message of now reaches a process that has been there all the time."""
        seen = f"after {time.monotonic_ns()}"
        wait_until(lambda: bus.loom("pub", "after", seen) and self.saw(receiver, seen), "messages flow again")

    @staticmethod
    def saw(receiver, text, deadline_s=0.5):
        try:
            return wait_until(lambda: text in receiver.out, text, deadline_s)
        except TimeoutError:
            return False


@in_both_homes
class Agents(Killing):
    def test_a_killed_subscriber_harms_nobody(self):
        bus, traffic = self.with_traffic()
        stays = bus.subscriber("flow", "after")
        before = bus.stats()["eventbus"]["subscribers"]
        for _ in range(3):
            victim = bus.subscriber("flow")
            wait_until(lambda: victim.out, "the victim receives")
            bus.kill(victim)
        wait_until(lambda: bus.stats()["eventbus"]["subscribers"] == before, "the sessions of the victims are gone")
        self.assert_flows(bus, stays)
        self.assertTrue(stays.running())
        traffic.wait_more(100)

    def test_a_killed_publisher_harms_nobody(self):
        bus = self.home(spans=False)
        receiver = self.agent(bus, "receiver").subscribe("row")
        stays = bus.subscriber("after")
        for round_number in range(3):
            victim = bus.run("loom", "pub", "--url", bus.url, "row", "x", "--id", f"victim-{round_number}",
                             "--count", 10_000_000, "--quiet")
            already = len(receiver.events)
            receiver.wait_events(already + 200)
            bus.kill(victim)
        wait_until(lambda: bus.stats()["eventbus"]["subscribers"] == 2, "the sessions of the victims are gone")
        self.assert_flows(bus, stays)


class TheBridge(Killing, LoomTest):
    kind = OWN_PROCESS

    def test_agents_come_back_when_a_killed_bridge_is_started_again(self):
        bus, traffic = self.with_traffic()
        stays = bus.subscriber("flow", "after")
        for _ in range(3):
            traffic.wait_more(50)
            bus.kill(bus.bridge)
            wait_until(lambda: bus.stats()["bus"]["bridges"] == 0, "the broker notices")
            bus.start_bridge()
            self.assert_flows(bus, stays)
            traffic.wait_more(50)
        self.assertTrue(bus.broker.running())

    def test_the_broker_serves_others_while_a_bridge_is_gone(self):
        bus = self.home(spans=False)
        local = self.enterContext(Agent(f"ipc://{bus.folder}/broker.sock", "local").subscribe("a"))
        bus.kill(bus.bridge)
        local.publish("a", b"x")
        local.wait_events(1)
        bus.start_bridge()


class TheBroker(Killing, LoomTest):
    kind = OWN_PROCESS

    @staticmethod
    def kill_broker(bus):
        """Returns when the bridge knows."""
        def times(what):
            return bus.bridge.err.count(what)
        wait_until(lambda: times("attached to the broker") > times("lost the connection to the broker"), "the bridge has its broker")
        bus.kill(bus.broker)
        wait_until(lambda: times("lost the connection to the broker") == times("attached to the broker"), "the bridge notices")

    def test_the_bridge_comes_back_and_keeps_its_agents_when_a_killed_broker_is_started_again(self):
        bus, traffic = self.with_traffic()
        stays = bus.subscriber("flow", "after")
        held = self.agent(bus, "held").subscribe("after")
        for _ in range(3):
            traffic.wait_more(50)
            self.kill_broker(bus)
            bus.start_broker()
            self.assert_flows(bus, stays)
            traffic.wait_more(50)
        self.assertTrue(bus.bridge.running())
        held.wait_events(1)
        self.assertIsNone(held.end, "the session of an agent outlives the broker")

    def test_a_subscription_made_while_the_broker_is_gone_is_made_when_it_is_back(self):
        bus = self.home(spans=False)
        receiver = self.agent(bus, "receiver")
        self.kill_broker(bus)
        receiver.send(wire.SUBSCRIBE, {"request": 77, "subscription": 1, "filter": "after"})
        bus.start_broker()
        receiver.wait(lambda: 77 in receiver.acks, "the ack of the subscription")
        self.assertEqual(wire.OK, receiver.acks[77]["status"])
        bus.loom("pub", "after", "x")
        receiver.wait_events(1)


class Stopped(Killing, LoomTest):
    """SIGSTOP: the other side notices by the silence, and comes to terms when the process goes on."""
    kind = OWN_PROCESS

    def test_a_stopped_bridge_is_given_up_and_comes_back_when_it_goes_on(self):
        bus = self.home(spans=False)
        receiver = self.agent(bus, "receiver").subscribe("after")
        bus.bridge.signal(signal.SIGSTOP)
        wait_until(lambda: bus.stats()["bus"]["bridges"] == 0, "the broker gives it up")
        bus.bridge.signal(signal.SIGCONT)
        wait_until(lambda: bus.stats()["bus"]["sessions"] == 1, "its agent is there again")
        bus.loom("pub", "after", "x")
        receiver.wait_events(1)

    def test_a_stopped_broker_is_given_up_and_reached_again_when_it_goes_on(self):
        bus = self.home(spans=False)
        receiver = self.agent(bus, "receiver").subscribe("after")
        caller = self.agent(bus, "caller")
        receiver.request(wire.PROVIDE, name="do.this")
        body = wire.pack([wire.CALL, b"id", "do.this", "", 60_000, 0, 0])
        frame = bytes([body[0] + 1]) + body[1:] + wire.envelope("do.this", b"", "caller")
        caller.link.send(len(frame).to_bytes(4, "big") + frame)
        receiver.wait(lambda: any(f[0] == wire.CALL for f in receiver.others), "the call")
        bus.broker.signal(signal.SIGSTOP)
        result = caller.wait(lambda: next((f for f in caller.others if f[0] == wire.RESULT), None), "the end of the call")
        self.assertEqual((1, "bus_lost"), (result[2], result[3]))
        receiver.wait(lambda: any(f[0] == wire.CANCEL for f in receiver.others), "the cancel")
        bus.broker.signal(signal.SIGCONT)
        wait_until(lambda: bus.stats()["bus"]["attachments"] == 2, "the bridge is back")
        caller.publish("after", b"x")
        receiver.wait_events(1)


class EverythingInOne(Killing, LoomTest):
    kind = IN_BROKER

    def test_agents_come_back_when_a_killed_broker_is_started_again(self):
        bus, traffic = self.with_traffic()
        stays = bus.subscriber("flow", "after")
        for _ in range(3):
            traffic.wait_more(50)
            bus.kill(bus.broker)
            bus.start_broker()
            self.assert_flows(bus, stays)
            traffic.wait_more(50)



if __name__ == "__main__":
    unittest.main()
