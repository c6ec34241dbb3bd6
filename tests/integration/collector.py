# SPDX-License-Identifier: Apache-2.0
"""A collector that misbehaves as it is told to, over OTLP/HTTP and OTLP/gRPC (real HTTP/2 and gRPC frames), plain or TLS. Tests
that need gRPC call needs_grpc(): without the h2 package there is OTLP/HTTP alone."""

import contextlib
import email.utils
import gzip
import json
import socket
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field

from skipping import skip

try:
    import h2.config
    import h2.connection
    import h2.events
    import h2.exceptions
except ImportError:
    h2 = None

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GRPC_PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"


def needs_grpc():
    if h2 is None:
        skip("Python has no h2 package (Debian: python3-h2)")


# ---- protobuf, as little of it as is needed ----

def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field_of(number, value):
    """A varint, or bytes."""
    return varint(number << 3) + varint(value) if isinstance(value, int) else varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """(number, value) of a message; fixed numbers are bytes."""
    at = 0

    def take_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = take_varint()
        wire = tag & 7
        if wire == 0:
            yield tag >> 3, take_varint()
            continue
        size = {1: 8, 5: 4}.get(wire) or take_varint()
        yield tag >> 3, data[at:at + size]
        at += size


def count_spans(request):
    """Spans of an ExportTraceServiceRequest: resource_spans = 1, scope_spans = 2, spans = 2."""
    return sum(1 for one, resource in fields(request) if one == 1 for two, scope in fields(resource) if two == 2
               for three, _ in fields(scope) if three == 2)


def partial_success(rejected, message=b"no"):
    return field_of(1, field_of(1, rejected) + field_of(2, message))


# ---- what it answers ----

@dataclass
class Answer:
    http: int = 200                             # status
    grpc: int = 0                               # status
    rejected: int = 0                           # by partial success
    message: str = ""                           # of gRPC
    headers: dict = field(default_factory=dict) # of HTTP
    retry_s: float = 0                          # gRPC's RetryInfo
    over: int = 0                               # only for requests with more spans than this; others are accepted
    how: str = "whole"  # or "never", "slow" (a byte at a time), "half" (closes in the middle), "close" (without a byte),
    #                     "head" (closes after the status), "endless" (a body without end)


OK = Answer()


def date_in(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


# ---- the server ----

@dataclass
class Request:
    path: str
    headers: dict
    body: bytes  # without compression and frame
    time: float

    @property
    def spans(self):
        if self.headers.get("content-type") == "application/json":
            resources = json.loads(self.body)["resourceSpans"]
            return sum(len(scope["spans"]) for resource in resources for scope in resource["scopeSpans"])
        return count_spans(self.body)


class Collector:
    """with Collector(answers): … Each request gets the next of the answers; the last one repeats."""

    def __init__(self, answers=(OK,), certificate=None, client_ca=None):
        """certificate: a PEM file with certificate and key, for TLS. client_ca: whose clients alone are served."""
        self.answers, self.requests, self.lock = list(answers), [], threading.Lock()
        self.stopping = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
            self.context.set_alpn_protocols(["h2", "http/1.1"])
            if client_ca:
                self.context.verify_mode = ssl.CERT_REQUIRED
                self.context.load_verify_locations(client_ca)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    @property
    def spans(self):
        """Of each request."""
        return [request.spans for request in self.requests]

    def _accept(self):
        while not self.stopping.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, *([h2.exceptions.ProtocolError] if h2 else [])), connection:
            stream = self.context.wrap_socket(connection, server_side=True) if self.context else connection
            stream.settimeout(60)
            data = b""
            while len(data) < len(HTTP2_PREFACE) and HTTP2_PREFACE.startswith(data):
                part = stream.recv(65536)
                if not part:
                    return
                data += part
            (GrpcConnection if data.startswith(HTTP2_PREFACE) else HttpConnection)(self, stream).run(data)
            if self.context:
                stream.close()

    def next_answer(self, request):
        with self.lock:
            self.requests.append(request)
            answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        return OK if answer.over and request.spans <= answer.over else answer


class HttpConnection:
    def __init__(self, collector, stream):
        self.collector, self.stream = collector, stream

    def run(self, data):
        while True:
            while b"\r\n\r\n" not in data:
                part = self.stream.recv(65536)
                if not part:
                    return
                data += part
            head, data = data.split(b"\r\n\r\n", 1)
            lines = head.decode().split("\r\n")
            headers = {key.lower(): value.strip() for key, value in (line.split(":", 1) for line in lines[1:])}
            while len(data) < int(headers["content-length"]):
                data += self.stream.recv(65536)
            body, data = data[:int(headers["content-length"])], data[int(headers["content-length"]):]
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request = Request(lines[0].split()[1], headers, body, time.monotonic())
            if not self.answer(self.collector.next_answer(request), request):
                return

    def body_of(self, answer, request):
        if not answer.rejected:
            return b""
        if request.headers["content-type"] == "application/json":
            return json.dumps({"partialSuccess": {"rejectedSpans": str(answer.rejected), "errorMessage": "no"}}).encode()
        return partial_success(answer.rejected)

    def answer(self, answer, request):
        """false: the connection is to be closed."""
        body = self.body_of(answer, request)
        headers = {"Content-Type": request.headers["content-type"], "Content-Length": len(body), **answer.headers}
        head = "".join([f"HTTP/1.1 {answer.http} Status\r\n", *(f"{key}: {value}\r\n" for key, value in headers.items()), "\r\n"])
        wire = head.encode() + body
        if answer.how == "never":
            self.collector.stopping.wait(60)
        elif answer.how == "slow":
            for byte in wire:
                self.stream.sendall(bytes([byte]))
                time.sleep(0.005)
            return True
        elif answer.how == "half":
            self.stream.sendall(wire[:10])
        elif answer.how == "head":
            self.stream.sendall(wire.replace(b"Content-Length: 0", b"Content-Length: 100"))
        elif answer.how == "endless":
            self.stream.sendall(head.replace("Content-Length: 0", "Content-Length: 999999999").encode())
            while True:
                self.stream.sendall(b"x" * 65536)
        elif answer.how == "whole":
            self.stream.sendall(wire)
            return True
        return False


class GrpcConnection:
    def __init__(self, collector, stream):
        self.collector, self.stream = collector, stream
        self.http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.headers, self.bodies = {}, {}

    def send(self):
        self.stream.sendall(self.http2.data_to_send())

    def run(self, data):
        self.http2.initiate_connection()
        self.send()
        while data:
            for event in self.http2.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self.headers[event.stream_id], self.bodies[event.stream_id] = dict(event.headers), b""
                elif isinstance(event, h2.events.DataReceived):
                    self.bodies[event.stream_id] += event.data
                    self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded) and not self.serve(event.stream_id):
                    return
            self.send()
            data = self.stream.recv(65536)

    def serve(self, stream):
        headers, framed = self.headers.pop(stream), self.bodies.pop(stream)
        compressed, size, body = framed[0], int.from_bytes(framed[1:5], "big"), framed[5:]
        assert headers["content-type"] == "application/grpc" and headers["te"] == "trailers" and size == len(body)
        assert (headers.get("grpc-encoding") == "gzip") == bool(compressed)
        request = Request(headers[":path"], headers, gzip.decompress(body) if compressed else body, time.monotonic())
        return self.answer(stream, self.collector.next_answer(request))

    def trailers(self, answer):
        found = [("grpc-status", str(answer.grpc))]
        if answer.message:
            found.append(("grpc-message", answer.message))
        if answer.retry_s:  # google.rpc.Status { code, details: Any { type_url, value: RetryInfo { retry_delay } } }
            duration = field_of(1, int(answer.retry_s)) + field_of(2, int(answer.retry_s % 1 * 1e9))
            status = field_of(1, answer.grpc) + field_of(3, field_of(1, RETRY_INFO) + field_of(2, field_of(1, duration)))
            found.append(("grpc-status-details-bin", b64encode(status).decode().rstrip("=")))
        return found

    def answer(self, stream, answer):
        """false: the connection is to be closed."""
        head = [(":status", "200"), ("content-type", "application/grpc")]
        if answer.how == "never":
            self.collector.stopping.wait(60)
            return False
        if answer.how == "close":
            return False
        if answer.how in ("half", "head"):
            self.http2.send_headers(stream, head)
            self.send()
            return False
        if answer.how == "endless":
            self.http2.send_headers(stream, head)
            while (room := self.http2.local_flow_control_window(stream)) > 0:
                self.http2.send_data(stream, b"\0" * min(room, 16384))
                self.send()
            return True
        if answer.grpc:
            self.http2.send_headers(stream, head + self.trailers(answer), end_stream=True)
        else:
            body = partial_success(answer.rejected) if answer.rejected else b""
            self.http2.send_headers(stream, head)
            self.http2.send_data(stream, b"\0" + len(body).to_bytes(4, "big") + body)
            self.http2.send_headers(stream, self.trailers(answer), end_stream=True)
        wire = self.http2.data_to_send()
        for byte in wire if answer.how == "slow" else ():
            self.stream.sendall(bytes([byte]))
            time.sleep(0.005)
        if answer.how != "slow":
            self.stream.sendall(wire)
        return True


# ---- certificates ----

def make_certificate(folder, name):
    """A certificate of 127.0.0.1 that vouches for itself: files NAME.crt, NAME.key, and NAME.pem with both."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    (folder / f"{name}.pem").write_text(certificate.read_text() + key.read_text())
    return certificate
