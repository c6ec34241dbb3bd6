# SPDX-License-Identifier: Apache-2.0
"""How a trace gets into a command, by its arguments and its environment, and out of it into the commands that it starts."""

import json
import re
import unittest
import urllib.request

from harness import BIN, LoomTest, wait_until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER = "80f198ee56343ba864fe8b2a57d3eff7"
PARENT, OTHER_PARENT = f"00-{TRACE}-{SPAN}-01", f"00-{OTHER}-e457b5a2e4d86bd1-01"
UUID = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"


class Incoming(LoomTest):
    """Each of the verbs that send something."""

    def setUp(self):
        self.bus = self.home()
        self.receiver = self.agent(self.bus, "receiver").subscribe("t.>")

    def verbs(self, *options, code=None, **environment):
        """Runs them all; what each said on standard error, and the spans of all."""
        before = len(self.bus.spans())
        told = {}
        for verb, arguments in (("pub", ("t.pub", "x")), ("request", ("t.request", "x", "--timeout", "50ms")),
                                ("invoke", ("nobody.provides", "x"))):
            done = self.bus.loom(verb, *arguments, *options, environment=environment, code=0 if verb == "pub" else 1)
            told[verb] = done.stderr
        roots = lambda: [s for s in self.bus.spans()[before:] if s.name in ("loom pub", "loom request", "loom invoke")]
        wait_until(lambda: len(roots()) == 3, "the spans of three commands")
        return told, roots()

    def joined(self, trace, span, *options, told=(), **environment):
        said, spans = self.verbs(*options, **environment)
        for found in spans:
            self.assertEqual((trace, span), (found.trace_id, found.parent_id), found.name)
        for verb, text in said.items():
            for expected in told:
                self.assertEqual(1, text.count(expected), f"{verb}: {text}")
            self.assertEqual(len(told), text.count("; ignored"), f"{verb}: {text}")

    def test_each_level_is_joined(self):
        self.joined(TRACE, SPAN, TRACEPARENT=PARENT)
        self.joined(TRACE, SPAN, OTEL_TRACEPARENT=PARENT)
        self.joined(TRACE, SPAN, LOOM_TRACE_ID=UUID, LOOM_SPAN_ID=SPAN)
        self.joined(TRACE, SPAN, "--trace-parent", PARENT)

    def test_a_level_goes_before_those_below_it(self):
        below = {"LOOM_TRACE_ID": "1" * 32, "LOOM_SPAN_ID": "2" * 16}
        self.joined(TRACE, SPAN, OTEL_TRACEPARENT=PARENT, **below)
        self.joined(TRACE, SPAN, TRACEPARENT=PARENT, OTEL_TRACEPARENT=OTHER_PARENT, **below)
        self.joined(TRACE, SPAN, f"--trace-parent={PARENT}", TRACEPARENT=OTHER_PARENT, OTEL_TRACEPARENT=OTHER_PARENT, **below)

    def test_what_is_not_valid_is_told_once_and_falls_through_to_the_next_level(self):
        self.joined(TRACE, SPAN, "--trace-parent", "nonsense", TRACEPARENT=PARENT, told=('--trace-parent: "nonsense" is shorter than',))
        self.joined(TRACE, SPAN, "--trace-parent", PARENT.replace("00-", "ff-", 1), TRACEPARENT=PARENT + "-more", LOOM_TRACE_ID=TRACE,
                    LOOM_SPAN_ID=SPAN, told=("--trace-parent: ", " TRACEPARENT: "))
        self.joined(TRACE, SPAN, TRACEPARENT="x", OTEL_TRACEPARENT="y", LOOM_TRACE_ID=TRACE, LOOM_SPAN_ID=SPAN,
                    told=(' TRACEPARENT: "x"', 'OTEL_TRACEPARENT: "y"'))

    def test_nothing_valid_starts_a_trace_and_fails_nothing(self):
        told, spans = self.verbs("--trace-parent", "", TRACEPARENT="\x1b[31m", LOOM_SPAN_ID=SPAN)
        self.assertEqual(["", "", ""], [span.parent_id for span in spans])
        for text in told.values():
            self.assertNotIn("\x1b", text)
            self.assertEqual(3, text.count("; ignored"), text)

    def test_a_trace_id_alone_names_the_trace_of_a_root(self):
        self.joined(TRACE, "", LOOM_TRACE_ID=TRACE)

    def test_propagators_decide_which_variables_count(self):
        b3 = {"B3": f"{TRACE}-{SPAN}-1", "TRACEPARENT": OTHER_PARENT}
        self.joined(TRACE, SPAN, OTEL_PROPAGATORS="b3", **b3)
        self.joined(TRACE, SPAN, OTEL_PROPAGATORS="b3multi,tracecontext", X_B3_TRACEID=TRACE, X_B3_SPANID=SPAN, X_B3_SAMPLED="1")
        self.joined(OTHER, "e457b5a2e4d86bd1", **b3)
        self.joined(TRACE, SPAN, OTEL_PROPAGATORS="x-trace-id", X_TRACE_ID=UUID, X_SPAN_ID=f"{SPAN[:8]}-{SPAN[8:12]}-{SPAN[12:]}-0000-000000000000")
        _, spans = self.verbs(OTEL_PROPAGATORS="none", LOOM_TRACE_ID=TRACE, LOOM_SPAN_ID=SPAN, **b3)
        self.assertEqual(["", "", ""], [span.parent_id for span in spans])

    def test_b3_that_denies_sampling_is_obeyed(self):
        self.bus.loom("pub", "t.quiet", "x", environment={"OTEL_PROPAGATORS": "b3", "B3": "0"})
        event = self.receiver.wait_events(1)[0]
        self.assertEqual(0, event.context.flags & 1)
        self.assertEqual([], self.bus.spans())

    def test_state_and_baggage_go_with_the_message_from_the_level_that_counts(self):
        environment = {"TRACEPARENT": OTHER_PARENT, "TRACESTATE": "e=1", "BAGGAGE": "from=environment"}
        self.bus.loom("pub", "t.x", "x", environment=environment)
        self.bus.loom("pub", "t.x", "x", "--trace-parent", PARENT, environment=environment)
        self.bus.loom("pub", "t.x", "x", "--trace-parent", PARENT, "--trace-state", "a=1,b=2", "--baggage", "from = line;p", environment=environment)
        self.bus.loom("pub", "t.x", "x", "--baggage", "no member", environment={"LOOM_TRACE_BAGGAGE": "tenant_id=foo"})
        found = [(event.context.trace_id, event.tracestate, event.baggage) for event in self.receiver.wait_events(4)]
        self.assertEqual([(OTHER, "e=1", "from=environment"), (TRACE, None, "from=environment"), (TRACE, "a=1,b=2", "from=line;p")], found[:3])
        self.assertEqual("tenant_id=foo", found[3][2])

    def test_many_messages_tell_of_a_bad_parent_once(self):
        done = self.bus.loom("pub", "t.x", "x", "--count", "5", environment={"TRACEPARENT": "nonsense"})
        self.assertEqual(1, done.stderr.count("nonsense"))

    def test_the_parent_goes_on_when_tracing_is_off(self):
        """OTEL_SDK_DISABLED: "propagation stays on"."""
        self.bus.loom("pub", "t.x", "x", "--trace-parent", PARENT, environment={"OTEL_SDK_DISABLED": "true"})
        self.assertEqual(TRACE, self.receiver.wait_events(1)[0].context.trace_id)


class Long(LoomTest):
    """Commands that run until they are stopped, for the traces of others."""

    def test_a_subscriber_is_a_span_of_the_trace_it_was_started_in_and_events_are_not(self):
        bus = self.home()
        receiver = bus.subscriber("t.>", "--count", "1", environment={"TRACEPARENT": PARENT})
        trace = bus.loom("pub", "t.x", "x").stdout.strip()
        self.assertEqual(0, receiver.wait())
        spans = {span.name: span for span in bus.wait_spans(7)}
        self.assertEqual((TRACE, SPAN), (spans["loom sub"].trace_id, spans["loom sub"].parent_id))
        self.assertEqual(trace, spans["agent.on_event"].trace_id)

    def provided(self, bus, *options, script="env", **environment):
        provider = bus.run("loom", "provide", "--url", bus.url, "--count", "1", *options, "env.show", "--", "sh", "-c", script,
                           environment=environment)
        wait_until(lambda: "providing" in provider.err or not provider.running(), "the capability is there")
        return provider

    def variables(self, bus, provider, **environment):
        done = json.loads(bus.loom("invoke", "env.show", "--json", environment=environment).stdout)
        self.assertEqual(0, provider.wait(), provider.err)
        return dict(line.split("=", 1) for line in done["payload"].splitlines() if "=" in line), done["trace_id"]

    def test_a_provider_is_a_span_of_the_trace_it_was_started_in_and_calls_are_not(self):
        bus = self.home()
        provider = self.provided(bus, "--trace-parent", PARENT, TRACEPARENT=OTHER_PARENT)
        _, trace = self.variables(bus, provider)
        spans = {span.name: span for span in bus.wait_spans(7)}
        self.assertEqual((TRACE, SPAN), (spans["loom provide"].trace_id, spans["loom provide"].parent_id))
        self.assertEqual("env.show", spans["loom provide"].attributes["capability"])
        self.assertEqual(trace, spans["agent.on_action"].trace_id)
        self.assertNotEqual(TRACE, trace)

    def test_a_command_is_given_its_span_below_the_call_and_never_what_its_provider_inherited(self):
        bus = self.home()
        stale = {"TRACEPARENT": PARENT, "TRACESTATE": "stale=1", "BAGGAGE": "stale=1", "OTEL_TRACEPARENT": PARENT, "B3": "0",
                 "X_B3_TRACEID": TRACE, "LOOM_TRACE_ID": TRACE, "LOOM_SPAN_ID": SPAN, "LOOM_TRACE_BAGGAGE": "stale=1", "KEPT": "yes"}
        seen, trace = self.variables(bus, self.provided(bus, **stale), TRACESTATE="a=1", BAGGAGE="k=v", TRACEPARENT=OTHER_PARENT)
        spans = bus.wait_spans(6)
        call = next(span for span in spans if span.name == "agent.on_action")
        span = next(span for span in spans if "process.pid" in span.attributes)
        self.assertEqual((call.trace_id, call.span_id), (span.trace_id, span.parent_id))
        self.assertEqual(f"00-{trace}-{span.span_id}-01", seen["TRACEPARENT"])
        self.assertEqual((OTHER, OTHER, span.span_id), (trace, seen["LOOM_TRACE_ID"], seen["LOOM_SPAN_ID"]))
        self.assertEqual(("a=1", "k=v", "k=v"), (seen["TRACESTATE"], seen["BAGGAGE"], seen["LOOM_TRACE_BAGGAGE"]))
        self.assertEqual(("yes", "env.show"), (seen["KEPT"], seen["LOOM_CAPABILITY"]))
        self.assertFalse({"OTEL_TRACEPARENT", "B3", "X_B3_TRACEID"} & set(seen))

    def test_a_call_without_context_leaves_none_behind(self):
        bus = self.home(environment={"OTEL_SDK_DISABLED": "true"}, spans=False)
        seen, trace = self.variables(bus, self.provided(bus, TRACEPARENT=PARENT, BAGGAGE="stale=1", LOOM_TRACE_ID=TRACE))
        self.assertIsNone(trace)
        self.assertFalse({"TRACEPARENT", "BAGGAGE", "LOOM_TRACE_ID"} & set(seen))

    def test_a_command_is_given_the_fields_of_the_propagators(self):
        bus = self.home()
        seen, trace = self.variables(bus, self.provided(bus, OTEL_PROPAGATORS="b3,b3multi"))
        self.assertTrue(seen["B3"].startswith(trace))
        self.assertEqual((trace, "1"), (seen["X_B3_TRACEID"], seen["X_B3_SAMPLED"]))
        self.assertNotIn("TRACEPARENT", seen)

    def test_what_a_command_publishes_is_below_its_call(self):
        bus = self.home()
        receiver = self.agent(bus, "receiver").subscribe("from.>")
        provider = self.provided(bus, script=f"{BIN / 'loom'} pub --url {bus.url} from.command x")
        bus.loom("invoke", "env.show", "x")
        self.assertEqual(0, provider.wait(), provider.err)
        receiver.wait_events(1)
        spans = {"command" if "process.pid" in span.attributes else span.name: span for span in bus.wait_spans(11)}
        self.assertEqual(spans["agent.on_action"].span_id, spans["command"].parent_id)
        self.assertEqual(spans["command"].span_id, spans["loom pub"].parent_id)

    def test_spans_of_a_library_in_the_command_are_below_it(self):
        bus = self.home()
        line = ('__LOOM_TRACE__:{"trace_id":"%s","span_id":"00000000000000a1","parent_id":"%s","name":"inside",'
                '"start_time":"2026-01-15T10:30:00Z","end_time":"2026-01-15T10:30:01Z","attributes":{"password":"x","n":1}}')
        script = f"printf '{line}\\nreal trouble\\n' $LOOM_TRACE_ID $LOOM_SPAN_ID >&2; exit 3"
        provider = self.provided(bus, "--metrics", "http://127.0.0.1:0", "--count", "2", script=script)
        done = bus.loom("invoke", "env.show", "x", code=1)
        self.assertIn("real trouble", done.stderr)
        self.assertNotIn("__LOOM", done.stderr)
        spans = {"command" if "process.pid" in span.attributes else span.name: span for span in bus.wait_spans(7)}
        with urllib.request.urlopen(re.search(r"metrics at (\S+)", provider.err)[1]) as answer:
            self.assertIn("\nloom_command_spans_collected_total 1\n", answer.read().decode())
        bus.loom("invoke", "env.show", "x", code=1)
        self.assertEqual(0, provider.wait(), provider.err)
        self.assertEqual((spans["command"].span_id, "exit_3"), (spans["inside"].parent_id, spans["command"].attributes["error.type"]))
        self.assertEqual({"password": "[masked]", "n": 1}, spans["inside"].attributes)


if __name__ == "__main__":
    unittest.main()
