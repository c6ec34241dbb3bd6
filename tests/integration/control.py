# SPDX-License-Identifier: Apache-2.0
"""Asks the broker's control socket: nng's REQ over ipc, as its documents describe the bytes, and msgpack in it."""

import os
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


def ask(path, **request):
    """path: of the ipc socket. The answer is a dictionary."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10.0)
        sock.connect(path)
        sock.sendall(GREETING)
        if _read(sock, 8)[:4] != b"\0SP\0":
            raise ConnectionError("no SP protocol on the control socket")
        body = (0x80000000 | int.from_bytes(os.urandom(3), "big")).to_bytes(4, "big") + pack(request)
        sock.sendall(b"\x01" + struct.pack(">Q", len(body)) + body)
        length = struct.unpack(">xQ", _read(sock, 9))[0]
        return unpack(_read(sock, length)[4:])
