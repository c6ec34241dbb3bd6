#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads with msgpack for Python what Loom wrote, and compares every field with what it was asked to write.

usage: check_encodings.py PATH-OF-wire_encode      exit status 77: the msgpack package is not there
"""
import json
import subprocess
import sys

try:
    import msgpack
except ImportError:
    print("skipped: Python has no msgpack package (Debian: python3-msgpack)")
    sys.exit(77)

TEXT = {2: "topic", 4: "type", 5: "sender", 7: "thread_id", 8: "correlation_id", 9: "reply_to", 11: "tracestate",
        12: "baggage", 13: "content_type"}
NO_CONTEXT = {"trace_id": "0" * 32, "span_id": "0" * 16, "trace_flags": 0}


def joined(parts):
    return b"".join(bytes.fromhex(p) if isinstance(p, str) else bytes.fromhex(p["repeat"]) * p["times"] for p in parts)


def differences(wire, fields):
    values = msgpack.unpackb(wire, raw=False, strict_map_key=True)

    def check(what, expected, actual):
        if expected != actual:
            yield f"{what}: expected {expected!r:.80}, is {actual!r:.80}"

    yield from check("number of fields", 16, len(values))
    yield from check("first bytes", "dc001001c71a01", wire[:7].hex())
    yield from check("version", 1, values[0])
    for position, name in TEXT.items():
        yield from check(name, fields.get(name) or None, values[position])
    hop = values[1]
    context = fields.get("context", NO_CONTEXT)
    yield from check("hop type", 1, hop.code)
    yield from check("hop ids", context["trace_id"] + context["span_id"], hop.data[:24].hex())
    yield from check("hop flags", context["trace_flags"], hop.data[24])
    yield from check("ttl", fields["ttl"] or 16, hop.data[25])  # to a writer 0 is the default
    yield from check("hop offset", hop.data, wire[7:33])
    yield from check("id", fields["id"], values[3].hex())
    if fields["timestamp_unix_ns"] != "0":  # to a writer 0 is now
        yield from check("timestamp", int(fields["timestamp_unix_ns"]), values[6])
    creation = values[10].hex() if values[10] is not None else None
    yield from check("creation span id", fields.get("creation_span_id"), creation)
    headers = [list(pair) for pair in values[14].items()] if values[14] is not None else []
    yield from check("headers", fields.get("headers", []), headers)
    yield from check("payload", joined(fields.get("payload", [])), values[15])


def main():
    out = subprocess.run([sys.argv[1]], check=True, stdout=subprocess.PIPE).stdout
    encodings = json.loads(out)
    wrong = [f"{e['name']}: {d}" for e in encodings for d in differences(bytes.fromhex(e["hex"]), e["fields"])]
    print("\n".join(wrong) if wrong else f"{len(encodings)} envelopes agree")
    sys.exit(1 if wrong or not encodings else 0)


main()
