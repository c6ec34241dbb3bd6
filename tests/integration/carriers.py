# SPDX-License-Identifier: Apache-2.0
"""What carries the agent link: byte streams over ipc, tcp, tls and WebSocket, each with send(), recv() and close()."""

import base64
import hashlib
import os
import select
import socket
import ssl
import struct
import urllib.parse

CONNECT_S = 10.0
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class Stream:
    """Bytes over a connected socket, plain or TLS."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(CONNECT_S)

    def send(self, data):
        self.sock.sendall(data)

    def recv(self, timeout):
        """What has come; b"" at the end of the stream; None when nothing came within timeout seconds."""
        if not self._readable(timeout):
            return None
        try:
            return self.sock.recv(1 << 18)
        except (ConnectionError, ssl.SSLEOFError):
            return b""
        except ssl.SSLWantReadError:
            return None

    def _readable(self, timeout):
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return True
        return bool(select.select([self.sock], [], [], max(0.0, timeout))[0])

    def close(self):
        self.sock.close()


class WebSocket(Stream):
    """A client of RFC 6455 that sends binary frames; the bytes of all messages are one stream."""

    def __init__(self, sock, host, path):
        super().__init__(sock)
        self.raw = b""
        self._handshake(host, path)

    def _handshake(self, host, path):
        key = base64.b64encode(os.urandom(16))
        self.sock.sendall(b"GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
                          b"Sec-WebSocket-Protocol: loom.v1\r\n\r\n" % (path.encode(), host.encode(), key))
        while b"\r\n\r\n" not in self.raw:
            got = self.sock.recv(4096)
            if not got:
                raise ConnectionError(f"no WebSocket: {self.raw!r}")
            self.raw += got
        head, self.raw = self.raw.split(b"\r\n\r\n", 1)
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest())
        if b" 101 " not in head.split(b"\r\n")[0] or accept not in head:
            raise ConnectionError(f"no WebSocket: {head!r}")

    def send(self, data):
        self._frame(BINARY, data)

    def _frame(self, opcode, data):
        mask = os.urandom(4)
        size = len(data)
        head = bytes([0x80 | opcode])
        head += (bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size) if size < 1 << 16
                 else b"\xff" + struct.pack(">Q", size))
        pad = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
        self.sock.sendall(head + mask + masked)

    def recv(self, timeout):
        got = b""
        while True:
            message = self._parse()
            if message is None:
                break
            opcode, data = message
            if opcode == CLOSE:
                return got
            if opcode == PING:
                self._frame(PONG, data)
            elif opcode in (BINARY, CONTINUATION, TEXT):
                got += data
        if got:
            return got
        more = super().recv(timeout)
        if not more:
            return more
        self.raw += more
        return self.recv(0) if self._whole() else None

    def _size(self):
        """(length of head, length of data) of the first frame; None while it is not known."""
        if len(self.raw) < 2:
            return None
        short = self.raw[1] & 0x7F
        width = {126: 2, 127: 8}.get(short, 0)
        if len(self.raw) < 2 + width:
            return None
        return 2 + width, int.from_bytes(self.raw[2:2 + width], "big") if width else short

    def _whole(self):
        size = self._size()
        return size is not None and len(self.raw) >= sum(size)

    def _parse(self):
        if not self._whole():
            return None
        head, length = self._size()
        opcode, data = self.raw[0] & 0x0F, self.raw[head:head + length]
        self.raw = self.raw[head + length:]
        return opcode, data


def tls_client(certificate):
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    return context


def connect(url, certificate=None):
    """A stream to an agents' URL. certificate: the PEM that a TLS server must show."""
    scheme, rest = url.split("://", 1)
    if scheme == "ipc":
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(rest)
        except OSError:
            sock.close()
            raise
        return Stream(sock)
    where = urllib.parse.urlsplit(f"//{rest}")
    sock = socket.create_connection((where.hostname, where.port), timeout=CONNECT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if scheme in ("tls+tcp", "wss"):
        sock = tls_client(certificate).wrap_socket(sock)
    if scheme in ("ws", "wss"):
        return WebSocket(sock, where.netloc, where.path or "/")
    return Stream(sock)
