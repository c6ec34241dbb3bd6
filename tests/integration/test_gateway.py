# SPDX-License-Identifier: Apache-2.0
"""The HTTP gateway: publishing, what is refused and how, and the spans of it."""

import json
import pathlib
import re
import ssl
import subprocess
import tempfile
import unittest
import urllib.request

from gateway import PARENT_ID, TRACE_ID, TRACEPARENT, Client, problem, spans_of, wait_spans
from harness import BIN, LoomTest, in_both_homes, wait_until
from test_web import make_certificate

EVENTS = "/v1/events/"


def gateway_of(bus):
    """The agent that the gateway is on the bus."""
    return "gateway-broker" if bus.kind == "in_broker" else "gateway-bridge"


class Gateway:
    def start(self, **options):
        self.bus = self.home(listen=("ipc", "http"), **options)
        self.client = Client(self.bus.url_of("http"))
        return self.client

    def subscriber(self, topic_filter, **options):
        return self.agent(self.bus, "sub", **options).subscribe(topic_filter)


@in_both_homes
class Publishing(Gateway):
    def setUp(self):
        self.start()

    def test_a_body_is_the_payload_and_its_content_type_is_kept(self):
        sub = self.subscriber("a.>")
        answer = self.client.post(EVENTS + "a.b?type=reading&thread_id=t1", b"21.5", "text/csv; charset=utf-8")
        event = sub.wait_events(1)[0]
        self.assertEqual(202, answer.status)
        self.assertEqual((b"21.5", "text/csv; charset=utf-8", "a.b"), (event.payload, event.content_type, event.topic))
        self.assertEqual(("reading", "t1"), (event.type, event.thread_id))
        self.assertEqual(answer.json["id"].replace("-", ""), event.id.hex())
        self.assertEqual(answer.json["id"], answer.headers["Loom-Event-ID"])

    def test_an_envelope_has_all_fields(self):
        sub = self.subscriber("a.b")
        number = "01890a5d-ac96-774b-bcce-b302099a8057"
        answer = self.client.post_json(EVENTS + "a.b?envelope", {
            "id": number, "topic": "a.b", "type": "t", "thread_id": "t1", "correlation_id": "c1", "reply_to": "r.x",
            "headers": {"k": "v\u00e4"}, "ttl": 3, "payload": {"x": [1, None]}})
        event = sub.wait_events(1)[0]
        self.assertEqual(202, answer.status, answer)
        self.assertEqual(number, answer.json["id"])
        self.assertEqual((b'{"x":[1,null]}', "application/json", "t", "t1", "c1", "r.x", {"k": "v\u00e4"}),
                         (event.payload, event.content_type, event.type, event.thread_id, event.correlation_id, event.reply_to,
                          event.headers))

    def test_json_in_an_envelope_stays_as_it_is_written(self):
        sub = self.subscriber("a.b")
        cases = ((b'{"payload": 21.60}', b"21.60"), (b'{"type":"payload", "payload" : "a \\u0041\\\\" }', b'"a \\u0041\\\\"'),
                 (b'{"headers":{"payload":"1"},"payload":\n[1e2, {"payload": "}, ]"},0.1]\n}', b'[1e2,{"payload":"}, ]"},0.1]'),
                 (b'{"payl\\u006fad": [1, 2]}', b"[1,2]"), (b'{"payload":{},"type":"t"}', b"{}"),
                 (b'{"ttl": 3, "payload": [18446744073709551615, 1e300, 7]}', b"[18446744073709551615,1e300,7]"))
        for body, payload in cases:
            with self.subTest(body):
                answer = self.client.post(EVENTS + "a.b?envelope", body, "application/json")
                self.assertEqual(202, answer.status, answer)
                event = sub.wait_events(1)[0]
                sub.events.clear()
                self.assertEqual((payload, "application/json"), (event.payload, event.content_type))

    def test_integers_may_have_any_size(self):
        sub = self.subscriber("a.b")
        lines = b'{"id":18446744073709551615}\n123456789012345678901234567890\n'
        self.assertEqual(202, self.client.post(EVENTS + "a.b", lines, "application/x-ndjson").status)
        self.assertEqual(lines.split(), [event.payload for event in sub.wait_events(2)])

    def test_payloads_come_as_text_and_as_base64_too(self):
        sub = self.subscriber("a.b")
        for value in ({"payload_text": "h\u00e9"}, {"payload_base64": "AAH/"}, {}):
            self.assertEqual(202, self.client.post_json(EVENTS + "a.b?envelope", value).status)
        self.assertEqual(["h\u00e9".encode(), b"\x00\x01\xff", b""], [event.payload for event in sub.wait_events(3)])

    def test_each_line_of_a_batch_has_its_answer(self):
        sub = self.subscriber("a.b")
        answer = self.client.post(EVENTS + "a.b", b'{"n":1}\n{bad\n\n{"n":2}\r\n', "application/x-ndjson")
        self.assertEqual(207, answer.status)
        self.assertEqual([None, 400, None], [line.get("status") for line in answer.lines])
        self.assertEqual([b'{"n":1}', b'{"n":2}'], [event.payload for event in sub.wait_events(2)])

    def test_a_batch_that_is_refused_for_one_reason_says_so(self):
        large = b'"' + b"x" * (1 << 20) + b'"\n'
        for lines, status in ((large * 2, 413), (b"{bad\n" + large, 400)):
            answer = self.client.post(EVENTS + "a.b", lines, "application/x-ndjson")
            self.assertEqual((status, 2), (answer.status, len(answer.lines)))

    def test_a_batch_of_envelopes(self):
        sub = self.subscriber("a.b")
        lines = b"\n".join(json.dumps({"type": f"t{n}", "payload": n}).encode() for n in range(1000))
        answer = self.client.post(EVENTS + "a.b?envelope", lines, "application/x-ndjson")
        self.assertEqual((202, 1000), (answer.status, len(answer.lines)))
        self.assertEqual([f"t{n}" for n in range(1000)], [event.type for event in sub.wait_events(1000)])
        self.assertEqual((413, "too_many_events"), problem(self.client.post(EVENTS + "a.b", b"1\n" * 1001, "application/x-ndjson")))

    def test_topics_are_percent_decoded_utf8(self):
        sub = self.subscriber("gr\u00fc\u00dfe.>")
        self.assertEqual(202, self.client.post(EVENTS + "gr%C3%BC%C3%9fe.a%2bb").status)
        self.assertEqual("gr\u00fc\u00dfe.a+b", sub.wait_events(1)[0].topic)

    def test_what_is_wrong_is_named(self):
        json_type = "application/json"
        cases = (
            ("a..b", b"", "text/plain", 400, "invalid_path", "a segment is empty"),
            ("%ff", b"", "text/plain", 400, "invalid_path", "not UTF-8"),
            ("%zz", b"", "text/plain", 400, "invalid_path", "two hexadecimal digits"),
            ("a%0d%0aX-Evil:1", b"", "text/plain", 400, "invalid_path", "control character"),
            ("a" * 300, b"", "text/plain", 400, "invalid_path", "too long"),
            ("system.agents", b"", "text/plain", 403, "denied", "broker's"),
            ("a.b?typ=x", b"", "text/plain", 400, "unknown_parameter", '"typ" is not known here; there are: envelope, type'),
            ("a.b?type=x&type=y", b"", "text/plain", 400, "invalid_parameter", "twice"),
            ("a.b?envelope=maybe", b"{}", json_type, 400, "invalid_parameter", "true or false"),
            ("a.b?envelope&type=t", b"{}", json_type, 400, "invalid_parameter", "in the body"),
            ("a.b?type=x%00y", b"", "text/plain", 400, "invalid_parameter", "control character"),
            ("a.b?envelope", b"x", "text/plain", 415, "unsupported_media_type", "application/json"),
            ("a.b?envelope", b"{", json_type, 400, "invalid_event", "line 1"),
            ("a.b?envelope", b"[]", json_type, 400, "invalid_event", "object"),
            ("a.b?envelope", b'{"tpye":"x"}', json_type, 400, "invalid_event", '"tpye" is no member'),
            ("a.b?envelope", b'{"ttl":0}', json_type, 400, "invalid_event", '"ttl"'),
            ("a.b?envelope", b'{"topic":"a.c"}', json_type, 400, "invalid_event", '"topic" is not the topic of the path'),
            ("a.b?envelope", b'{"headers":{"a":1}}', json_type, 400, "invalid_event", '"headers"'),
            ("a.b?envelope", b'{"id":"x"}', json_type, 400, "invalid_event", "UUID"),
            ("a.b?envelope", b'{"payload":1,"payload_text":"x"}', json_type, 400, "invalid_event", "more than one form"),
            ("a.b?envelope", b'{"payload_base64":"%"}', json_type, 400, "invalid_event", "base64"),
            ("a.b?envelope", b'{"content_type":"a/b\\r\\nX-Evil: 1"}', json_type, 400, "invalid_event", "media type"),
            ("a.b?envelope", b'{"reply_to":"a.*"}', json_type, 400, "invalid_event", "wildcard"),
            ("a.b?reply_to=a..b", b"", "text/plain", 400, "invalid_event", "a segment is empty"),
            ("a.b", b"x" * (1024 * 1024 + 1), "text/plain", 413, "too_large", "over its limit"),
            ("a.b", b"x", "nonsense", 415, "unsupported_media_type", "media type"),
        )
        for path, body, content_type, status, code, part in cases:
            with self.subTest(path=path[:40], body=body[:40]):
                answer = self.client.post(EVENTS + path, body, content_type)
                self.assertEqual((status, code), problem(answer), answer)
                self.assertIn(part, answer.json["detail"])

    def test_what_is_not_there_is_said(self):
        self.assertEqual((404, "not_found"), problem(self.client.get("/v1/nothing")))
        self.assertEqual((404, "not_found"), problem(self.client.post(EVENTS)))
        answer = self.client.ask("DELETE", EVENTS + "a.b")
        self.assertEqual(((405, "method_not_allowed"), "POST, GET, HEAD, OPTIONS"), (problem(answer), answer.headers["Allow"]))
        answer = self.client.ask("OPTIONS", EVENTS + "a.b")
        self.assertEqual((204, "POST, GET, HEAD, OPTIONS", b""), (answer.status, answer.headers["Allow"], answer.body))
        self.assertIsNone(answer.headers["Content-Length"])
        answer = self.client.ask("HEAD", "/healthz")
        self.assertEqual((200, "16", b""), (answer.status, answer.headers["Content-Length"], answer.body))

    def test_bytes_that_are_no_good_request(self):
        host = b"Host: 127.0.0.1\r\n"
        post = b"POST /v1/events/a.b HTTP/1.1\r\n" + host + b"Connection: close\r\n"
        cases = ((post + b"\r\n", b"411"), (post + b"Content-Length: 9000000\r\n\r\n", b"413"),
                 (post + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", b"400"),
                 (post + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
                 (post + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", b"415"),
                 (post + b"Expect: magic\r\nContent-Length: 1\r\n\r\nx", b"417"))
        for text, status in cases:
            with self.subTest(text):
                got = self.client.raw(text)
                self.assertEqual(status, got[9:12], got)
                self.assertIn(b"Content-Type: application/problem+json", got)

    def test_what_can_be_there_once_only_is_refused_twice(self):
        for name, values in (("Origin", (b"http://127.0.0.1", b"http://127.0.0.1")), ("Content-Type", (b"a/b", b"a/c")),
                             ("Idempotency-Key", (b"a", b"b"))):
            with self.subTest(name):
                fields = b"".join(name.encode() + b": " + value + b"\r\n" for value in values)
                got = self.client.raw(b"POST /v1/events/a.b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                                      b"Content-Length: 0\r\n" + fields + b"\r\n")
                self.assertEqual(b"400", got[9:12], got)

    def test_an_absolute_target_is_checked_as_host_is(self):
        for authority, status in ((b"127.0.0.1", b"200"), (b"evil.example", b"421")):
            got = self.client.raw(b"GET http://" + authority + b"/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            self.assertEqual(status, got[9:12], got)

    def test_a_client_that_expects_to_go_on_is_told_so(self):
        with self.client.connect() as sock:
            sock.sendall(b"POST /v1/events/a.b HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
            self.assertEqual(b"HTTP/1.1 100 Continue\r\n\r\n", sock.recv(4096))
            sock.sendall(b"x")
            self.assertEqual(b"HTTP/1.1 202", sock.recv(4096)[:12])

    def test_pages_of_other_origins_are_kept_out(self):
        for headers, expected in (({"Origin": "https://evil.example"}, (403, "origin_not_allowed")),
                                  ({"Origin": "null"}, (403, "origin_not_allowed")),
                                  ({"Host": "evil.example"}, (421, "wrong_host")),
                                  ({"Host": "127.0.0.1.evil.example"}, (421, "wrong_host")), ({"Host": "[::1]evil"}, (421, "wrong_host")),
                                  ({"Host": "[::1"}, (421, "wrong_host")), ({"Host": "localhost:7780evil"}, (421, "wrong_host"))):
            with self.subTest(headers):
                self.assertEqual(expected, problem(self.client.post(EVENTS + "a.b", headers=headers)))
        for headers in ({"Host": "localhost:1"}, {"Host": "[::1]:7780"}, {"Host": "[::1]"}, {"Host": "localhost:"},
                        {"Origin": f"http://127.0.0.1:{self.client.port}"}):
            with self.subTest(headers):
                self.assertEqual(202, self.client.post(EVENTS + "a.b", headers=headers).status)

    def test_requests_on_one_connection_are_answered_in_order(self):
        one = b"POST /v1/events/a.b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\n%d"
        got = self.client.raw(b"".join(one % (n % 10) for n in range(200)) +
                              b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        self.assertEqual(200, got.count(b"HTTP/1.1 202 Accepted"))
        self.assertTrue(got.endswith(b'{"status":"ok"}\n'))


@in_both_homes
class Spans(Gateway):
    def span(self, name):
        return wait_spans(self.bus, name)[name]

    def test_client_gateway_ladder_and_handler_are_one_trace(self):
        client = self.start()
        self.subscriber("a.b")
        answer = client.post(EVENTS + "a.b?type=x", b"1", headers={"traceparent": TRACEPARENT, "tracestate": "v=1",
                                                                   "baggage": "user=7", "User-Agent": "me/1"})
        ladder = ["POST /v1/events/{topic}", "agent.emit", "bridge.publish", "eventbus.publish", "bridge.forward"]
        spans = wait_spans(self.bus, *ladder)
        server = spans[ladder[0]]
        self.assertEqual({TRACE_ID}, {span.trace_id for span in spans.values()})
        self.assertEqual((PARENT_ID, "SERVER", "loom-gateway"), (server.parent_id, server.kind, server.service))
        self.assertEqual([spans[name].span_id for name in ladder[:-1]], [spans[name].parent_id for name in ladder[1:]])
        expected = {"http.request.method": "POST", "url.path": "/v1/events/a.b", "url.scheme": "http",
                    "url.query": "type=x", "http.route": "/v1/events/{topic}", "http.response.status_code": 202,
                    "server.address": "127.0.0.1", "server.port": client.port, "client.address": "127.0.0.1",
                    "network.protocol.version": "1.1", "user_agent.original": "me/1"}
        self.assertEqual(expected, {key: server.attributes.get(key) for key in expected})
        self.assertEqual(0, server.status)
        self.assertEqual(f'trace;desc="00-{TRACE_ID}-{server.span_id}-01"', answer.headers["Server-Timing"])
        self.assertEqual(TRACE_ID, answer.headers["X-Trace-ID"].replace("-", ""))
        self.assertTrue(answer.headers["X-Span-ID"].replace("-", "").startswith(server.span_id))
        self.assertEqual(TRACE_ID, answer.json["trace_id"])

    def test_tracestate_and_baggage_travel_with_the_event(self):
        client = self.start()
        sub = self.subscriber("a.b")
        client.post(EVENTS + "a.b", headers={"traceparent": TRACEPARENT, "tracestate": "v=1", "baggage": "user=7"})
        event = sub.wait_events(1)[0]
        self.assertEqual(("v=1", "user=7"), (event.tracestate, event.baggage))

    def test_other_propagators_are_understood(self):
        client = self.start()
        span_id = "3" * 16
        cases = ({"b3": f"{TRACE_ID}-{span_id}-1"}, {"X-B3-TraceId": TRACE_ID, "X-B3-SpanId": span_id, "X-B3-Sampled": "1"},
                 {"X-Trace-ID": "11111111-1111-1111-1111-111111111111"})
        for headers in cases:
            with self.subTest(headers):
                self.assertEqual(TRACE_ID, client.post(EVENTS + "a.b", headers=headers).json["trace_id"])

    def test_the_clients_own_span_is_the_parent_of_the_gateways(self):
        client = self.start()
        done = subprocess.run([BIN.parent / "tests" / "example_http_client", f"http://127.0.0.1:{client.port}/healthz"], timeout=60,
                              capture_output=True, env={**self.bus.environment, "TRACEPARENT": TRACEPARENT})
        self.assertEqual((0, b'{"status":"ok"}\n'), (done.returncode, done.stdout), done.stderr)
        spans = wait_spans(self.bus, "GET /healthz", "GET", "get all")
        self.assertEqual([PARENT_ID, spans["get all"].span_id, spans["GET"].span_id],
                         [spans[name].parent_id for name in ("get all", "GET", "GET /healthz")])
        self.assertEqual("CLIENT", spans["GET"].kind)

    def test_a_client_that_is_not_sampled_leaves_no_spans(self):
        client = self.start()
        self.assertEqual(202, client.post(EVENTS + "a.b", headers={"traceparent": TRACEPARENT[:-2] + "00"}).status)
        client.post(EVENTS + "a.c", headers={"traceparent": TRACEPARENT})
        wait_spans(self.bus, "eventbus.publish", "POST /v1/events/{topic}")
        self.assertEqual({"/v1/events/a.c"}, {span.attributes["url.path"] for span in spans_of(self.bus) if span.kind == "SERVER"})

    def test_secrets_in_a_query_are_masked(self):
        client = self.start()
        client.post(EVENTS + "a.b?password=hunter2&mail=me@example.org")
        span = self.span("POST /v1/events/{topic}")
        self.assertNotIn("hunter2", str(span.attributes))
        self.assertNotIn("me@example.org", str(span.attributes))
        self.assertEqual(400, span.attributes["http.response.status_code"])
        self.assertNotIn("error.type", span.attributes)

    def test_what_the_server_refuses_has_a_span_too(self):
        client = self.start()
        client.get("/v1/nothing")
        span = self.span("GET")
        self.assertEqual((404, "/v1/nothing"), (span.attributes["http.response.status_code"], span.attributes["url.path"]))


@in_both_homes
class Secure(Gateway):
    def test_https_is_the_same(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="loom-it-")))
        one, both = make_certificate(folder, "good", 2)
        bus = self.home(listen=("ipc", "https"), serving=("--tls-cert-key-file", both))
        url = bus.url_of("https") + EVENTS + "a.b"
        with urllib.request.urlopen(url, b"x", timeout=30, context=ssl.create_default_context(cafile=one)) as answer:
            self.assertEqual(202, answer.status)
        with urllib.request.urlopen(url, timeout=30, context=ssl.create_default_context(cafile=one)) as stream:
            self.assertEqual(b"retry: 1000\n", stream.readline())
            provider = self.agent(bus, "provider")
            for n in range(1000):
                provider.publish("a.b", b"%d" % n * 100)
            lines = (line for line in stream if line.startswith(b"data: "))
            self.assertEqual([str(n) * 100 for n in range(1000)],
                             [json.loads(next(lines)[6:])["payload_text"] for _ in range(1000)])
        name = "POST /v1/events/{topic}"
        self.assertEqual("https", wait_spans(bus, name)[name].attributes["url.scheme"])


@in_both_homes
class Http2(Gateway):
    """curl chooses HTTP/2 by ALPN; what it gets is what HTTP/1.1 gets."""

    def setUp(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="loom-it-")))
        self.one, both = make_certificate(folder, "good", 2)
        self.bus = self.home(listen=("ipc", "https", "http"), serving=("--tls-cert-key-file", both))
        self.url, self.plain = self.bus.url_of("https"), self.bus.url_of("http")

    def curl(self, *arguments, **popen):
        return subprocess.Popen(["curl", "-sS", "--noproxy", "*", "--max-time", "60", "--cacert", self.one, *arguments],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **popen)

    def ask(self, *arguments):
        """(version, status), fields, body"""
        process = self.curl("-i", *arguments)
        answer, _ = process.communicate(timeout=60)
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        return tuple(lines[0].split()[:2]), dict(line.split(": ", 1) for line in lines[1:]), body

    def test_a_client_that_asks_gets_it_by_alpn(self):
        sub = self.subscriber("a.>")
        first, fields, body = self.ask("--http2", f"{self.url}{EVENTS}a.b", "-d", "21.5", "-H", f"traceparent: {TRACEPARENT}")
        self.assertEqual((("HTTP/2", "202"), TRACE_ID), (first, json.loads(body)["trace_id"]))
        self.assertIn(TRACE_ID, fields["server-timing"])
        self.assertEqual(b"21.5", sub.wait_events(1)[0].payload)
        name = "POST /v1/events/{topic}"
        span = wait_spans(self.bus, name)[name]
        self.assertEqual(("2", "https", PARENT_ID), (span.attributes["network.protocol.version"], span.attributes["url.scheme"],
                                                     span.parent_id))

    def test_a_client_that_does_not_ask_gets_http_1_1(self):
        for options, version in ((("--http1.1",), "HTTP/1.1"), (("--no-alpn",), "HTTP/1.1"), (("--http2",), "HTTP/2"), ((), "HTTP/2")):
            self.assertEqual((version, "200"), self.ask(*options, f"{self.url}/healthz")[0])
        self.assertEqual(("HTTP/2", "200"), self.ask("--http2-prior-knowledge", f"{self.plain}/healthz")[0])
        self.assertEqual(("HTTP/1.1", "200"), self.ask(f"{self.plain}/healthz")[0])

    def test_problems_are_the_same(self):
        first, fields, body = self.ask("--http2", f"{self.url}/v1/actions/nobody.does?deadline=5s", "-d", "")
        self.assertEqual((("HTTP/2", "404"), "application/problem+json", "no_provider"),
                         (first, fields["content-type"], json.loads(body)["code"]))

    def test_events_are_streamed(self):
        provider = self.agent(self.bus, "provider")
        stream = self.curl("--http2", "-N", f"{self.url}{EVENTS}a.b")
        try:
            self.assertEqual(b"retry: 1000\n", stream.stdout.readline())
            for n in range(1000):
                provider.publish("a.b", b"%d" % n * 1000)
            lines = (line for line in stream.stdout if line.startswith(b"data: "))
            self.assertEqual([str(n) * 1000 for n in range(1000)], [json.loads(next(lines)[6:])["payload_text"] for _ in range(1000)])
        finally:
            stream.kill()
            stream.wait()
            stream.stdout.close()
        wait_until(lambda: self.streams() == 0, "the gateway has let go of the stream")

    def streams(self):
        return self.gauge("streams")

    def connections(self):
        return self.gauge("connections") - 1  # of this question

    def gauge(self, name):
        text = urllib.request.urlopen(f"{self.plain}/metrics", timeout=30).read().decode()
        return int(re.search(rf"^loom_gateway_{name}(?:{{[^}}]*}})? (\d+)$", text, re.M)[1])

    def test_many_streams_share_a_connection_with_requests(self):
        url = f"{self.url}{EVENTS}a.b"
        listeners = [part for _ in range(20) for part in ("-N", url)]
        process = self.curl("--http2", "--parallel", "--parallel-max", "50", *listeners, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: self.streams() == 20, "twenty streams")
            for n in range(10):
                self.assertEqual("202", self.ask("--http2", url, "-d", f"event-{n}")[0][1])
            seen = b""
            while seen.count(b'"payload_text":"event-9"') < 20:
                seen += process.stdout.read1()
            self.assertEqual([20] * 10, [seen.count(b'"payload_text":"event-%d"' % n) for n in range(10)])
            self.assertEqual(1, self.connections())
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        wait_until(lambda: self.streams() == 0, "the gateway has let go of the streams")

    def test_a_shutdown_ends_the_streams(self):
        stream = self.curl("--http2", "-N", f"{self.url}{EVENTS}a.b", stderr=subprocess.DEVNULL)
        self.assertEqual(b"retry: 1000\n", stream.stdout.readline())
        self.assertEqual(0, self.bus.serving.stop())
        self.assertIsNotNone(stream.wait(30))
        stream.stdout.close()


class Listening(Gateway, LoomTest):
    def test_what_others_reach_is_to_be_allowed_by_name(self):
        bus = self.home(spans=False)
        process = bus.run("loom-broker", "--listen", "http://0.0.0.0:0", "--bus-control", "", "--bus-pull", "", "--bus-pub", "",
                          "--bus-bridge", "")
        self.assertNotEqual(0, process.wait())
        self.assertIn("allow_remote", process.err)

    def test_what_others_reach_without_tls_is_warned_of(self):
        bus = self.home(listen=("ipc", "http"), spans=False)
        self.assertNotIn("without TLS", bus.serving.err)
        process = bus.run("loom-broker", "--listen", "http://0.0.0.0:0", "--allow-remote", "--bus-control", "", "--bus-pull", "",
                          "--bus-pub", "", "--bus-bridge", "")
        wait_until(lambda: "listening for http" in process.err, "it listens")
        wait_until(lambda: "without TLS, and it asks nobody who they are url=http://0.0.0.0:" in process.err, "the warning")
        process.stop()

    def test_an_address_takes_no_path(self):
        bus = self.home(spans=False)
        process = bus.run("loom-broker", "--listen", "http://127.0.0.1:0/api", "--bus-control", "", "--bus-pull", "", "--bus-pub", "",
                          "--bus-bridge", "")
        self.assertNotEqual(0, process.wait())
        self.assertIn("takes no path", process.err)

    def test_bytes_that_are_no_request_leave_no_span(self):
        client = self.start()
        self.assertIn(b"400", client.raw(b"\x16\x03\x01\x02\x00\r\n\r\n")[:12])
        client.get("/healthz")
        wait_spans(self.bus, "GET /healthz")
        self.assertEqual(["GET /healthz"], [span.name for span in spans_of(self.bus) if span.kind == "SERVER"])


@in_both_homes
class Cors(Gateway):
    def test_a_page_of_a_named_origin_may_ask_and_read(self):
        client = self.start(spans=False, serving=("--cors-origins", "https://app.example"))
        origin = {"Origin": "https://app.example"}
        answer = client.ask("OPTIONS", EVENTS + "a.b", headers={**origin, "Access-Control-Request-Method": "POST"})
        self.assertEqual((204, "https://app.example"), (answer.status, answer.headers["Access-Control-Allow-Origin"]))
        self.assertIn("POST", answer.headers["Access-Control-Allow-Methods"])
        self.assertIn("traceparent", answer.headers["Access-Control-Allow-Headers"])
        answer = client.post(EVENTS + "a.b", headers=origin)
        self.assertEqual((202, "https://app.example", "Origin"),
                         (answer.status, answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]))
        self.assertIn("X-Trace-ID", answer.headers["Access-Control-Expose-Headers"])
        self.assertEqual(403, client.post(EVENTS + "a.b", headers={"Origin": "https://other.example"}).status)
        self.assertIsNone(client.post(EVENTS + "a.b").headers["Access-Control-Allow-Origin"])


@in_both_homes
class Asking(Gateway):
    def test_what_is_there_is_told(self):
        client = self.start(spans=False)
        provider = self.agent(self.bus, "worker").provide("add", "1.2", description="Adds",
                                                          input_schema='{"type":"array","items":{"type":"number"}}')
        client.post(EVENTS + "a.b", b"x")
        capability = wait_until(lambda: client.get("/v1/capabilities").json["capabilities"], "the broker knows it")[0]
        self.assertEqual(("add", {"type": "array", "items": {"type": "number"}}), (capability["name"], capability["input_schema"]))
        self.assertEqual([], client.get("/v1/capabilities?name=none").json["capabilities"])
        self.assertEqual([gateway_of(self.bus), "worker"], [row["agent"] for row in client.get("/v1/agents").json["agents"]])
        self.assertEqual(["worker"], [row["agent"] for row in client.get("/v1/agents?capability=add").json["agents"]])
        page = client.get("/v1/agents?limit=1").json
        self.assertEqual(([gateway_of(self.bus)], True), ([row["agent"] for row in page["agents"]], page["more"]))
        self.assertEqual(["a.b"], [row["topic"] for row in client.get("/v1/topics?filter=a.*").json["topics"]])
        self.assertEqual(1, client.get("/v1/stats").json["gateway"]["published"])
        for limit in ("0", "1001", "5%00x", "%2B5", "5.0", "%205", ""):
            self.assertEqual(200 if limit == "" else 400, client.get(f"/v1/agents?limit={limit}").status, limit)
        self.assertEqual(400, client.get("/v1/topics?filter=..").status)
        operation = client.get("/openapi.json").json["paths"]["/v1/actions/add"]["post"]
        self.assertEqual(("Adds", "array"), (operation["summary"],
                                             operation["requestBody"]["content"]["application/json"]["schema"]["type"]))
        self.check_operations(client, provider)
        document = client.get("/openapi.json").json
        self.assertEqual("3.1.0", document["openapi"])
        self.assertIn("/v1/events/{topic}", document["paths"])
        provider.close()

    def check_operations(self, client, provider):
        """Names of any kind, and schemas that refer to their own parts, leave the document a valid one."""
        provider.provide("a{b}/c?", "1", input_schema='{"$defs":{"x":{"type":"string"}},"$ref":"#/$defs/x"}')
        provider.provide("publish", "1", output_schema='{"$id":"urn:mine"}')
        wait_until(lambda: len(client.get("/v1/capabilities").json["capabilities"]) == 3, "they are known")
        paths = client.get("/openapi.json").json["paths"]
        operation = paths["/v1/actions/a%7Bb%7D%2Fc%3F"]["post"]
        self.assertEqual("/v1/actions/a%7Bb%7D%2Fc%3F/input_schema", operation["requestBody"]["content"]["application/json"]["schema"]["$id"])
        schema = paths["/v1/actions/publish"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        self.assertEqual({"$id": "urn:mine"}, schema)
        ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
        self.assertEqual(len(ids), len(set(ids)))

    def test_health_readiness_and_metrics(self):
        client = self.start(spans=False)
        self.assertEqual({"status": "ok"}, client.get("/healthz").json)
        wait_until(lambda: client.get("/readyz").status == 200, "it is ready")
        text = client.get("/metrics").body.decode()
        self.assertTrue(re.search(r"^loom_gateway_requests_total [1-9]", text, re.M))
        if self.kind == "own_process":
            self.bus.kill(self.bus.broker)
            wait_until(lambda: client.get("/readyz").status == 503, "the broker is away")
            self.assertEqual(200, client.get("/healthz").status)


if __name__ == "__main__":
    unittest.main()
