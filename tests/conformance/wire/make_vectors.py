#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes vectors.json: envelopes and frames as bytes, with what a reader must make of them.

The bytes come from msgpack for Python and from this file's reading of envelope/WIRE.md, never from Loom's own code.
Run it after a change of WIRE.md:  python3 make_vectors.py > vectors.json   (needs the msgpack package)

Bytes are lists of parts: a string of hex digits, or {"repeat": hex, "times": n}.
"""
import json
import struct
import sys

import msgpack

TRACE_ID = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
SPAN_ID = bytes.fromhex("00f067aa0ba902b7")
CREATION = bytes.fromhex("53995c3f42cd8ad8")
ID = bytes.fromhex("0192f0a17b3c7def8123456789abcdef")
ID_TEXT = "0192f0a1-7b3c-7def-8123-456789abcdef"
TIMESTAMP = 1732147200123456789
PAYLOAD_MAX = 1 << 20
FIELDS = ["type", "sender", "timestamp_unix_ns", "thread_id", "correlation_id", "reply_to", "creation_span_id",
          "tracestate", "baggage", "content_type", "headers"]


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def hop(trace_id=TRACE_ID, span_id=SPAN_ID, flags=1, ttl=16):
    return pack(msgpack.ExtType(1, trace_id + span_id + bytes([flags, ttl])))


NO_HOP = hop(bytes(16), bytes(8), 0)


def parts(data):
    """Bytes as JSON, long runs of one byte folded."""
    out, plain, i = [], bytearray(), 0
    while i < len(data):
        run = 1
        while i + run < len(data) and data[i + run] == data[i]:
            run += 1
        if run >= 64:
            if plain:
                out.append(plain.hex())
                plain = bytearray()
            out.append({"repeat": data[i:i + 1].hex(), "times": run})
        else:
            plain += data[i:i + run]
        i += run
    if plain or not out:
        out.append(plain.hex())
    return out


def envelope(fields, head=b"\xdc\x00\x10", version=b"\x01", hop_bytes=None, raw=None, tail=b""):
    """The bytes of one envelope. raw: bytes of chosen fields, by name, where another form is wanted."""
    raw = raw or {}

    def field(name, value):
        return raw[name] if name in raw else pack(value)

    if hop_bytes is None:
        context = fields.get("context")
        hop_bytes = hop(*context, fields.get("ttl", 16)) if context else hop(bytes(16), bytes(8), 0, fields.get("ttl", 16))
    out = head + version + hop_bytes + field("topic", fields["topic"]) + field("id", fields.get("id", ID))
    for name in FIELDS:
        value = fields.get(name)
        if name == "timestamp_unix_ns":
            value = fields.get(name, TIMESTAMP)
        elif name == "headers" and value is not None:
            value = dict(value)
        out += field(name, value)
    return out + field("payload", fields.get("payload", b"")) + tail


def described(fields):
    """The fields as JSON, and the defaults WIRE.md section 2.4 gives for what is absent."""
    out = {}
    for name, value in fields.items():
        if name == "context":
            trace_id, span_id, flags = value
            out[name] = {"trace_id": trace_id.hex(), "span_id": span_id.hex(), "trace_flags": flags}
        elif name == "payload":
            out[name] = parts(value)
        elif isinstance(value, bytes):
            out[name] = value.hex()
        elif name == "timestamp_unix_ns":
            out[name] = str(value)
        else:
            out[name] = value
    out.setdefault("id", ID.hex())
    out.setdefault("timestamp_unix_ns", str(TIMESTAMP))
    out.setdefault("ttl", 16)
    thread = fields.get("thread_id") or ID_TEXT
    out["effective"] = {"thread_id": thread, "correlation_id": fields.get("correlation_id") or thread,
                        "reply_to": fields.get("reply_to") or f"thread.{thread}.reply"}
    return out


SIMPLE = {"topic": "a.b", "sender": "s", "payload": b"hello"}
ALL = {"topic": "orders.eu.created", "type": "order.created", "sender": "shop-1", "timestamp_unix_ns": TIMESTAMP,
       "thread_id": "thread-7", "correlation_id": "order-4711", "reply_to": "orders.answers",
       "creation_span_id": CREATION, "tracestate": "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
       "baggage": "tenant=acme,region=eu", "content_type": "application/json",
       "headers": [["priority", "high"], ["empty", ""]], "payload": b'{"n":1}', "ttl": 3,
       "context": (TRACE_ID, SPAN_ID, 3)}
UNICODE = {"topic": "straße.東京.🚚", "type": "größe", "sender": "агент", "thread_id": "фил-1",
           "headers": [["clé", "välue"]], "payload": "π".encode(), "context": (TRACE_ID, SPAN_ID, 1)}
LARGEST = {"topic": "t" * 256, "type": "y" * 128, "sender": "s" * 128, "timestamp_unix_ns": 2 ** 64 - 1,
           "thread_id": "h" * 128, "correlation_id": "c" * 128, "reply_to": "r" * 256, "creation_span_id": CREATION,
           "tracestate": "k=" + "v" * 510, "baggage": "b=" + "v" * 8190, "content_type": "m" * 128,
           "headers": [["k", "v" * (16384 - 1 - 2 - 3)]], "payload": b"p" * PAYLOAD_MAX, "ttl": 255,
           "context": (TRACE_ID, SPAN_ID, 2)}


def envelopes():
    def case(name, why, fields, canonical=False, **how):
        return {"name": name, "why": why, "canonical": canonical, "bytes": parts(envelope(fields, **how)),
                "fields": described(fields)}

    context = {"context": (TRACE_ID, SPAN_ID, 1)}
    sixteen = [[f"key-{n:02}", "v"] for n in range(16)]
    yield case("minimal", "2.2: topic, id, timestamp and payload; the rest is nil", {"topic": "t", "payload": b""}, True)
    yield case("simple", "2.2", SIMPLE, True)
    yield case("every field", "2.2", ALL, True)
    yield case("unicode", "2.2: text is UTF-8", UNICODE, True)
    yield case("at every limit", "2.3", LARGEST, True)
    yield case("map16 headers", "2.2: sixteen pairs", dict(SIMPLE, headers=sixteen), True)
    yield case("payload of 256 bytes", "bin16", dict(SIMPLE, payload=bytes(range(256))), True)
    yield case("ttl of no hop", "2.1: ttl 0 is read as it is", dict(SIMPLE, ttl=0))
    yield case("timestamp zero", "2.2", dict(SIMPLE, timestamp_unix_ns=0))
    yield case("empty headers", "2.2: an empty map is as good as nil", SIMPLE, raw={"headers": b"\x80"})
    yield case("empty strings", "2.2: an empty string is as good as nil", SIMPLE,
               raw={name: b"\xa0" for name in ("type", "thread_id", "correlation_id", "reply_to", "tracestate", "baggage")})
    # what writers in other languages make of it (WIRE.md 2.6)
    yield case("nil hop", "2.6", SIMPLE, hop_bytes=b"\xc0")
    yield case("traceparent as hop", "2.6", dict(SIMPLE, **context),
               hop_bytes=pack(f"00-{TRACE_ID.hex()}-{SPAN_ID.hex()}-01"))
    yield case("str16 traceparent as hop", "2.6", dict(SIMPLE, **context),
               hop_bytes=b"\xda\x00\x37" + f"00-{TRACE_ID.hex()}-{SPAN_ID.hex()}-01".encode())
    yield case("ext16 hop", "2.6", dict(SIMPLE, ttl=9, **context), hop_bytes=b"\xc8\x00\x1a" + hop(ttl=9)[2:])
    yield case("ext32 hop", "2.6", dict(SIMPLE, ttl=9, **context), hop_bytes=b"\xc9\x00\x00\x00\x1a" + hop(ttl=9)[2:])
    yield case("array32", "2.6", dict(SIMPLE, ttl=5, **context), head=b"\xdd\x00\x00\x00\x10")
    yield case("array32 and nil hop", "2.6", SIMPLE, head=b"\xdd\x00\x00\x00\x10", hop_bytes=b"\xc0")
    yield case("version as uint8", "2.6", dict(SIMPLE, ttl=5, **context), version=b"\xcc\x01")
    yield case("version as uint64", "2.6", SIMPLE, version=b"\xcf" + struct.pack(">Q", 1))
    yield case("nil sender", "2.6: the bridge stamps it", {"topic": "a.b", "payload": b"hello"})
    yield case("wide forms", "2.6: any size form of a kind", dict(ALL, payload=b"hello", headers=[["k", "v"]]), raw={
        "topic": b"\xdb\x00\x00\x00\x11orders.eu.created", "id": b"\xc6\x00\x00\x00\x10" + ID,
        "type": b"\xd9\x0dorder.created", "sender": b"\xda\x00\x06shop-1",
        "timestamp_unix_ns": b"\xcf" + struct.pack(">Q", TIMESTAMP), "creation_span_id": b"\xc5\x00\x08" + CREATION,
        "headers": b"\xdf\x00\x00\x00\x01\xd9\x01k\xda\x00\x01v", "payload": b"\xc6\x00\x00\x00\x05hello"})
    yield case("signed timestamp", "2.6: int 64 that is not negative", SIMPLE,
               raw={"timestamp_unix_ns": b"\xd3" + struct.pack(">q", TIMESTAMP)})
    # trailing fields of a later minor version (WIRE.md 2.7)
    yield case("one trailing field", "2.7", dict(ALL), head=b"\xdc\x00\x11", tail=pack("later"))
    yield case("nested trailing fields", "2.7", SIMPLE, head=b"\xdc\x00\x13",
               tail=pack({"a": [1, 2.5, None, True, -7]}) + pack(msgpack.ExtType(5, b"x" * 17)) + pack([[[[]]]]))
    yield case("trailing field 32 deep", "2.7", SIMPLE, head=b"\xdc\x00\x11", tail=b"\x91" * 31 + b"\x90")
    yield case("trailing fields after a nil hop", "2.7", SIMPLE, head=b"\xdc\x00\x12", hop_bytes=b"\xc0",
               tail=pack(1) + pack(b"kept"))


def refused_envelopes():
    def case(name, why, status, data):
        return {"name": name, "why": why, "status": status, "bytes": parts(data)}

    def wrong(name, why, status="EMALFORMED", **how):
        return case(name, why, status, envelope(SIMPLE, **how))

    def field(name, data, why, status="EMALFORMED"):
        return wrong(f"{name}: {why}", "2.2", status, raw={name: data})

    yield case("nothing", "no array", "EMALFORMED", b"")
    yield case("array32 bomb", "64 Mi elements claimed, none there", "EMALFORMED", bytes.fromhex("dd04000000"))
    yield case("array32 bomb with a version", "more fields than 16 bits count", "ETOOBIG", bytes.fromhex("dd0400000001"))
    yield case("array16 bomb", "65535 fields claimed", "EMALFORMED", envelope(SIMPLE, head=b"\xdc\xff\xff"))
    yield case("more fields than 16 bits count", "2.3", "ETOOBIG",
               envelope(SIMPLE, head=b"\xdd\x00\x01\x00\x00", tail=b"\xc0" * (65536 - 16)))
    yield case("a map", "no array", "EMALFORMED", pack({"version": 1}))
    yield case("a string", "no array", "EMALFORMED", pack("hello"))
    yield case("JSON", "no array", "EMALFORMED", b'{"topic":"a.b"}')
    yield case("the byte msgpack never uses", "no array", "EMALFORMED", b"\xc1")
    yield case("fifteen fields", "2.2", "EMALFORMED", b"\xdc\x00\x0f" + envelope(SIMPLE)[3:])
    yield case("fixarray", "fewer than 16 fields", "EMALFORMED", b"\x9f" + envelope(SIMPLE)[3:])
    yield case("empty array", "no version", "EMALFORMED", b"\x90")
    yield wrong("version 0", "2.7", "EVERSION", version=b"\x00")
    yield wrong("version 2", "2.7", "EVERSION", version=b"\x02")
    yield wrong("version 2 ** 64 - 1", "2.7", "EVERSION", version=b"\xcf" + b"\xff" * 8)
    yield case("version 2 of another shape", "2.7: told from the version alone", "EVERSION", b"\x91\x02")
    yield wrong("version as text", "2.1", version=pack("1"))
    yield wrong("negative version", "2.1", version=b"\xff")
    yield wrong("hop is a number", "2.1", hop_bytes=b"\x07")
    yield wrong("hop is bytes", "2.1", hop_bytes=pack(b"x" * 26))
    yield wrong("hop is a map", "2.1", hop_bytes=b"\x80")
    yield wrong("hop is true", "2.1", hop_bytes=b"\xc3")
    for name, data, why in (
            ("topic", pack(b"a.b"), "bytes"), ("topic", b"\xc0", "nil"), ("topic", b"\x01", "a number"),
            ("id", pack(b"x" * 15), "15 bytes"), ("id", pack(b"x" * 17), "17 bytes"), ("id", pack(b""), "no bytes"),
            ("id", pack("x" * 16), "text"), ("id", b"\xc0", "nil"), ("id", b"\xd8\x01" + b"x" * 16, "an extension"),
            ("type", b"\x01", "a number"), ("type", pack(b"x"), "bytes"), ("sender", b"\x90", "an array"),
            ("timestamp_unix_ns", b"\xc0", "nil"), ("timestamp_unix_ns", b"\xff", "negative"),
            ("timestamp_unix_ns", b"\xd3" + b"\xff" * 8, "negative int 64"),
            ("timestamp_unix_ns", b"\xd0\x80", "negative int 8"),
            ("timestamp_unix_ns", pack(1.5), "a float"), ("timestamp_unix_ns", pack("1"), "text"),
            ("thread_id", b"\x80", "a map"), ("correlation_id", b"\xc2", "false"), ("reply_to", pack(b"r"), "bytes"),
            ("creation_span_id", pack(b"x" * 7), "7 bytes"), ("creation_span_id", pack(b"x" * 9), "9 bytes"),
            ("creation_span_id", pack("x" * 8), "text"), ("tracestate", b"\x01", "a number"),
            ("baggage", pack(b"b"), "bytes"), ("content_type", b"\x91\xa1x", "an array"),
            ("headers", b"\x90", "an array"), ("headers", b"\x81\x01\xa1v", "a key that is a number"),
            ("headers", b"\x81\xa1k\x01", "a value that is a number"), ("headers", b"\x81\xa1k\xc0", "a nil value"),
            ("headers", b"\xdf\x04\x00\x00\x00", "map32 bomb"), ("headers", b"\xde\xff\xff", "map16 bomb"),
            ("payload", b"\xc0", "nil"), ("payload", pack("hello"), "text"),
            ("payload", b"\xc6\xff\xff\xff\xff", "bin32 of 4 GiB that is not there"),
            ("topic", b"\xdb\xff\xff\xff\xff", "str32 of 4 GiB that is not there"),
            ("topic", b"\xd9\xff", "str8 longer than what is left")):
        yield field(name, data, why)
    for name, limit in (("topic", 256), ("type", 128), ("sender", 128), ("thread_id", 128), ("correlation_id", 128),
                        ("reply_to", 256), ("tracestate", 512), ("baggage", 8192), ("content_type", 128)):
        yield field(name, pack("x" * (limit + 1)), f"over {limit} bytes", "ETOOBIG")
    yield field("headers", pack({"k": "v" * (16384 - 5)}), "16385 bytes encoded", "ETOOBIG")
    yield field("payload", pack(b"p" * (PAYLOAD_MAX + 1)), "one byte over 1 MiB", "ETOOBIG")
    yield wrong("trailing fields over the limit of an envelope", "2.3", "ETOOBIG", head=b"\xdc\x00\x12",
                raw={"payload": pack(b"p" * PAYLOAD_MAX)}, tail=pack(b"q" * 65536) + pack(1))
    for name, tail in (("33 deep", b"\x91" * 32 + b"\x90"), ("a hundred thousand deep", b"\x91" * 100000),
                       ("an array bomb", bytes.fromhex("dd04000000")), ("a map bomb", bytes.fromhex("df04000000")),
                       ("missing", b""), ("the byte msgpack never uses", b"\xc1"), ("a cut float", b"\xcb\x00"),
                       ("a cut extension", b"\xc7\x05\x01ab")):
        yield wrong(f"trailing field: {name}", "2.7", head=b"\xdc\x00\x11", tail=tail)


def contexts():
    """The hop field as other programs may leave it. counted: a context was there and was refused."""
    good = f"00-{TRACE_ID.hex()}-{SPAN_ID.hex()}-"

    def case(name, hop_bytes, flags=None, counted=False):
        context = {"trace_id": TRACE_ID.hex(), "span_id": SPAN_ID.hex(), "trace_flags": flags}
        return {"name": name, "bytes": parts(envelope(SIMPLE, hop_bytes=hop_bytes)),
                "context": context if flags is not None else None, "counted": counted}

    def text(name, value, flags=None):
        return case(name, pack(value), flags, flags is None)

    yield case("missing", b"\xc0")
    yield case("zero ids in place", NO_HOP)
    yield case("empty text", b"\xa0")
    yield text("not sampled", good + "00", 0)
    yield text("sampled", good + "01", 1)
    yield text("random", good + "02", 2)
    yield text("sampled and random", good + "03", 3)
    yield text("flags of the future are dropped", good + "ff", 3)
    yield text("a later version", "cc" + good[2:] + "01-more", 1)
    yield text("white space around", " " + good + "01\t", 1)
    yield text("short", good[:-1])
    yield text("one character", "0")
    yield text("26 characters, the size of a context", "x" * 26)
    yield text("long", good + "01-")
    yield text("trace id too short", good[:3] + good[4:] + "01")
    yield text("not hex", good.replace("4b", "4g") + "01")
    yield text("upper case", good.upper() + "01")
    yield text("version ff", "ff" + good[2:] + "01")
    yield text("trace id all zero", f"00-{'0' * 32}-{SPAN_ID.hex()}-01")
    yield text("span id all zero", f"00-{TRACE_ID.hex()}-{'0' * 16}-01")
    yield case("extension in place", hop(flags=3), 3)
    yield case("extension with flags of the future", hop(flags=0xff), 3)
    yield case("extension without a trace id", hop(trace_id=bytes(16)), None, True)
    yield case("extension without a span id", hop(span_id=bytes(8)), None, True)
    yield case("extension of 25 bytes", b"\xc7\x19\x01" + bytes([7]) * 25, None, True)
    yield case("extension of 27 bytes", b"\xc7\x1b\x01" + bytes([7]) * 27, None, True)
    yield case("extension of no bytes", b"\xc7\x00\x01", None, True)
    yield case("extension of 16 bytes", b"\xd8\x01" + TRACE_ID, None, True)
    yield case("extension of another type", b"\xc7\x1a\x02" + hop()[3:], None, True)


def framed(body):
    return struct.pack(">I", len(body)) + body


def frame_value(value):
    """JSON's numbers are not trusted beyond 2 ** 53."""
    if isinstance(value, int) and value >= 2 ** 53:
        return {"uint": str(value)}
    return {"bin": value.hex()} if isinstance(value, bytes) else value


def frames():
    def mapped(name, number, label, keys, canonical=True, body=None):
        body = body or b"\x92" + pack(number) + pack(keys)
        return {"name": name, "type": number, "type_name": label, "canonical": canonical, "bytes": parts(framed(body)),
                "fields": {k: frame_value(v) for k, v in keys.items()}}

    def plain(name, number, label, values, body=None, canonical=True):
        body = body or pack([number] + list(values.values()))
        return {"name": name, "type": number, "type_name": label, "canonical": canonical, "bytes": parts(framed(body)),
                "values": {k: frame_value(v) for k, v in values.items()}}

    hello = {"protocol": 1, "agent": "sensor-1", "software": "demo/1.0", "instance": ID, "credit_messages": 4096,
             "credit_bytes": 1048576, "max_payload": 65536, "heartbeat_ms": 5000}
    yield mapped("hello", 1, "hello", hello)
    yield mapped("shortest hello", 1, "hello", {"protocol": 1, "agent": "a"})
    yield mapped("hello with keys of a later version", 1, "hello", {"protocol": 1, "agent": "a"}, False,
                 b"\x92\x01" + pack({"later": [1, {"x": None}], "agent": "a", "protocol": 1, "also": b"bytes"}))
    yield mapped("hello with values of a later version", 1, "hello", {"protocol": 1, "agent": "a"}, False,
                 b"\x94\x01" + pack({"protocol": 1, "agent": "a"}) + pack("later") + pack([1]))
    yield mapped("hello in wide forms", 1, "hello", {"protocol": 1, "agent": "a"}, False,
                 b"\xdd\x00\x00\x00\x02\xcc\x01\xdf\x00\x00\x00\x02\xd9\x05agent\xda\x00\x01a\xd9\x08protocol\xd3" +
                 struct.pack(">q", 1))
    yield mapped("welcome", 2, "welcome", {"protocol": 1, "session": 7, "bridge": "bridge-1", "software": "loom/0.1.0",
                                           "credit_bytes": 1048576, "max_payload": 1048576, "heartbeat_ms": 15000})
    yield mapped("subscribe", 3, "subscribe", {"request": 1, "subscription": 2, "filter": "orders.*.>",
                                               "types": ["order.created", "order.paid"], "qos": 1,
                                               "queue_messages": 100, "queue_bytes": 1000, "deadline_ms": 250})
    yield mapped("subscribe in a group", 3, "subscribe", {"request": 1, "subscription": 2, "filter": "jobs.>",
                                                          "group": "workers", "qos": 2})
    yield mapped("subscribe in a group with the longest name", 3, "subscribe", {"filter": ">", "group": "g" * 128})
    yield mapped("shortest subscribe", 3, "subscribe", {"request": 1, "subscription": 2, "filter": ">"})
    yield mapped("unsubscribe", 4, "unsubscribe", {"request": 300, "subscription": 2 ** 32})
    yield mapped("provide", 11, "provide", {"request": 4, "name": "math.add", "version": "1.0.0", "description": "adds",
                                            "kind": "tool", "input_schema": "{}", "output_schema": '{"type":"number"}',
                                            "metadata": {"cost": "low", "owner": "tëam", "empty": ""}})
    yield mapped("provide with as much metadata as may be", 11, "provide", {
        "name": "n", "metadata": {f"key-{n:02}": "v" * 502 for n in range(31)} | {"last": "v" * 501}})
    yield mapped("provide at every limit", 11, "provide", {
        "request": 2 ** 32, "name": "n" * 256, "version": "v" * 64, "description": "d" * 4096, "kind": "k" * 16,
        "input_schema": "i" * 16384, "output_schema": "o" * 16384})
    yield mapped("provide with metadata that is empty", 11, "provide", {"name": "n"}, False,
                 b"\x92\x0b" + pack({"name": "n", "metadata": {}}))
    yield mapped("provide with metadata in wide forms", 11, "provide", {"name": "n", "metadata": {"k": "v"}}, False,
                 b"\x92\x0b\x82\xa4name\xa1n\xa8metadata\xdf\x00\x00\x00\x01\xdb\x00\x00\x00\x01k\xda\x00\x01v")
    yield mapped("provide with metadata twice: the last counts", 11, "provide", {"metadata": {"k": "v"}}, False,
                 b"\x92\x0b\x82" + 2 * (b"\xa8metadata" + pack({"k": "v"})))
    yield mapped("withdraw", 11, "provide", {"request": 5, "name": "math.add", "withdraw": True})
    yield mapped("error", 14, "error", {"status": 15, "text": "hello frame twice"})
    yield mapped("bye", 15, "bye", {"text": "goodbye"})
    yield mapped("an ack without a status is a success", 16, "ack", {"request": 9})
    yield mapped("ack", 16, "ack", {"request": 9, "status": 2, "text": "a segment is empty"})
    yield mapped("notice", 17, "notice", {"status": 11, "text": "not permitted", "message_id": ID})
    yield plain("credit", 7, "credit", {"messages": 0, "bytes": 2 ** 40})
    yield plain("credit with values of a later version", 7, "credit", {"messages": 1, "bytes": 2}, pack([7, 1, 2, "x"]),
                False)
    yield plain("ping", 12, "ping", {"number": 2 ** 64 - 1})
    yield plain("pong", 13, "pong", {"number": 0})
    env = envelope(SIMPLE)
    call = {"call_id": b"call-1", "capability": "math.add", "version": "", "deadline_ms": 1500, "idle_ms": 0, "flags": 0}
    longest = {"call_id": b"\x00" * 64, "capability": "c" * 256, "version": "9" * 64, "deadline_ms": 2 ** 64 - 1,
               "idle_ms": 3600000, "flags": 3}

    def called(name, values, envelope_bytes=env):
        return plain(name, 8, "call", dict(values, envelope=envelope_bytes),
                     b"\x98\x08" + b"".join(map(pack, values.values())) + envelope_bytes)

    yield called("call", call)
    yield called("call at every limit", longest, envelope(ALL))
    yield called("call without an id: the broker gives it one", dict(call, call_id=b"", flags=1, idle_ms=250))
    yield called("call with flags of a later version", dict(call, flags=2 ** 64 - 1))
    yield plain("result", 9, "result", {"call_id": b"call-1", "outcome": 1, "code": "overflow", "text": "too large",
                                        "payload": b"\x00\x01"})
    yield plain("result at every limit of its texts", 9, "result", {
        "call_id": b"x" * 64, "outcome": 6, "code": "c" * 1024, "text": "t" * 1024, "payload": b"p" * 256})
    yield plain("result with an outcome and values of a later version", 9, "result", {
        "call_id": b"c", "outcome": 99, "code": "", "text": "", "payload": b""}, pack([9, b"c", 99, "", "", b"", "later"]), False)
    yield plain("progress", 18, "report", {"call_id": b"call-1", "kind": 0, "number": 40, "payload": b"40 %"})
    yield plain("chunk", 18, "report", {"call_id": b"x" * 64, "kind": 1, "number": 2 ** 64 - 1, "payload": b"p" * 300})
    yield plain("a report of a later version", 18, "report", {"call_id": b"c", "kind": 2, "number": 0, "payload": b""},
                pack([18, b"c", 2, 0, b"", [1]]), False)
    yield plain("call credit", 19, "call_credit", {"call_id": b"call-1", "chunks": 16, "bytes": 2 ** 20})
    yield plain("call credit of a later version", 19, "call_credit", {"call_id": b"c", "chunks": 0, "bytes": 2 ** 64 - 1},
                pack([19, b"c", 0, 2 ** 64 - 1, None]), False)
    yield mapped("hello of an agent that sends spans", 1, "hello", {
        "protocol": 1, "agent": "a", "service": "orders", "service_instance": "i" * 255, "tenant": "acme"})
    yield mapped("welcome that takes spans", 2, "welcome", {"protocol": 1, "session": 1, "span_credit": 32768})
    yield plain("spans", 20, "spans", {"spans": 2, "request": b"\x0a\x00\x0a\x00"})
    yield plain("spans at the writer's limit", 20, "spans", {"spans": 2 ** 64 - 1, "request": b"r" * 65536})
    yield plain("spans of a later version", 20, "spans", {"spans": 0, "request": b""}, pack([20, 0, b"", "later"]), False)
    yield plain("ask", 22, "ask", {"number": 7, "message_id": ID, "how": 1})
    yield plain("ask with the largest number", 22, "ask", {"number": 2 ** 64 - 1, "message_id": ID, "how": 0})
    yield plain("ask of a later version", 22, "ask", {"number": 1, "message_id": ID, "how": 2}, pack([22, 1, ID, 2, "later"]), False)
    yield plain("matched", 23, "matched", {"number": 7, "subscriptions": 2 ** 32})
    yield plain("matched of a later version", 23, "matched", {"number": 1, "subscriptions": 0}, pack([23, 1, 0, None]), False)
    yield plain("span credit", 21, "span_credit", {"bytes": 2 ** 64 - 1, "spans": 512, "refused": 3})
    yield plain("span credit of a later version", 21, "span_credit", {"bytes": 1, "spans": 0, "refused": 0},
                pack([21, 1, 0, 0, None]), False)
    yield plain("keep", 24, "keep", {"trace_id": bytes(range(16)), "reason": "error"})
    yield plain("keep with the longest reason", 24, "keep", {"trace_id": b"\x00" * 15 + b"\x01", "reason": "r" * 23})
    yield plain("keep of a later version", 24, "keep", {"trace_id": b"t" * 16, "reason": ""}, pack([24, b"t" * 16, "", [1]]), False)
    yield plain("recorded", 26, "recorded", {"spans": 2, "request": b"\x0a\x00\x0a\x00", "left": 7})
    yield plain("recorded at the writer's limit", 26, "recorded", {"spans": 2 ** 64 - 1, "request": b"r" * 65536, "left": 2 ** 64 - 1})
    yield plain("recorded of a later version", 26, "recorded", {"spans": 0, "request": b"", "left": 0}, pack([26, 0, b"", 0, "later"]), False)
    yield plain("keep last", 27, "keep_last", {"most": 256})
    yield plain("keep last of a later version", 27, "keep_last", {"most": 1}, pack([27, 1, "later"]), False)
    yield plain("keep that asks", 24, "keep", {"trace_id": b"t" * 16, "reason": "asked", "asks": True}, pack([24, b"t" * 16, "asked", 1]))
    yield plain("held by nobody", 28, "held", {"trace_id": b"t" * 16, "spans": 0, "cut": 0, "agents": [], "starts": [], "off": 0})
    yield plain("held", 28, "held", {"trace_id": b"t" * 16, "spans": 7, "cut": 1, "agents": ["a", 1, "b", 0], "starts": [2 ** 60, 0], "off": 1})
    yield plain("held of as many agents as there may be", 28, "held", {"trace_id": b"t" * 16, "spans": 2 ** 64 - 1, "cut": 0,
                                                                       "agents": ["n" * 128, 1] * 16, "starts": [2 ** 62] * 16, "off": 0})
    for name, more in (("of an earlier version", []), ("with a start too many", [[1, 2]]), ("whose starts are text", [["1"]]), ("whose starts are none", ["1", 1]), ("whose off is text", [[0], "1"])):
        yield plain(f"held {name}", 28, "held", {"trace_id": b"t" * 16, "spans": 1, "cut": 0, "agents": ["a", 0], "starts": [0], "off": 0},
                    pack([28, b"t" * 16, 1, 0, ["a", 0], *more]), False)
    yield plain("held of a later version", 28, "held", {"trace_id": b"t" * 16, "spans": 1, "cut": 0, "agents": [], "starts": [], "off": 0},
                pack([28, b"t" * 16, 1, 0, [], [], 0, "later"]), False)
    yield plain("move", 25, "move", {"number": 30000})
    yield plain("move of a later version", 25, "move", {"number": 1}, pack([25, 1, "later"]), False)
    yield mapped("hello of an agent that stays for a moment, and can go elsewhere", 1, "hello", {"protocol": 1, "agent": "a", "quiet": 1, "moves": 1})
    yield plain("cancel", 10, "cancel", {"call_id": b"x" * 64, "reason": "no longer needed"})
    yield plain("cancel at every limit", 10, "cancel", {"call_id": b"x", "reason": "r" * 1024})
    two = [envelope(SIMPLE), envelope(ALL)]
    yield plain("publish", 5, "publish", {"envelopes": b"".join(two), "count": 2},
                b"\x92\x05\xdd\x00\x00\x00\x02" + b"".join(two))
    yield plain("publish in a short form", 5, "publish", {"envelopes": two[0], "count": 1}, b"\x92\x05\x91" + two[0], False)
    yield plain("publish of nothing", 5, "publish", {"envelopes": b"", "count": 0}, b"\x92\x05\x90", False)
    yield plain("deliver", 6, "deliver", {"subscription": 70000, "envelopes": b"\xce\x00\x01\x11\x70" + two[0], "count": 1},
                b"\x92\x06\xdd\x00\x00\x00\x02\xce\x00\x01\x11\x70" + two[0])


def refused_frames():
    def case(name, body, status="EMALFORMED"):
        return {"name": name, "status": status, "bytes": parts(framed(body))}

    def keyed(name, number, keys):
        return case(name, b"\x92" + pack(number) + (keys if isinstance(keys, bytes) else pack(keys)))

    yield {"name": "length zero", "status": "ETOOBIG", "split": True, "bytes": ["00000000"]}
    yield {"name": "length over the limit", "status": "ETOOBIG", "split": True, "bytes": ["00120001"]}
    yield {"name": "an HTTP request", "status": "ETOOBIG", "split": True, "bytes": [b"GET / HTTP/1.1\r\n".hex()]}
    yield case("no array", b"\x01")
    yield case("an array bomb", bytes.fromhex("dd0400000001"))
    yield case("a type alone", b"\x91\x01")
    yield case("no type", b"\x92\xc0\xc0")
    yield case("a type that is text", b"\x92\xa1x\x80")
    for number in (0, 29, 31, 32, 47, 48, 63, 64, 2 ** 32 + 1, 2 ** 64 - 1):
        yield case(f"type {number}", b"\x92" + pack(number) + b"\x80", "EVERSION")
    yield keyed("a hello that is no map", 1, b"\x90")
    yield keyed("a map bomb", 1, bytes.fromhex("df04000000"))
    yield keyed("a map shorter than it says", 1, b"\x82\xa5agent\xa1a")
    yield keyed("a key that is a number", 1, {1: 2})
    yield keyed("an unknown key 33 deep", 1, b"\x81\xa1x" + b"\x91" * 33 + b"\x90")
    yield keyed("a protocol that is text", 1, {"protocol": "1"})
    yield keyed("an agent that is bytes", 1, {"protocol": 1, "agent": b"a"})
    yield keyed("an agent of 129 bytes", 1, {"protocol": 1, "agent": "a" * 129})
    yield keyed("an instance of 17 bytes", 1, {"protocol": 1, "agent": "a", "instance": b"x" * 17})
    yield keyed("negative credit", 1, {"protocol": 1, "agent": "a", "credit_bytes": -1})
    yield keyed("a filter over 256 bytes", 3, {"filter": "f" * 257})
    yield keyed("a group of 129 bytes", 3, {"filter": "f", "group": "g" * 129})
    yield keyed("a group that is bytes", 3, {"filter": "f", "group": b"g"})
    yield keyed("seventeen types", 3, {"filter": "f", "types": ["t"] * 17})
    yield keyed("types that are numbers", 3, {"filter": "f", "types": [1]})
    yield keyed("a type of 129 bytes", 3, {"filter": "f", "types": ["t" * 129]})
    yield keyed("withdraw as a number", 11, {"name": "n", "withdraw": 1})
    yield case("bytes after the array", b"\x92\x0c\x01\x00")
    yield case("bytes after the map", b"\x92\x01" + pack({"protocol": 1, "agent": "a"}) + b"\xc0")
    yield case("a trailing value that is cut", b"\x93\x0c\x01\xcd\x00")
    yield case("credit without bytes", pack([7, 1]))
    yield case("credit of text", pack([7, "1", 2]))
    yield case("negative credit total", pack([7, 0, -1]))
    yield case("ping of text", pack([12, "x"]))
    yield case("move without a time", pack([25]))
    yield case("move of text", pack([25, "x"]))
    yield case("publish without an array", b"\x92\x05\x01")
    yield case("publish that claims more than it holds", b"\x92\x05\xdd\x04\x00\x00\x00")
    yield case("publish with another value", b"\x93\x05\x90\x01")
    yield case("deliver of half a pair", b"\x92\x06\x91\x01")
    for name, key, value in (("a name of 257 bytes", "name", "n" * 257), ("a version of 65 bytes", "version", "v" * 65),
                             ("a description of 4097 bytes", "description", "d" * 4097),
                             ("a kind of 17 bytes", "kind", "k" * 17), ("a kind that is a number", "kind", 1),
                             ("an input schema of 16385 bytes", "input_schema", "i" * 16385),
                             ("an output schema of 16385 bytes", "output_schema", "o" * 16385),
                             ("a schema that is a map", "input_schema", {"type": "object"}),
                             ("metadata that is an array", "metadata", ["k", "v"]),
                             ("metadata that is nil", "metadata", None),
                             ("metadata with a number", "metadata", {"k": 1}),
                             ("metadata with a key that is a number", "metadata", {1: "v"}),
                             ("metadata with bytes", "metadata", {"k": b"v"}),
                             ("metadata within metadata", "metadata", {"k": {"k": "v"}}),
                             ("metadata of 33 entries", "metadata", {f"{n}": "v" for n in range(33)}),
                             ("metadata of 16385 bytes", "metadata", {"k": "v" * (16385 - 1 - 2 - 3)})):
        yield keyed(f"provide: {name}", 11, {"name": "n"} | {key: value})
    yield keyed("provide: metadata that is cut", 11, b"\x81\xa8metadata\x82\xa1k\xa1v")
    yield keyed("provide: metadata that is a bomb", 11, b"\x81\xa8metadata\xdf\x80\x00\x00\x00")
    good = [8, b"c", "n", "", 1, 2, 3, 4]

    def changed(name, good, position, value):
        return case(name, pack(good[:position] + [value] + good[position + 1:]))

    yield case("call of the form before idle time and flags", pack([8, b"c", "n", "", 1, 2]))
    yield case("call without an envelope", pack(good[:-1]))
    yield case("call with its envelope cut away", pack(good)[:-1])
    yield case("call with another value", pack(good + [5]))
    for name, position, value in (("an id of 65 bytes", 1, b"c" * 65), ("an id of text", 1, "c"), ("a nil id", 1, None),
                                  ("a capability of bytes", 2, b"n"), ("a capability of 257 bytes", 2, "n" * 257),
                                  ("a nil version", 3, None), ("a version of 65 bytes", 3, "v" * 65),
                                  ("a negative deadline", 4, -1), ("an idle time of text", 5, "1"),
                                  ("a nil idle time", 5, None), ("negative flags", 6, -1), ("flags in a map", 6, {})):
        yield changed(f"call with {name}", good, position, value)
    good = [9, b"c", 0, "", "", b""]
    for name, position, value in (("no id", 1, b""), ("an id of 65 bytes", 1, b"c" * 65), ("an outcome of text", 2, "ok"),
                                  ("a negative outcome", 2, -1), ("a code of 1025 bytes", 3, "c" * 1025),
                                  ("a nil code", 3, None), ("a text of 1025 bytes", 4, "t" * 1025)):
        yield changed(f"result with {name}", good, position, value)
    good = [18, b"c", 1, 0, b""]
    for name, position, value in (("no id", 1, b""), ("an id of 65 bytes", 1, b"c" * 65), ("a kind of text", 2, "chunk"),
                                  ("a negative number", 3, -1), ("a nil payload", 4, None), ("a text payload", 4, "p")):
        yield changed(f"report with {name}", good, position, value)
    yield case("report without a payload", pack(good[:-1]))
    yield case("report with a payload that is not there", pack(good)[:-2] + b"\xc6\xff\xff\xff\xff")
    good = [19, b"c", 1, 2]
    for name, position, value in (("no id", 1, b""), ("an id of 65 bytes", 1, b"c" * 65), ("negative chunks", 2, -1),
                                  ("bytes of text", 3, "2")):
        yield changed(f"call credit with {name}", good, position, value)
    yield case("call credit without bytes", pack(good[:-1]))
    yield case("ask with an id of 15 bytes", pack([22, 1, b"i" * 15, 0]))
    yield case("ask with an id of 17 bytes", pack([22, 1, b"i" * 17, 0]))
    for name, good in (("spans", [20, 1, b"r"]), ("span credit", [21, 1, 2, 3]), ("ask", [22, 1, ID, 0]), ("matched", [23, 1, 2]),
                       ("recorded", [26, 1, b"r", 2])):
        for at in range(1, len(good)):
            yield changed(f"{name} with text for value {at}", good, at, "1")
        yield changed(f"{name} with a negative number", good, 1, -1)
        yield case(f"{name} without its last value", pack(good[:-1]))
    good = [28, b"t" * 16, 1, 0, ["a", 1]]
    for name, position, value in (("an id of 15 bytes", 1, b"t" * 15), ("text for spans", 2, "1"), ("text for cut", 3, "0"),
                                  ("an agent without its second value", 4, ["a"]), ("an agent of bytes", 4, [b"a", 1]),
                                  ("17 agents", 4, ["a", 1] * 17), ("no array", 4, 1)):
        yield changed(f"held with {name}", good, position, value)
    yield case("keep last of none", pack([27, 0]))
    yield case("keep last of text", pack([27, "1"]))
    yield case("spans that are not there", pack([20, 1, b"r"])[:-3] + b"\xc6\xff\xff\xff\xff")
    good = [24, b"t" * 16, "r"]
    for name, position, value in (("an id of 15 bytes", 1, b"t" * 15), ("an id of 17 bytes", 1, b"t" * 17),
                                  ("an id of zeros", 1, b"\x00" * 16), ("an id as text", 1, "t" * 16),
                                  ("a reason of 24 bytes", 2, "r" * 24), ("a reason of bytes", 2, b"r")):
        yield changed(f"keep with {name}", good, position, value)
    yield case("keep without a reason", pack(good[:-1]))
    yield case("keep with a reason that is not UTF-8", pack(good)[:-2] + b"\xa1\xff")
    yield keyed("hello with a service of 256 bytes", 1, pack({"protocol": 1, "agent": "a", "service": "s" * 256}))
    yield case("cancel without an id", pack([10, b"", "r"]))
    yield case("cancel with an id of 65 bytes", pack([10, b"c" * 65, "r"]))
    yield case("cancel with a reason of 1025 bytes", pack([10, b"c", "r" * 1025]))
    yield case("result without a payload", pack([9, b"c", 0, "", ""]))
    yield case("result with a text payload", pack([9, b"c", 0, "", "", "p"]))
    yield case("cancel with a number for a reason", pack([10, b"c", 1]))


def main():
    sections = {"envelopes": envelopes, "refused_envelopes": refused_envelopes, "contexts": contexts, "frames": frames,
                "refused_frames": refused_frames}
    lines = []
    for name, make in sections.items():
        cases = ",\n".join("  " + json.dumps(c, ensure_ascii=False) for c in make())
        lines.append(f'"{name}": [\n{cases}\n]')
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
