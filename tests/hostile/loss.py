# SPDX-License-Identifier: Apache-2.0
"""Rows 24, 25, 26, 30: loss that is counted against loss that happened, for kills and stops."""

import re
import signal
import socket
import struct
import threading
import time
import urllib.request

from hostile import IN_BROKER, OWN_PROCESS, Agent, HostileTest, in_both_homes, main, start_agent, wait_until, wire


class Counter:
    """Reads a socket away in a thread, as fast as it comes. Afterwards: how many events of the link were in that."""

    def __init__(self, sock):
        self.sock, self.pieces, self.over = sock, [], False
        self.sock.settimeout(0.2)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            try:
                got = self.sock.recv(1 << 20)
            except TimeoutError:
                if self.over:
                    return
                continue
            except OSError:
                return
            if not got:
                return
            self.pieces.append(got)

    def size(self):
        return sum(map(len, list(self.pieces)))

    def bytes(self):
        """All that has come. The session must be over, or quiet."""
        self.over = True
        self.thread.join(10)
        return b"".join(self.pieces)

    def events(self):
        data, at, count = self.bytes(), 0, 0
        while at + 4 <= len(data) and at + 4 + (length := struct.unpack_from(">I", data, at)[0]) <= len(data):
            if data[at + 5] == wire.DELIVER:
                form = data[at + 6]
                wide = None if form & 0xF0 == 0x90 else ">H" if form == 0xDC else ">I"
                count += (form & 15 if wide is None else struct.unpack_from(wide, data, at + 7)[0]) // 2
            at += 4 + length
        return count


def dropped_of_subscriptions(home):
    """By a broker that has ended."""
    return sum(map(int, re.findall(r"subscription ended with messages lost .* lost=(\d+)", home.broker.err)))


class Listener(Counter):
    """The same of the gateway's server-sent events. In HTTP/1.0 nothing is in between."""

    def __init__(self, home):
        host, port = home.url_of("http").removeprefix("http://").split(":")
        sock = socket.create_connection((host, int(port)))
        sock.sendall(b"GET /v1/events/flow?qos=batched HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode())
        super().__init__(sock)
        wait_until(lambda: self.size() > 0, "it is subscribed")

    def events(self):
        return sum(b"\ndata:" in event for event in self.bytes().split(b"\n\n")[:-1])


class Bridge(HostileTest):
    """loom-bridge ends while messages for its agents are on their way at full rate."""
    kind = OWN_PROCESS

    def ended(self, end, listener=False):
        """(lost, counted as lost) between the EventBus and an agent behind the bridge, or a listener of its gateway."""
        self.unsanitized()
        home = self.home(spans=False, listen=("ipc", "http"))
        counter = Listener(home) if listener else Counter(self.agent(home, "receiver").subscribe("flow").link.sock)
        start_agent(home, "emitter", f"ipc://{home.folder}/broker.sock", "emitter", 0)
        wait_until(lambda: counter.size() > 5_000_000, "messages flow")
        end(home)
        wait_until(lambda: home.stats()["bus"]["bridges"] == 0, "the broker notices")
        got = counter.events()
        stats = home.stats()
        return stats["eventbus"]["delivered"] - got, stats["bus"]["unconfirmed"]

    def test_what_is_lost_when_it_is_killed_is_counted(self):
        lost, counted = self.ended(lambda home: home.kill(home.bridge))
        self.right(lost <= counted, f"kill -9: lost {lost}, counted {counted}")

    def test_what_its_gateway_loses_when_it_is_killed_is_counted(self):
        lost, counted = self.ended(lambda home: home.kill(home.bridge), listener=True)
        self.right(lost <= counted, f"kill -9: lost {lost}, counted {counted}")

    def test_what_is_lost_when_it_is_stopped_is_counted(self):
        results = [self.ended(lambda home: self.assertEqual(0, home.bridge.stop())) for _ in range(3)]
        worst = max(results, key=lambda result: result[0] - result[1])
        self.right(worst[0] <= worst[1], f"SIGTERM: lost {worst[0]}, counted {worst[1]}")

    def test_a_stop_of_it_waits_for_what_is_queued_for_its_agents(self):
        home = self.home(spans=False)
        receiver = self.agent(home, "receiver", credit_messages=10).subscribe("flow", queue_messages=3000)
        sender = self.enterContext(Agent(f"ipc://{home.folder}/broker.sock", "sender"))
        for _ in range(30):
            sender.publish_raw([wire.envelope("flow", bytes(1000), "sender")] * 100)
        sender.sync()
        wait_until(lambda: home.stats()["eventbus"]["queued"] > 2900, "they are queued")
        start = time.monotonic()
        home.bridge.signal(signal.SIGTERM)
        try:
            while len(receiver.events) < 3000 and not receiver.closed:
                receiver.pump(0.05)
        except OSError:  # credit for a bridge that has gone
            pass
        took = time.monotonic() - start
        home.bridge.wait()
        self.right(len(receiver.events) == 3000,
                   f"{len(receiver.events)} of 3000 came, it said goodbye after {took * 1e3:.0f} ms of 5 s")


class Broker(HostileTest):
    """loom-broker is stopped while agents behind a bridge publish to one on its own link, at full rate."""
    kind = OWN_PROCESS

    def stopped(self):
        """(published, not confirmed, not sent, dropped before since the receiver was slow, arrived)"""
        home = self.home(spans=False, listen=("ipc", "http"))
        receiver = self.enterContext(Agent(f"ipc://{home.folder}/broker.sock", "receiver", credit_messages=1 << 40, credit_bytes=1 << 50))
        counter = Counter(receiver.subscribe("flow").link.sock)
        emitter = start_agent(home, "emitter", home.url, "emitter", 0)
        wait_until(lambda: counter.size() > 5_000_000, "messages flow")
        self.assertEqual(0, home.broker.stop())
        home.kill(emitter)
        wait_until(lambda: "agent=emitter" in home.bridge.err.partition("session ended")[2], "the bridge has read what it sent")
        with urllib.request.urlopen(home.url_of("http") + "/metrics", timeout=30) as answer:
            metrics = dict(re.findall(r"^(\w+_total) (\d+)", answer.read().decode(), re.MULTILINE))
        self.assertEqual(0, home.bridge.stop())
        unsent = sum(map(int, re.findall(r"messages_unsent=(\d+)", home.bridge.err)))
        return (int(metrics["loom_bridge_published_total"]), int(metrics["loom_bus_unconfirmed_total"]), unsent,
                dropped_of_subscriptions(home), counter.events())

    def test_what_its_stop_loses_of_agents_behind_a_bridge_is_counted(self):
        self.unsanitized()
        runs = [self.stopped() for _ in range(3)]
        exact = all(published == sum(rest) for published, *rest in runs)
        self.right(exact and any(unconfirmed == 0 for _, unconfirmed, *_ in runs),
                   f"(published, unconfirmed, unsent, dropped, arrived) {runs}")


class Restart(HostileTest):
    kind = IN_BROKER

    def test_publishers_that_are_back_first_wait_for_subscribers(self):
        """Two subscribers; after the broker was killed, one of them is back 0.3 s later than the publisher."""
        home = self.home(spans=False, environment={"LOOM_BROKER_PUBLISH_HOLD": None})
        first, second = (self.agent(home, name).subscribe("flow") for name in ("first", "second"))
        publisher = self.agent(home, "publisher")
        publisher.publish("flow", b"before")
        for agent in (first, second):
            agent.wait_events(1)
            agent.close()
        home.kill(home.broker)
        home.start_broker()
        first = self.agent(home, "first").subscribe("flow")
        publisher, late, sent = self.agent(home, "publisher"), None, 0
        start = time.monotonic()
        while time.monotonic() < start + 1.5:
            if late is None and time.monotonic() > start + 0.3:
                late = self.agent(home, "second").subscribe("flow")
            if publisher.published < publisher.granted:
                publisher.publish("flow", b"%d" % sent)
                sent += 1
            publisher.pump(0.01)
        publisher.sync()
        first.sync()
        late.sync()
        lost = sent - len(late.events)
        counted = home.stats()["eventbus"]["unmatched"] + sum(home.dropped().values())
        self.right(lost == 0, f"{lost} of {sent} messages did not reach the second subscriber, {counted} in any count")


@in_both_homes
class Stop:
    DRAIN_S = 1.5

    def stuck(self, **environment):
        """The process that serves agents, with 200 messages queued for one that takes nothing."""
        home = self.home(spans=False, environment=environment, broker=("--drain-timeout", f"{int(self.DRAIN_S * 1000)}ms"),
                         serving=("--drain-timeout", f"{int(self.DRAIN_S * 1000)}ms"))
        stuck = self.agent(home, "stuck", credit_messages=1)
        stuck.subscribe("flow")
        sender = self.agent(home, "sender")
        sender.publish_raw([wire.envelope("flow", b"x", "sender", hop=wire.new_hop())] * 201)
        sender.sync()
        wait_until(lambda: home.stats()["eventbus"]["queued"] == 200, "they are queued")
        return home

    def timed(self, home, process):
        start = time.monotonic()
        self.assertEqual(0, process.stop())
        took = time.monotonic() - start
        self.right(took <= self.DRAIN_S * 1.6, f"{process.name}: a stop takes {took:.2f} s of --drain-timeout {self.DRAIN_S} s")

    def test_queues_and_spans_share_one_deadline(self):
        collector = self.enterContext(socket.create_server(("127.0.0.1", 0), backlog=64))  # never says a word
        home = self.stuck(OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
                          OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.getsockname()[1]}")
        self.timed(home, home.broker)

    def test_sessions_and_the_broker_share_one_deadline(self):
        if self.kind == IN_BROKER:
            self.skipTest("for a bridge")
        home = self.stuck()
        sender = self.agent(home, "another")
        home.broker.signal(signal.SIGSTOP)
        for _ in range(40):  # more than the kernel takes: the bridge is left with it
            if sender.published < sender.granted:
                sender.publish_raw([wire.envelope("flow", bytes(100_000), "another")] * 4)
            sender.pump(0.01)
        try:
            self.timed(home, home.bridge)
        finally:
            home.broker.signal(signal.SIGCONT)

    def test_what_a_drain_throws_away_is_said(self):
        home = self.stuck()
        home.broker.stop()
        last = home.broker.err.splitlines()[-4:]
        self.right(any(re.search(r"\b200\b", line) for line in last), f"the last lines: {[line[25:] for line in last]}")


@in_both_homes
class Lost:
    """What the SDK counts as lost, against what did not arrive."""

    def counted(self, process):
        wait_until(lambda: "lost" in process.out or not process.running(), "the connection has broken")
        sent, lost = map(int, re.search(r"sent (\d+) lost (\d+)", process.out).groups())
        return sent, lost

    def arrived(self, end):
        """Everything has arrived when the connection ends. (sent, counted as lost)"""
        home = self.home(spans=False)
        counter = Counter(self.agent(home, "receiver").subscribe("flow").link.sock)
        emitter = start_agent(home, "emitter", home.url, "emitter", 2000)
        wait_until(lambda: "emitted" in emitter.out, "all is emitted")
        wait_until(lambda: home.stats()["eventbus"]["published"] >= 2000, "all is published")
        end(home)
        sent, lost = self.counted(emitter)
        self.assertEqual(sent, counter.events(), "all has arrived")
        return sent, lost

    def test_after_a_goodbye_nothing_is_lost(self):
        sent, lost = self.arrived(lambda home: home.serving.stop())
        self.right(lost == 0, f"{lost} of {sent} counted as lost, and all arrived")

    def stopped_at_full_rate(self, scheme):
        """(sent, counted as lost by the emitter, by the broker, dropped before since the receiver was slow, arrived)"""
        home = self.home(spans=False, listen=("ipc",) if scheme == "ipc" else ("ipc", scheme))
        counter = Counter(self.agent(home, "receiver").subscribe("flow").link.sock)
        emitter = start_agent(home, "emitter", home.url_of(scheme), "emitter", 0)
        wait_until(lambda: counter.size() > 5_000_000, "messages flow")
        home.serving.stop()
        sent, lost = self.counted(emitter)
        unconfirmed = home.stats()["bus"]["unconfirmed"] if self.kind == OWN_PROCESS else 0
        return sent, lost, unconfirmed, dropped_of_subscriptions(home), counter.events()

    def test_a_stop_at_full_rate_loses_nothing(self):
        """Three times, since an emitter that gets no processor for a while uses its credit when it is too late: counted."""
        self.unsanitized()
        for scheme in ("ipc", "tcp", "ws"):
            runs = [self.stopped_at_full_rate(scheme) for _ in range(3)]
            exact = all(sent == lost + unconfirmed + dropped + arrived for sent, lost, unconfirmed, dropped, arrived in runs)
            self.right(exact and any(lost + unconfirmed == 0 for _, lost, unconfirmed, _, _ in runs),
                       f"{scheme}: (sent, lost, unconfirmed, dropped, arrived) {runs}")

    def test_after_a_kill_the_count_is_near_the_loss(self):
        def end(home):
            time.sleep(1.0)  # it could know by now
            home.kill(home.serving)
        sent, lost = self.arrived(end)
        self.right(lost <= sent / 20, f"{lost} of {sent} counted as lost, and all arrived a second before")


del Stop, Lost  # only in their homes

if __name__ == "__main__":
    main()
