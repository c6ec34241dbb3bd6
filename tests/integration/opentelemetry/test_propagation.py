# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry for Python continues our traces, and we continue its: over HTTP headers, in W3C's and in B3's form, and over the
environment, both ways."""

import environment

if __name__ == "__main__":
    environment.enter()

import http.server
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

from harness import BIN, LoomTest, clean_environment, wait_until
from spans import parse_lines

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ROOT = pathlib.Path(__file__).resolve().parents[3]
CHILD = pathlib.Path(__file__).with_name("child.py")
CARRYING = BIN.parent / "tests" / "carrying"
W3C = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
# OTEL_PROPAGATORS of ours, and the same of theirs
FORMS = {"tracecontext,baggage": W3C, "b3": B3SingleFormat(), "b3multi": B3MultiFormat()}


def ids(context):
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


class Server(http.server.BaseHTTPRequestHandler):
    """Theirs: a span for each request, under what came with it."""

    def do_GET(self):
        # as their instrumentation of a WSGI server does, names are compared in lower case
        carrier = {name.lower(): value for name, value in self.headers.items()}
        context = self.server.propagator.extract(carrier)
        span = TracerProvider().get_tracer("server").start_span("serve", context)
        self.server.served.append((span, dict(baggage.get_all(context))))
        self.send_response(200)
        self.send_header("X-Trace-Id", f"{span.get_span_context().trace_id:032x}")
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_):
        pass


class Gateway(Server):
    """Ours behind an HTTP server: the header lines of a request go to `carrying serve`."""

    def do_GET(self):
        lines = "".join(f"{name}: {value}\n" for name, value in self.headers.items())
        done = subprocess.run([CARRYING, "serve"], input=lines + "\n", text=True, capture_output=True, check=True, env=self.server.environment)
        onward, _, response = done.stdout.partition("\n\n")
        self.send_response(200)
        for line in response.splitlines():
            self.send_header(*line.split(": ", 1))
        self.send_header("Content-Length", str(len(onward)))
        self.end_headers()
        self.wfile.write(onward.encode())


class Http(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.tracer = TracerProvider().get_tracer("client")

    def listen(self, handler, **fields):
        server = self.enterContext(http.server.HTTPServer(("127.0.0.1", 0), handler))
        vars(server).update(fields)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        return server, f"http://127.0.0.1:{server.server_port}/"

    def environment(self, propagators, **changes):
        return clean_environment(OTEL_PROPAGATORS=propagators, LOOM_SPANS_FILE=self.folder / "spans.jsonl", **changes)

    def ours(self):
        spans = parse_lines((self.folder / "spans.jsonl").read_text())
        self.assertEqual(1, len(spans))
        return spans[0]

    def test_python_continues_our_trace(self):
        for propagators, theirs in FORMS.items():
            with self.subTest(propagators):
                (self.folder / "spans.jsonl").unlink(missing_ok=True)
                server, url = self.listen(Server, propagator=theirs, served=[])
                done = subprocess.run([CARRYING, "get", url], env=self.environment(propagators), text=True, capture_output=True, check=True)
                (span, carried), = server.served
                self.assertEqual((self.ours().trace_id, self.ours().span_id), ids(span.parent))
                self.assertTrue(span.parent.is_remote and span.context.trace_flags.sampled)
                self.assertEqual({"user": "7"} if theirs is W3C else {}, carried)
                self.assertIn(f"answered in trace {self.ours().trace_id}", done.stdout)

    def test_python_obeys_our_decision_not_to_sample(self):
        for propagators, theirs in FORMS.items():
            with self.subTest(propagators):
                server, url = self.listen(Server, propagator=theirs, served=[])
                subprocess.run([CARRYING, "get", url], env=self.environment(propagators, OTEL_TRACES_SAMPLER="always_off"), check=True,
                               stdout=subprocess.DEVNULL)
                (span, _), = server.served
                self.assertFalse(span.is_recording())
                self.assertNotEqual(0, span.get_span_context().trace_id)

    def request(self, url, propagator, context):
        """What our server would send on, and its response."""
        headers = {}
        propagator.inject(headers, context)
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            onward = dict(line.split(": ", 1) for line in response.read().decode().splitlines())
            return {name.lower(): value for name, value in onward.items()}, response.headers

    def test_we_continue_pythons_trace_and_python_the_one_that_we_pass_on(self):
        for propagators, theirs in FORMS.items():
            with self.subTest(propagators):
                (self.folder / "spans.jsonl").unlink(missing_ok=True)
                _, url = self.listen(Gateway, environment=self.environment(propagators))
                with self.tracer.start_as_current_span("client") as span:
                    context = baggage.set_baggage("key", "a value, with ünicode", trace.set_span_in_context(span))
                    onward, response = self.request(url, theirs, context)
                    ours = self.ours()
                    self.assertEqual(ids(span.context), (ours.trace_id, ours.parent_id))
                back = theirs.extract(onward)
                self.assertEqual((ours.trace_id, ours.span_id), ids(trace.get_current_span(back).get_span_context()))
                self.assertTrue(trace.get_current_span(back).get_span_context().trace_flags.sampled)
                if theirs is W3C:
                    self.assertEqual({"key": "a value, with ünicode"}, dict(baggage.get_all(back)))
                self.assertEqual(ours.trace_id, response["x-trace-id"].replace("-", ""))
                self.assertEqual(ours.span_id, response["x-span-id"].replace("-", "")[:16])

    def test_tracestate_of_python_passes_through(self):
        _, url = self.listen(Gateway, environment=self.environment("tracecontext"))
        state = trace.TraceState([("vendor", "1"), ("tenant@vendor", "x y"), ("a", "2")])
        parent = trace.SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0xF067AA0BA902B7, True, trace.TraceFlags(1), state)
        onward, _ = self.request(url, W3C, trace.set_span_in_context(trace.NonRecordingSpan(parent)))
        found = trace.get_current_span(W3C.extract(onward)).get_span_context()
        self.assertEqual(list(state.items()), list(found.trace_state.items()))

    def test_we_obey_pythons_decision_not_to_sample(self):
        tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("client")
        for propagators, theirs in FORMS.items():
            with self.subTest(propagators):
                _, url = self.listen(Gateway, environment=self.environment(propagators))
                span = tracer.start_span("client")
                onward, _ = self.request(url, theirs, trace.set_span_in_context(span))
                self.assertEqual("", (self.folder / "spans.jsonl").read_text())
                back = trace.get_current_span(theirs.extract(onward)).get_span_context()
                self.assertEqual(span.get_span_context().trace_id, back.trace_id)
                self.assertFalse(back.trace_flags.sampled)


class Child(unittest.TestCase):
    def test_a_python_child_of_ours_is_below_our_span_and_not_what_we_inherited(self):
        with tempfile.TemporaryDirectory() as folder, TracerProvider().get_tracer("parent").start_as_current_span("parent") as parent:
            spans = pathlib.Path(folder) / "spans.jsonl"
            given = clean_environment(LOOM_SPANS_FILE=spans, TRACEPARENT="00-{}-{}-01".format(*ids(parent.context)), BAGGAGE="stale=1")
            child = json.loads(subprocess.run([CARRYING, "run", sys.executable, CHILD], env=given, check=True, stdout=subprocess.PIPE).stdout)
            ours, = parse_lines(spans.read_text())
            self.assertEqual(ids(parent.context), (ours.trace_id, ours.parent_id))
            self.assertEqual((ours.trace_id, ours.span_id), (child["trace_id"], child["parent_id"]))
            self.assertEqual({}, child["baggage"])


class Documentation(unittest.TestCase):
    def test_the_code_of_the_page_is_the_code_of_the_programs(self):
        page = (ROOT / "docs" / "PROPAGATION.md").read_text()
        program = "".join(pathlib.Path(__file__).with_name(name).read_text() for name in ("carrying.c", "calling.c"))
        blocks = re.findall(r"```c\n(.*?)```", page, re.S)
        self.assertLess(3, len(blocks))
        for block in blocks:
            self.assertIn(block, program)


class Environment(LoomTest):
    def test_a_command_under_a_parent_in_python_is_part_of_its_trace(self):
        """OpenTelemetry, "Environment Variables as Context Propagation Carriers": names in capitals."""
        bus = self.home()
        receiver = self.agent(bus, "receiver").subscribe("t.>")
        for propagators, theirs in FORMS.items():
            with self.subTest(propagators), TracerProvider().get_tracer("parent").start_as_current_span("parent") as span:
                carrier = {}
                theirs.inject(carrier, baggage.set_baggage("key", "value", trace.set_span_in_context(span)))
                given = {name.upper().replace("-", "_"): value for name, value in carrier.items()}
                printed = bus.loom("pub", "t.x", "x", environment={**given, "OTEL_PROPAGATORS": propagators}).stdout.strip()
                self.assertEqual(f"{span.context.trace_id:032x}", printed)
                root = wait_until(lambda: next((s for s in bus.spans() if s.name == "loom pub" and s.trace_id == printed), None), "its span")
                self.assertEqual(f"{span.context.span_id:016x}", root.parent_id)
        self.assertEqual("key=value", receiver.wait_events(1)[0].baggage)

    def test_a_python_command_of_a_provider_is_part_of_the_callers_trace(self):
        bus = self.home()
        provider = bus.run("loom", "provide", "--url", bus.url, "--count", "1", "python.child", "--",
                           sys.executable, CHILD, environment={"TRACEPARENT": f"00-{1:032x}-{1:016x}-01"})
        wait_until(lambda: "providing" in provider.err or not provider.running(), "the capability is there")
        answer = json.loads(bus.loom("invoke", "python.child", "--json", "--baggage", "key=a%20value", environment={
            "TRACEPARENT": f"00-{2:032x}-{2:016x}-01", "TRACESTATE": "a=1"}).stdout)
        child = json.loads(answer["payload"])
        self.assertEqual(0, provider.wait(), provider.err)
        command = wait_until(lambda: next((s for s in bus.spans() if "process.exit.code" in s.attributes), None), "the command's span")
        self.assertEqual((command.trace_id, command.span_id), (child["trace_id"], child["parent_id"]))
        self.assertEqual(f"{2:032x}", child["trace_id"])
        self.assertEqual((True, "a=1", {"key": "a value"}), (child["sampled"], child["tracestate"], child["baggage"]))


if __name__ == "__main__":
    unittest.main()
