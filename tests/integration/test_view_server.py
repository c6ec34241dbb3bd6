# SPDX-License-Identifier: Apache-2.0
"""The server of `loom view`: who gets in, what it refuses, and what no client, broker or database can make it do."""

import contextlib
import http.client
import signal
import socket
import time
import unittest

import gateway
from harness import LoomTest, wait_until
from viewing import View, spans_of


class Served(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)
        self.view = View(self.bus.run, self.bus.folder, control=self.bus.control_path)

    def tearDown(self):
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)

    def refused(self, path, status=400):
        answer = self.view.get(path)
        self.assertEqual((status, "application/problem+json"), (answer.status, answer.headers["Content-Type"]), answer.body)
        return answer.json["detail"]

    def test_the_token_opens_the_page_wherever_it_stands_in_the_query(self):
        token = self.view.token
        for query in (f"token={token}", f"utm=1&token={token}", f"token={token}&view=traces", f"a&&token={token}&b="):
            with self.subTest(query):
                answer = self.view.get(f"/?{query}", {})
                self.assertEqual((303, "/"), (answer.status, answer.headers["Location"]))
                self.assertIn(token, answer.headers["Set-Cookie"])
        for query in ("", "token=", f"token={token[:-1]}", f"token={token}&token={token}", f"xtoken={token}", f"a={token}", f"token={token}%00"):
            with self.subTest(query):
                self.assertEqual(401, self.view.get(f"/?{query}", {}).status)

    def test_the_reason_of_a_redirect_is_its_name(self):
        with self.view.connect() as sock:
            sock.sendall(f"GET /?token={self.view.token} HTTP/1.1\r\nHost: {self.view.host}:{self.view.port}\r\n\r\n".encode())
            self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 303 See Other\r\n"))

    def test_a_script_with_the_token_gets_the_page(self):
        answer = self.view.get("/")
        self.assertEqual((200, "text/html; charset=utf-8"), (answer.status, answer.headers["Content-Type"]))
        self.assertEqual(401, self.view.get("/", {"Authorization": "Bearer " + "0" * 32}).status)

    def test_parameters_are_read_strictly(self):
        for query in ("limit=5%00x", "limit=+5", "limit=%2B5", "limit=5 ", "limit=0", "limit=501", "limit=", "limit=0x5", "limit=5&limit=6"):
            with self.subTest(query):
                self.assertIn("limit", self.refused("/api/traces?" + query.replace(" ", "%20")))
        for query, word in (("attribute=x", "KEY=VALUE"), ("attribute==x", "KEY=VALUE"), ("service=a&service=b", "twice"), ("service=%ff", "UTF-8"),
                            ("service=a%0ab", "control"), ("service=%4", "hexadecimal"), ("lim%69t=5%00", "limit"), ("x=1", "not known"),
                            ("attribute=a%3D%00", "control")):
            with self.subTest(query):
                self.assertIn(word, self.refused("/api/traces?" + query))
        for path in ("/api/state", "/api/bus/agents", "/api/traces/" + "1" * 32):
            with self.subTest(path):
                self.assertIn("no parameters", self.refused(path + "?x=1"))
        self.assertEqual(200, self.view.get("/api/traces?lim%69t=5&service=a+b%2Cc").status)


class Broker(LoomTest):
    """What a broker that is stopped, or gone, does to those who look."""

    def setUp(self):
        self.bus = self.home(spans=False)
        self.view = View(self.bus.run, self.bus.folder, control=self.bus.control_path)

    def stop_broker(self):
        self.bus.broker.signal(signal.SIGSTOP)
        self.addCleanup(self.bus.broker.signal, signal.SIGCONT)

    def later(self, *paths):
        return [gateway.Later(lambda path=path: self.view.get(path)) for path in paths]

    def test_a_stopped_broker_holds_up_nobody_else(self):
        self.stop_broker()
        waiting = self.later(*["/api/bus/agents", "/api/bus/flow", "/api/bus/topics", "/api/bus/stats"] * 3)
        for _ in range(20):
            self.assertEqual(200, self.view.get("/api/traces").status)
        self.assertLess(self.view.slowest, 1, "a question to the store waited for the broker")
        for answer in (one.wait() for one in waiting):
            self.assertEqual((504, "application/problem+json"), (answer.status, answer.headers["Content-Type"]))
            self.assertIn("does not answer", answer.json["detail"])

    def test_once_it_is_known_to_be_silent_the_page_is_told_at_once(self):
        self.stop_broker()
        self.assertEqual(504, self.view.get("/api/bus/agents").status)
        self.view.slowest = 0
        for path in ("/api/bus/flow", "/api/bus/agents", "/api/bus/capabilities"):
            self.assertEqual(504, self.view.get(path).status)
        self.assertLess(self.view.slowest, 1)
        self.bus.broker.signal(signal.SIGCONT)
        wait_until(lambda: self.view.get("/api/bus/agents").status == 200, "the broker answers again")

    def test_a_stop_does_not_wait_for_a_broker(self):
        self.stop_broker()
        waiting = self.later("/api/bus/agents", "/api/bus/flow")
        stream = self.view.stream()
        wait_until(lambda: self.view.get("/api/traces").status == 200, "the view has taken the questions")
        began = time.monotonic()
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)
        self.assertLess(time.monotonic() - began, 1)
        for one in waiting:
            with contextlib.suppress(OSError, http.client.HTTPException):  # an answer, or the end of the connection
                self.assertIn(one.wait().status, (503, 504))
        self.assertIsNone(self.rest(stream))

    @staticmethod
    def rest(stream):
        with contextlib.suppress(OSError, http.client.HTTPException):
            while stream.next() is not None:
                pass

    def test_a_broker_that_is_not_there_is_named_at_once(self):
        self.bus.kill(self.bus.broker)
        answer = self.view.get("/api/bus/agents")
        self.assertEqual(502, answer.status)
        self.assertIn("start one with `loom-broker`", answer.json["detail"])

    def test_commands_do_not_wait_for_a_stopped_broker(self):
        self.stop_broker()
        began = time.monotonic()
        for verb in ("agents", "stats"):
            failed = self.bus.loom(verb, "--control", f"ipc://{self.bus.control_path}", code=4)
            self.assertIn("does not answer", failed.stderr)
        self.assertLess(time.monotonic() - began, 9)


class Streams(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)
        self.view = View(self.bus.run, self.bus.folder, control=self.bus.control_path)

    def tearDown(self):
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)

    def stream(self, events=None):
        stream = self.view.stream("/api/stream" + (f"?events={events}" if events else ""))
        self.addCleanup(stream.close)
        return stream

    def until(self, stream, name, fits=lambda data: True):
        while not ((event := stream.next()).name == name and fits(event.json)):
            pass
        return event.json

    def test_a_client_first_hears_how_things_are(self):
        stream = self.stream()
        heard = {}
        while set(heard) != {"broker", "traces", "flow", "agents"}:
            event = stream.next()
            heard.setdefault(event.name, event.json)
        self.assertEqual({"answers": True}, heard["broker"])
        self.assertEqual({"agents": 0}, heard["agents"])
        self.assertIn("edges", heard["flow"])

    def test_news_of_traces_flow_and_agents_come_by_themselves(self):
        stream = self.stream()
        before = self.until(stream, "traces")["version"]
        self.assertEqual(200, self.view.send_spans(spans_of("1" * 32, 3)).status)
        self.until(stream, "traces", lambda data: data["version"] != before)
        reader = self.agent(self.bus, "reader").subscribe("a.b")
        self.until(stream, "agents", lambda data: data["agents"] == 1)
        self.bus.loom("pub", "a.b", "x", "--id", "writer")
        reader.wait_events(1)
        wanted = {("publish", "writer", "a.b"), ("deliver", "reader", "a.b")}
        self.until(stream, "flow", lambda data: wanted <= {(e["kind"], e["agent"], e["name"]) for e in data["edges"]})

    def test_a_client_gets_only_what_it_wants(self):
        stream = self.stream("traces")
        self.until(stream, "traces")
        self.view.send_spans(spans_of("2" * 32, 1))
        self.assertEqual("traces", stream.next().name)
        for query, word in (("events=x", "takes"), ("events=", "takes"), ("x=1", "not known"), ("events=flow&events=flow", "twice")):
            answer = self.view.get("/api/stream?" + query)
            self.assertEqual(400, answer.status)
            self.assertIn(word, answer.json["detail"])

    def test_all_clients_share_one_producer(self):
        streams = [self.stream("flow") for _ in range(8)]
        for stream in streams:
            self.until(stream, "flow")
        asked = self.bus.stats()["bus"]["control_requests"]
        time.sleep(3)  # it is to be seen how many questions that makes
        self.assertLess(self.bus.stats()["bus"]["control_requests"] - asked, 8)

    def test_a_stopped_broker_is_told_and_so_is_its_return(self):
        stream = self.stream()
        self.until(stream, "broker", lambda data: data["answers"])
        self.bus.broker.signal(signal.SIGSTOP)
        self.assertIn("does not answer", self.until(stream, "broker", lambda data: not data["answers"])["detail"])
        self.bus.broker.signal(signal.SIGCONT)
        self.until(stream, "broker", lambda data: data["answers"])

    def test_there_are_so_many_streams_and_no_more(self):
        streams = [self.stream("traces") for _ in range(32)]
        self.assertEqual(503, self.view.get("/api/stream").status)
        streams.pop().close()
        wait_until(lambda: self.view.get("/api/stream?events=x").status == 400, "it still answers")
        wait_until(lambda: self.opened(), "the place is free again")

    def opened(self):
        with contextlib.suppress(AssertionError):
            self.stream("traces")
            return True
        return False


class Large(LoomTest):
    """A trace that no page can draw, and clients that ask for it."""

    SPANS = 30000
    TRACE = "a" * 32

    def setUp(self):
        self.bus = self.home(spans=False)
        self.view = View(self.bus.run, self.bus.folder, control=self.bus.control_path)
        for first in range(0, self.SPANS, 10000):
            self.assertEqual(200, self.view.send_spans(spans_of(self.TRACE, 10000, first)).status)
        self.path = f"/api/traces/{self.TRACE}"

    def tearDown(self):
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)

    def test_an_answer_has_so_many_spans_and_says_how_many_there_are(self):
        trace = self.view.get(self.path).json
        spans = [span for resource in trace["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]
        self.assertEqual((20000, True, self.SPANS), (len(spans), trace["truncated"], trace["total"]))
        self.assertEqual({f"work {n}" for n in range(20000)}, {span["name"] for span in spans})  # the earliest
        self.view.send_spans(spans_of("b" * 32, 10))
        self.assertNotIn("truncated", self.view.get("/api/traces/" + "b" * 32).json)

    def test_clients_that_do_not_read_cost_no_more_than_the_limit_and_are_cut_off(self):
        self.view.get(self.path)
        before = self.view.process.resident_kib()
        with contextlib.ExitStack() as stack:
            silent = []
            for _ in range(24):
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that the view has to keep what is not read
                sock.settimeout(60)
                sock.connect((self.view.host, self.view.port))
                sock.sendall(self.view.head(self.path))
                silent.append(stack.enter_context(sock))
                self.assertEqual(200, self.view.get("/api/state").status)
            busy = wait_until(lambda: next((a for a in [self.view.get(self.path)] if a.status == 503), None), "there is no room any more")
            self.assertEqual("1", busy.headers["Retry-After"])
            if not self.view.process.sanitized():
                self.assertLess(self.view.process.resident_kib() - before, 256 * 1024)
            self.assertEqual(200, self.view.send_spans(spans_of("c" * 32, 10)).status)
            wait_until(lambda: self.view.get(self.path).status == 200, "those who do not read are cut off", 60)

    def test_spans_are_taken_in_while_everybody_reads(self):
        readers = [gateway.Later(lambda: [self.view.get(self.path).status for _ in range(4)]) for _ in range(6)]
        slowest = 0
        while any(reader.is_alive() for reader in readers):
            began = time.monotonic()
            self.assertEqual(200, self.view.send_spans(spans_of("d" * 32, 1)).status)
            slowest = max(slowest, time.monotonic() - began)
        print(f"slowest answer to an exporter: {slowest * 1000:.0f} ms")
        self.assertLess(slowest, 2)
        for reader in readers:
            self.assertLessEqual(set(reader.wait()), {200, 503})

    def test_questions_beyond_those_that_may_wait_are_told_to_come_back(self):
        answers = [later.wait(60).status for later in [gateway.Later(lambda: self.view.get(self.path)) for _ in range(40)]]
        self.assertLessEqual(set(answers), {200, 503})
        self.assertIn(200, answers)
        self.assertEqual(200, self.view.get(self.path).status)

    def test_a_stop_ends_questions_that_are_under_way(self):
        asked = [gateway.Later(lambda: self.view.get(self.path)) for _ in range(8)]
        began = time.monotonic()
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)
        self.assertLess(time.monotonic() - began, 3)
        for one in asked:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.assertIn(one.wait().status, (200, 503))


if __name__ == "__main__":
    unittest.main()
