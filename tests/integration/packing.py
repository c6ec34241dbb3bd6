# SPDX-License-Identifier: Apache-2.0
"""msgpack, as much of it as Loom's frames and envelopes use. Independent of the C code, so that both are checked."""

import struct
from typing import NamedTuple

FLOAT64 = 0xCB
# Format byte → (struct of the number that follows). The length of a str, bin, ext, array or map; or the number itself.
_NUMBERS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
            0xCA: ">f", FLOAT64: ">d"}
_LENGTHS = {0xC4: ("bin", ">B"), 0xC5: ("bin", ">H"), 0xC6: ("bin", ">I"), 0xC7: ("ext", ">B"), 0xC8: ("ext", ">H"),
            0xC9: ("ext", ">I"), 0xD9: ("str", ">B"), 0xDA: ("str", ">H"), 0xDB: ("str", ">I"), 0xDC: ("array", ">H"),
            0xDD: ("array", ">I"), 0xDE: ("map", ">H"), 0xDF: ("map", ">I")}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


class Ext(NamedTuple):
    type: int
    data: bytes


def _sized(length, forms):
    """The header of the smallest form that holds length. forms: (format byte, struct, largest)."""
    for byte, layout, largest in forms:
        if length <= largest:
            return bytes([byte]) + struct.pack(layout, length)
    raise ValueError(f"{length} is too long for msgpack")


def _int(value):
    if value < 0:
        return struct.pack(">b", value) if value >= -32 else b"\xd3" + struct.pack(">q", value)
    if value < 0x80:
        return bytes([value])
    return _sized(value, ((0xCC, ">B", 0xFF), (0xCD, ">H", 0xFFFF), (0xCE, ">I", 0xFFFFFFFF), (0xCF, ">Q", 2**64 - 1)))


def array_header(count):
    return bytes([0x90 | count]) if count < 16 else _sized(count, ((0xDC, ">H", 0xFFFF), (0xDD, ">I", 0xFFFFFFFF)))


def pack(value):
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int():
            return _int(value)
        case float():
            return bytes([FLOAT64]) + struct.pack(">d", value)
        case str():
            data = value.encode()
            short = bytes([0xA0 | len(data)]) if len(data) < 32 else None
            return (short or _sized(len(data), ((0xD9, ">B", 0xFF), (0xDA, ">H", 0xFFFF), (0xDB, ">I", 2**32 - 1)))) + data
        case Ext():
            return _sized(len(value.data), ((0xC7, ">B", 0xFF), (0xC8, ">H", 0xFFFF))) + struct.pack(">b", value.type) + value.data
        case bytes() | bytearray():
            return _sized(len(value), ((0xC4, ">B", 0xFF), (0xC5, ">H", 0xFFFF), (0xC6, ">I", 2**32 - 1))) + value
        case list() | tuple():
            return array_header(len(value)) + b"".join(map(pack, value))
        case dict():
            head = bytes([0x80 | len(value)]) if len(value) < 16 else _sized(len(value), ((0xDE, ">H", 0xFFFF),))
            return head + b"".join(pack(key) + pack(item) for key, item in value.items())
    raise TypeError(f"msgpack has no {type(value).__name__}")


class Reader:
    """Reads one value after another from bytes."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, count):
        end = self.at + count
        if end > len(self.data):
            raise ValueError(f"{end - len(self.data)} bytes are missing")
        piece = bytes(self.data[self.at:end])
        self.at = end
        return piece

    def number(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def read(self):
        byte = self.take(1)[0]
        if byte < 0x80 or byte >= 0xE0:
            return byte if byte < 0x80 else byte - 0x100
        if byte < 0xC0:
            kind, length = (("map", byte & 15) if byte < 0x90 else ("array", byte & 15) if byte < 0xA0 else ("str", byte & 31))
        elif byte in _CONSTANTS:
            return _CONSTANTS[byte]
        elif byte in _NUMBERS:
            return self.number(_NUMBERS[byte])
        elif 0xD4 <= byte <= 0xD8:
            kind, length = "ext", 1 << (byte - 0xD4)
        elif byte in _LENGTHS:
            kind, layout = _LENGTHS[byte]
            length = self.number(layout)
        else:
            raise ValueError(f"0x{byte:02x} begins nothing in msgpack")
        return self._content(kind, length)

    def array(self):
        """The length of the array that begins here; its elements follow."""
        byte = self.take(1)[0]
        if byte & 0xF0 == 0x90:
            return byte & 0x0F
        return self.number(_LENGTHS[byte][1])

    def _content(self, kind, length):
        match kind:
            case "str":
                return self.take(length).decode()
            case "bin":
                return self.take(length)
            case "ext":
                return Ext(self.number(">b"), self.take(length))
            case "array":
                return [self.read() for _ in range(length)]
        return {self.read(): self.read() for _ in range(length)}


def unpack(data):
    """Exactly one value."""
    reader = Reader(data)
    value = reader.read()
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at} bytes follow the value")
    return value
