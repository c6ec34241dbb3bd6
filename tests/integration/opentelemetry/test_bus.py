# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry for Python on the bus: agents that have a WebSocket and msgpack, and programs that have nng, from libraries of
others. Their spans are parents of Loom's ladder, and continue it from what is delivered. What is asserted is spans as both
sides exported them: one trace, in which each parent is there."""

import environment

if __name__ == "__main__":
    environment.enter()

import json
import pathlib
import os
import struct
import sys
import time
import unittest

import msgpack
import pynng
import websockets.sync.client
from harness import LoomTest, in_both_homes, wait_until

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# WIRE.md, section 4.1
HELLO, WELCOME, SUBSCRIBE, PUBLISH, DELIVER, CALL, RESULT, PROVIDE, PING, PONG, ACK = 1, 2, 3, 5, 6, 8, 9, 11, 12, 13, 16
# and section 2.2
CORRELATION, REPLY_TO, CREATION, TRACESTATE, BAGGAGE, PAYLOAD = 8, 9, 10, 11, 12, 15
W3C = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
DEADLINE_S = 20


def envelope(topic, payload, context, correlation=None):
    """What a producer without Loom's SDK writes: the hop context is its traceparent (WIRE.md 2.6)."""
    carrier, span = {}, trace.get_current_span(context).get_span_context()
    W3C.inject(carrier, context)
    return [1, carrier.get("traceparent"), topic, os.urandom(16), None, None, time.time_ns(), None, correlation, None,
            struct.pack(">Q", span.span_id), carrier.get("tracestate"), carrier.get("baggage"), None, None, payload]


def context_of(fields):
    """The context that an envelope brings, as their propagators have it."""
    hop = fields[1].data
    carrier = {"traceparent": f"00-{hop[:16].hex()}-{hop[16:24].hex()}-{hop[24]:02x}", "tracestate": fields[TRACESTATE],
               "baggage": fields[BAGGAGE]}
    return W3C.extract({name: value for name, value in carrier.items() if value})


class Agent:
    """A session over a WebSocket."""

    def __init__(self, url, name):
        self.socket = websockets.sync.client.connect(url, subprotocols=["loom.v1"], max_size=None)
        self.bytes = bytearray()
        self.send(HELLO, {"protocol": 1, "agent": name})
        self.receive(WELCOME)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *items):
        body = msgpack.packb(items)
        self.socket.send(struct.pack(">I", len(body)) + body)

    def receive(self, kind):
        """The values of the next frame of this kind; others but pings are passed over."""
        while True:
            while len(self.bytes) < 4 or len(self.bytes) < 4 + struct.unpack_from(">I", self.bytes)[0]:
                self.bytes += self.socket.recv(DEADLINE_S)
            length = struct.unpack_from(">I", self.bytes)[0]
            found, *values = msgpack.unpackb(bytes(self.bytes[4:4 + length]))
            del self.bytes[:4 + length]
            if found == PING:
                self.send(PONG, *values)
            if found == kind:
                return values

    def ask(self, kind, **fields):
        self.send(kind, {"request": 1, **fields})
        ack, = self.receive(ACK)
        assert ack.get("status", 0) == 0, ack

    def event(self):
        return self.receive(DELIVER)[0][1]


class Traced:
    def setUp(self):
        self.bus = self.home(listen=("ws", "ipc"))
        self.provider, self.exporter = self.tracing()
        self.tracer = self.provider.get_tracer("python")

    def tracing(self, sampler=DEFAULT_ON):
        exporter, provider = InMemorySpanExporter(), TracerProvider(sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        self.addCleanup(provider.shutdown)
        return provider, exporter

    def python(self, name):
        return self.enterContext(Agent(self.bus.url_of("ws"), name))

    def span(self, name, kind, context=None):
        """An ended span of theirs, and the context below it."""
        span = self.tracer.start_span(name, context, kind)
        span.end()
        return trace.set_span_in_context(span, context)

    def ladder(self, ours, theirs):
        """Waits for so many spans of each; all as {id: (name, parent's id)}, which is one trace with one root."""
        found = {span.span_id: (span.name, span.parent_id) for span in self.bus.wait_spans(ours)}
        traces = {span.trace_id for span in self.bus.spans()}
        for span in self.exporter.get_finished_spans():
            traces.add(f"{span.context.trace_id:032x}")
            found[f"{span.context.span_id:016x}"] = (span.name, f"{span.parent.span_id:016x}" if span.parent else "")
        self.assertEqual(ours + theirs, len(found), found)
        self.assertEqual(1, len(traces), found)
        self.assertEqual([""], sorted({parent for _, parent in found.values()} - set(found)))
        return found

    def path(self, found, name):
        """From the root down to the span of this name."""
        names, at = [], next(span for span, (own, _) in found.items() if own == name)
        while at:
            names.insert(0, found[at][0])
            at = found[at][1]
        return names


@in_both_homes
class OnTheAgentLink(Traced):
    def test_pythons_producer_is_the_parent_of_the_ladder(self):
        receiver = self.bus.subscriber("t.>", "--count", "1")
        context = baggage.set_baggage("key", "a value", self.span("python send", SpanKind.PRODUCER))
        self.python("sender").send(PUBLISH, [envelope("t.x", b"hello", context)])
        self.assertEqual(0, receiver.wait())
        found = self.ladder(4, 1)
        self.assertEqual(["python send", "bridge.publish", "eventbus.publish", "bridge.forward", "agent.on_event"], self.path(found, "agent.on_event"))
        handler = next(span for span in self.bus.spans() if span.name == "agent.on_event")
        sent = next(span for span, (name, _) in found.items() if name == "python send")
        self.assertEqual([sent], [link.span_id for link in handler.links])  # who made it, not who brought it
        self.assertIn(handler.trace_id, receiver.out)

    def test_pythons_consumer_continues_from_the_delivered_envelope(self):
        agent = self.python("receiver")
        agent.ask(SUBSCRIBE, subscription=1, filter="t.>")
        self.bus.loom("pub", "t.x", "hello", "--baggage", "key=a%20value", environment={"TRACESTATE": "a=1,b=2", "TRACEPARENT": f"00-{1:032x}-{1:016x}-01"})
        event = agent.event()
        context = context_of(event)
        self.assertEqual((b"hello", {"key": "a value"}), (event[PAYLOAD], dict(baggage.get_all(context))))
        self.assertEqual([("a", "1"), ("b", "2")], list(trace.get_current_span(context).get_span_context().trace_state.items()))
        self.span("python receive", SpanKind.CONSUMER, context)
        self.bus.wait_spans(5)
        received, = self.exporter.get_finished_spans()
        forward = next(span for span in self.bus.spans() if span.name == "bridge.forward")
        self.assertEqual((forward.trace_id, forward.span_id), (f"{received.context.trace_id:032x}", f"{received.parent.span_id:016x}"))
        self.assertTrue(received.parent.is_remote)
        emitted = next(span for span in self.bus.spans() if span.name == "agent.emit")
        self.assertEqual(emitted.span_id, event[CREATION].hex())

    def test_a_request_and_its_reply_by_python_are_one_trace(self):
        agent = self.python("answering")
        agent.ask(SUBSCRIBE, subscription=1, filter="t.ask")
        asking = self.bus.run("loom", "request", "--url", self.bus.url_of("ipc"), "t.ask", "ping", "--timeout", "20s")
        event = agent.event()
        handled = self.span("python handle", SpanKind.CONSUMER, context_of(event))
        replied = self.span("python reply", SpanKind.PRODUCER, handled)
        agent.send(PUBLISH, [envelope(event[REPLY_TO], b"pong", replied, event[CORRELATION])])
        self.assertEqual((0, "pong"), (asking.wait(), asking.out))
        found = self.ladder(9, 2)
        self.assertEqual(["loom request", "agent.emit", "bridge.publish", "eventbus.publish", "bridge.forward", "python handle", "python reply"],
                         self.path(found, "python reply"))
        self.assertEqual(2, sum(name == "bridge.publish" for name, _ in found.values()))

    def test_python_serves_a_call(self):
        agent = self.python("adder")
        agent.ask(PROVIDE, name="math.add")
        calling = self.bus.run("loom", "invoke", "--url", self.bus.url_of("ipc"), "math.add", "[1, 2]")
        call = agent.receive(CALL)
        self.span("python serve", SpanKind.SERVER, context_of(call[-1]))
        agent.send(RESULT, call[0], 0, "", "", b"3")
        self.assertEqual((0, "3"), (calling.wait(), calling.out))
        self.assertEqual(["loom invoke", "action.invoke", "action.dispatch", "bridge.forward", "python serve"],
                         self.path(self.ladder(4, 1), "python serve"))

    def test_python_calls_and_the_command_of_the_provider_is_python_again(self):
        child = environment.HERE / "child.py"
        provider = self.bus.run("loom", "provide", "--url", self.bus.url_of("ipc"), "--count", "1", "python.child", "--", sys.executable, child)
        wait_until(lambda: "providing" in provider.err or not provider.running(), "the capability is there")
        agent = self.python("caller")
        context = baggage.set_baggage("key", "a value", self.span("python call", SpanKind.CLIENT))
        agent.send(CALL, b"1", "python.child", "", 20000, 0, 0, envelope("python.child", b"", context))
        _, outcome, _, _, payload = agent.receive(RESULT)
        self.assertEqual((0, 0), (outcome, provider.wait()))
        found, below = self.ladder(4, 1), json.loads(payload)
        self.assertEqual(["python call", "action.dispatch", "bridge.forward", "agent.on_action"], self.path(found, "agent.on_action"))
        command, above = found[below["parent_id"]]
        self.assertEqual((pathlib.Path(sys.executable).name, "agent.on_action"), (command, found[above][0]))
        self.assertEqual({"key": "a value"}, below["baggage"])

    def test_a_decision_not_to_sample_is_obeyed_either_way(self):
        agent = self.python("receiver")
        agent.ask(SUBSCRIBE, subscription=1, filter="t.>")
        unsampled = self.tracing(ALWAYS_OFF)[0].get_tracer("python").start_span("python send")
        self.python("sender").send(PUBLISH, [envelope("t.x", b"", trace.set_span_in_context(unsampled))])
        context = context_of(agent.event())
        found = trace.get_current_span(context).get_span_context()
        self.assertEqual((unsampled.get_span_context().trace_id, False), (found.trace_id, found.trace_flags.sampled))
        self.bus.loom("pub", "t.y", "x", environment={"OTEL_TRACES_SAMPLER": "always_off"})
        self.span("python receive", SpanKind.CONSUMER, context_of(agent.event()))
        self.assertEqual(((), []), (self.exporter.get_finished_spans(), self.bus.spans()))


class OnTheOpenBus(Traced, LoomTest):
    """PUSH and SUB of nng, and REQ at the control socket."""

    def nng(self, kind, name, **options):
        return self.enterContext(kind(dial=f"ipc://{self.bus.folder}/{name}.sock", recv_timeout=DEADLINE_S * 1000, **options))

    def test_pythons_producer_is_the_parent_of_the_ladder(self):
        receiver = self.bus.subscriber("t.>", "--count", "1")
        self.nng(pynng.Push0, "in").send(msgpack.packb(envelope("t.x", b"hello", self.span("python send", SpanKind.PRODUCER))))
        self.assertEqual(0, receiver.wait())
        self.assertEqual(["python send", "eventbus.publish", "bridge.forward", "agent.on_event"],
                         self.path(self.ladder(3, 1), "agent.on_event"))

    def test_a_message_from_python_to_python_is_one_trace(self):
        sub = self.nng(pynng.Sub0, "out", topics=["t."])
        wait_until(lambda: self.bus.stats()["bus"]["open_peers"] > 0, "the subscriber at the broker")
        self.nng(pynng.Push0, "in").send(msgpack.packb(envelope("t.x", b"hello", self.span("python send", SpanKind.PRODUCER))))
        unpacker = msgpack.Unpacker()
        unpacker.feed(sub.recv().partition(b"\0")[2])
        _, event = unpacker
        self.span("python receive", SpanKind.CONSUMER, context_of(event))
        self.assertEqual(["python send", "eventbus.publish", "python receive"], self.path(self.ladder(1, 2), "python receive"))

    def test_a_call_through_the_control_socket_is_below_pythons_client(self):
        provider = self.bus.run("loom", "provide", "--url", self.bus.url_of("ipc"), "--count", "1", "echo.it", "--", "cat")
        wait_until(lambda: "providing" in provider.err or not provider.running(), "the capability is there")
        carrier = {}
        W3C.inject(carrier, baggage.set_baggage("key", "value", self.span("python call", SpanKind.CLIENT)))
        control = self.nng(pynng.Req0, "control")
        control.send(msgpack.packb({"op": "invoke", "capability": "echo.it", "payload": b"hello", **carrier}))
        answer = msgpack.unpackb(control.recv())
        self.assertEqual(("ok", b"hello", 0), (answer["outcome_name"], answer["payload"], provider.wait()))
        found = self.ladder(4, 1)
        self.assertEqual(["python call", "action.dispatch", "bridge.forward", "agent.on_action", "cat"], self.path(found, "cat"))


if __name__ == "__main__":
    unittest.main()
