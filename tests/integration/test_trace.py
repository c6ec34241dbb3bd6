# SPDX-License-Identifier: Apache-2.0
"""Every message is a trace: the ladder, exact counts, unsampled messages, and contexts of other programs."""

import collections
import json
import unittest

from harness import in_both_homes, wait_until
import ladder
from packing import Ext
import wire

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@in_both_homes
class Ladders:
    def test_one_event_is_a_ladder_of_the_commands_span_and_five_hops(self):
        home = self.home()
        receiver = home.subscriber("greetings.>", "--count", "1")
        home.loom("pub", "greetings.all", "hello")
        self.assertEqual(0, receiver.wait())
        found = home.wait_spans(6)
        expected = [ladder.Rung("loom pub", "INTERNAL", "loom-cli"), *ladder.hop("loom-cli", "loom-cli", first=1)]
        climbed = ladder.assert_ladder(found, expected)
        ladder.assert_searchable(climbed, expected)
        ladder.assert_nothing_odd(climbed)

    def counted(self, events, subscribers):
        """N events to M subscribers make N·(3+2M) spans and the N roots of the command that published them."""
        home = self.home()
        receivers = [home.subscriber("count.>", "--count", events) for _ in range(subscribers)]
        home.loom("pub", "count.them", "payload", "--count", events)
        for receiver in receivers:
            self.assertEqual(0, receiver.wait())
        expected = events * (3 + 2 * subscribers) + events
        home.wait_spans(expected)
        home.stop()
        found = home.spans()
        names = collections.Counter(span.name for span in found)
        print(f"\n{self.kind} N={events} M={subscribers}: {len(found)} spans, {dict(names)}")
        self.assertEqual(expected, len(found))
        self.assertEqual({"loom pub": events, "agent.emit": events, "bridge.publish": events, "eventbus.publish": events,
                          "bridge.forward": events * subscribers, "agent.on_event": events * subscribers}, names)
        self.check_tree(found, events, subscribers)

    def check_tree(self, found, events, subscribers):
        above = {"agent.emit": "loom pub", "bridge.publish": "agent.emit", "eventbus.publish": "bridge.publish",
                 "bridge.forward": "eventbus.publish", "agent.on_event": "bridge.forward"}
        service = {"loom pub": "loom-cli", "agent.emit": "loom-cli", "bridge.publish": "loom-bridge",
                   "eventbus.publish": "loom-broker", "bridge.forward": "loom-bridge", "agent.on_event": "loom-cli"}
        by_id = {span.span_id: span for span in found}
        self.assertEqual(len(found), len(by_id), "a span id was used twice")
        children = collections.Counter(span.parent_id for span in found)
        traces = collections.defaultdict(list)
        for span in found:
            traces[span.trace_id].append(span)
            self.assertEqual(service[span.name], span.service)
            if span.name == "loom pub":
                self.assertEqual("", span.parent_id)
                continue
            parent = by_id.get(span.parent_id)
            self.assertIsNotNone(parent, f"{span.name} is an orphan")
            self.assertEqual((above[span.name], span.trace_id), (parent.name, parent.trace_id))
            wanted = [(span.trace_id, self.emit_of(by_id, span))] if span.name == "agent.on_event" else []
            self.assertEqual(wanted, [(link.trace_id, link.span_id) for link in span.links])
            if span.name == "bridge.forward":
                self.assertEqual(1, children[span.span_id], "each forward has the one handler it went to")
        self.assertEqual(events, len(traces))
        self.assertEqual({4 + 2 * subscribers}, {len(spans) for spans in traces.values()})

    @staticmethod
    def emit_of(by_id, span):
        while span.name != "agent.emit":
            span = by_id[span.parent_id]
        return span.span_id

    def test_100_events_to_one_subscriber_make_exactly_500_spans_and_their_roots(self):
        self.counted(100, 1)

    def test_100_events_to_four_subscribers_make_exactly_1100_spans_and_their_roots(self):
        self.counted(100, 4)

    def test_the_spans_of_an_event_name_the_message_as_the_envelope_does(self):
        home = self.home()
        receiver = self.agent(home, "receiver").subscribe("named.>")
        home.loom("pub", "named.event", "x", "--thread", "t-1", "--correlation", "c-1", "--type", "a.type")
        receiver.wait_events(1)
        for span in home.wait_spans(5):
            if span.name != "loom pub":
                self.assertEqual(("named.event", "t-1", "c-1"),
                                 tuple(span.attributes[key] for key in ("topic", "thread_id", "correlation_id")), span.name)


@in_both_homes
class Processes:
    def test_a_parent_is_remote_when_it_is_of_another_process(self):
        """trace.proto, SpanFlags: bit 8 says that it is known, bit 9 that it is so."""
        home = self.home()
        receiver = self.agent(home, "receiver").subscribe("far.>")
        sender = self.agent(home, "sender")
        sender.publish("far.away", b"x", hop=wire.new_hop())
        receiver.wait_events(1)
        home.wait_spans(3)
        home.stop()
        flags = {span["name"]: span["flags"] >> 8 for line in home.spans_path.read_text().splitlines()
                 for resource in json.loads(line)["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]}
        between = 3 if home.bridge else 1
        self.assertEqual({"bridge.publish": 3, "eventbus.publish": between, "bridge.forward": between}, flags)


@in_both_homes
class Unsampled:
    def test_a_sampler_that_is_off_makes_no_span_and_the_event_arrives(self):
        home = self.home(environment={"OTEL_TRACES_SAMPLER": "always_off"})
        receiver = home.subscriber("quiet.>", "--count", "20")
        home.loom("pub", "quiet.one", "x", "--count", "20")
        self.assertEqual(0, receiver.wait())
        home.stop()
        self.assertEqual([], home.spans())

    def test_a_traceparent_that_is_not_sampled_makes_no_span_and_keeps_its_trace(self):
        home = self.home()
        receiver = self.agent(home, "receiver").subscribe("quiet.>")
        home.loom("pub", "quiet.one", "x", environment={"TRACEPARENT": f"00-{TRACE}-{SPAN}-00"})
        self.assertEqual(TRACE, receiver.wait_events(1)[0].context.trace_id)
        self.assertEqual(0, receiver.events[0].context.flags & 1)
        home.stop()
        self.assertEqual([], home.spans())

    def test_an_unsampled_hop_context_arrives_as_it_was_sent(self):
        home = self.home()
        receiver = self.agent(home, "receiver").subscribe("quiet.>")
        sender = self.agent(home, "sender")
        sent = wire.Hop(TRACE, SPAN, flags=0, ttl=9)
        sender.publish("quiet.hop", b"x", hop=sent, creation=bytes.fromhex(SPAN), tracestate="a=b", baggage="k=v")
        event = receiver.wait_events(1)[0]
        self.assertEqual(wire.Hop(TRACE, SPAN, flags=0, ttl=8), event.context)
        self.assertEqual((bytes.fromhex(SPAN), "a=b", "k=v"), (event.creation, event.tracestate, event.baggage))
        home.stop()
        self.assertEqual([], home.spans())


@in_both_homes
class ForeignContexts:
    """Clients that know nothing of Loom but its bytes."""

    def delivered(self, home, hop, **fields):
        receiver = self.agent(home, "receiver").subscribe("foreign.>")
        sender = self.agent(home, "foreigner", scheme="ws")
        sender.publish_raw([wire.envelope("foreign.event", b"payload", hop=hop, **fields)])
        event = receiver.wait_events(1)[0]
        self.assertEqual((b"payload", "foreigner"), (event.payload, event.sender))
        home.wait_spans(3)
        home.stop()
        return event, home.spans()

    def assert_rooted(self, event, found):
        """bridge.publish is the root, and what arrived belongs to its trace."""
        expected = [ladder.Rung("bridge.publish", "CONSUMER", "loom-bridge"),
                    ladder.Rung("eventbus.publish", "INTERNAL", "loom-broker"),
                    ladder.Rung("bridge.forward", "PRODUCER", "loom-bridge")]
        climbed = ladder.assert_ladder(found, expected)
        self.assertEqual((climbed[2].trace_id, climbed[2].span_id, 1),
                         (event.context.trace_id, event.context.span_id, event.context.flags & 1))
        self.assertEqual("foreigner", climbed[0].attributes["agent_id"])

    def test_an_envelope_without_context_and_sender_gets_a_root_and_its_sender(self):
        self.assert_rooted(*self.delivered(self.home(listen=("ipc", "ws")), None))

    def test_a_traceparent_as_text_joins_its_trace(self):
        event, found = self.delivered(self.home(listen=("ipc", "ws")), f"00-{TRACE}-{SPAN}-01")
        self.assertEqual({TRACE}, {span.trace_id for span in found})
        names = {span.name: span for span in found}
        self.assertEqual(SPAN, names["bridge.publish"].parent_id)
        self.assertEqual(names["bridge.publish"].span_id, names["eventbus.publish"].parent_id)
        self.assertEqual((TRACE, names["bridge.forward"].span_id), (event.context.trace_id, event.context.span_id))

    def test_ids_that_are_not_valid_count_as_absent(self):
        for hop in (wire.Hop("0" * 32, SPAN, 1), wire.Hop(TRACE, "0" * 16, 1), "not a traceparent",
                    f"00-{'0' * 32}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01"):
            with self.subTest(hop=hop):
                home = self.home(listen=("ipc", "ws"))
                self.assert_rooted(*self.delivered(home, hop))

    def test_an_extension_of_another_kind_is_no_context(self):
        home = self.home(listen=("ipc", "ws"))
        self.assert_rooted(*self.delivered(home, Ext(7, b"abcd")))


    def test_the_tracestate_of_an_invalid_context_is_discarded_with_it(self):
        """W3C Trace Context, 3.3."""
        for hop in (wire.Hop("0" * 32, SPAN, 1), None, f"00-{TRACE}-{'0' * 16}-01"):
            with self.subTest(hop=hop):
                event, found = self.delivered(self.home(listen=("ipc", "ws")), hop, tracestate="a=1", baggage="k=v")
                self.assertEqual((None, "k=v"), (event.tracestate, event.baggage))
                self.assert_rooted(event, found)

    def test_too_much_tracestate_and_baggage_is_cut_by_whole_members_and_the_message_arrives(self):
        """W3C Trace Context, 3.3.1.5; W3C Baggage, 3.3.2."""
        tracestate = ",".join(f"k{n}={'v' * 98}" for n in range(6))
        baggage = ",".join(f"k{n:02}={'v' * 396}" for n in range(25))
        event, _ = self.delivered(self.home(listen=("ipc", "ws")), wire.Hop(TRACE, SPAN, 1), tracestate=tracestate,
                                  baggage=baggage)
        self.assertEqual(",".join(tracestate.split(",")[:5]), event.tracestate)
        self.assertEqual(",".join(baggage.split(",")[:20]), event.baggage)


@in_both_homes
class CommandLine:
    """`loom` as part of somebody's trace: https://opentelemetry.io/docs/specs/otel/context/env-carriers/"""

    def test_without_an_sdk_the_bus_starts_the_trace(self):
        for off in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "NONE", "LOOM_SPANS_FILE": ""}):
            with self.subTest(off):
                home = self.home()
                receiver = self.agent(home, "receiver").subscribe("off.>")
                self.assertEqual("", home.loom("pub", "off.x", "x", environment=off).stdout)
                self.assertNotIn("trace_id", json.loads(home.loom("pub", "off.x", "x", "--json", environment=off).stdout))
                self.assertEqual([1, 1], [event.context.flags & 1 for event in receiver.wait_events(2)])
                home.wait_spans(6)
                roots = [span.name for span in home.spans() if not span.parent_id]
                self.assertEqual(["bridge.publish"] * 2, roots)

    def test_context_of_the_environment_goes_with_the_message(self):
        home = self.home()
        receiver = self.agent(home, "receiver").subscribe("carried.>")
        carried = {"TRACEPARENT": f"00-{TRACE}-{SPAN}-01\n", "TRACESTATE": "a=1,b=2\n", "BAGGAGE": " user = x ,k=v\n"}
        home.loom("pub", "carried.pub", "x", environment=carried)
        home.loom("request", "carried.request", "x", "--timeout", "100ms", environment=carried, code=(4, 5))
        for event in receiver.wait_events(2):
            self.assertEqual((TRACE, "a=1,b=2", "user=x,k=v"), (event.context.trace_id, event.tracestate, event.baggage))

    def test_a_call_brings_its_baggage_to_the_command(self):
        home = self.home()
        provider = home.run("loom", "provide", "env.show", "--url", home.url, "--count", "1", "--", "sh", "-c",
                            'printf "%s %s" "$TRACESTATE" "$BAGGAGE"', environment={"BAGGAGE": "the=providers"})
        wait_until(lambda: "providing" in provider.err + provider.out, "the capability is there")
        baggage = ",".join(f"k{n:02}={'v' * 196}" for n in range(20))
        carried = {"TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "TRACESTATE": "a=1", "BAGGAGE": baggage}
        self.assertEqual(f"a=1 {baggage}", home.loom("invoke", "env.show", environment=carried).stdout)
        self.assertEqual(0, provider.wait())

    def test_a_trace_that_nobody_takes_is_told_in_one_line(self):
        home = self.home(spans=False)
        done = home.loom("pub", "nobody.listens", "-l", given="1\n2\n3\n", environment={
            "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:secret@127.0.0.1:1"})
        self.assertEqual(3, len(done.stdout.split()))
        self.assertEqual(1, len([line for line in done.stderr.splitlines() if not line.startswith("published 3 ")]), done.stderr)
        self.assertIn("the trace is not exported", done.stderr)
        self.assertIn("127.0.0.1:1", done.stderr)
        self.assertNotIn("secret", done.stderr)

    def test_every_bad_variable_is_told_once(self):
        home = self.home(spans=False)
        done = home.loom("pub", "bad.variables", "x", environment={
            "OTEL_TRACES_SAMPLER": "alwayson", "OTEL_BSP_MAX_QUEUE_SIZE": "many"})
        for line in ('OTEL_TRACES_SAMPLER: "alwayson" is no sampler; using parentbased_always_on', "OTEL_BSP_MAX_QUEUE_SIZE"):
            self.assertEqual(1, done.stderr.count(line), done.stderr)


@in_both_homes
class Hops:
    def test_a_message_with_its_hops_used_up_is_dropped_and_its_trace_says_so(self):
        home = self.home()
        receiver = self.agent(home, "receiver").subscribe("ttl.>")
        sender = self.agent(home, "sender")
        sender.publish("ttl.gone", b"0", hop=wire.new_hop(ttl=0))
        sender.publish("ttl.alive", b"1", hop=wire.new_hop(ttl=1))
        self.assertEqual([b"1"], [event.payload for event in receiver.wait_events(1)])
        self.assertEqual(0, receiver.events[0].context.ttl)
        self.assertEqual({"ttl_expired": 1}, home.dropped())
        home.stop()
        lost = [span for span in home.spans() if span.events]
        self.assertEqual([("eventbus.publish", "ttl.gone", 2)], [(s.name, s.attributes["topic"], s.status) for s in lost])
        self.assertEqual([("loom.drop", {"loom.drop.reason": "ttl_expired"})], lost[0].events)


if __name__ == "__main__":
    unittest.main()
