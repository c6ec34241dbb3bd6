# SPDX-License-Identifier: Apache-2.0
"""Rows 21, 23, 31: connections, descriptors, and what is said about them."""

import functools
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

from hostile import (IN_BROKER, OWN_PROCESS, Agent, Flood, HostileTest, LimitedHome, in_both_homes, line_count, loop_ns,
                     main, pack, subscribes, wait_until, wanted_ns, wire)

import gateway
from viewing import View

SP_GREETING = {"pub": b"\0SP\0\0\x21\0\0", "pull": b"\0SP\0\0\x50\0\0", "control": b"\0SP\0\0\x30\0\0"}  # of SUB, PUSH, REQ


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def scrape(port, timeout=3.0):
    """The text of /metrics; None: no answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=timeout) as answer:
            return answer.read().decode()
    except (OSError, urllib.error.URLError):
        return None


def first_words(test, home, agent_id):
    """What a new agent hears: "welcome", the error, or that nothing is said."""
    try:
        agent = test.enterContext(Agent(home.url))
        agent.send(wire.HELLO, {"protocol": 1, "agent": agent_id})
    except OSError:
        pass  # closed already; there may be a last word
    end = time.monotonic() + 3
    while agent.end is None and not agent.closed and not agent.others and time.monotonic() < end:
        agent.pump(0.05)
    agent.pump(0.05)
    return agent.end or ("welcome" if agent.others else "the end, without a word" if agent.closed else "nothing")


class Exhausted(HostileTest):
    """A broker that may open 96 descriptors, and peers that take more than that."""
    kind = IN_BROKER
    DESCRIPTORS = 96

    def exhausted(self, path="out.sock", greeting=SP_GREETING["pub"]):
        """A home, and its port of /metrics. Peers of one kind have taken whatever they get."""
        port = free_port()
        home = LimitedHome(self.kind, spans=False, descriptors=self.DESCRIPTORS,
                           broker=("--metrics-listen", f"http://127.0.0.1:{port}"))
        self.homes.append(home)
        self.enterContext(home)
        home.quiet = len(home.broker.err)
        for _ in range(2 * self.DESCRIPTORS):
            try:
                self.raw(home.folder / path).sendall(greeting)
            except OSError:
                break
        time.sleep(0.3)  # of accepting
        return home, port

    def test_control_answers(self):
        home, _ = self.exhausted()
        asker = self.raw(home.control_path)
        asker.settimeout(1.5)
        question = b"\x80\0\0\1" + pack({"op": "ping"})
        try:
            asker.sendall(SP_GREETING["control"] + b"\1" + len(question).to_bytes(8, "big") + question)
            answer = asker.recv(4096)
        except OSError as problem:
            answer = problem
        self.right(isinstance(answer, bytes) and answer, f"ping: {answer}")

    def test_metrics_answer(self):
        _, port = self.exhausted()
        answer = scrape(port)
        self.right(answer is not None, f"/metrics: {'answered' if answer else 'no answer'}")

    def test_an_agent_is_taken_or_told_why_not(self):
        home, _ = self.exhausted()
        said = first_words(self, home, "late")
        self.right(said == "welcome" or isinstance(said, tuple), f"it hears: {said}")

    def test_the_log_says_so_in_a_few_lines(self):
        home, _ = self.exhausted()
        lines = [line for line in home.broker.err[home.quiet:].splitlines() if "WARN" in line or "ERROR" in line]
        self.right(0 < len(lines) <= 20, f"{len(lines)} lines")

    def test_agents_that_find_no_place_are_logged_in_a_few_lines(self):
        home, _ = self.exhausted("agents.sock", b"")
        lines = [line for line in home.broker.err[home.quiet:].splitlines() if "WARN" in line or "ERROR" in line]
        self.right(0 < len(lines) <= 20, f"{len(lines)} lines, {home.stats()['links']['connections_refused']} connections refused")

    def test_a_scrape_without_descriptors_does_not_make_the_broker_spin(self):
        home, port = self.exhausted()
        for _ in range(3):
            scrape(port, 0.3)
        time.sleep(0.2)
        before, start = wanted_ns(home.broker), time.monotonic()
        time.sleep(1.0)
        wanted = (wanted_ns(home.broker) - before) / 1e9 / (time.monotonic() - start)
        self.right(wanted < 0.5, f"an idle broker wants {wanted:.2f} processors")

    def test_idle_clients_of_the_gateway_leave_some_for_others(self):
        home = LimitedHome(self.kind, spans=False, descriptors=self.DESCRIPTORS, listen=("ipc", "http"))
        self.homes.append(home)
        self.enterContext(home)
        where = urllib.parse.urlsplit(home.url_of("http"))
        for _ in range(2 * self.DESCRIPTORS):
            self.enterContext(socket.create_connection((where.hostname, where.port), 10.0))
        time.sleep(0.3)  # of accepting
        used = home.broker.open_files()
        self.right(used < self.DESCRIPTORS - 8 and home.stats(), f"{used} of {self.DESCRIPTORS} descriptors are taken")

    def test_a_client_of_the_gateway_that_finds_no_place_is_logged(self):
        home = LimitedHome(self.kind, spans=False, descriptors=self.DESCRIPTORS, listen=("ipc", "http"))
        self.homes.append(home)
        self.enterContext(home)
        where = urllib.parse.urlsplit(home.url_of("http"))
        answers = []
        for _ in range(2 * self.DESCRIPTORS):
            client = self.enterContext(socket.create_connection((where.hostname, where.port), 10.0))
            client.sendall(f"GET /v1/events/a.b HTTP/1.1\r\nHost: {where.netloc}\r\nAccept: text/event-stream\r\n\r\n".encode())
            answers.append(client.recv(64)[9:12])
        time.sleep(0.2)  # the log is written behind its back
        lines = line_count(home.broker, "refused")
        self.right(b"503" in answers and 0 < lines <= 20, f"{answers.count(b'503')} of {len(answers)} refused, {lines} lines about it")

    def test_open_subscribers_are_in_a_limit(self):
        home, _ = self.exhausted()
        used = home.broker.open_files()
        self.right(used < self.DESCRIPTORS - 8, f"{used} of {self.DESCRIPTORS} descriptors are taken")

    def test_open_publishers_are_in_a_limit(self):
        home, _ = self.exhausted("in.sock", SP_GREETING["pull"])
        used = home.broker.open_files()
        self.right(used < self.DESCRIPTORS - 8, f"{used} of {self.DESCRIPTORS} descriptors are taken")

    def test_askers_are_in_a_limit(self):
        home, _ = self.exhausted("control.sock", SP_GREETING["control"])
        used = home.broker.open_files()
        self.right(used < self.DESCRIPTORS - 8, f"{used} of {self.DESCRIPTORS} descriptors are taken")


class Views(HostileTest):
    """`loom view` that may open 96 descriptors: senders of spans do not take its page's, nor pages the broker's."""
    kind = IN_BROKER

    def taken(self, where):
        """A view of which peers have taken whatever they get: of its page, or of its receiver."""
        home = self.home(spans=False)
        limited = ("prlimit", "--nofile=96:96")
        view = View(functools.partial(home.run, wrapper=limited), home.folder, control=home.control_path)
        host, port = view.otlp.split(":") if where == "receiver" else (view.host, view.port)
        for _ in range(200):
            peer = self.enterContext(socket.create_connection((host, int(port)), 10.0))
            if where == "page":
                peer.sendall(f"GET /api/stream HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {view.token}\r\n\r\n".encode())
        return view

    def test_its_page_is_served_while_senders_of_spans_take_all(self):
        view = self.taken("receiver")
        answer = view.get("/api/bus/agents", deadline_s=5)
        self.right(answer.status == 200 and view.process.open_files() < 96, f"{answer.status} with {view.process.open_files()} of 96 open")

    def test_pages_take_no_descriptor_of_the_brokers(self):
        view = self.taken("page")
        time.sleep(0.5)
        self.right(view.process.open_files() <= 96 - 6, f"{view.process.open_files()} of 96 are open")


class Metrics(HostileTest):
    kind = IN_BROKER

    def test_a_series_appears_once(self):
        port = free_port()
        home = self.home(spans=False, broker=("--metrics-listen", f"http://127.0.0.1:{port}"))
        slow = self.agent(home, "slow", credit_messages=1)
        slow.subscribe("same.filter", 1).subscribe("same.filter", 2)
        sender = self.agent(home, "sender")
        for _ in range(3):
            sender.publish("same.filter", b"x")
        sender.sync()
        series = [line.rpartition(" ")[0] for line in scrape(port).splitlines() if line and not line.startswith("#")]
        twice = sorted({one for one in series if series.count(one) > 1})
        self.right(not twice, f"twice in /metrics: {twice or 'nothing'}")

    def test_stats_do_not_hold_the_loop_up_for_long(self):
        self.unsanitized()
        home = self.home(spans=False)
        sender = self.agent(home, "sender")
        topics = 300
        sender.publish_raw([wire.envelope(f"topic.{number}", b"x", "sender") for number in range(topics)])
        flood = Flood(self.agent(home, "many").link).start(subscribes("topic.*", range(1, 30_001)))
        flood.finish()
        before = loop_ns(home.broker)
        home.stats()
        spent = (loop_ns(home.broker) - before) / 1e6
        self.right(spent <= 20, f"one question of {topics} topics and 30,000 subscriptions takes {spent:.0f} ms of the loop")


@in_both_homes
class Lists:
    """What the gateway's clients ask of the broker is within a share of its time."""

    def test_clients_that_ask_for_lists_do_not_take_the_loop(self):
        self.unsanitized()
        home = self.home(spans=False, listen=("ipc", "http"))
        topics = 30_000
        sender = self.agent(home, "sender").subscribe(f"topic.{topics - 1}")
        for first in range(0, topics, 1000):
            sender.publish_raw([wire.envelope(f"topic.{number}", b"x", "sender") for number in range(first, first + 1000)])
        sender.wait_events(1)
        client = gateway.Client(home.url_of("http"))
        wait_until(lambda: client.get("/readyz").status == 200, "the gateway is ready")
        before, start, statuses = loop_ns(home.broker), time.monotonic(), []
        while 503 not in statuses[:-10] and time.monotonic() < start + 30:
            statuses.append(client.get("/v1/topics?filter=topic.x").status)
        spent, took = (loop_ns(home.broker) - before) / 1e9, time.monotonic() - start
        wait_until(lambda: client.get("/v1/topics?filter=topic.x").status == 200, "it is answered again")
        self.right(200 in statuses and 503 in statuses,
                   f"{len(statuses)} lists of {topics} topics, {statuses.count(503)} of the last refused, take {spent:.2f} s of the "
                   f"broker's in {took:.1f} s")


@in_both_homes
class Strangers:
    def test_garbage_does_not_flood_the_log(self):
        home = self.home(spans=False)
        before = len(home.serving.err.splitlines())
        for _ in range(300):
            connection = self.raw(home.folder / "agents.sock")
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while connection.recv(4096):
                pass
            connection.close()
        lines = len(self.log_of(home).splitlines()) - before
        self.right(lines <= 60, f"{lines} lines of 300 connections")

    def test_takeovers_do_not_flood_the_log(self):
        home = self.home(spans=False)
        before = len(home.serving.err.splitlines())
        for _ in range(150):
            self.agent(home, "same")
        lines = len(self.log_of(home).splitlines()) - before
        self.right(lines <= 60, f"{lines} lines of 150 sessions of one id")


class Limits(HostileTest):
    kind = OWN_PROCESS

    def test_agents_behind_bridges_are_agents(self):
        home = self.home(spans=False, broker=("--max-agents", "5"))
        welcome, refused = 0, None
        for number in range(10):
            said = first_words(self, home, f"agent-{number}")
            welcome += said == "welcome"
            refused = refused or (said if said != "welcome" else None)
        self.right(welcome <= 5, f"{welcome} of at most 5 agents are connected, {refused or 'nobody'} was refused")


class NoHello(HostileTest):
    kind = IN_BROKER

    def test_connections_without_hello_take_no_place_of_an_agent(self):
        home = self.home(spans=False, broker=("--max-agents", "10"))
        strangers = [self.raw(home.folder / "agents.sock") for _ in range(10)]
        wait_until(lambda: home.stats()["bridge"]["sessions"] >= len(strangers), "the strangers are connected")
        said = first_words(self, home, "agent")
        self.right(said == "welcome", f"the first agent hears {said}")

    def test_a_connection_without_hello_is_closed_after_10_seconds(self):
        home = self.home(spans=False)
        waits = []
        connections = []
        for _ in range(4):  # one of them is unlucky, whenever the clock of the loop ticks
            connections.append((self.raw(home.folder / "agents.sock"), time.monotonic()))
            time.sleep(0.25)
        for connection, start in connections:
            connection.settimeout(15.0)
            while connection.recv(4096):
                pass
            waits.append(time.monotonic() - start)
        self.right(min(waits) >= 9.9 and max(waits) <= 10.6, f"closed after {min(waits):.2f} to {max(waits):.2f} s")


class Refusals(HostileTest):
    kind = IN_BROKER

    def test_an_agent_that_is_refused_is_logged(self):
        home = self.home(spans=False, broker=("--max-agents", "1"))
        self.agent(home, "first")
        late = self.enterContext(Agent(home.url))
        late.wait_end()
        wait_until(lambda: home.stats()["links"]["connections_refused"] == 1, "it is counted")
        time.sleep(0.2)  # the log is written behind its back
        lines = line_count(home.broker, "WARN")
        self.right(lines >= 1, f"{lines} lines about it")


del Lists, Strangers  # only in its homes

if __name__ == "__main__":
    main()
