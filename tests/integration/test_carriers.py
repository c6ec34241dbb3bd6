# SPDX-License-Identifier: Apache-2.0
"""The link is the same on every carrier: ipc, tcp, tls+tcp, ws and wss."""

import os
import pathlib
import subprocess
import tempfile
import unittest

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

    def test_the_command_line_speaks_every_carrier(self):
        for scheme in SCHEMES:
            with self.subTest(scheme):
                url, trust = self.bus.url_of(scheme), {"LOOM_TLS_CA": certificate}
                receiver = self.bus.subscriber("--url", url, "to.sub", "--count", "1", environment=trust)
                self.bus.loom("pub", "--url", url, "to.sub", f"over {scheme}", environment=trust)
                self.assertEqual(0, receiver.wait())
                self.assertIn(f"over {scheme}", receiver.out)

    def test_a_certificate_that_is_not_trusted_is_refused_by_the_agent(self):
        failed = self.bus.loom("pub", "--url", self.bus.url_of("tls+tcp"), "t", "x", "--wait", "1s", code=1)
        self.assertIn("no broker at", failed.stderr)


if __name__ == "__main__":
    unittest.main()
