# SPDX-License-Identifier: Apache-2.0
"""`loom view` as an agent of the bus: tails, publishing and calling by its API, and what none of them can do to it."""

import json
import unittest
import urllib.parse

import gateway
import wire
from harness import LoomTest, wait_until
from viewing import View


class Member(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False, environment={"LOOM_BROKER_BATCHED_DEADLINE": "60s"})  # a busy machine loses nothing
        self.view = View(self.bus.run, self.bus.folder, "--url", self.bus.url, control=self.bus.control_path)
        self.connected()

    def tearDown(self):
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)

    def connected(self):
        wait_until(lambda: self.view.get("/api/member").json["connected"], "the view is on the bus")

    def tail(self, topic_filter, more=""):
        stream = self.view.stream("/api/tail?filter=" + urllib.parse.quote(topic_filter) + more)
        self.addCleanup(stream.close)
        wait_until(lambda: self.subscribed(topic_filter), "the tail is subscribed")
        return stream

    def subscribed(self, topic_filter):
        return sum(s["filter"] == topic_filter for s in self.bus.stats()["subscriptions"])

    def next_event(self, stream):
        while (event := stream.next()) is not None and event.name != "event":
            pass
        return json.loads(event.data)

    def test_what_is_published_comes_out_of_a_tail_with_its_trace(self):
        stream = self.tail("order.>")
        answer = self.view.post("/api/publish/order.created?type=t&content_type=text/plain&header=a%3Db%3Dc", b"17")
        event = self.next_event(stream)
        self.assertEqual(("order.created", "17", "t", "text/plain", {"a": "b=c"}, True), tuple(event[key] for key in ("topic", "payload", "type", "content_type", "headers", "sampled")))
        self.assertEqual((answer.json["event_id"], answer.json["trace_id"]), (event["id"], event["trace_id"]))
        self.assertEqual(self.view.get("/api/member").json["id"], event["sender"])
        wait_until(lambda: self.view.get(f"/api/traces/{event['trace_id']}").status == 200, "its spans are in the view's own store")

    def test_a_long_payload_is_cut_between_characters(self):
        stream = self.tail("big.>", "&type=wanted")
        self.view.post("/api/publish/big.x?type=other", b"not this one")
        self.view.post("/api/publish/big.x?type=wanted", ("é" * 100_000).encode())
        event = self.next_event(stream)
        self.assertEqual(200_000, event["payload_bytes"])
        self.assertEqual({"é"}, set(event["payload"]))
        self.assertLessEqual(len(event["payload"].encode()), 16 * 1024)
        self.view.post("/api/publish/big.x?type=wanted", bytes(range(256)))
        self.assertIn("payload_base64", self.next_event(stream))

    def test_what_makes_no_sense_is_refused_with_a_reason(self):
        for path, status, word in (("/api/publish/", 404, "nothing"), ("/api/publish/a..b", 400, "empty"), ("/api/publish/system.x", 400, "broker"),
                                   ("/api/publish/a%ff", 400, "UTF-8"), ("/api/publish/a%00b", 400, "control"), ("/api/publish/" + "a" * 600, 400, "topic"),
                                   ("/api/publish/a?x=1", 400, "not known"), ("/api/publish/a?header=b", 400, "KEY=VALUE"),
                                   ("/api/publish/a?" + "&".join(f"header=k{n}%3Dv" for n in range(17)), 400, "too many"),
                                   ("/api/publish/a?type=" + "t" * 2000, 400, "long"), ("/api/invoke/a?deadline=1h", 400, "10m"), ("/api/invoke/a?deadline=0s", 400, "1ms")):
            with self.subTest(path[:60]):
                answer = self.view.post(path, b"x")
                self.assertEqual(status, answer.status, answer.body)
                self.assertIn(word, answer.json["detail"])
        for query in ("", "filter=", "filter=a..b", "filter=a&filter=b", "x=1"):
            self.assertEqual(400, self.view.get("/api/tail?" + query).status, query)
        self.assertEqual(413, self.view.post("/api/publish/a", bytes((1 << 20) + 1)).status)
        self.assertEqual(405, self.view.get("/api/publish/a").status)
        self.assertEqual(401, self.view.post("/api/publish/a", b"", {}).status)
        self.assertEqual(403, self.view.post("/api/publish/a", b"", {**self.view.bearer, "Origin": "http://evil.example"}).status)

    def test_a_call_has_its_outcome_and_one_that_is_left_is_cancelled(self):
        provider = self.agent(self.bus, "provider", credit_messages=10, credit_bytes=1 << 20)
        provider.provide("work.do")
        self.assertEqual("no_responders", self.view.post("/api/invoke/nobody.there").json["outcome"])
        self.assertEqual("timeout", self.view.post("/api/invoke/work.do?deadline=50ms", b"x").json["outcome"])
        provider.wait(lambda: provider.calls, "the first call")
        sock = self.view.connect()
        sock.sendall(self.view.head("/api/invoke/work.do").replace(b"GET ", b"POST ").replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"))
        provider.wait(lambda: len(provider.calls) == 2, "the second call")
        before = len(provider.cancels)
        sock.close()
        provider.wait(lambda: len(provider.cancels) > before, "its provider hears that nobody waits")

    def invoke_in_parts(self):
        """A provider, the call that it has, and the stream that tells the page of its parts."""
        provider = self.agent(self.bus, "provider", credit_messages=10, credit_bytes=1 << 20)
        provider.provide("work.do")
        stream = self.view.stream("/api/invoke/work.do?parts=true", "POST", b"x")
        call = provider.wait_call()
        provider.wait(lambda: provider.call_credits, "the credit for parts")
        return provider, call, stream

    def test_parts_of_a_result_are_told_as_they_come(self):
        provider, call, stream = self.invoke_in_parts()
        provider.report(call.call_id, wire.PROGRESS, 0, b"half")
        event = stream.next()
        self.assertEqual(("progress", "half"), (event.name, event.json["payload"]))
        for number in range(300):  # more than its first credit
            provider.report(call.call_id, wire.CHUNK, number, b"%d" % number)
            event = stream.next()
            self.assertEqual(("chunk", number, str(number)), (event.name, event.json["number"], str(event.json["payload"])))
        provider.answer(call.call_id, payload=b"end")
        event = stream.next()
        self.assertEqual(("result", "ok", "end"), (event.name, event.json["outcome"], event.json["payload"]))
        self.assertIsNone(stream.next(), "the stream ends behind the result")

    def test_a_page_that_leaves_between_parts_cancels_the_call(self):
        provider, call, stream = self.invoke_in_parts()
        provider.report(call.call_id, wire.CHUNK, 0, b"x")
        self.assertEqual("chunk", stream.next().name)
        stream.close()
        provider.wait(lambda: provider.cancels, "its provider hears that nobody waits")
        self.assertEqual(400, self.view.post("/api/invoke/work.do?parts=yes", b"x").status)

    def test_calls_under_way_do_not_hold_up_the_end(self):
        provider = self.agent(self.bus, "provider", credit_messages=10, credit_bytes=1 << 20)
        provider.provide("work.do")
        later = gateway.Later(lambda: self.view.post("/api/invoke/work.do", b"x"))
        stream = self.view.stream("/api/invoke/work.do?parts=true", "POST", b"x")
        self.addCleanup(stream.close)
        self.tail("a.>")
        provider.wait(lambda: len(provider.calls) == 2, "the calls")
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)
        later.join(30)

    def test_more_tails_than_there_may_be_are_refused_and_those_that_end_make_room(self):
        streams = [self.view.stream(f"/api/tail?filter=many{n}.x") for n in range(16)]
        self.assertEqual(503, self.view.get("/api/tail?filter=a.x").status)
        for stream in streams:
            stream.close()
        wait_until(lambda: not any(s["filter"].startswith("many") for s in self.bus.stats()["subscriptions"]), "their subscriptions have ended")
        self.tail("a.x")

    def test_without_a_bus_it_says_so_and_comes_back_by_itself(self):
        stream = self.tail("order.>")
        self.bus.kill(self.bus.broker)
        wait_until(lambda: not self.view.get("/api/member").json["connected"], "the view knows")
        answer = self.view.post("/api/publish/order.created", b"x")
        self.assertEqual(503, answer.status)
        self.assertIn("loom-broker", answer.json["detail"])
        self.bus.start_broker()
        self.connected()
        wait_until(lambda: self.subscribed("order.>"), "the tail is subscribed again")
        self.view.post("/api/publish/order.created", b"after")
        self.assertEqual("after", self.next_event(stream)["payload"])

    def test_a_reader_that_takes_nothing_costs_a_bounded_amount(self):
        sock = self.view.connect()
        sock.sendall(self.view.head("/api/tail?filter=load.%3E"))
        wait_until(lambda: self.subscribed("load.>"), "the tail is subscribed")
        self.bus.loom("pub", "load.x", "--count", "3000", "x" * 20_000)
        # realtime: on a busy machine some of the 60 MB are dropped for the view, rather than hold the publisher up
        wait_until(lambda: sum(s["delivered"] + s["dropped"] for s in self.bus.stats()["subscriptions"] if s["filter"] == "load.>") == 3000,
                   "all are delivered, or dropped for it", 60)
        self.assertLess(self.view.process.resident_kib(), (400 if self.view.process.sanitized() else 120) * 1024)
        self.assertEqual(200, self.view.get("/api/member").status)
        sock.close()


class OneAddress(LoomTest):
    """No control socket is named: the broker is asked over the agent link."""

    def setUp(self):
        self.bus = self.home(spans=False)
        self.view = View(self.bus.run, self.bus.folder, "--url", self.bus.url, control=False)
        wait_until(lambda: self.view.get("/api/member").json["connected"], "the view is on the bus")

    def ids(self):
        answer = self.view.get("/api/bus/agents")
        return [agent["agent"] for agent in answer.json["agents"]] if answer.status == 200 else answer.status

    def test_what_the_control_socket_tells_is_told(self):
        worker = self.agent(self.bus, "worker").subscribe("jobs.>").provide("math.add", "1.0")
        worker.publish("jobs.new", b"x")
        worker.wait_events(1)
        self.assertIn("worker", self.ids())
        self.assertEqual("math.add", self.view.get("/api/bus/capabilities").json["capabilities"][0]["name"])
        self.assertIn("jobs.new", [topic["topic"] for topic in self.view.get("/api/bus/topics").json["topics"]])
        for kind, key in (("flow", "edges"), ("stats", "eventbus")):
            self.assertIn(key, self.view.get(f"/api/bus/{kind}").json)
        self.assertEqual(self.bus.url, self.view.get("/api/state").json["control"])
        self.assertEqual([], self.view.get("/api/traces").json["traces"], "that it asks is no trace")

    def test_what_takes_the_control_socket_says_so(self):
        for answer in (self.view.get("/api/keep"), self.view.post("/api/keep?topic=a")):
            self.assertEqual(501, answer.status)
            self.assertIn("--control", answer.body.decode())

    def test_pages_are_put_together(self):
        crowd = [self.agent(self.bus, f"agent-{n:03}") for n in range(150)]
        self.assertLessEqual({agent.id for agent in crowd}, set(self.ids()))

    def test_the_stream_is_told(self):
        stream = self.view.stream("/api/stream")
        self.addCleanup(stream.close)
        while (event := stream.next()).name != "agents":
            pass
        self.assertEqual(1, len(json.loads(event.data)["whole"]["agents"]))

    def test_a_broker_that_goes_is_told_and_asked_again(self):
        self.bus.kill(self.bus.broker)
        wait_until(lambda: self.ids() == 502, "nobody answers")
        self.bus.start_broker()
        wait_until(lambda: self.ids() != 502, "it answers again")
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)


if __name__ == "__main__":
    unittest.main()
