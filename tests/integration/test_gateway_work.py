# SPDX-License-Identifier: Apache-2.0
"""The HTTP gateway: actions, requests, event streams, and how it comes to its end."""

import json
import resource
import signal
import socket
import time
import unittest

import wire
from gateway import TRACE_ID, TRACEPARENT, Client, Later, problem, wait_spans
from harness import Home, LoomTest, die_with_parent, in_both_homes, wait_until

ACTIONS, REQUESTS, EVENTS = "/v1/actions/", "/v1/requests/", "/v1/events/"
OK, ERROR, TIMEOUT, NO_RESPONDERS, DENIED, CANCELLED, TOO_LARGE = range(7)


class Gateway:
    def start(self, *provided, **options):
        self.bus = self.home(listen=("ipc", "http"), **options)
        self.client = Client(self.bus.url_of("http"))
        wait_until(lambda: self.client.get("/readyz").status == 200, "the gateway is ready")
        self.provider = self.agent(self.bus, "provider")
        for name in provided:
            self.provider.provide(name)
        return self.client

    def count(self, name):
        text = self.client.get("/metrics").body.decode()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"loom_gateway_{name} "))

    def wait_count(self, name, value):
        wait_until(lambda: self.count(name) == value, f"{name} is {value}")


@in_both_homes
class Actions(Gateway):
    def invoke(self, path="it", body=b"ask", outcome=OK, payload=b"", code="", text="", **headers):
        """Its answer, when the provider has answered so."""
        later = self.client.later(ACTIONS + path, body, headers=headers)
        call = self.provider.wait_call()
        self.provider.answer(call.call_id, outcome, payload, code, text)
        return call, later.wait()

    def test_the_result_is_the_body(self):
        self.start("it")
        cases = ((b'{"a": 1}', "application/json"), (b"21.5 C", "text/plain; charset=utf-8"), (b"\xff\x00", "application/octet-stream"),
                 (b"", "application/octet-stream"))
        for payload, content_type in cases:
            with self.subTest(payload):
                call, answer = self.invoke(payload=payload)
                self.assertEqual((200, payload, content_type), (answer.status, answer.body, answer.headers["Content-Type"]))
                self.assertEqual((b"ask", "text/plain"), (call.envelope.payload, call.envelope.content_type))

    def test_outcomes_are_statuses(self):
        self.start("it")
        cases = ((ERROR, "bad_input", 502), (TIMEOUT, "", 504), (DENIED, "", 403), (CANCELLED, "", 499), (TOO_LARGE, "", 413),
                 (ERROR, "provider_busy", 429))
        for outcome, code, status in cases:
            with self.subTest(outcome=outcome, code=code):
                _, answer = self.invoke(outcome=outcome, code=code, text="why")
                self.assertEqual(status, problem(answer)[0])
                self.assertEqual("why", answer.json["detail"])
        self.assertEqual((404, "no_provider"), problem(self.client.post(ACTIONS + "nobody.there")))
        _, answer = self.invoke(payload=b"{}", Accept="text/event-stream;q=0, */*")
        self.assertEqual("application/json", answer.headers["Content-Type"])

    def test_a_provider_may_say_as_much_as_a_result_holds(self):
        """1,024 bytes each, which JSON may need six times as many for."""
        self.start("it")
        for letter in ("c", "\x01"):
            with self.subTest(letter):
                code, text = letter * 1024, letter.upper() * 1024
                _, answer = self.invoke(outcome=ERROR, code=code, text=text)
                self.assertEqual((502, code, text), (*problem(answer), answer.json["detail"]))
                got = []
                reader = self.read_parts(got)
                call = self.provider.wait_call()
                self.provider.report(call.call_id, wire.CHUNK, 0, b"1")
                self.provider.answer(call.call_id, ERROR, b"", code, text)
                reader.wait()
                self.assertEqual(("error", code, text), (got[-1].name, got[-1].json["code"], got[-1].json["detail"]))

    def test_what_is_wrong_is_named(self):
        self.start("it")
        cases = (("..", 400, "invalid_path"), ("it?deadline=soon", 400, "invalid_parameter"), ("it?deadline=2h", 400, "invalid_parameter"),
                 ("it?x=1", 400, "unknown_parameter"))
        for path, status, code in cases:
            with self.subTest(path):
                self.assertEqual((status, code), problem(self.client.post(ACTIONS + path)))
        self.assertEqual((400, "invalid_parameter"), problem(self.client.post(ACTIONS + "it", headers={"Idempotency-Key": "x" * 65})))
        self.assertEqual((400, "invalid_parameter"), problem(self.client.post(ACTIONS + "it", headers={"Idempotency-Key": b"\xff"})))
        self.assertEqual((413, "too_large"), problem(self.client.post(ACTIONS + "it", bytes(1024 * 1024 + 1))))

    def test_the_deadline_is_the_clients(self):
        self.start("it")
        later = self.client.later(ACTIONS + "it?deadline=200ms")
        call = self.provider.wait_call()
        self.assertLessEqual(call.deadline_ms, 200)
        self.assertEqual((504, "deadline_exceeded"), problem(later.wait()))

    def test_a_version_can_be_asked_for(self):
        self.start()
        self.provider.provide("it", "1")
        self.provider.provide("it", "2")
        for wanted in ("1", "2"):
            call, answer = self.invoke(f"it?version={wanted}")
            self.assertEqual((wanted, 200), (call.version, answer.status))

    def test_a_key_makes_one_call_of_two(self):
        self.start("it")
        first, answer = self.invoke(payload=b"1", **{"Idempotency-Key": "order-7"})
        self.assertEqual(b"1", answer.body)
        self.assertEqual(b"1", self.client.post(ACTIONS + "it", b"ask", headers={"Idempotency-Key": "order-7"}).body)
        self.provider.provide("other")
        self.assertEqual((422, "call_id_reused"), problem(self.client.post(ACTIONS + "other", headers={"Idempotency-Key": "order-7"})))
        self.assertEqual((422, "call_id_reused"), problem(self.client.post(ACTIONS + "it", b"more", headers={"Idempotency-Key": "order-7"})))
        self.assertEqual([], self.provider.calls)

    def test_a_key_that_another_request_waits_with_is_refused(self):
        self.start("it", "other")
        first = self.client.later(ACTIONS + "it", b"ask", headers={"Idempotency-Key": "order-8"})
        call = self.provider.wait_call()
        for path, body in (("other", b"ask"), ("it", b"more"), ("it?version=0", b"ask")):
            with self.subTest(path=path, body=body):
                answer = self.client.post(ACTIONS + path, body, headers={"Idempotency-Key": "order-8"})
                self.assertEqual((422, "call_id_reused"), problem(answer))
        self.provider.answer(call.call_id, payload=b"first")
        self.assertEqual((200, b"first"), (first.wait().status, first.wait().body))

    def test_two_that_wait_with_one_key_get_the_same(self):
        self.start("it")
        waiting = [self.client.later(ACTIONS + "it", headers={"Idempotency-Key": "k"}) for _ in range(2)]
        call = self.provider.wait_call()
        self.wait_count("waiting", 2)
        if self.kind == "in_broker":
            wait_until(lambda: self.bus.stats()["actions"]["joined"] == 1, "they have joined")
        else:
            wait_until(lambda: self.bus.stats()["actions"]["pending"] == 2, "both wait")
        self.provider.answer(call.call_id, payload=b"same")
        self.assertEqual([b"same"] * 2, [one.wait().body for one in waiting])

    def test_a_client_that_leaves_cancels(self):
        self.start("it")
        with self.client.connect() as sock:
            sock.sendall(b"POST /v1/actions/it HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\nx")
            call = self.provider.wait_call()
        self.provider.wait(lambda: any(call.call_id == one for one, _ in self.provider.cancels), "the cancel")
        self.wait_count("left_total", 1)
        self.wait_count("waiting", 0)

    def read_parts(self, got):
        """Reads the parts of a call in a thread, into got."""
        def read():
            stream = self.client.stream("POST", ACTIONS + "it", b"ask")
            while (event := stream.next()) is not None:
                got.append(event)
            return got
        return Later(read)

    def test_parts_are_streamed(self):
        self.start("it")
        got = []
        reader = self.read_parts(got)
        call = self.provider.wait_call()
        self.assertEqual(wire.STREAMS, call.flags & wire.STREAMS)
        self.provider.wait(lambda: self.provider.call_credits, "the credit")
        self.provider.report(call.call_id, wire.PROGRESS, 1, b'{"done": 0.5}')
        for number in range(3):
            self.provider.report(call.call_id, wire.CHUNK, number, b"part %d" % number)
        wait_until(lambda: len(got) == 4, "they come before the result")
        self.provider.answer(call.call_id, payload=b'{"sum": 3}')
        reader.wait()
        self.assertEqual(["progress"] + ["chunk"] * 3 + ["result"], [event.name for event in got])
        self.assertEqual({"number": 1, "payload": {"done": 0.5}}, got[0].json)
        self.assertEqual([{"number": n, "payload_text": f"part {n}"} for n in range(3)], [event.json for event in got[1:4]])
        self.assertEqual({"payload": {"sum": 3}}, got[4].json)

    def test_a_long_stream_flows_by_its_credit(self):
        self.start("it")
        got = []
        reader = self.read_parts(got)
        call = self.provider.wait_call()
        for number in range(1000):
            self.provider.wait(lambda number=number: any(chunks > number for _, chunks, _ in self.provider.call_credits), "credit")
            self.provider.report(call.call_id, wire.CHUNK, number, b"x" * 1000)
        self.provider.answer(call.call_id, payload=b"end")
        reader.wait()
        self.assertEqual(list(range(1000)), [event.json["number"] for event in got[:-1]])
        self.assertEqual("result", got[-1].name)

    def test_an_error_before_the_first_part_is_a_plain_answer(self):
        self.start("it")
        later = self.client.later(ACTIONS + "it", headers={"Accept": "text/event-stream"})
        self.provider.answer(self.provider.wait_call().call_id, ERROR, b"", "bad_input", "why")
        self.assertEqual((502, "bad_input"), problem(later.wait()))

    def test_the_trace_goes_through(self):
        self.start("it")
        self.invoke(traceparent=TRACEPARENT)
        names = ["POST /v1/actions/{capability}", "action.invoke", "action.dispatch", "bridge.forward"]
        found = wait_spans(self.bus, *names)
        spans = {name: found[name] for name in names}
        self.assertEqual({TRACE_ID}, {span.trace_id for span in spans.values()})
        self.assertEqual([spans[name].span_id for name in names[:-1]], [spans[name].parent_id for name in names[1:]])
        self.assertEqual("ok", spans["action.invoke"].attributes["loom.call.outcome"])

    def test_a_failed_call_is_a_failed_span(self):
        self.start("it")
        self.invoke(outcome=ERROR, code="bad_input", text="why")
        name = "POST /v1/actions/{capability}"
        span = wait_spans(self.bus, name)[name]
        self.assertEqual((502, "bad_input", 2), (span.attributes["http.response.status_code"], span.attributes["error.type"], span.status))


@in_both_homes
class Requests(Gateway):
    def test_the_reply_is_the_answer(self):
        self.start()
        self.provider.subscribe("ask.me")
        later = self.client.later(REQUESTS + "ask.me", b"6*7", "text/x-sum")
        asked = self.provider.wait_events(1)[0]
        self.assertEqual((b"6*7", "text/x-sum"), (asked.payload, asked.content_type))
        self.provider.publish(asked.reply_to, b"42", correlation_id=asked.correlation_id, content_type="text/x-number")
        answer = later.wait()
        self.assertEqual((200, b"42", "text/x-number"), (answer.status, answer.body, answer.headers["Content-Type"]))

    def test_replies_find_the_one_who_asked(self):
        self.start()
        self.provider.subscribe("ask.me")
        waiting = [self.client.later(REQUESTS + "ask.me", b"%d" % n) for n in range(20)]
        for asked in reversed(self.provider.wait_events(20)):
            self.provider.publish(asked.reply_to, asked.payload, correlation_id=asked.correlation_id)
        self.assertEqual([b"%d" % n for n in range(20)], [one.wait().body for one in waiting])

    def test_without_a_reply_the_deadline_ends_it(self):
        self.start()
        started = time.monotonic()
        self.assertEqual((504, "timeout"), problem(self.client.post(REQUESTS + "ask.nobody?deadline=100ms")))
        self.assertLess(time.monotonic() - started, 10)

    def test_a_reply_that_is_late_is_counted(self):
        self.start()
        self.provider.subscribe("ask.me")
        self.client.post(REQUESTS + "ask.me?deadline=50ms")
        asked = self.provider.wait_events(1)[0]
        self.provider.publish(asked.reply_to, b"42", correlation_id=asked.correlation_id)
        self.wait_count("replies_late_total", 1)


@in_both_homes
class Streams(Gateway):
    def test_events_come_as_they_are_published(self):
        self.start()
        stream = self.client.stream("GET", EVENTS + "a.%3E?type=t,u")
        self.wait_count("streams", 1)
        for n, kind in enumerate(("t", "other", "u")):
            self.provider.publish("a.b", b'{"n":\n%d}' % n, type=kind, content_type="application/json")
        events = [stream.next() for _ in range(2)]
        self.assertEqual([({"n": 0}, "t"), ({"n": 2}, "u")], [(event.json["payload"], event.json["type"]) for event in events])
        self.assertEqual(("a.b", "provider"), (events[0].json["topic"], events[0].json["sender"]))
        self.assertEqual(events[0].id, events[0].json["id"])
        self.assertRegex(events[0].json["traceparent"], "^00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]$")
        stream.close()
        self.wait_count("streams", 0)

    def test_a_payload_that_is_no_text_comes_in_base64(self):
        self.start(spans=False)
        stream = self.client.stream("GET", EVENTS + "a.b")
        self.provider.publish("a.b", b"\xff\x00")
        self.provider.publish("a.b", "line\nline \u2028".encode(), headers={"k": "v"})
        self.assertEqual("/wA=", stream.next().json["payload_base64"])
        event = stream.next().json
        self.assertEqual(("line\nline \u2028", {"k": "v"}), (event["payload_text"], event["headers"]))
        stream.close()

    def test_a_client_that_comes_again_is_told_that_nothing_was_kept(self):
        self.start(spans=False)
        stream = self.client.stream("GET", EVENTS + "a.b", headers={"Last-Event-ID": "01890a5d-ac96-774b-bcce-b302099a8057"})
        self.assertEqual("gap", stream.next().name)
        stream.close()

    def test_what_is_wrong_is_named(self):
        self.start(spans=False)
        for path, status, code in (("a..b", 400, "invalid_path"), ("a.b?qos=fast", 400, "invalid_parameter"),
                                   ("a.b?type=,", 400, "invalid_parameter"), ("a.b?last=1", 400, "unknown_parameter")):
            with self.subTest(path):
                self.assertEqual((status, code), problem(self.client.get(EVENTS + path)))
        for accept in ("application/json", "*/*, text/event-stream;q=0.0"):
            self.assertEqual((406, "not_acceptable"), problem(self.client.get(EVENTS + "a.b", Accept=accept)))
        for accept in ("text/*", "text/event-stream;q=0.1, text/*;q=0"):
            self.client.stream("GET", EVENTS + "a.b", headers={"Accept": accept}).close()
        answer = self.client.ask("HEAD", EVENTS + "a.b")
        self.assertEqual((200, "text/event-stream"), (answer.status, answer.headers["Content-Type"]))

    def test_all_events_come_in_order_to_one_who_reads(self):
        self.start(spans=False)
        stream = self.client.stream("GET", EVENTS + "a.b?qos=batched")
        for n in range(5000):
            self.provider.publish("a.b", b"%d" % n)
        self.assertEqual([str(n) for n in range(5000)], [stream.next().json["payload_text"] for _ in range(5000)])
        stream.close()

    def test_who_does_not_read_loses_events_and_costs_little(self):
        self.start(spans=False)
        before = self.bus.serving.resident_kib()
        stream = self.client.stream("GET", EVENTS + "a.b")
        for _ in range(3000):
            self.provider.publish("a.b", bytes(32768))
        self.provider.sync()
        wait_until(lambda: self.bus.dropped(), "events are dropped")
        if not self.bus.serving.sanitized():
            self.assertLess(self.bus.serving.resident_kib() - before, 64 * 1024)
        self.assertEqual(200, self.client.get("/healthz").status)
        stream.close()
        self.wait_count("streams", 0)

    def test_many_listen(self):
        self.start(spans=False)
        streams = [self.client.stream("GET", EVENTS + "a.b") for _ in range(50)]
        self.wait_count("streams", 50)
        self.client.post(EVENTS + "a.b", b"x")
        self.assertEqual(["x"] * 50, [stream.next().json["payload_text"] for stream in streams])
        for stream in streams:
            stream.close()
        self.wait_count("streams", 0)


@in_both_homes
class Ends(Gateway):
    def test_a_stop_answers_all_and_says_so_meanwhile(self):
        self.start("it", spans=False)
        stream = self.client.stream("GET", EVENTS + "a.b")
        later = self.client.later(ACTIONS + "it")
        self.provider.wait_call()
        self.bus.serving.signal(signal.SIGTERM)
        self.assertEqual((503, "shutting_down"), problem(later.wait()))
        self.assertIsNone(stream.next())
        self.assertEqual(0, self.bus.serving.wait())

    def test_who_asks_whether_it_is_ready_hears_that_it_drains(self):
        self.start(spans=False, serving=("--drain-timeout", "20s"))
        slow = self.agent(self.bus, "slow", credit_messages=1).subscribe("a.b")
        slow.credit_step = 0
        for _ in range(5):
            self.client.post(EVENTS + "a.b", b"x")
        slow.wait_events(1)
        self.bus.serving.signal(signal.SIGTERM)
        wait_until(lambda: self.client.get("/readyz").status == 503, "it drains")
        self.assertEqual((503, "draining"), problem(self.client.get("/readyz")))
        self.assertEqual((503, "shutting_down"), problem(self.client.post(EVENTS + "a.b", b"x")))
        self.assertEqual(200, self.client.get("/healthz").status)
        slow.grant(100)
        slow.wait_events(5)
        self.assertEqual(0, self.bus.serving.wait())

    def test_publishes_wait_for_a_bus_that_presses(self):
        self.start(spans=False, environment={"LOOM_BROKER_PUBLISH_HOLD": "1s"})
        self.assertEqual(202, self.client.post(EVENTS + "a.b").status)


@in_both_homes
class Hostile(Gateway):
    def test_idle_connections_keep_nobody_out(self):
        self.start(spans=False)
        idle = [socket.create_connection((self.client.host, self.client.port), timeout=30) for _ in range(300)]
        self.assertEqual(202, self.client.post(EVENTS + "a.b").status)
        for sock in idle:
            sock.close()

    def test_slow_heads_and_bodies_keep_nobody_out(self):
        self.start(spans=False)
        before = self.bus.serving.resident_kib()
        slow = [self.client.connect() for _ in range(200)]
        for sock in slow[:100]:
            sock.sendall(b"POST /v1/events/a.b HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        for sock in slow[100:]:
            sock.sendall(b"POST /v1/events/a.b HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + bytes(4096))
        for _ in range(50):
            self.assertEqual(202, self.client.post(EVENTS + "a.b").status)
        if not self.bus.serving.sanitized():
            self.assertLess(self.bus.serving.resident_kib() - before, 16 * 1024)
        for sock in slow:
            sock.close()

    def test_a_body_without_end_is_refused(self):
        self.start(spans=False)
        with self.client.connect() as sock:
            sock.sendall(b"POST /v1/events/a.b HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
            for _ in range(9):
                sock.sendall(chunk)
            self.assertEqual(b"HTTP/1.1 413", sock.recv(4096)[:12])

    def test_a_chunk_that_announces_too_much_is_not_waited_for(self):
        self.start(spans=False)
        for size in (b"800001", b"FFFFFFFFFFFFFFFF"):
            with self.subTest(size), self.client.connect() as sock:
                sock.sendall(b"POST /v1/events/a.b HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n")
                self.assertEqual(b"HTTP/1.1 413", sock.recv(4096)[:12])

    def test_paths_that_try_tricks_find_nothing(self):
        self.start(spans=False)
        for path in (b"/v1/../metrics", b"//v1/agents", b"/v1/agents/", b"/v1/agents%00", b"/%2e%2e/etc/passwd", b"/metrics/..;/",
                     b"/v1/events", b"/V1/agents", b"/v1/agents;x=1"):
            with self.subTest(path):
                got = self.client.raw(b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                self.assertEqual(b"404", got[9:12], got)

    def test_what_a_client_sends_gets_into_no_field_of_an_answer(self):
        self.start(spans=False, serving=("--cors-origins", "*"))
        for headers in ({"Origin": "https://a\tb"}, {"traceparent": "00-x"}, {"X-Trace-ID": "evil"}):
            answer = self.client.post(EVENTS + "a.b", headers=headers)
            self.assertNotIn("evil", str(answer.headers))
            self.assertEqual(202, answer.status)

    def test_a_request_smuggled_behind_another_is_not_taken(self):
        self.start(spans=False)
        got = self.client.raw(b"POST /v1/events/a.b HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
                              b"0\r\n\r\nPOST /v1/events/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(1, got.count(b"HTTP/1.1"))
        self.assertEqual(b"400", got[9:12])


@in_both_homes
class Full(Gateway):
    def test_who_finds_no_room_gets_a_problem(self):
        def limited():
            resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
            die_with_parent()
        home = Home(self.kind, spans=False, listen=("ipc", "http"))
        home.popen = {"loom-broker": {"preexec_fn": limited}, "loom-bridge": {"preexec_fn": limited}}
        self.homes.append(home)
        self.bus = self.enterContext(home)
        self.client = Client(self.bus.url_of("http"))
        while self.listens():
            pass
        with self.client.connect() as sock:
            head, _, body = sock.recv(4096).partition(b"\r\n\r\n")
        self.assertEqual(b"HTTP/1.1 503", head[:12])
        self.assertIn(b"Content-Type: application/problem+json", head)
        self.assertEqual((503, "busy"), (json.loads(body)["status"], json.loads(body)["code"]))

    def listens(self):
        """Another stream of events, which does not make room for others; whether there was room for it."""
        sock = self.enterContext(self.client.connect())
        try:
            sock.sendall(b"GET /v1/events/a.b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            return sock.recv(4096)[:12] == b"HTTP/1.1 200"
        except ConnectionError:
            return False


if __name__ == "__main__":
    unittest.main()
