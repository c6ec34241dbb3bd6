# SPDX-License-Identifier: Apache-2.0
"""Asks the broker's control socket: nng's REQ over ipc, as its documents describe the bytes, and msgpack in it."""

import itertools
import socket
import struct

from packing import pack, unpack

REQ = 0x30
GREETING = b"\0SP\0" + struct.pack(">HH", REQ, 0)


def _read(sock, count):
    data = b""
    while len(data) < count:
        got = sock.recv(count - len(data))
        if not got:
            raise ConnectionError("the control socket closed")
        data += got
    return data


class Asker:
    """A REQ socket. path: of the ipc socket."""

    def __init__(self, path):
        self.ids = itertools.count(1)  # the broker takes the same one again for the same question
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10.0)
        self.sock.connect(str(path))
        self.sock.sendall(GREETING)
        if _read(self.sock, 8)[:4] != b"\0SP\0":
            raise ConnectionError("no SP protocol on the control socket")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send_raw(self, body):
        body = (0x80000000 | next(self.ids)).to_bytes(4, "big") + body
        self.sock.sendall(b"\x01" + struct.pack(">Q", len(body)) + body)

    def send(self, **request):
        self.send_raw(pack(request))

    def receive(self):
        length = struct.unpack(">xQ", _read(self.sock, 9))[0]
        return unpack(_read(self.sock, length)[4:])


def ask(path, **request):
    """The answer is a dictionary."""
    with Asker(path) as asker:
        asker.send(**request)
        return asker.receive()
