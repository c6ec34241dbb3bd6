# SPDX-License-Identifier: Apache-2.0
"""HTTP, WebSocket and TLS of the real processes: peers that mean no good, and a process that has no descriptor left."""

import contextlib
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import agent
import carriers
import control
import wire
from harness import BIN, Home, LoomTest, die_with_parent, in_both_homes, wait_until

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
UPGRADE = b"GET /loom HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" + KEY
HELLO = wire.frame(wire.HELLO, {"protocol": 1, "agent": "raw"})


def setUpModule():
    global certificate  # unittest gives a module's fixture no other place
    folder = pathlib.Path(unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="loom-it-")))
    certificate = make_certificate(folder, "good", 2)


def make_certificate(folder, name, days):
    """(certificate, certificate and key) in PEM; days may be past."""
    one, key, both = folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}-both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", one],
                   check=True, capture_output=True)
    both.write_bytes(one.read_bytes() + key.read_bytes())
    return one, both


def address(url):
    where = urllib.parse.urlsplit("//" + url.split("://", 1)[1])
    return where.hostname, where.port


def ask(url, text, deadline_s=20):
    """What is answered to these bytes until the other side closes."""
    with socket.create_connection(address(url), timeout=deadline_s) as sock:
        sock.sendall(text)
        return receive_all(sock)


def receive_all(sock):
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(65536):
            got += data
    return got


def masked(first, data):
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
    return bytes([first]) + size + bytes(4) + data


def close_code(raw):
    """Of the close frame that ends these bytes."""
    at = raw.rindex(b"\x88\x02")
    return struct.unpack(">H", raw[at + 2:at + 4])[0]


def metrics_url(process):
    return wait_until(lambda: re.search(r"serving metrics url=(\S+)", process.err), "metrics are served")[1]


@in_both_homes
class WebSockets:
    def setUp(self):
        self.bus = self.home(spans=False, listen=("ws",), serving=("--ws-origins", "https://app.example"))
        self.url = self.bus.url_of("ws")
        self.upgrade = UPGRADE % b"127.0.0.1"

    def test_a_handshake_is_answered_as_it_deserves(self):
        cases = ((b"", b"101"), (b"Sec-WebSocket-Protocol: loom.v1\r\n", b"101"), (b"Sec-WebSocket-Protocol: mqtt\r\n", b"400"),
                 (b"Origin: https://app.example\r\n", b"101"), (b"Origin: https://evil.example\r\n", b"403"),
                 (b"Origin: http://127.0.0.1\r\n", b"101"))
        for fields, status in cases:
            with self.subTest(fields), socket.create_connection(address(self.url), timeout=20) as sock:
                sock.sendall(self.upgrade + fields + b"\r\n")
                self.assertEqual(status, sock.recv(4096)[9:12])

    def test_a_request_that_is_no_handshake_is_told_what_is_wrong(self):
        cases = ((b"GET /loom HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"426"), (b"\x16\x03\x01\x02\x00", b"400"),
                 (b"GET /else HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"), (b"GET / HTTP/1.1\r\nA: " + bytes(20000), b"431"),
                 (b"POST /loom HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405"))
        for text, status in cases:
            with self.subTest(text[:40]):
                self.assertEqual(status, ask(self.url, text)[9:12])

    def test_what_is_refused_is_counted(self):
        ask(self.url, self.upgrade + b"\r\n\x82\x05hello")
        ask(self.url, b"\x16\x03\x01\x02\x00")
        if self.kind == "in_broker":  # the control socket tells of the broker's process
            self.assertEqual(2, control.ask(self.bus.control_path, op="stats")["links"]["requests_invalid"])

    def test_frames_that_break_the_protocol_are_closed_with_their_code(self):
        cases = ((b"\x82\x05hello", 1002), (masked(0x81, b"text"), 1003), (masked(0xc2, b"x"), 1002), (masked(0x80, b"x"), 1002),
                 (b"\x82\xff" + struct.pack(">Q", 1 << 30) + bytes(4), 1009), (masked(0x88, b"\x03\xe8"), 1000))
        for frame, code in cases:
            with self.subTest(frame[:8]):
                self.assertEqual(code, close_code(ask(self.url, self.upgrade + b"\r\n" + frame)))

    def test_a_hello_in_fragments_with_a_ping_between_them_is_welcome(self):
        parts = [masked(0x02, HELLO[:3]), masked(0x89, b"still there?"), masked(0x00, HELLO[3:9]), masked(0x80, HELLO[9:])]
        with socket.create_connection(address(self.url), timeout=20) as sock:
            sock.sendall(self.upgrade + b"\r\n")
            for part in parts:
                for byte in part:
                    sock.send(bytes([byte]))
            got = b""
            while not (b"\x8a\x0cstill there?" in got and b"welcome" in got or b"session" in got):
                got += sock.recv(65536)

    def test_a_shutdown_says_goodbye_with_1001(self):
        with socket.create_connection(address(self.url), timeout=20) as sock:
            sock.sendall(self.upgrade + b"\r\n" + masked(0x82, HELLO))
            sock.recv(65536)
            self.bus.serving.signal(signal.SIGTERM)
            self.assertEqual(1001, close_code(receive_all(sock)))
        self.assertEqual(0, self.bus.serving.wait())

    def test_a_shutdown_does_not_wait_for_a_peer_that_says_nothing(self):
        with socket.create_connection(address(self.url), timeout=20) as silent:
            silent.sendall(b"GET /loom")
            began = time.monotonic()
            self.assertEqual(0, self.bus.serving.stop())
            self.assertLess(time.monotonic() - began, 4)


def connect(url):
    """One that says nothing."""
    if not url.startswith("ipc:"):
        return socket.create_connection(address(url), timeout=20)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(20)
    sock.connect(url.removeprefix("ipc://"))
    return sock


@in_both_homes
class FewDescriptors:
    """Connections that say nothing, in a process that may have 128 descriptors."""

    def setUp(self):
        def limited():
            resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
            die_with_parent()
        home = Home(self.kind, spans=False, listen=("ipc", "tcp", "ws", "tls+tcp", "wss"),
                    serving=("--tls-cert-key-file", certificate[1]))
        home.popen = {"loom-broker": {"preexec_fn": limited}, "loom-bridge": {"preexec_fn": limited}}
        self.homes.append(home)
        self.bus = self.enterContext(home)

    def is_served(self, url):
        with agent.Agent(url, "one", certificate[0]).subscribe("a") as one:
            one.publish("a", b"x")
            one.wait_events(1)

    def test_silent_connections_keep_nobody_out(self):
        for scheme in ("ipc", "tcp", "ws", "tls+tcp", "wss"):
            with self.subTest(scheme), contextlib.ExitStack() as stack:
                url = self.bus.url_of(scheme)
                for _ in range(300):
                    stack.enter_context(connect(url))
                self.is_served(url)
        self.assertLess(self.bus.serving.processor_s(), 10)

    def test_who_comes_last_of_many_at_once_is_not_refused(self):
        """Nobody has read yet what the others say, so none of them can be told to go at once."""
        for scheme in ("ipc", "tcp", "ws"):
            with self.subTest(scheme), contextlib.ExitStack() as stack:
                url = self.bus.url_of(scheme)
                self.bus.serving.signal(signal.SIGSTOP)
                for _ in range(120):
                    stack.enter_context(connect(url))
                threading.Timer(0.2, self.bus.serving.signal, (signal.SIGCONT,)).start()
                self.is_served(url)

    def test_agents_that_come_at_once_leave_descriptors_for_others(self):
        """As many are served as there are places, nobody who has said hello is taken for one who has not, and control answers."""
        url = self.bus.url_of("tcp")
        self.bus.serving.signal(signal.SIGSTOP)
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(connect(url)) for _ in range(120)]
            for number, sock in enumerate(socks):
                sock.sendall(wire.frame(wire.HELLO, {"protocol": 1, "agent": f"agent-{number}"}))
            self.bus.serving.signal(signal.SIGCONT)
            answers = [sock.recv(65536) for sock in socks]
            welcome = sum(b"session" in answer for answer in answers)
            self.assertIn(welcome, range(60, 97))
            self.assertEqual(120, welcome + sum(b"no room for another agent" in answer for answer in answers))
            self.assertEqual(welcome, self.bus.stats()["bridge"]["agents"] if self.kind == "in_broker" else welcome)
            self.assertLess(self.bus.serving.open_files(), 100)


class Metrics(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False, listen=("tcp",), broker=("--metrics-listen", "http://127.0.0.1:0"))
        self.url = metrics_url(self.bus.broker)

    def test_a_scrape_is_answered_and_other_requests_are_told_why_not(self):
        with urllib.request.urlopen(self.url, timeout=20) as answer:
            self.assertEqual("text/plain; version=0.0.4; charset=utf-8", answer.headers["Content-Type"])
            self.assertIn(b"\nloom_bridge_sessions 0\n", answer.read())
        for path, method, status in (("/", "GET", 404), ("/metrics", "PUT", 405)):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(urllib.parse.urljoin(self.url, path), method=method), timeout=20)
            self.assertEqual(status, refused.exception.code)
            refused.exception.close()

    def test_without_a_descriptor_a_scrape_waits_and_costs_nothing(self):
        process = self.bus.broker
        limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir(f"/proc/{process.pid}/fd")))
        with contextlib.ExitStack() as stack:
            for number in range(highest + 1 - process.open_files()):  # those below the limit that are free
                stack.enter_context(self.bus.agent(f"filler-{number}"))
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
            sock = stack.enter_context(socket.create_connection(address(self.url), timeout=20))
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            before = process.processor_s()
            time.sleep(2)  # it is to be seen that nothing happens
            self.assertLess(process.processor_s() - before, 0.3)
            self.assertEqual(1, process.err.count("connections wait to be accepted"))
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
            self.assertIn(b"loom_bridge_sessions", receive_all(sock))

    def test_who_is_turned_away_is_counted(self):
        with contextlib.ExitStack() as stack:
            for _ in range(70):  # there is room for 64
                stack.enter_context(socket.create_connection(address(self.url), timeout=20))
            self.assertEqual(b"501", ask(self.url, b"BREW /metrics HTTP/1.1\r\nHost: x\r\n\r\n")[9:12])
            text = wait_until(lambda: self.scrape_of_displaced(7), "seven have made room")
        self.assertRegex(text, r"(?m)^loom_metrics_requests_invalid_total 1$")
        self.assertRegex(text, r"(?m)^loom_metrics_connections_late_total 0$")
        self.assertRegex(text, r"(?m)^loom_metrics_connections_refused_total 0$")
        printed = subprocess.run([BIN / "loom", "stats", "--counters", "--control", f"ipc://{self.bus.control_path}"],
                                 capture_output=True, text=True, timeout=20, check=True).stdout
        self.assertRegex(printed, r"(?m)^metrics\.connections_displaced +\d+  Idle connections to /metrics closed")
        self.assertRegex(printed, r"(?m)^links\.connections_late +0  Agent connections")

    def scrape_of_displaced(self, at_least):
        with urllib.request.urlopen(self.url, timeout=20) as answer:
            text = answer.read().decode()
        return text if int(re.search(r"(?m)^loom_metrics_connections_displaced_total (\d+)$", text)[1]) >= at_least else None

    def test_an_address_in_use_is_said(self):
        place = "http://%s:%d" % address(self.url)
        second = self.bus.run("loom-broker", "--listen", "tcp://127.0.0.1:0", "--bus-pull", "", "--bus-pub", "", "--bus-control", "",
                              "--bus-bridge", "", "--metrics-listen", place)
        self.assertEqual(1, second.wait())
        self.assertIn(f"cannot serve metrics at {place}: the address is in use", second.err)


class Certificates(LoomTest):
    def refused(self, file):
        bus = self.home(spans=False, listen=("ipc",))
        process = bus.run("loom-broker", "--listen", "wss://127.0.0.1:0/", "--tls-cert-key-file", file, "--bus-pull", "", "--bus-pub", "",
                          "--bus-control", "", "--bus-bridge", "")
        self.assertEqual(1, process.wait())
        return process.err

    def test_a_certificate_that_cannot_be_used_is_named_with_the_reason(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="loom-it-")))
        only, _ = make_certificate(folder, "only", 2)
        for file, reason in ((folder / "missing.pem", "No such file or directory"), (only, "no private key in PEM")):
            err = self.refused(file)
            self.assertIn(str(file), err)
            self.assertIn(reason, err)


if __name__ == "__main__":
    unittest.main()
