# SPDX-License-Identifier: Apache-2.0
"""How a trace gets into a command, by its arguments and its environment, and out of it into the commands that it starts."""

import json
import re
import unittest
import urllib.request

import control
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
            done = self.bus.loom(verb, *arguments, *options, environment=environment, code=0 if verb == "pub" else (4, 5))
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


T1, T2, T3, T4, T5 = (f"{n}" * 32 for n in "12345")
S1, S2, S3, S4, S5 = (f"{n}" * 16 for n in "12345")
LEVELS = {"TRACEPARENT": f"00-{T2}-{S2}-01", "OTEL_TRACEPARENT": f"00-{T3}-{S3}-01", "LOOM_TRACE_ID": T4, "LOOM_SPAN_ID": S4}
B3 = {"OTEL_PROPAGATORS": "b3"}
X = {"OTEL_PROPAGATORS": "x-trace-id"}
NEW = "new"  # a trace of its own
# What it is, the environment, options, then (trace, parent, sampled) of the span; what is told ("NAME: " of each, in order).
TABLE = [
    # precedence
    ("all levels", LEVELS, ("--trace-parent", f"00-{T1}-{S1}-01"), (T1, S1, 1), ()),
    ("without the option", LEVELS, (), (T2, S2, 1), ()),
    ("without TRACEPARENT", {**LEVELS, "TRACEPARENT": ""}, (), (T3, S3, 1), ()),
    ("LOOM_TRACE_ID alone", {**LEVELS, "TRACEPARENT": "", "OTEL_TRACEPARENT": ""}, (), (T4, S4, 1), ()),
    ("nothing", {}, (), (NEW, "", 1), ()),
    ("a bad value at each level", {name: "bad" for name in LEVELS}, ("--trace-parent", "bad"), (NEW, "", 1),
     ("--trace-parent", "TRACEPARENT", "OTEL_TRACEPARENT", "LOOM_TRACE_ID")),
    ("bad ones above a good one", {**LEVELS, "TRACEPARENT": "00-bad"}, ("--trace-parent", ""), (T3, S3, 1), ("--trace-parent", "TRACEPARENT")),
    ("bad ones below a good one are not looked at", {**LEVELS, "OTEL_TRACEPARENT": "bad", "LOOM_TRACE_ID": "bad"}, (), (T2, S2, 1), ()),
    # traceparent (Trace Context 3.2)
    ("white space and a line end", {"TRACEPARENT": f" \t00-{T1}-{S1}-01 \r\n"}, (), (T1, S1, 1), ()),
    ("capitals", {"TRACEPARENT": f"00-{'AB' * 16}-{S1}-01"}, (), (NEW, "", 1), ("TRACEPARENT",)),
    ("version ff", {"TRACEPARENT": f"ff-{T1}-{S1}-01"}, (), (NEW, "", 1), ("TRACEPARENT",)),
    ("version 00 and more", {"TRACEPARENT": f"00-{T1}-{S1}-01-00"}, (), (NEW, "", 1), ("TRACEPARENT",)),
    ("a later version and more", {"TRACEPARENT": f"cc-{T1}-{S1}-01-what-may-come"}, (), (T1, S1, 1), ()),
    ("a later version that runs on", {"TRACEPARENT": f"cc-{T1}-{S1}-01.what"}, (), (NEW, "", 1), ("TRACEPARENT",)),
    ("zeros as the trace", {"TRACEPARENT": f"00-{'0' * 32}-{S1}-01"}, (), (NEW, "", 1), ("TRACEPARENT",)),
    ("zeros as the parent", {"TRACEPARENT": f"00-{T1}-{'0' * 16}-01"}, (), (NEW, "", 1), ("TRACEPARENT",)),
    ("flags that are reserved", {"TRACEPARENT": f"00-{T1}-{S1}-fd"}, (), (T1, S1, 1), ()),
    ("not sampled", {"TRACEPARENT": f"00-{T1}-{S1}-02"}, (), (T1, None, 0), ()),
    ("thousands of characters", {"TRACEPARENT": f"00-{T1}-{S1}-01" * 1000}, (), (NEW, "", 1), ("TRACEPARENT",)),
    # LOOM_TRACE_ID, LOOM_SPAN_ID, and the same as X-Trace-ID, X-Span-ID: hex or UUIDs
    ("UUIDs", {"LOOM_TRACE_ID": UUID, "LOOM_SPAN_ID": UUID}, (), (TRACE, TRACE[:16], 1), ()),
    ("capital UUIDs", {"LOOM_TRACE_ID": UUID.upper(), "LOOM_SPAN_ID": S1}, (), (TRACE, S1, 1), ()),
    ("32 digits as a span id", {"LOOM_TRACE_ID": T1, "LOOM_SPAN_ID": TRACE}, (), (T1, TRACE[:16], 1), ()),
    ("a trace id alone", {"LOOM_TRACE_ID": T1}, (), (T1, "", 1), ()),
    ("a span id alone", {"LOOM_SPAN_ID": S1}, (), (NEW, "", 1), ("LOOM_SPAN_ID",)),
    ("dashes in wrong places", {"LOOM_TRACE_ID": "4bf92f3577b3-4da6-a3ce-929d0e0e-4736"}, (), (NEW, "", 1), ("LOOM_TRACE_ID",)),
    ("braces", {"LOOM_TRACE_ID": "{" + UUID + "}"}, (), (NEW, "", 1), ("LOOM_TRACE_ID",)),
    ("too long", {"LOOM_TRACE_ID": UUID + "0"}, (), (NEW, "", 1), ("LOOM_TRACE_ID",)),
    ("too short", {"LOOM_TRACE_ID": TRACE[:31]}, (), (NEW, "", 1), ("LOOM_TRACE_ID",)),
    ("a bad span id", {"LOOM_TRACE_ID": T1, "LOOM_SPAN_ID": "bad"}, (), (NEW, "", 1), ("LOOM_SPAN_ID",)),
    ("a span UUID whose front is zeros", {"LOOM_TRACE_ID": T1, "LOOM_SPAN_ID": "00000000-0000-0000-1111-111111111111"}, (), (NEW, "", 1),
     ("LOOM_SPAN_ID",)),
    ("UUIDs as X-Trace-ID", {**X, "X_TRACE_ID": UUID, "X_SPAN_ID": UUID}, (), (TRACE, TRACE[:16], 1), ()),
    ("capitals without dashes", {**X, "X_TRACE_ID": TRACE.upper(), "X_SPAN_ID": SPAN.upper()}, (), (TRACE, SPAN, 1), ()),
    ("an X-Trace-ID that is too long", {**X, "X_TRACE_ID": UUID * 99, "LOOM_TRACE_ID": T1}, (), (T1, "", 1), ("X_TRACE_ID",)),
    ("an X-Span-ID alone", {**X, "X_SPAN_ID": UUID, "LOOM_TRACE_ID": T1}, (), (T1, "", 1), ("X_SPAN_ID",)),
    ("X-Trace-ID unasked for", {"X_TRACE_ID": UUID}, (), (NEW, "", 1), ()),
    # B3
    ("b3", {**B3, "B3": f"{T1}-{S1}-1"}, (), (T1, S1, 1), ()),
    ("b3 of 64 bits", {**B3, "B3": f"{S2}-{S1}-1"}, (), ("0" * 16 + S2, S1, 1), ()),
    ("b3 debug", {**B3, "B3": f"{T1}-{S1}-d"}, (), (T1, S1, 1), ()),
    ("b3 without a decision", {**B3, "B3": f"{T1}-{S1}"}, (), (T1, S1, 1), ()),
    ("b3 denies", {**B3, "B3": f"{T1}-{S1}-0"}, (), (T1, None, 0), ()),
    ("b3 denies without ids", {**B3, "B3": "0"}, (), (NEW, None, 0), ()),
    ("b3 in capitals", {**B3, "B3": f"{'AB' * 16}-{S1}-1"}, (), (NEW, "", 1), ("B3",)),
    ("b3 malformed, and the variables of b3multi", {**B3, "B3": "x", "X_B3_TRACEID": T1, "X_B3_SPANID": S1, "X_B3_SAMPLED": "0"}, (),
     (T1, None, 0), ("B3",)),
    ("X_B3_FLAGS before X_B3_SAMPLED", {**B3, "X_B3_TRACEID": T1, "X_B3_SPANID": S1, "X_B3_SAMPLED": "0", "X_B3_FLAGS": "1"}, (), (T1, S1, 1), ()),
    ("X_B3_TRACEID alone", {**B3, "X_B3_TRACEID": T1, "LOOM_TRACE_ID": T4}, (), (T4, "", 1), ("X_B3_TRACEID",)),
    ("b3 unasked for", {"B3": f"{T1}-{S1}-1"}, (), (NEW, "", 1), ()),
    # OTEL_PROPAGATORS
    ("none", {**LEVELS, "OTEL_PROPAGATORS": "none"}, (), (NEW, "", 1), ()),
    ("none, and the option", {**LEVELS, "OTEL_PROPAGATORS": "None"}, ("--trace-parent", f"00-{T1}-{S1}-01"), (T1, S1, 1), ()),
    ("none beside others", {**LEVELS, "OTEL_PROPAGATORS": "none,tracecontext"}, (), (T2, S2, 1), ("OTEL_PROPAGATORS",)),
    ("any case, and white space", {**LEVELS, "OTEL_PROPAGATORS": " Baggage , TraceContext,,"}, (), (T2, S2, 1), ()),
    ("one that is not supported", {**LEVELS, "OTEL_PROPAGATORS": "xray", "B3": "0"}, (), (T2, S2, 1), ("OTEL_PROPAGATORS",)),
    ("one that is unknown beside b3", {"OTEL_PROPAGATORS": "b4,b3", "B3": f"{T1}-{S1}-1", **LEVELS}, (), (T1, S1, 1), ("OTEL_PROPAGATORS",)),
    ("b3 has no traceparent", {**LEVELS, **B3}, (), (T4, S4, 1), ()),
    ("baggage has no trace", {**LEVELS, "OTEL_PROPAGATORS": "baggage"}, (), (T4, S4, 1), ()),
    ("the first of several that has one", {**LEVELS, "OTEL_PROPAGATORS": "x-trace-id,b3,tracecontext", "B3": f"{T1}-{S1}-1", "X_TRACE_ID": T5}, (),
     (T2, S2, 1), ()),
    # the SDK is off: what came is passed on
    ("OTEL_SDK_DISABLED", {**LEVELS, "OTEL_SDK_DISABLED": "TRUE"}, (), (T2, None, 1), ()),
    ("TRACING_ENABLED", {**LEVELS, "TRACING_ENABLED": "false"}, (), (T2, None, 1), ()),
]
# Name of what is tried, the value, what the message carries, and how often something is told.
CARRIED = [
    ("tracestate", "TRACESTATE", "a=1,b=2", "a=1,b=2", 0),
    ("a tracestate with white space", "TRACESTATE", " a=1 , b=2 ", "a=1,b=2", 0),
    ("a key twice", "TRACESTATE", "a=1,a=2,b=3", "a=1,b=3", 0),
    ("33 members", "TRACESTATE", ",".join(f"k{n}=v" for n in range(33)), None, 1),
    ("a key in capitals", "TRACESTATE", "A=1", None, 1),
    ("over 512 bytes", "TRACESTATE", f"a={'x' * 200},b={'y' * 200},c={'z' * 200}", f"a={'x' * 200},b={'y' * 200}", 0),
    ("a tracestate that is empty", "TRACESTATE", "", None, 0),
    ("baggage", "BAGGAGE", "k=a%20value;p=1, l = 2", "k=a%20value;p=1,l=2", 0),
    ("baggage that need not be encoded", "BAGGAGE", "k=%61,l=%zz", "k=%61,l=%zz", 0),  # passed on as it came
    ("baggage with bad members", "BAGGAGE", "k=v,no member,=x,l=1", "k=v,l=1", 1),
    ("65 members of baggage", "BAGGAGE", ",".join(f"k{n}=v" for n in range(65)), ",".join(f"k{n}=v" for n in range(64)), 1),
    ("over 8192 bytes of baggage", "BAGGAGE", f"a={'x' * 8000},b={'y' * 200},c=z", f"a={'x' * 8000},c=z", 1),
    ("a control character in baggage", "BAGGAGE", "k=a\x01b,l=1", "l=1", 1),
    ("UTF-8 in baggage", "BAGGAGE", "k=ü,l=1", "l=1", 1),
]


class Table(LoomTest):
    """Every level, every form of it, and what is wrong with either, through a command that publishes."""

    def setUp(self):
        self.bus = self.home()
        self.receiver = self.agent(self.bus, "receiver").subscribe("t.>")

    def run_row(self, environment, options=()):
        self.receiver.events.clear()
        before = len(self.bus.spans())
        done = self.bus.loom("pub", "t.x", "x", *options, environment=environment)
        event = self.receiver.wait_events(1)[0]
        if event.context.flags & 1 and "OTEL_SDK_DISABLED" not in environment and "TRACING_ENABLED" not in environment:
            wait_until(lambda: any(span.name == "loom pub" for span in self.bus.spans()[before:]), "the span of the command")
        spans = [span for span in self.bus.spans()[before:] if span.name == "loom pub"]
        return event, spans[0] if spans else None, [line.removeprefix("loom pub: ").removeprefix("loom: ") for line in done.stderr.splitlines()]

    def test_where_a_trace_comes_from(self):
        for what, environment, options, (trace, parent, sampled), names in TABLE:
            with self.subTest(what):
                event, span, told = self.run_row(environment, options)
                self.assertEqual([f"{name}:" for name in names], [line.split(" ")[0] for line in told])
                self.assertEqual(sampled, event.context.flags & 1)
                if trace is not NEW:
                    self.assertEqual(trace, event.context.trace_id)
                self.assertEqual(parent, span.parent_id if span else None)
                self.assertFalse(span and trace is not NEW and span.trace_id != trace)

    def test_what_is_carried_with_it(self):
        for what, name, value, expected, told in CARRIED:
            with self.subTest(what):
                event, _, lines = self.run_row({"TRACEPARENT": PARENT, name: value})
                self.assertEqual(expected, event.tracestate if name == "TRACESTATE" else event.baggage)
                self.assertEqual(told, len(lines), lines)


class Unsampled(LoomTest):
    """A decision not to sample: nothing is exported, kept or logged, and with --no-trace-when-unsampled not even its id is
    printed."""
    QUIET = "--no-trace-when-unsampled"
    DENIED = {"TRACEPARENT": PARENT.replace("-01", "-00")}

    def setUp(self):
        self.bus = self.home()

    def local(self, *arguments, code=0):
        """What a verb of an unsampled trace says, and that it keeps no span anywhere."""
        kept = self.bus.folder / "kept.jsonl"
        done = self.bus.loom(*arguments, code=code, environment={
            **self.DENIED, "OTEL_TRACES_EXPORTER": "console,otlp/stdout,otlp/file", "LOOM_SPANS_FILE": kept, "LOOM_LOG_SPANS": "all"})
        self.assertEqual("", kept.read_text())
        self.assertFalse([line for line in (done.stdout + done.stderr).splitlines() if "span" in line.lower()])
        return done

    def test_ids_are_printed_unless_they_are_not_wanted(self):
        pub, request = ("pub", "t.x", "x"), ("request", "t.x", "x", "--timeout", "50ms")
        invoke = ("invoke", "nobody.provides", "x")
        self.assertEqual(f"{TRACE}\n", self.local(*pub).stdout)
        self.assertEqual("", self.local(*pub, self.QUIET).stdout)
        self.assertNotIn("trace_id", json.loads(self.local(*pub, self.QUIET, "--json").stdout))
        self.assertNotIn("trace_id", json.loads(self.local(*invoke, self.QUIET, "--json", code=5).stdout))
        for verb in (request, invoke):
            self.assertIn(f"trace {TRACE}\n", self.local(*verb, code=(4, 5)).stderr)
            self.assertNotIn(TRACE, self.local(*verb, self.QUIET, code=(4, 5)).stderr)

    def test_a_sampled_trace_is_printed_all_the_same(self):
        self.assertEqual(f"{TRACE}\n", self.bus.loom("pub", "t.x", "x", self.QUIET, "--trace-parent", PARENT).stdout)

    def test_the_message_carries_its_context_all_the_same(self):
        receiver = self.agent(self.bus, "receiver").subscribe("t.>")
        self.local("pub", "t.x", "x", self.QUIET)
        context = receiver.wait_events(1)[0].context
        self.assertEqual((TRACE, 0), (context.trace_id, context.flags & 1))

    def test_a_subscriber_and_a_provider_decide_for_each_message(self):
        lines = self.bus.subscriber("t.>", "--count", "2", self.QUIET)
        objects = self.bus.run("loom", "sub", "--url", self.bus.url, "t.>", "--count", "2", self.QUIET, "--json")
        wait_until(lambda: sum(agent["agent"].startswith("loom-sub-") and len(agent["subscriptions"]) > 0
                               for agent in control.ask(self.bus.control_path, op="agents")["agents"]) >= 2,
                   "both are subscribed")  # of those that came before, an agent may still be there
        provider = self.bus.run("loom", "provide", "--url", self.bus.url, "--count", "2", self.QUIET, "echo.it", "--", "cat")
        wait_until(lambda: "providing" in provider.err or not provider.running(), "the capability is there")
        for parent in (self.DENIED, {"TRACEPARENT": OTHER_PARENT}):
            self.bus.loom("pub", "t.x", "x", environment=parent)
            self.bus.loom("invoke", "echo.it", "x", environment=parent)
        self.assertEqual([0, 0, 0], [process.wait() for process in (lines, objects, provider)])
        self.assertEqual([None, OTHER], [json.loads(line).get("trace_id") for line in objects.out.splitlines()])
        for out in (lines.out, provider.out):
            self.assertNotIn(TRACE, out)
            self.assertIn(OTHER, out.splitlines()[1])


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
        return dict(line.split("=", 1) for line in done["payload"].splitlines() if "=" in line), done.get("trace_id")

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
        script = f"printf '{line}\\n__LOOM_TRACE__:no span\\nreal trouble\\n' $LOOM_TRACE_ID $LOOM_SPAN_ID >&2; exit 3"
        provider = self.provided(bus, "--metrics", "http://127.0.0.1:0", "--count", "2", script=script)
        done = bus.loom("invoke", "env.show", "x", code=1)
        self.assertIn("real trouble", done.stderr)
        self.assertNotIn("__LOOM", done.stderr)
        spans = {"command" if "process.pid" in span.attributes else span.name: span for span in bus.wait_spans(7)}
        with urllib.request.urlopen(re.search(r"metrics at (\S+)", provider.err)[1]) as answer:
            self.assertIn("\nloom_command_spans_collected_total 1\n", answer.read().decode())
        bus.loom("invoke", "env.show", "x", code=1)
        self.assertEqual(0, provider.wait(), provider.err)
        self.assertEqual(1, provider.err.count("rejected a span"), "one of a kind for all commands in ten seconds")
        self.assertEqual((spans["command"].span_id, "exit_3"), (spans["inside"].parent_id, spans["command"].attributes["error.type"]))
        self.assertEqual({"password": "[masked]", "n": 1}, spans["inside"].attributes)


if __name__ == "__main__":
    unittest.main()
