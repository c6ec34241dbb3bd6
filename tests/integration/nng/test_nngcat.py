# SPDX-License-Identifier: Apache-2.0
"""nngcat on the open bus."""
import os
import shutil
import subprocess
import tempfile
import unittest

import peer


@unittest.skipUnless(shutil.which("nngcat"), "nngcat is not installed")
class Nngcat(unittest.TestCase):
    def setUp(self):
        self.bus = self.enterContext(peer.Bus())
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def push(self, payload):
        path = os.path.join(self.folder, "message")
        with open(path, "wb") as file:
            file.write(payload)
        subprocess.run(["nngcat", "--push0", "--dial", self.bus.pull, "--file", path], check=True, timeout=peer.DEADLINE_S)

    def subscriber(self, topic):
        out = open(os.path.join(self.folder, "out"), "wb")
        self.addCleanup(out.close)
        process = subprocess.Popen(["nngcat", "--sub0", "--subscribe", topic, "--dial", self.bus.pub, "--raw"], stdout=out)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process, out.name

    def read(self, path):
        with open(path, "rb") as file:
            return file.read()

    def test_what_nngcat_pushes_nngcat_receives(self):
        _, path = self.subscriber("plain.")

        def received():
            # the subscriber may still be connecting, so the message is pushed until one has come
            self.push(peer.envelope("plain.hello", b"from nngcat"))
            return self.read(path)

        got = peer.until(received, "a message for nngcat")
        topic, _, rest = got.partition(b"\0")
        self.assertEqual(topic, b"plain.hello")
        self.assertEqual(rest[0], 0xCF)
        self.assertEqual(int.from_bytes(rest[1:9], "big"), 1)
        self.assertEqual(rest[9:16], b"\xdc\x00\x10\x01\xc7\x1a\x01")  # the hop context in its fixed form now
        self.assertIn(b"from nngcat", rest)

    def test_rubbish_from_nngcat_harms_nobody(self):
        _, path = self.subscriber("plain.")
        for rubbish in (b"hello", b"\xdd\x04\x00\x00\x00", b"\xc1L\x01", b"\xff" * 5000):
            self.push(rubbish)

        def received():
            self.push(peer.envelope("plain.fine", b"still there"))
            return b"still there" in self.read(path)

        peer.until(received, "a message after the rubbish")


if __name__ == "__main__":
    if not shutil.which("nngcat"):
        peer.skip("nngcat is not installed")
    unittest.main()
