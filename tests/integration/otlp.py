# SPDX-License-Identifier: Apache-2.0
"""Requests of OTLP spans in protobuf, as an agent in another language would write them."""

import os
import struct
import time

from collector import field_of, varint


def attribute(number, key, value):
    """A KeyValue of text."""
    return field_of(number, field_of(1, key.encode()) + field_of(2, field_of(1, value if isinstance(value, bytes) else value.encode())))


def fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def span(name="work", trace_id=None, span_id=None, attributes=None, start_ns=None, end_ns=None):
    now = time.time_ns()
    return (field_of(1, trace_id or os.urandom(16)) + field_of(2, span_id or os.urandom(8)) + field_of(5, name.encode()) +
            fixed64(7, start_ns or now - 1000) + fixed64(8, end_ns or now) +
            b"".join(attribute(9, key, value) for key, value in (attributes or {}).items()))


def request(spans, service="service", instance="i-1", **resource):
    """An ExportTraceServiceRequest."""
    attributes = {"service.name": service, "service.instance.id": instance, **resource}
    encoded = b"".join(attribute(1, key, value) for key, value in attributes.items())
    scope_spans = field_of(1, field_of(1, b"tests")) + b"".join(field_of(2, one) for one in spans)
    return field_of(1, field_of(1, encoded) + field_of(2, scope_spans))
