# SPDX-License-Identifier: Apache-2.0
"""A command of `loom provide` that traces with OpenTelemetry for Python: what it makes of its environment, as JSON."""

import json
import os

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

carrier = {name.lower(): value for name, value in os.environ.items()}
context = W3CBaggagePropagator().extract(carrier, TraceContextTextMapPropagator().extract(carrier))
span = TracerProvider().get_tracer("child").start_span("child", context)
print(json.dumps({"trace_id": f"{span.context.trace_id:032x}", "parent_id": f"{span.parent.span_id:016x}" if span.parent else "",
                  "sampled": span.context.trace_flags.sampled, "tracestate": span.context.trace_state.to_header(),
                  "baggage": dict(baggage.get_all(context))}))
