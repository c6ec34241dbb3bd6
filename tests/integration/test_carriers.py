# SPDX-License-Identifier: Apache-2.0
"""The link is the same on every carrier: ipc, tcp, tls+tcp, ws and wss."""

import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import unittest
import urllib.parse

import agent
import wire
from agent import payloads
from harness import in_both_homes

SCHEMES = ("ipc", "tcp", "tls+tcp", "ws", "wss")


def setUpModule():
    """A certificate of our own, with its key in one file, as tls_cert_key_file wants it."""
    global certificate  # unittest gives a module's fixture no other place
    folder = pathlib.Path(unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="loom-it-")))
    certificate = folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", folder / "key.pem", "-out", certificate],
                   check=True, capture_output=True)
    (folder / "both.pem").write_bytes(certificate.read_bytes() + (folder / "key.pem").read_bytes())


@in_both_homes
class Carriers:
    def setUp(self):
        self.bus = self.home(spans=False, listen=SCHEMES, serving=("--tls-cert-key-file", certificate.parent / "both.pem"))

    def connect(self, scheme, agent_id, **hello):
        return self.enterContext(agent.Agent(self.bus.url_of(scheme), agent_id, certificate, **hello))

    def test_agents_of_every_carrier_reach_agents_of_every_carrier(self):
        agents = [self.connect(scheme, scheme.replace("+", "-")).subscribe("all.*") for scheme in SCHEMES]
        for sender, scheme in zip(agents, SCHEMES):
            sender.publish(f"all.{scheme.replace('+', '-')}", scheme.encode())
        for receiver in agents:
            self.assertEqual(sorted(scheme.encode() for scheme in SCHEMES), sorted(payloads(receiver.wait_events(len(SCHEMES)))))

    def test_the_largest_payload_crosses_every_carrier_unchanged(self):
        payload = os.urandom(1 << 20)
        for scheme in SCHEMES:
            with self.subTest(scheme):
                one = self.connect(scheme, "one").subscribe("large")
                one.publish("large", payload)
                self.assertTrue(one.wait_events(1)[0].payload == payload, "the payload has changed")
                one.close()

    def test_a_thousand_messages_keep_their_order_on_every_carrier(self):
        for scheme in SCHEMES:
            with self.subTest(scheme):
                receiver, sender = self.connect(scheme, "receiver").subscribe("row"), self.connect(scheme, "sender")
                for first in range(0, 1000, 100):
                    sender.publish_raw([wire.envelope("row", b"%d" % n, "sender") for n in range(first, first + 100)])
                self.assertEqual([b"%d" % number for number in range(1000)], payloads(receiver.wait_events(1000)))
                receiver.close()
                sender.close()

    def test_an_error_reaches_the_agent_before_its_connection_closes_on_every_carrier(self):
        for scheme in SCHEMES:
            with self.subTest(scheme):
                stranger = self.connect(scheme, None)
                stranger.send(wire.SUBSCRIBE, {"request": 1, "filter": "a"})
                self.assertEqual((wire.ERROR, wire.EPROTO), stranger.wait_end()[:2])

    def test_a_fault_of_tls_is_told_as_one(self):
        """RFC 6125: an address is looked for among the addresses of subjectAltName, and the fault is named."""
        for scheme in ("tls+tcp", "wss"):
            with self.subTest(scheme):
                url = self.bus.url_of(scheme).replace("localhost", "127.0.0.1")
                self.bus.loom("pub", "--url", url, "a", "x", environment={"LOOM_TLS_CA": certificate})
                done = self.bus.loom("pub", "--url", url, "a", "x", code=6)
                self.assertIn("certificate is not trusted", done.stderr)
                self.assertNotIn("no broker", done.stderr)

    def test_the_command_line_speaks_every_carrier(self):
        for scheme in SCHEMES:
            with self.subTest(scheme):
                url, trust = self.bus.url_of(scheme), {"LOOM_TLS_CA": certificate}
                receiver = self.bus.subscriber("--url", url, "to.sub", "--count", "1", environment=trust)
                self.bus.loom("pub", "--url", url, "to.sub", f"over {scheme}", environment=trust)
                self.assertEqual(0, receiver.wait())
                self.assertIn(f"over {scheme}", receiver.out)

    def break_off(self, scheme, beginning):
        """Connects, says how a handshake begins, and is gone at once."""
        url = self.bus.url_of(scheme).split("://", 1)[1]
        if scheme == "ipc":
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(url)
        else:
            where = urllib.parse.urlsplit(f"//{url}")
            sock = socket.create_connection((where.hostname, where.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets it
        with sock:
            sock.sendall(beginning)

    def test_connections_that_break_off_do_not_keep_others_out(self):
        upgrade = b"GET /loom HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        beginnings = (b"", b"G", upgrade, upgrade + key, upgrade + b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
                      b"\x16\x03\x01\xff\xff" + bytes(100), wire.frame(wire.HELLO, {"protocol": 1, "agent": "gone"}))
        for scheme in SCHEMES:
            with self.subTest(scheme):
                for beginning in beginnings * 5:
                    self.break_off(scheme, beginning)
                one = self.connect(scheme, "one").subscribe("a")
                one.publish("a", b"x")
                one.wait_events(1)
                one.close()

    def test_a_certificate_that_is_not_trusted_is_refused_by_the_agent(self):
        failed = self.bus.loom("pub", "--url", self.bus.url_of("tls+tcp"), "t", "x", code=6)
        self.assertIn("the certificate is not trusted", failed.stderr)
        self.assertNotIn("no broker at", failed.stderr)

    def test_a_tls_agent_at_a_plain_port_is_told_so(self):
        url = self.bus.url_of("tcp").replace("tcp://", "tls+tcp://")
        failed = self.bus.loom("pub", "--url", url, "t", "x", code=3)
        self.assertIn("not a TLS server", failed.stderr)


if __name__ == "__main__":
    unittest.main()
