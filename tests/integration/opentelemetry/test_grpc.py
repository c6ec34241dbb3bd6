# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry for Python, with its own instrumentation of grpcio, continues the trace that a program of ours puts into gRPC
metadata, and that program continues Python's. Our side is gRPC's C library; the service takes bytes and returns bytes."""

import environment

if __name__ == "__main__":
    environment.enter()

import concurrent.futures
import pathlib
import subprocess
import tempfile
import unittest

import grpc
from harness import BIN, clean_environment
from skipping import skip
from spans import parse_lines

from opentelemetry import baggage, context, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.instrumentation.grpc import client_interceptor, server_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

CALLING = BIN.parent / "tests" / "calling"
W3C = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
# OTEL_PROPAGATORS of ours, and the same of theirs
FORMS = {"tracecontext,baggage": W3C, "b3": B3SingleFormat(), "b3multi": B3MultiFormat()}
METHOD = "/loom.Echo/Call"
DEADLINE_S = 20


class Grpc(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.addCleanup(propagate.set_global_textmap, propagate.get_global_textmap())
        self.carried = []  # the baggage of each request that their server got

    def tracing(self, sampler=DEFAULT_ON):
        """An SDK of theirs, and where its spans end."""
        exporter, provider = InMemorySpanExporter(), TracerProvider(sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        self.addCleanup(provider.shutdown)
        return provider, exporter

    def their_server(self, provider):
        """Its address."""
        def call(request, _):
            self.carried.append(dict(baggage.get_all(context.get_current())))
            return request

        pool = self.enterContext(concurrent.futures.ThreadPoolExecutor(2))
        server = grpc.server(pool, interceptors=[server_interceptor(tracer_provider=provider)])
        handlers = {"Call": grpc.unary_unary_rpc_method_handler(call)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("loom.Echo", handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())
        return f"127.0.0.1:{port}"

    def ours(self, propagators, *arguments, **changes):
        process = subprocess.Popen([CALLING, *arguments], text=True, stdout=subprocess.PIPE, env=clean_environment(
            OTEL_PROPAGATORS=propagators, LOOM_SPANS_FILE=self.folder / "spans.jsonl", **changes))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def our_server(self, propagators, *next_address, **changes):
        process = self.ours(propagators, "serve", *next_address, **changes)
        return process, process.stdout.readline().strip()

    def call_ours(self, address, provider, parent):
        """Their client calls; the metadata of the response."""
        with grpc.insecure_channel(address) as plain:
            channel = intercept_channel(plain, client_interceptor(tracer_provider=provider))
            token = context.attach(parent)
            try:
                answer, call = channel.unary_unary(METHOD).with_call(b"hello", timeout=DEADLINE_S)
            finally:
                context.detach(token)
            self.assertEqual(b"hello", answer)
            return dict(call.initial_metadata())

    def our_spans(self):
        """By kind."""
        return {span.kind: span for span in parse_lines((self.folder / "spans.jsonl").read_text())}

    def begin(self, theirs=W3C):
        (self.folder / "spans.jsonl").unlink(missing_ok=True)
        self.carried.clear()
        propagate.set_global_textmap(theirs)

    def below(self, child, parent):
        """Both as (trace id, span id, parent's span id)."""
        self.assertEqual(parent[:2], (child[0], child[2]))

    def test_python_continues_our_call(self):
        for propagators, theirs in FORMS.items():
            with self.subTest(propagators):
                self.begin(theirs)
                provider, exporter = self.tracing()
                process = self.ours(propagators, "call", self.their_server(provider))
                self.assertEqual(0, process.wait(DEADLINE_S))
                self.below(theirs_of(exporter)["SERVER"], ours_of(self.our_spans()["CLIENT"]))
                self.assertEqual([{"user": "7"} if theirs is W3C else {}], self.carried)

    def test_a_trace_goes_from_python_through_our_server_and_our_call_to_python(self):
        for propagators, theirs in FORMS.items():
            with self.subTest(propagators):
                self.begin(theirs)
                provider, exporter = self.tracing()
                process, address = self.our_server(propagators, self.their_server(provider))
                with provider.get_tracer("test").start_as_current_span("root") as root:
                    parent = baggage.set_baggage("key", "a value, with ünicode", trace.set_span_in_context(root))
                    response = self.call_ours(address, provider, parent)
                self.assertEqual(0, process.wait(DEADLINE_S))
                spans, ours = theirs_of(exporter), {kind: ours_of(span) for kind, span in self.our_spans().items()}
                self.below(spans["CLIENT"], spans["INTERNAL"])
                self.below(ours["SERVER"], spans["CLIENT"])
                self.below(ours["CLIENT"], ours["SERVER"])
                self.below(spans["SERVER"], ours["CLIENT"])
                self.assertEqual([{"key": "a value, with ünicode"} if theirs is W3C else {}], self.carried)
                self.assertEqual(ours["SERVER"][:2], (response["x-trace-id"].replace("-", ""), response["x-span-id"].replace("-", "")[:16]))

    def test_tracestate_goes_through(self):
        self.begin()
        provider, exporter = self.tracing()
        process, address = self.our_server("tracecontext", self.their_server(provider))
        state = trace.TraceState([("vendor", "1"), ("tenant@vendor", "x y"), ("a", "2")])
        parent = trace.SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0xF067AA0BA902B7, True, trace.TraceFlags(1), state)
        self.call_ours(address, provider, trace.set_span_in_context(trace.NonRecordingSpan(parent)))
        self.assertEqual(0, process.wait(DEADLINE_S))
        server = next(span for span in exporter.get_finished_spans() if span.kind.name == "SERVER")
        self.assertEqual(list(state.items()), list(server.context.trace_state.items()))
        self.assertEqual(parent.trace_id, server.context.trace_id)

    def test_our_decision_not_to_sample_is_obeyed(self):
        for propagators, theirs in FORMS.items():
            with self.subTest(propagators):
                self.begin(theirs)
                provider, exporter = self.tracing()
                process = self.ours(propagators, "call", self.their_server(provider), OTEL_TRACES_SAMPLER="always_off")
                self.assertEqual(0, process.wait(DEADLINE_S))
                self.assertEqual((1, ()), (len(self.carried), exporter.get_finished_spans()))

    def test_pythons_decision_not_to_sample_is_obeyed_and_passed_on(self):
        for propagators, theirs in FORMS.items():
            with self.subTest(propagators):
                self.begin(theirs)
                provider, exporter = self.tracing()  # would sample, without a parent
                process, address = self.our_server(propagators, self.their_server(provider))
                self.call_ours(address, self.tracing(ALWAYS_OFF)[0], context.Context())
                self.assertEqual(0, process.wait(DEADLINE_S))
                self.assertEqual(({}, (), 1), (self.our_spans(), exporter.get_finished_spans(), len(self.carried)))

    def test_metadata_that_is_not_valid_starts_a_trace(self):
        """Names may repeat in metadata: two traceparents are none (Trace Context 3.2.1), and the call is answered."""
        good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        for metadata in ((("traceparent", good), ("traceparent", good)), (("traceparent", "00-nonsense"),), (("traceparent", ""),),
                         (("tracestate", "a=1"), ("baggage", "~" * 7000))):
            with self.subTest(str(metadata)[:70]):
                self.begin()
                process, address = self.our_server("tracecontext,baggage")
                with grpc.insecure_channel(address) as channel:
                    channel.unary_unary(METHOD)(b"hello", timeout=DEADLINE_S, metadata=metadata)
                self.assertEqual(0, process.wait(DEADLINE_S))
                self.assertEqual("", self.our_spans()["SERVER"].parent_id)


def theirs_of(exporter):
    """Each span of theirs by kind, as (trace id, span id, parent's span id)."""
    return {span.kind.name: (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", f"{span.parent.span_id:016x}" if span.parent else "")
            for span in exporter.get_finished_spans()}


def ours_of(span):
    return span.trace_id, span.span_id, span.parent_id


if __name__ == "__main__":
    if not CALLING.exists():
        skip("gRPC's C library is missing: libgrpc-dev, and configure again")
    unittest.main()
