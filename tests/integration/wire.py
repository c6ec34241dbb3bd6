# SPDX-License-Identifier: Apache-2.0
"""The bytes of the agent link, written down a second time: frames, envelopes, contexts."""

import dataclasses
import os
import struct
import time
from typing import NamedTuple

from packing import Ext, array_header, pack

HELLO, WELCOME, SUBSCRIBE, UNSUBSCRIBE, PUBLISH, DELIVER, CREDIT = range(1, 8)
CALL, RESULT, CANCEL, PROVIDE, PING, PONG, ERROR, BYE, ACK, NOTICE, REPORT, CALL_CREDIT, SPANS, SPAN_CREDIT = range(8, 22)
KEEP = 24
MOVE = 25
OK, ENOMEM, EINVAL, EMALFORMED, ETOOBIG, ENOTFOUND, EEXIST, EFULL, ETIMEDOUT = range(9)
ECLOSED, ENOTCONN, EDENIED, EVERSION, EIO, EBUSY, EPROTO, EREPLACED, EEXPIRED = range(9, 18)
BATCHED, REALTIME, BACKGROUND = range(3)
OUTCOMES = ("ok", "error", "timeout", "no_responders", "denied", "cancelled", "too_large")
IDEMPOTENT, STREAMS = 1, 2  # flags of a call
PROGRESS, CHUNK = 0, 1      # kinds of a report

FRAME_MAX = (1 << 20) + 128 * 1024
HOP_EXT = 1
TTL_DEFAULT = 16
# Positions in the array of an envelope.
FIELDS = ("version", "hop", "topic", "id", "type", "sender", "timestamp", "thread_id", "correlation_id", "reply_to",
          "creation", "tracestate", "baggage", "content_type", "headers", "payload")


@dataclasses.dataclass(frozen=True)
class Hop:
    trace_id: str = "0" * 32
    span_id: str = "0" * 16
    flags: int = 0
    ttl: int = TTL_DEFAULT

    def ext(self):
        return Ext(HOP_EXT, bytes.fromhex(self.trace_id) + bytes.fromhex(self.span_id) + bytes([self.flags, self.ttl]))

    def traceparent(self):
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def new_hop(flags=1, ttl=TTL_DEFAULT):
    return Hop(os.urandom(16).hex(), os.urandom(8).hex(), flags, ttl)


def frame(*items):
    body = pack(list(items))
    return struct.pack(">I", len(body)) + body


def publish_frame(envelopes):
    """envelopes: encoded."""
    body = array_header(2) + pack(PUBLISH) + array_header(len(envelopes)) + b"".join(envelopes)
    return struct.pack(">I", len(body)) + body


def call_frame(call_id, capability, encoded, version="", deadline_ms=0, idle_ms=0, flags=0):
    """encoded: the envelope."""
    body = array_header(8) + b"".join(map(pack, (CALL, call_id, capability, version, deadline_ms, idle_ms, flags))) + encoded
    return struct.pack(">I", len(body)) + body


def envelope(topic, payload=b"", sender=None, hop=None, **fields):
    """An encoded envelope. hop: a Hop, a text, or None for nil. Its fixed place is an array16 and an ext8."""
    values = dict.fromkeys(FIELDS)
    values.update(version=1, hop=hop.ext() if isinstance(hop, Hop) else hop, topic=topic, id=os.urandom(16),
                  sender=sender, timestamp=time.time_ns(), payload=payload)
    values.update(fields)
    return b"\xdc\x00\x10" + b"".join(pack(values[name]) for name in FIELDS)


@dataclasses.dataclass
class Event:
    subscription: int
    fields: list
    size: int  # of the encoded envelope

    def __getattr__(self, name):
        try:
            return self.fields[FIELDS.index(name)]
        except ValueError:
            raise AttributeError(name) from None

    @property
    def context(self):
        data = self.fields[1].data
        return Hop(data[:16].hex(), data[16:24].hex(), data[24], data[25])


class Call(NamedTuple):
    call_id: bytes
    capability: str
    version: str
    deadline_ms: int
    idle_ms: int
    flags: int
    envelope: Event


class Result(NamedTuple):
    outcome: int
    payload: bytes
    code: str
    text: str


class Report(NamedTuple):
    call_id: bytes
    kind: int
    number: int
    payload: bytes


def events_of(reader):
    """The events of a deliver frame; reader stands behind the frame's type."""
    events = []
    for _ in range(reader.array() // 2):
        subscription = reader.read()
        start = reader.at
        fields = reader.read()
        events.append(Event(subscription, fields, reader.at - start))
    return events
