# SPDX-License-Identifier: Apache-2.0
"""pynng and msgpack for Python, an independent reader and writer, on the open bus and the control socket.

Both come by pip into an environment of their own in the build folder; without pip this test is skipped."""
import os
import subprocess
import sys
import unittest
import uuid
import venv

import peer


def environment():
    folder = os.path.join(os.environ.get("LOOM_BUILD_DIR", "/tmp"), "pynng-venv")
    python = os.path.join(folder, "bin", "python")
    ready = os.path.join(folder, "ready")
    if not os.path.exists(ready):
        try:
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "pynng", "msgpack"],
                           check=True, timeout=150, stdout=subprocess.DEVNULL)
        except (subprocess.SubprocessError, OSError) as error:
            peer.skip(f"pynng cannot be installed: {error}")
        open(ready, "w").close()
    return python


def fields(topic, payload, hop=None):
    import msgpack
    import time
    return msgpack.packb([1, hop, topic, uuid.uuid4().bytes, "text", "python", time.time_ns(), None, None, None, None, None,
                          None, "text/plain", {"k": "v"}, payload], use_bin_type=True)


class Pynng:
    def setUp(self):
        import pynng
        self.bus = self.enterContext(peer.Bus())
        self.sub = self.enterContext(pynng.Sub0(recv_timeout=100))
        self.push = self.enterContext(pynng.Push0(dial=self.bus.pull, send_timeout=5000))
        self.req = self.enterContext(pynng.Req0(dial=self.bus.control, recv_timeout=5000, send_timeout=5000))

    def ask(self, **request):
        import msgpack
        self.req.send(msgpack.packb(request))
        return msgpack.unpackb(self.req.recv())

    def subscribe(self, topic):
        self.sub.subscribe(topic)
        self.sub.dial(self.bus.pub, block=True)
        peer.until(lambda: self.ask(op="stats")["bus"]["open_peers"] > 0, "this subscriber at the broker")

    def receive(self):
        import msgpack
        import pynng
        got = []

        def try_once():
            try:
                got.append(self.sub.recv())
            except pynng.Timeout:
                return False
            return True

        peer.until(try_once, "a message")
        topic, _, rest = got[0].partition(b"\0")
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        unpacker.feed(rest)
        number, *envelopes = list(unpacker)
        return topic.decode(), number, envelopes


class OpenBus(Pynng, unittest.TestCase):
    def test_python_hears_what_python_says(self):
        self.subscribe("py.")
        for expected in (1, 2, 3):
            self.push.send(fields("py.topic", b"payload"))
            topic, number, envelopes = self.receive()
            self.assertEqual((topic, number, len(envelopes)), ("py.topic", expected, 1))
            self.assertEqual(envelopes[0][2], "py.topic")
            self.assertEqual(envelopes[0][15], b"payload")
            self.assertEqual(envelopes[0][14], {"k": "v"})

    def test_envelopes_in_one_message_are_all_published(self):
        self.subscribe("py.")
        self.push.send(fields("py.a", b"1") + fields("py.a", b"2") + fields("py.b", b"3"))
        self.assertEqual([e[15] for e in self.receive()[2]], [b"1", b"2"])
        self.assertEqual([e[15] for e in self.receive()[2]], [b"3"])

    def test_a_traceparent_becomes_the_hop_context(self):
        self.subscribe("py.")
        self.push.send(fields("py.t", b"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"))
        hop = self.receive()[2][0][1]
        self.assertEqual(hop.code, 1)
        self.assertEqual(hop.data[:16].hex(), "0af7651916cd43dd8448eb211c80319c")

    def test_the_control_socket_tells_what_was_published(self):
        before = self.ask(op="stats")["eventbus"]["published"]
        self.push.send(fields("py.counted", b""))
        peer.until(lambda: self.ask(op="stats")["eventbus"]["published"] == before + 1, "the count of a publish")
        stats = self.ask(op="stats")
        self.assertIn("py.counted", [t["topic"] for t in stats["topics"]])
        self.assertIn("queue_full_oldest", stats["eventbus"]["dropped"])
        self.assertEqual(self.ask(op="nonsense")["status"], 5)

    def test_rubbish_is_counted(self):
        before = self.ask(op="stats")["bus"]["open_malformed"]
        self.push.send(b"rubbish")
        peer.until(lambda: self.ask(op="stats")["bus"]["open_malformed"] == before + 1, "the count of the rubbish")


class Actions(Pynng, unittest.TestCase):
    """An agent on its link, in Python too, provides; a program that has only nng calls."""

    def setUp(self):
        super().setUp()
        import agent
        import wire
        self.wire = wire
        self.provider = self.enterContext(agent.Agent(self.bus.listen, "adder"))
        ack = self.provider.request(wire.PROVIDE, name="math.add", version="1.2", kind="tool", description="adds",
                                    input_schema="{}", metadata={"team": "py"})
        self.assertEqual(ack["status"], wire.OK)

    def invoke(self, **fields):
        import msgpack
        self.req.send(msgpack.packb({"op": "invoke", "capability": "math.add", **fields}))

    def work(self):
        """The call that the provider gets next: its id and its envelope."""
        call = self.provider.wait(lambda: next((f for f in self.provider.others if f[0] == self.wire.CALL), None), "a call")
        self.provider.others.remove(call)
        return call[1], call[-1]

    def answer(self):
        import msgpack
        return msgpack.unpackb(self.req.recv())

    def test_a_capability_is_invoked_and_its_result_comes_back(self):
        self.invoke(payload=b"1+2", content_type="text/plain", headers={"k": "v"}, call_id=b"mine", deadline_ms=10_000,
                    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", baggage="user=7")
        call_id, envelope = self.work()
        self.assertEqual((envelope[15], envelope[13], envelope[14], envelope[12]), (b"1+2", "text/plain", {"k": "v"}, "user=7"))
        self.provider.send(self.wire.RESULT, call_id, 0, "", "", b"3")
        answer = self.answer()
        self.assertEqual((answer["status"], answer["outcome"], answer["outcome_name"]), (0, 0, "ok"))
        self.assertEqual((answer["payload"], answer["call_id"]), (b"3", b"mine"))
        self.assertEqual(answer["trace_id"], "0af7651916cd43dd8448eb211c80319c")

    def test_an_error_is_an_answer_too(self):
        self.invoke(payload="text will do")
        call_id, _ = self.work()
        self.provider.send(self.wire.RESULT, call_id, 1, "overflow", "too large for me", b"")
        answer = self.answer()
        self.assertEqual((answer["outcome_name"], answer["code"], answer["text"]), ("error", "overflow", "too large for me"))
        self.assertEqual(len(answer["call_id"]), 16)

    def test_nobody_who_provides_it_is_told_at_once(self):
        self.assertEqual(self.ask(op="invoke", capability="math.none")["outcome_name"], "no_responders")

    def test_a_question_that_is_asked_again_while_it_waits_is_one_call(self):
        import msgpack
        import pynng
        with pynng.Req0(dial=self.bus.control, resend_time=30, recv_timeout=10_000) as impatient:
            impatient.send(msgpack.packb({"op": "invoke", "capability": "math.add"}))
            call_id, _ = self.work()
            before = self.ask(op="stats")["bus"]["control_requests"]
            peer.until(lambda: self.ask(op="stats")["bus"]["control_requests"] > before + 20, "the question again and again")
            self.provider.send(self.wire.RESULT, call_id, 0, "", "", b"once")
            self.assertEqual(msgpack.unpackb(impatient.recv())["payload"], b"once")
        self.assertEqual(self.ask(op="stats")["actions"]["invoked"], 1)

    def test_the_directory_knows_agent_and_capability(self):
        self.assertEqual([a["agent"] for a in self.ask(op="agents", capability="math.add")["agents"]], ["adder"])
        found = self.ask(op="capabilities", prefix="math.")["capabilities"]
        self.assertEqual([(c["name"], c["version"], c["kind"], c["metadata"]) for c in found],
                         [("math.add", "1.2", "tool", {"team": "py"})])


if __name__ == "__main__":
    if sys.prefix == sys.base_prefix:
        inside = environment()
        sys.exit(subprocess.run([inside, "-B", *sys.argv]).returncode)
    unittest.main()
