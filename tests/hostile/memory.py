# SPDX-License-Identifier: Apache-2.0
"""Rows 8, 9, 11: memory that one peer can take from a process, and what others lose by that."""

import contextlib
import signal
import socket
import time

from hostile import (IN_BROKER, MIB, NUMBERS, OWN_PROCESS, Ended, Flood, HostileTest, in_both_homes, main, numbered, subscribes, wait_until,
                     wire)

BUDGET_MIB = 72        # of one session; 100,000 short filters fit
BUDGET_IN_ALL_MIB = 64 # of all half frames


def grown_mib(process, before):
    return (process.resident_kib() - before) / 1024


@in_both_homes
class Queues:
    def test_a_slow_agent_with_many_subscriptions_takes_no_room_from_others(self):
        """Twenty subscriptions, one copy of each message: 20 MiB of memory, 400 MiB if each subscription is charged."""
        home = self.home(spans=False)
        greedy = self.agent(home, "greedy", credit_messages=1)
        for number in range(20):
            greedy.subscribe("flow", number + 1, qos=wire.BACKGROUND)
        modest = self.agent(home, "modest", credit_messages=1).subscribe("other", qos=wire.BACKGROUND)
        publisher = self.agent(home, "publisher")
        batch = [wire.envelope("flow", bytes(60_000), "publisher")] * 8
        for _ in range(28 * MIB // (8 * 60_000)):
            publisher.publish_raw(batch)
        for _ in range(50):
            publisher.publish("other", bytes(1000))
        publisher.sync()
        wait_until(lambda: home.stats()["eventbus"]["published"] >= 50 + 28 * MIB // 60_000 // 8 * 8, "all is published")
        modest.grant(1000)
        modest.sync()
        modest.request(wire.SUBSCRIBE, subscription=2, filter="last")
        self.right(len(modest.events) == 50, f"the other agent got {len(modest.events)} of its 50 messages, "
                                             f"{home.dropped()} were dropped")


@in_both_homes
class Sessions:
    def session(self, home):
        return Flood(self.agent(home, "greedy").link)

    def test_deep_filters_do_not_multiply_in_memory(self):
        """Each is 255 bytes, and 128 nodes of its own."""
        self.unsanitized()
        home, before = self.home(spans=False), None
        flood = self.session(home)
        before = home.broker.resident_kib()
        sent = b"".join(subscribes(f"{number}." + ".".join("x" * 122), [number]) for number in range(10_000, 14_000))
        flood.start(sent).finish()
        grown = grown_mib(home.broker, before)
        self.right(grown <= BUDGET_MIB, f"{len(sent) / MIB:.1f} MiB of subscribes make the broker grow by {grown:.0f} MiB")

    def test_capabilities_of_one_session_are_bounded_in_bytes(self):
        self.unsanitized()
        home = self.home(spans=False)
        flood = self.session(home)
        before = home.broker.resident_kib()
        schema = "s" * 16_384
        for first in range(0, 1000, 100):
            flood.start(b"".join(wire.frame(wire.PROVIDE, {
                "request": number + 1, "name": f"name.{number}", "description": "d" * 4096, "input_schema": schema,
                "output_schema": schema, "metadata": {"key": "m" * 16_000}}) for number in range(first, first + 100)))
            flood.wait_sent()
        flood.finish()
        grown, had = grown_mib(home.broker, before), home.stats()["actions"]["capabilities"]
        self.right(grown <= BUDGET_MIB, f"{had} capabilities of one session make the broker grow by {grown:.0f} MiB")

    def unread(self, what, fill):
        """Ten agents that read nothing, with 60 MiB for each; what one may have is 72 MiB."""
        self.unsanitized()
        home = self.home(spans=False)
        before = home.serving.resident_kib()
        agents = [self.agent(home, f"slow-{number}") for number in range(10)]
        fill(home, agents)
        wait_until(lambda: "too much waits for the agents" in home.serving.err, "one of them is ended")
        grown = grown_mib(home.serving, before)
        modest = self.agent(home, "modest").provide("modest")
        call = self.agent(home, "another").call("modest", b"x")
        modest.answer(modest.wait_call().call_id)
        self.right(grown <= 620, f"600 MiB of {what} that nobody reads make it grow by {grown:.0f} MiB, {call.hex()} went on")

    def test_calls_that_their_providers_do_not_read_are_bounded_in_all(self):
        def fill(home, agents):
            for agent in agents:
                agent.provide(f"of.{agent.id}")
            for agent in agents:
                caller = self.agent(home, f"caller-of-{agent.id}")
                for _ in range(60):
                    caller.call(f"of.{agent.id}", bytes(MIB - 1000), deadline_ms=600_000)
                caller.sync()
        self.unread("calls", fill)

    def test_results_that_their_callers_do_not_read_are_bounded_in_all(self):
        def fill(home, agents):
            provider = self.agent(home, "provider").provide("large")
            for agent in agents:
                for _ in range(60):
                    agent.call("large", deadline_ms=600_000)
                for _ in range(60):
                    provider.answer(provider.wait_call().call_id, payload=bytes(MIB - 1000))
            provider.sync()
        self.unread("results", fill)

    def test_half_frames_are_bounded_in_all(self):
        self.unsanitized()
        home = self.home(spans=False)
        agents = [self.agent(home, f"agent-{number}") for number in range(100)]
        before = home.serving.resident_kib()
        half = (wire.FRAME_MAX).to_bytes(4, "big") + bytes(wire.FRAME_MAX - 1)
        for agent in agents:
            try:
                agent.link.send(half)
            except OSError:
                continue  # ended: that is one way to bound it
        time.sleep(0.3)
        grown = grown_mib(home.serving, before)
        self.right(grown <= BUDGET_IN_ALL_MIB, f"100 sessions with half a frame each make it grow by {grown:.0f} MiB")


class OpenBus(HostileTest):
    """Peers of the sockets that any SP program may use: many, each within its limit."""
    kind = IN_BROKER

    def peers(self, path, protocol, count):
        """Greeted."""
        peers = [self.raw(path) for _ in range(count)]
        for peer in peers:
            peer.sendall(b"\0SP\0\0" + bytes([protocol]) + b"\0\0")
            peer.recv(8, socket.MSG_WAITALL)
        return peers

    def test_half_messages_are_bounded_in_all(self):
        self.unsanitized()
        home = self.home(spans=False)
        peers = self.peers(home.folder / "in.sock", 0x50, 150)
        before = home.broker.resident_kib()
        for peer in peers:
            peer.settimeout(2.0)
            with contextlib.suppress(OSError):
                peer.sendall(b"\1" + MIB.to_bytes(8, "big") + bytes(MIB - 10))
        good = self.peers(home.folder / "in.sock", 0x50, 1)[0]
        message = wire.envelope("flow", bytes(900_000), "good", hop=wire.new_hop())
        good.sendall(b"\1" + len(message).to_bytes(8, "big") + message)
        wait_until(lambda: home.stats()["eventbus"]["published"] == 1, "a whole one is taken")
        grown = grown_mib(home.broker, before)
        self.right(grown <= 80, f"150 peers with half of a MiB each make the broker grow by {grown:.0f} MiB")

    def test_what_waits_for_peers_that_do_not_read_is_bounded_in_all(self):
        self.unsanitized()
        home = self.home(spans=False)
        self.peers(home.folder / "out.sock", 0x21, 80)
        before = home.broker.resident_kib()
        sender = self.agent(home, "sender")
        for _ in range(150):
            sender.publish("flow", bytes(60_000))
        sender.sync()
        grown, dropped = grown_mib(home.broker, before), home.stats()["bus"]["open_dropped"]
        self.right(grown <= 360, f"80 peers that do not read 9 MiB make the broker grow by {grown:.0f} MiB; {dropped} were dropped")


class Bridge(HostileTest):
    """loom-bridge while its broker does not read."""
    kind = OWN_PROCESS

    def grown_by(self, frame, count=200_000):
        self.unsanitized()
        home = self.home(spans=False)
        flood, frames = Flood(self.agent(home, "greedy").link), numbered(frame, range(1, count + 1))
        before = home.bridge.resident_kib()
        home.broker.signal(signal.SIGSTOP)
        try:
            flood.start(frames).wait_sent()
            self.agent(home, "other").sync()
            grown = grown_mib(home.bridge, before)
        finally:
            home.broker.signal(signal.SIGCONT)
        self.right(grown <= 8, f"{count} frames of {len(frame)} bytes make the bridge grow by {grown:.0f} MiB")

    ID = b"\xce" + NUMBERS[0].to_bytes(4, "big")

    def test_cancels_of_calls_that_do_not_exist_are_not_kept(self):
        self.grown_by(wire.frame(wire.CANCEL, self.ID, "r" * 100))

    def test_credit_of_calls_that_do_not_exist_is_not_kept(self):
        self.grown_by(wire.frame(wire.CALL_CREDIT, self.ID + bytes(50), 1 << 40, 1 << 40))

    def test_requests_of_agents_that_have_gone_are_bounded(self):
        """Each asks for nearly as much as one may, and leaves: its requests are still on their way."""
        self.unsanitized()
        home, large = self.home(spans=False), "s" * 16_000
        before = home.bridge.resident_kib()
        asked = b"".join(wire.frame(wire.PROVIDE, {"request": number, "name": f"name.{number}", "description": "d" * 4000,
                                                   "input_schema": large, "output_schema": large}) for number in range(1, 501))
        home.broker.signal(signal.SIGSTOP)
        refused = None
        try:
            for number in range(30):
                try:
                    greedy = self.agent(home, f"greedy-{number}")
                    greedy.link.send(asked)
                    greedy.sync()
                except (AssertionError, TimeoutError, OSError, Ended) as end:
                    refused = f"{end}"
                    break
                greedy.close()
            grown = grown_mib(home.bridge, before)
        finally:
            home.broker.signal(signal.SIGCONT)
        self.right(grown <= 400, f"{number} agents that each asked for {len(asked) / MIB:.0f} MiB make the bridge grow by {grown:.0f} MiB; {refused}")

    def test_pings_are_not_kept(self):
        self.grown_by(wire.frame(wire.PING, NUMBERS[0]))

    def test_credit_of_the_session_is_not_kept_frame_by_frame(self):
        self.grown_by(wire.frame(wire.CREDIT, NUMBERS[0], NUMBERS[1]), 1_000_000)


del Queues, Sessions  # only in their homes

if __name__ == "__main__":
    main()
