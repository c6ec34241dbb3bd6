# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: what was accepted reaches its subscribers, agents hear goodbye, and the process ends with 0 and in time."""

import fcntl
import os
import signal
import socket
import time
import unittest

import wire
from agent import Agent, payloads
from harness import OWN_PROCESS, Home, LoomTest, in_both_homes, wait_until

COUNT, SIZE = 3000, 1000


def numbered():
    return [b"%06d" % number + bytes(SIZE) for number in range(COUNT)]


def publish_all(sender, topic="flow"):
    """Returns when the bridge has accepted all of it."""
    for first in range(0, COUNT, 100):
        sender.publish_raw([wire.envelope(topic, payload, sender.id) for payload in numbered()[first:first + 100]])
    sender.sync()


@in_both_homes
class Goodbye:
    def test_every_agent_hears_goodbye_and_the_process_ends_with_0(self):
        bus = self.home()
        agents = [self.agent(bus, f"agent-{number}") for number in range(5)]
        self.assertEqual(0, bus.serving.stop())
        for one in agents:
            self.assertEqual((wire.BYE, wire.ECLOSED), one.wait_end()[:2])

    def test_sigint_ends_it_as_well(self):
        bus = self.home()
        one = self.agent(bus, "agent")
        bus.serving.signal(signal.SIGINT)
        self.assertEqual((wire.BYE, wire.ECLOSED), one.wait_end()[:2])
        self.assertEqual(0, bus.serving.wait())
        self.assertIn("shutting down signal=SIGINT ", bus.serving.err)

    def test_a_second_signal_ends_a_drain_at_once(self):
        bus = self.home(spans=False, serving=("--drain-timeout", "60s"))
        stuck = self.agent(bus, "stuck").subscribe("flow")
        sender = self.agent(bus, "sender")
        for _ in range(14):
            sender.publish("flow", bytes(1 << 20))  # more than the kernel takes, for somebody who does not read
        sender.sync()
        bus.serving.signal(signal.SIGTERM)
        wait_until(lambda: "shutting down" in bus.serving.err, "the drain begins")
        bus.serving.signal(signal.SIGTERM)
        self.assertEqual(128 + signal.SIGTERM, bus.serving.wait(5))
        bus.broken_on_purpose.add(bus.serving.pid)
        stuck.close()

    def test_an_agent_that_does_not_read_delays_the_end_no_longer_than_the_drain_time(self):
        bus = self.home(spans=False, serving=("--drain-timeout", "500ms"))
        self.agent(bus, "stuck").subscribe("flow")
        sender = self.agent(bus, "sender")
        for _ in range(14):
            sender.publish("flow", bytes(1 << 20))
        sender.sync()
        start = time.monotonic()
        self.assertEqual(0, bus.serving.stop())
        self.assertLess(time.monotonic() - start, 4)

    def test_no_new_agent_is_taken_while_it_ends(self):
        bus = self.home(spans=False)
        bus.serving.stop()
        with self.assertRaises(OSError):
            bus.agent("late")


class Drain(LoomTest):
    def drained(self, bus, receiver, sender, ended):
        publish_all(sender)
        ended.signal(signal.SIGTERM)
        events = receiver.wait_events(COUNT)
        self.assertTrue(payloads(events) == numbered(), "lost, twice or out of order")
        self.assertEqual(0, ended.wait())

    def test_what_the_broker_accepted_reaches_its_agents(self):
        bus = self.home()
        self.drained(bus, self.agent(bus, "receiver").subscribe("flow"), self.agent(bus, "sender"), bus.broker)

    def test_what_waits_for_credit_reaches_an_agent_that_gives_it_during_the_drain(self):
        bus = self.home(spans=False)
        receiver = self.agent(bus, "receiver", credit_messages=10).subscribe("flow", queue_messages=COUNT)
        self.drained(bus, receiver, self.agent(bus, "sender"), bus.broker)


class DrainOfTwo(Drain):
    """Two processes: the same, and each of them ends while the other goes on."""

    kind = OWN_PROCESS

    def elsewhere(self, bus, name):
        """An agent of the broker's own bridge."""
        return self.enterContext(Agent(f"ipc://{bus.folder}/broker.sock", name))

    def test_what_the_broker_accepted_reaches_its_agents(self):
        bus = self.home()
        self.drained(bus, self.elsewhere(bus, "receiver").subscribe("flow"), self.elsewhere(bus, "sender"), bus.broker)

    def test_what_waits_for_credit_reaches_an_agent_that_gives_it_during_the_drain(self):
        bus = self.home(spans=False)
        receiver = self.agent(bus, "receiver", credit_messages=10).subscribe("flow", queue_messages=COUNT)
        self.drained(bus, receiver, self.elsewhere(bus, "sender"), bus.broker)

    def test_what_a_bridge_accepted_reaches_the_agents_of_another(self):
        bus = self.home()
        self.drained(bus, self.elsewhere(bus, "receiver").subscribe("flow"), self.agent(bus, "sender"), bus.bridge)

    def test_what_the_broker_accepted_reaches_the_agents_of_a_bridge(self):
        bus = self.home()
        self.drained(bus, self.agent(bus, "receiver").subscribe("flow"), self.elsewhere(bus, "sender"), bus.broker)


@in_both_homes
class Stalled:
    """Places that take nothing any more: neither the bus nor its end waits for them."""

    def stalled_collector(self):
        """Accepts connections and never says a word."""
        listener = self.enterContext(socket.create_server(("127.0.0.1", 0), backlog=64))
        return {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{listener.getsockname()[1]}"}

    def full_pipe(self):
        """The write end of a pipe that holds one page, full, whose reader does not read."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writer, False)
        try:
            while os.write(writer, bytes(4096)):
                pass
        except BlockingIOError:
            pass
        os.set_blocking(writer, True)
        return writer

    def works_and_ends(self, environment, stderr):
        bus = Home(self.kind, environment=environment, spans=False, broker=("--drain-timeout", "500ms"),
                   serving=("--drain-timeout", "500ms", "--log-level", "debug"))
        if stderr is not None:
            bus.popen = {"loom-broker": {"stderr": stderr}, "loom-bridge": {"stderr": stderr}}
        self.enterContext(bus)
        receiver, sender = self.agent(bus, "receiver").subscribe("flow"), self.agent(bus, "sender")
        for number in range(50):
            self.agent(bus, f"visitor-{number}").close()  # lines in the log
        publish_all(sender)
        self.assertTrue(payloads(receiver.wait_events(COUNT)) == numbered())
        for process in filter(None, (bus.bridge, bus.broker)):
            start = time.monotonic()
            self.assertEqual(0, process.stop(), process.err)
            self.assertLess(time.monotonic() - start, 6, process.name)
        return bus

    def test_a_collector_that_never_answers_delays_the_end_no_longer_than_the_drain_time(self):
        bus = self.works_and_ends(self.stalled_collector(), None)
        self.assertIn("spans were lost", bus.serving.err)

    def test_a_standard_error_that_nobody_reads_stops_nothing(self):
        self.works_and_ends({}, self.full_pipe())

    def test_both_at_once(self):
        self.works_and_ends(self.stalled_collector(), self.full_pipe())



if __name__ == "__main__":
    unittest.main()
