# SPDX-License-Identifier: Apache-2.0
"""`loom trace collect` as a receiver of OTLP/gRPC: Loom's own exporter, and HTTP/2 clients that mean no good."""

import json
import os
import pathlib
import re
import shutil
import socket
import struct
import tempfile
import time
import unittest

from collector import h2, needs_grpc
from harness import BIN, Process, clean_environment, wait_until

needs_grpc()
LOOM = BIN / "loom"
CALL = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Collect(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="loom-it-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.database = self.folder / "t.db"
        self.process = Process(self.folder, "collect", [LOOM, "trace", "collect", "--listen", "127.0.0.1:0", "--db", self.database,
                                                        "--port-file", self.folder / "port"], clean_environment())
        self.addCleanup(self.process.kill)
        wait_until((self.folder / "port").exists, "a port")
        self.port = int((self.folder / "port").read_text())

    def tearDown(self):
        self.assertEqual(0, self.process.stop(), self.process.err)
        refusal = re.compile(r"loom trace collect: refused a request from http2?:127\.0\.0\.1:\d+( for \S+)?: \d+, .*\n")
        self.assertRegex(self.process.err, f"^({refusal.pattern})*$")

    def loom(self, *arguments, **environment):
        name = f"loom-{time.monotonic_ns()}"
        process = Process(self.folder, name, [LOOM, *arguments], clean_environment(**environment))
        self.assertEqual(0, process.wait(), process.err)
        return process.out

    def test_what_is_refused_is_told_once_in_a_while_with_who_sent_it_and_why(self):
        def post(path, body, **fields):
            head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
            connection = self.connect()
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{head}Connection: close\r\n\r\n".encode() + body)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
            return int(answer.split(b" ")[1]), connection.getsockname()[1]
        status, port = post("/v1/traces", b"\xff\xff\xff", Content_Type="application/x-protobuf")
        self.assertEqual(400, status)
        wait_until(lambda: "refused" in self.process.err, "it is told")
        self.assertIn(f"refused a request from http:127.0.0.1:{port} for /v1/traces: 400, the body is not an ExportTraceServiceRequest", self.process.err)
        for _ in range(20):
            self.assertEqual(404, post("/v1/metrics", b"", Content_Type="application/json")[0])
        self.assertEqual(1, self.process.err.count("\n"))

    def traces(self):
        return [json.loads(line) for line in self.loom("trace", "ls", "--json", "--db", str(self.database)).splitlines()]

    def connect(self):
        return self.enterContext(socket.create_connection(("127.0.0.1", self.port), 30))

    def client(self):
        connection = self.connect()
        http2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        http2.initiate_connection()
        connection.sendall(http2.data_to_send())
        return connection, http2

    @staticmethod
    def head(path=CALL, kind="application/grpc", more=()):
        return [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", path), ("content-type", kind),
                ("te", "trailers"), *more]

    def events(self, connection, http2, until):
        """What comes up to an event of this type, or the end of the connection."""
        seen = []
        while not any(isinstance(event, until) for event in seen):
            data = connection.recv(65536)
            if not data:
                break
            seen += http2.receive_data(data)
            connection.sendall(http2.data_to_send())
        return seen

    def ended(self, connection):
        """Reads on until the other side closes."""
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def call(self):
        """An empty one; its status."""
        connection, http2 = self.client()
        http2.send_headers(1, self.head())
        http2.send_data(1, b"\0\0\0\0\0", end_stream=True)
        connection.sendall(http2.data_to_send())
        seen = self.events(connection, http2, h2.events.StreamEnded)
        trailers = [event for event in seen if isinstance(event, h2.events.TrailersReceived)]
        return dict(trailers[0].headers)["grpc-status"]

    def is_well(self):
        self.assertEqual("0", self.call())

    # ---- those that mean well ----

    def test_spans_of_our_own_exporter_arrive_by_grpc_plain_and_packed(self):
        for compression in ("none", "gzip"):
            self.loom("exec", "--name", compression, "--", "true", OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
                      OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{self.port}", OTEL_EXPORTER_OTLP_COMPRESSION=compression)
        self.assertEqual(2, len(self.traces()))

    def test_a_hundred_calls_at_once_are_all_answered(self):
        connection, http2 = self.client()
        self.events(connection, http2, h2.events.RemoteSettingsChanged)
        self.assertEqual(100, http2.remote_settings.max_concurrent_streams)
        streams = [1 + 2 * number for number in range(100)]
        for stream in streams:
            http2.send_headers(stream, self.head())
            http2.send_data(stream, b"\0\0")
        connection.sendall(http2.data_to_send())
        for stream in reversed(streams):
            http2.send_data(stream, b"\0\0\0", end_stream=True)
        connection.sendall(http2.data_to_send())
        ended = set()
        while len(ended) < 100:
            ended |= {event.stream_id for event in self.events(connection, http2, h2.events.StreamEnded)
                      if isinstance(event, h2.events.StreamEnded)}
        self.assertEqual(set(streams), ended)

    def test_a_preface_byte_by_byte_is_one_and_a_beginning_of_it_is_not(self):
        connection = self.connect()
        for byte in HTTP2_PREFACE + SETTINGS:
            connection.sendall(bytes([byte]))
        self.assertEqual(4, connection.recv(9)[3])  # SETTINGS
        for text in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI /health HTTP/1.1\r\nHost: a\r\n\r\n"):
            connection = self.connect()
            connection.sendall(text)
            self.assertTrue(connection.recv(64).startswith(b"HTTP/1.1 "), text)
        connection = self.connect()
        for byte in b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":
            connection.sendall(bytes([byte]))
        self.assertTrue(connection.recv(64).startswith(b"HTTP/1.1 405 "))

    # ---- those that do not ----

    def test_rapid_resets_end_the_connection(self):
        connection, http2 = self.client()
        try:
            for number in range(1000):
                http2.send_headers(1 + 2 * number, self.head())
                http2.reset_stream(1 + 2 * number)
                connection.sendall(http2.data_to_send())
        except (ConnectionError, h2.exceptions.ProtocolError):
            pass
        self.ended(connection)
        self.is_well()

    def test_fields_that_are_too_large_are_answered_with_431(self):
        connection, http2 = self.client()
        http2.send_headers(1, self.head(kind="application/json", more=[(f"x-{number}", "v" * 1000) for number in range(30)]),
                           end_stream=True)
        connection.sendall(http2.data_to_send())
        seen = self.events(connection, http2, h2.events.StreamEnded)
        answer = next(event for event in seen if isinstance(event, h2.events.ResponseReceived))
        self.assertEqual("431", dict(answer.headers)[":status"])
        self.is_well()

    def test_endless_continuations_settings_and_pings_end_the_connection(self):
        floods = {"continuation": frame(1, 0, 1, b"\x00\x01a\x01b") + frame(9, 0, 1, b"\x00\x01a\x01b") * 10000,
                  "settings": SETTINGS * 100000, "ping": frame(6, 0, 0, b"12345678") * 500000}
        for name, flood in floods.items():
            with self.subTest(name):
                connection = self.connect()
                try:
                    connection.sendall(HTTP2_PREFACE + SETTINGS + flood)  # and nothing is read
                except (ConnectionError, TimeoutError):
                    pass
                self.ended(connection)
        self.is_well()

    def test_bytes_that_are_no_frames_end_the_connection(self):
        for number in range(50):
            connection = self.connect()
            connection.sendall(HTTP2_PREFACE + SETTINGS + os.urandom(2000))
            connection.shutdown(socket.SHUT_WR)
            self.ended(connection)
        self.is_well()

    def test_clients_that_leave_in_the_middle_store_nothing(self):
        for _ in range(50):
            connection, http2 = self.client()
            http2.send_headers(1, self.head())
            http2.send_data(1, b"\0\0\0\0\7abc")
            connection.sendall(http2.data_to_send())
            connection.close()
        self.is_well()
        self.assertEqual([], self.traces())

    def begin_bodies(self, size):
        """A hundred of a connection; returns it, and how many were refused before they had so many bytes."""
        connection, http2 = self.client()
        self.events(connection, http2, h2.events.RemoteSettingsChanged)
        streams, refused = [1 + 2 * number for number in range(100)], 0
        for stream in streams:
            http2.send_headers(stream, self.head())
        for stream in streams:
            try:
                for _ in range(size // 16384):
                    while http2.local_flow_control_window(stream) < 16384:
                        self.events(connection, http2, h2.events.WindowUpdated)
                    http2.send_data(stream, b"\0" * 16384)
                    connection.sendall(http2.data_to_send())
            except h2.exceptions.StreamClosedError:
                refused += 1
        return connection, refused

    def test_bodies_that_are_begun_take_a_bounded_amount_of_memory(self):
        before = self.process.resident_kib()
        begun = [self.begin_bodies(16384 * 60) for _ in range(3)]
        most = self.process.resident_kib() - before
        self.assertGreater(sum(refused for _, refused in begun), 0)
        for connection, _ in begun:
            connection.close()
        if not self.process.sanitized():
            self.assertLess(most, 160 * 1024)
        wait_until(lambda: self.call() == "0", "room for another call")


if __name__ == "__main__":
    unittest.main()
