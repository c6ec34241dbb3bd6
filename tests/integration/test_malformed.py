# SPDX-License-Identifier: Apache-2.0
"""Bytes from outside end the session that they came from, with a reason, and harm nobody else."""

import socket
import struct
import unittest

import control
import wire
from agent import payloads
from harness import LoomTest, in_both_homes, wait_until
from packing import pack


def framed(body):
    return struct.pack(">I", len(body)) + body


GOOD = wire.envelope("topic", b"payload", "attacker", hop=wire.new_hop())
BOMB = b"\xdd\x04\x00\x00\x00"  # an array of 64 Mi elements, of which there is none
DEEP = b"\x91" * 3000 + b"\xc0"  # within the size of a hello

# What a stranger may send, before hello: (what it is, bytes, the status that it is answered with).
STRANGE = (
    ("an HTTP request", b"GET / HTTP/1.1\r\nHost: loom\r\nAccept: */*\r\n\r\n", wire.ETOOBIG),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), wire.ETOOBIG),
    ("an SSH banner", b"SSH-2.0-OpenSSH_9.2p1\r\n", wire.ETOOBIG),
    ("a length of zero", bytes(4), wire.ETOOBIG),
    ("a length over the limit", struct.pack(">I", wire.FRAME_MAX + 1), wire.ETOOBIG),
    ("the largest length", b"\xff" * 64, wire.ETOOBIG),
    ("no array", framed(b"\xc0"), wire.EMALFORMED),
    ("an array bomb", framed(BOMB), wire.EMALFORMED),
    ("a map bomb", framed(b"\x92\x01\xdf\xff\xff\xff\xff"), wire.EMALFORMED),
    ("a deep nesting", framed(b"\x92\x01\x81\xa1x" + DEEP), wire.EMALFORMED),
    ("a string longer than its frame", framed(b"\x92\x01\x81\xdb\xff\xff\xff\xff"), wire.EMALFORMED),
    ("an agent id over its limit", wire.frame(wire.HELLO, {"protocol": 1, "agent": "a" * 129}), wire.EMALFORMED),
    ("an agent id that is a number", wire.frame(wire.HELLO, {"protocol": 1, "agent": 7}), wire.EMALFORMED),
    ("bytes that are no msgpack", framed(b"\xc1" * 32), wire.EMALFORMED),
)

# What an agent may send, after hello.
WRONG = (
    ("a publish that is a map", framed(b"\x92\x05\x80"), wire.EMALFORMED),
    ("a publish of more envelopes than there are", framed(b"\x92\x05\x92" + GOOD), wire.EMALFORMED),
    ("a publish of 4 Gi envelopes", framed(b"\x92\x05\xdd\xff\xff\xff\xff" + GOOD), wire.EMALFORMED),
    ("bytes behind the last envelope", framed(b"\x92\x05\x91" + GOOD + b"\xc0"), wire.EMALFORMED),
    ("an envelope that is an array bomb", framed(b"\x92\x05\x91" + BOMB), wire.EMALFORMED),
    ("an envelope of 65535 fields that are not there", framed(b"\x92\x05\x91\xdc\xff\xff" + GOOD[3:]), wire.EMALFORMED),
    ("an envelope of 4 Gi fields", framed(b"\x92\x05\x91\xdd\xff\xff\xff\xff" + GOOD[3:]), wire.ETOOBIG),
    ("an envelope of too few fields", framed(b"\x92\x05\x91\x9f" + GOOD[3:]), wire.EMALFORMED),
    ("an envelope of a later version", framed(b"\x92\x05\x91" + GOOD[:3] + b"\x02" + GOOD[4:]), wire.EVERSION),
    ("a topic over its limit", wire.publish_frame([wire.envelope("t" * 257, b"", "attacker")]), wire.ETOOBIG),
    ("a topic that is bytes", wire.publish_frame([wire.envelope(b"topic", b"", "attacker")]), wire.EMALFORMED),
    ("a payload that is a string", wire.publish_frame([wire.envelope("t", "text", "attacker")]), wire.EMALFORMED),
    ("an id of 15 bytes", wire.publish_frame([wire.envelope("t", b"", "attacker", id=bytes(15))]), wire.EMALFORMED),
    ("headers that are an array", wire.publish_frame([wire.envelope("t", b"", "attacker", headers=[1])]), wire.EMALFORMED),
    ("headers over their limit", wire.publish_frame([wire.envelope("t", b"", "attacker", headers={"k": "v" * 20000})]),
     wire.ETOOBIG),
    ("a payload over its limit", wire.publish_frame([wire.envelope("t", bytes((1 << 20) + 1), "attacker")]), wire.ETOOBIG),
    ("a negative credit", framed(b"\x93\x07\xff\xff"), wire.EMALFORMED),
    ("a filter over its limit", wire.frame(wire.SUBSCRIBE, {"request": 1, "filter": "f" * 300}), wire.EMALFORMED),
    ("17 types", wire.frame(wire.SUBSCRIBE, {"request": 1, "filter": "f", "types": ["t"] * 17}), wire.EMALFORMED),
    ("a frame that goes the other way", wire.frame(wire.WELCOME, {}), wire.EPROTO),
    ("a deliver", framed(b"\x92\x06\x92\x01" + GOOD), wire.EPROTO),
    ("a deep unknown value", framed(b"\x92\x03\x81\xa1x" + DEEP), wire.EMALFORMED),
)


@in_both_homes
class Malformed:
    def setUp(self):
        self.bus = self.home(spans=False, environment={"ASAN_OPTIONS": "quarantine_size_mb=1"})
        self.listener = self.agent(self.bus, "listener").subscribe("steady")
        self.speaker = self.agent(self.bus, "speaker")
        self.spoken = 0

    def others_go_on(self):
        """Two bystanders exchange a message on the connections that they have had all the time."""
        self.speaker.publish("steady", b"%d" % self.spoken)
        self.spoken += 1
        self.assertEqual([b"%d" % number for number in range(self.spoken)], payloads(self.listener.wait_events(self.spoken)))

    def attack(self, data, agent_id=None):
        with self.bus.agent(agent_id) as attacker:
            attacker.link.send(data)
            return attacker.wait_end()

    def assert_refused(self, what, data, status, agent_id=None):
        with self.subTest(what):
            kind, got, text = self.attack(data, agent_id)
            self.assertEqual((wire.ERROR, status), (kind, got), text)
            self.assertTrue(text)
            self.others_go_on()

    def test_strange_bytes_are_answered_with_an_error(self):
        for what, data, status in STRANGE:
            self.assert_refused(what, data, status)

    def test_wrong_frames_are_answered_with_an_error(self):
        for what, data, status in WRONG:
            self.assert_refused(what, data, status, "attacker")

    def test_every_truncation_of_a_publish_is_refused(self):
        for length in range(len(GOOD)):
            kind, status, text = self.attack(framed(b"\x92\x05\x91" + GOOD[:length]), "attacker")
            self.assertEqual((wire.ERROR, wire.EMALFORMED), (kind, status), f"{length} bytes: {text}")
        self.others_go_on()

    def test_every_truncation_of_a_hello_is_refused(self):
        hello = pack([wire.HELLO, {"protocol": 1, "agent": "attacker", "software": "s", "instance": bytes(16)}])
        for length in range(1, len(hello)):
            kind, status, text = self.attack(framed(hello[:length]))
            self.assertEqual((wire.ERROR, wire.EMALFORMED), (kind, status), f"{length} bytes: {text}")
        self.others_go_on()

    def test_a_frame_that_never_ends_keeps_nobody_waiting(self):
        with self.bus.agent("slow") as slow:
            slow.link.send(struct.pack(">I", wire.FRAME_MAX) + bytes(1000))
            self.others_go_on()
        self.others_go_on()

    def test_frames_that_come_byte_by_byte_are_whole_in_the_end(self):
        data = wire.publish_frame([wire.envelope("steady", b"0", "drip")])
        with self.bus.agent("drip") as drip:
            for at in range(len(data)):
                drip.link.send(data[at:at + 1])
            drip.sync()
        self.spoken += 1
        self.listener.wait_events(1)
        self.others_go_on()

    def round(self):
        for _, data, _ in STRANGE:
            self.attack(data)
        for _, data, _ in WRONG:
            self.attack(data, "attacker")
        for _ in range(10):  # that leave in the middle of a large frame
            with self.bus.agent("attacker") as attacker:
                attacker.link.send(struct.pack(">I", wire.FRAME_MAX) + bytes(500_000))
                attacker.link.send(bytes(1))
        self.others_go_on()

    def test_attacks_leave_no_memory_and_no_descriptor_behind(self):
        watched = [process for process in (self.bus.broker, self.bus.bridge) if process]
        self.round()
        self.round()
        before = [(process.resident_kib(), process.open_files()) for process in watched]
        for _ in range(6):
            self.round()
        for process, (memory, files) in zip(watched, before):
            wait_until(lambda: process.open_files() <= files, f"{process.name} closes what it opened")
            self.assertLess(process.resident_kib() - memory, 4096, process.name)


class Listeners(LoomTest):
    def test_peers_that_leave_before_the_greeting_do_not_keep_others_out(self):
        bus = self.home(spans=False)
        for name in ("control", "bus-bridge", "in", "out"):
            for said in (b"", control.GREETING[:3], control.GREETING, b"GET / HTTP/1.1\r\n\r\n"):
                for _ in range(20):
                    with socket.socket(socket.AF_UNIX) as sock:
                        sock.connect(f"{bus.folder}/{name}.sock")
                        sock.sendall(said)
        self.assertIn("eventbus", bus.stats())


if __name__ == "__main__":
    unittest.main()
