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
            print(f"SKIP: pynng cannot be installed: {error}")
            sys.exit(77)
        open(ready, "w").close()
    return python


def fields(topic, payload, hop=None):
    import msgpack
    import time
    return msgpack.packb([1, hop, topic, uuid.uuid4().bytes, "text", "python", time.time_ns(), None, None, None, None, None,
                          None, "text/plain", {"k": "v"}, payload], use_bin_type=True)


class Pynng(unittest.TestCase):
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


if __name__ == "__main__":
    if sys.prefix == sys.base_prefix:
        inside = environment()
        sys.exit(subprocess.run([inside, "-B", *sys.argv]).returncode)
    unittest.main()
