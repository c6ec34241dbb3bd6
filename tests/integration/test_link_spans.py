# SPDX-License-Identifier: Apache-2.0
"""Spans over the agent link: agents that reach nothing but their bridge show up in the broker's traces."""

import collections
import pathlib
import signal
import unittest

from collector import OK, Collector
from harness import IN_BROKER, OWN_PROCESS, LoomTest, in_both_homes, wait_until
import ladder
import otlp
import wire

# Agents, commands and a bridge in a process of its own: nobody answers at that address.
BY_LINK = {"OTEL_TRACES_EXPORTER": "loom", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.1:4317"}

TO_FILE = ("--telemetry-exporter", "otlp/file", "--telemetry-spans-file", "spans.jsonl")


class LinkSpans:
    def bus(self, exporter=TO_FILE, broker=(), serving=(), listen=("ipc",), **environment):
        """Only the broker exports."""
        return self.home(spans=False, environment={**BY_LINK, **environment}, broker=(*exporter, *broker), serving=serving, listen=listen)

    def hello(self, home, agent_id, service="service", instance="i-1", **fields):
        agent = self.agent(home)
        agent.hello(agent_id, service=service, service_instance=instance, **fields)
        return agent

    def send(self, agent, request, spans=1):
        """The answer to it: bytes granted, spans read, refused."""
        agent.others.clear()
        agent.send(wire.SPANS, spans, request)
        agent.wait(lambda: any(kind == wire.SPAN_CREDIT for kind, *_ in agent.others), "the answer to spans")
        return next(values for kind, *values in agent.others if kind == wire.SPAN_CREDIT)


@in_both_homes
class Ladders(LinkSpans):
    READINGS = 5

    def run_demo(self, home, url=None):
        url = url or home.url
        output = home.run("output", "--url", url, "--count", self.READINGS)
        processor = home.run("processor", "--url", url)
        for process in (output, processor):
            wait_until(lambda: "ready" in process.out + process.err, "the agents are ready")
        sensor = home.run("sensor", "--url", url, "--readings", self.READINGS, "--interval", "10")
        self.assertEqual(0, sensor.wait())
        self.assertEqual(0, output.wait())
        libraries = pathlib.Path(f"/proc/{processor.pid}/maps").read_text()
        self.assertNotIn("libcurl", libraries)
        self.assertEqual(0, processor.stop())

    def check(self, found):
        names = collections.Counter(span.name for span in found)
        self.assertEqual({"sensor.emit_data": self.READINGS, "agent.emit": 2 * self.READINGS,
                          "bridge.publish": 2 * self.READINGS, "eventbus.publish": 2 * self.READINGS,
                          "bridge.forward": 2 * self.READINGS, "agent.on_event": 2 * self.READINGS}, names)
        by_id = {span.span_id: span for span in found}
        self.assertEqual(len(found), len(by_id), "a span came twice")
        for span in found:
            if span.name != "sensor.emit_data":
                self.assertEqual(span.trace_id, by_id[span.parent_id].trace_id, f"{span.name} is an orphan")
        agents = {span.service: span.resource.get("loom.agent.id") for span in found if span.service.startswith("agent-")}
        self.assertEqual({"agent-sensor": "sensor", "agent-processor": "processor", "agent-output": "output"}, agents)

    def test_the_demos_agents_need_nothing_but_their_link(self):
        home = self.bus()
        self.run_demo(home)
        home.wait_spans(11 * self.READINGS)
        taken = home.stats()["agent_spans"]
        self.assertEqual(taken["received"], taken["accepted"])
        home.stop()
        self.check(home.spans())

    def test_any_carrier_of_the_link_will_do(self):
        for scheme in ("tcp", "ws"):
            with self.subTest(scheme):
                home = self.bus(listen=(scheme,))
                self.run_demo(home)
                home.stop()
                self.check(home.spans())

    def test_a_collector_hears_of_them_from_the_broker_alone(self):
        with Collector([OK]) as collector:
            home = self.bus(("--telemetry-exporter", "otlp", "--telemetry-protocol", "http/protobuf", "--telemetry-endpoint",
                             f"http://127.0.0.1:{collector.port}"))
            self.run_demo(home)
            home.stop()
            self.assertEqual(11 * self.READINGS, sum(request.spans for request in collector.requests))

    def test_an_event_of_the_command_line_is_a_whole_ladder(self):
        home = self.bus()
        receiver = home.subscriber("greetings.>", "--count", "1")
        home.loom("pub", "greetings.all", "hello")
        self.assertEqual(0, receiver.wait())
        found = home.wait_spans(6)
        climbed = ladder.assert_ladder(found, [ladder.Rung("loom pub", "INTERNAL", "loom-cli"), *ladder.hop("loom-cli", "loom-cli", first=1)])
        ladder.assert_nothing_odd(climbed)

    # What a library inside the command writes on its standard error: a span of a service of its own.
    TRACED = ('echo "__LOOM_TRACE__:{\\"trace_id\\":\\"$LOOM_TRACE_ID\\",\\"span_id\\":\\"00f067aa0ba902b7\\",'
              '\\"parent_id\\":\\"$LOOM_SPAN_ID\\",\\"name\\":\\"query\\",\\"service\\":\\"etl\\",'
              '\\"start_time\\":\\"2026-01-15T10:30:00.1Z\\",\\"end_time\\":\\"2026-01-15T10:30:00.2Z\\"}" >&2; echo done')

    def assert_command(self, home, names):
        found = wait_until(lambda: (spans := home.spans()) and names <= {span.name for span in spans} and spans, f"{names}")
        query = next(span for span in found if span.name == "query")
        above = next(span for span in found if span.span_id == query.parent_id)
        self.assertEqual(("etl", query.trace_id), (query.service, above.trace_id))
        self.assertEqual(above.resource["loom.agent.id"], query.resource["loom.agent.id"])

    def test_spans_of_a_command_and_of_its_libraries_go_the_same_way(self):
        home = self.bus()
        done = home.loom("exec", "sh", "-c", self.TRACED)
        self.assertEqual(("done\n", ""), (done.stdout, done.stderr))
        self.assert_command(home, {"sh", "query"})

    def test_so_do_those_of_a_command_that_answers_calls(self):
        home = self.bus()
        provider = home.run("loom", "provide", "--url", home.url, "it", "--", "sh", "-c", self.TRACED)
        wait_until(lambda: home.loom("invoke", "it", "x", code=(0, 5)).returncode == 0, "the capability is there")
        self.assert_command(home, {"query", "agent.on_action", "action.dispatch"})
        self.assertEqual(0, provider.stop())

    def test_exec_without_a_broker_runs_the_command_and_says_what_was_lost(self):
        home = self.bus()
        done = home.loom("exec", "echo", "works", environment={"LOOM_URL": f"ipc://{home.folder}/nobody.sock"})
        self.assertEqual("works\n", done.stdout)
        self.assertIn("the trace is not exported: ", done.stderr)

    def test_no_span_is_made_of_spans(self):
        home = self.bus()
        agent = self.hello(home, "a")
        for number in range(20):
            self.assertEqual(0, self.send(agent, otlp.request([otlp.span(f"s{number}")]))[2])
        home.wait_spans(20)
        home.stop()
        self.assertEqual({f"s{number}" for number in range(20)}, {span.name for span in home.spans()})
        self.assertEqual(20, len(home.spans()))


@in_both_homes
class Rules(LinkSpans):
    def test_masks_of_the_broker_cover_them(self):
        home = self.bus(broker=("--telemetry-mask", "all"))
        agent = self.hello(home, "a")
        self.assertEqual(0, self.send(agent, otlp.request([otlp.span(attributes={"password": "hunter2", "kept": "x"})]))[2])
        found = home.wait_spans(1)[0]
        self.assertEqual({"password": "[masked]", "kept": "x"}, found.attributes)
        self.assertEqual(("service", "i-1", "a"), (found.service, found.resource["service.instance.id"], found.resource["loom.agent.id"]))

    def test_spans_of_another_are_refused_told_and_counted(self):
        home = self.bus()
        self.hello(home, "victim", service="payments", instance="i-2")
        evil = self.hello(home, "evil")
        for number, resource in enumerate(({"service": "payments"}, {"service": "loom-broker"}, {"service": "agent-victim"},
                                           {"instance": "i-2"}, {"loom.agent.id": "victim"}), 1):
            self.assertEqual(number, self.send(evil, otlp.request([otlp.span()], **resource))[2], resource)
        self.assertIsNone(evil.end)
        self.assertEqual(5, self.send(evil, otlp.request([otlp.span("own")]))[2])
        home.wait_spans(1)
        self.assertEqual(["own"], [span.name for span in home.spans()])
        self.assertEqual(6, self.send(evil, otlp.request([otlp.span("agent.on_event", attributes={"agent_id": "victim"})]))[2])
        wait_until(lambda: "spans refused: their resource is not that of the agent" in home.serving.err, "a line of the log")
        if self.kind != OWN_PROCESS:  # the bridge counts what it refuses, and the broker what the bridge sends
            shown = home.loom("stats", "--control", f"ipc://{home.control_path}").stdout
            self.assertRegex(shown, r"agent spans +7   \(1 accepted; 2 senders\)\n  identity +6\n")

    def test_a_service_that_is_the_brokers_gets_no_credit(self):
        home = self.bus()
        agent = self.hello(home, "evil", service="loom-broker")
        self.assertNotIn("span_credit", agent.welcome)

    def test_one_bad_span_costs_no_other_its_export(self):
        home = self.bus()
        agent = self.hello(home, "a")
        bad = [otlp.span(trace_id=bytes(16)), otlp.span(span_id=b"short"), otlp.span("x", attributes={"k": b"\xff"}),
               otlp.span(start_ns=2, end_ns=1), otlp.span(""), otlp.span(attributes={"k": "v" * 70000})]
        refused = 0
        for span in bad:
            answer = self.send(agent, otlp.request([otlp.span("good"), span, otlp.span("good")]), 3)
            refused += 1
            self.assertEqual(refused, answer[2])
        whole = otlp.request([otlp.span("good")] * 4)
        for length in range(0, len(whole), 7):
            self.send(agent, whole[:length], 4)
        self.assertIsNone(agent.end)
        agent.subscribe("echo")
        agent.publish("echo", b"x")
        agent.wait_events(1)
        home.stop()
        self.assertEqual({"good"}, {span.name for span in home.spans() if span.service == "service"})


@in_both_homes
class Failures(LinkSpans):
    def test_a_broker_that_exports_nothing_costs_the_spans_and_nothing_else(self):
        home = self.bus(("--telemetry-exporter", "none"), **({"OTEL_TRACES_EXPORTER": "none"} if self.kind == OWN_PROCESS else {}))
        receiver = home.subscriber("a", "--count", "1", environment=BY_LINK)
        done = home.loom("pub", "a", "hello", environment=BY_LINK)
        self.assertEqual(0, receiver.wait())
        self.assertIn("the bridge takes no spans", done.stderr)

    def test_agent_spans_of_0_takes_none(self):
        home = self.bus(serving=("--agent-spans", "0"))
        done = home.loom("pub", "a", "hello")
        self.assertIn("the bridge takes no spans", done.stderr)

    def test_killing_the_bridge_costs_no_agent_its_life_and_later_spans_arrive(self):
        home = self.bus()
        receiver = home.subscriber("flow")
        home.loom("pub", "flow", "before")
        wait_until(lambda: "before" in receiver.out, "the first event")
        for _ in range(3):
            home.kill(home.serving)
            home.start_broker() if home.kind != OWN_PROCESS else home.start_bridge()
            seen = f"after-{home.serving.pid}"
            wait_until(lambda: home.loom("pub", "flow", seen, code=(0, 1)).returncode == 0 and seen in receiver.out, "events flow again")
        self.assertTrue(receiver.running())

        def complete():
            trees = collections.defaultdict(set)
            for span in home.spans():
                trees[span.trace_id].add(span.name)
            return any({"agent.emit", "agent.on_event", "bridge.forward"} <= names for names in trees.values())
        wait_until(complete, "a whole ladder")

    def test_killing_agents_in_the_middle_harms_nobody(self):
        home = self.bus()
        stays = self.hello(home, "stays")
        for number in range(5):
            victim = home.run("sensor", "--url", home.url, "--interval", "1", "--readings", "100000")
            wait_until(lambda: self.own_of(home, "sensor") > 0, "its spans come")
            victim.signal(signal.SIGKILL)
            victim.wait()
            self.assertEqual(number + 1, self.send(stays, otlp.request([otlp.span(f"s{number}")]))[1])
        wait_until(lambda: sum(span.service == "service" for span in home.spans()) == 5, "the spans of who stays")

    @staticmethod
    def own_of(home, agent):
        return sum(span.resource.get("loom.agent.id") == agent for span in home.spans())


class Broker(LinkSpans, LoomTest):
    kind = OWN_PROCESS

    def test_spans_of_a_bridge_wait_for_a_broker_that_was_killed(self):
        home = self.bus()
        agent = self.hello(home, "a")
        home.kill(home.broker)
        wait_until(lambda: "lost the connection to the broker" in home.bridge.err, "the bridge notices")
        for number in range(10):
            self.assertEqual(0, self.send(agent, otlp.request([otlp.span(f"s{number}")]))[2])
        home.start_broker()
        wait_until(lambda: {f"s{number}" for number in range(10)} <= {span.name for span in home.spans()}, "all of them arrive")

    def test_an_agent_that_makes_more_than_it_may_is_slowed_down_and_nothing_is_unaccounted_for(self):
        home = self.bus(serving=("--agent-spans", "100"))
        agent = self.hello(home, "a")
        sent = accepted = 0
        granted, read, refused = agent.welcome["span_credit"], 0, 0
        while granted > sent and sent < 200_000:
            request = otlp.request([otlp.span() for _ in range(20)])
            granted, read, refused = self.send(agent, request, 20)
            sent += len(request)
        self.assertLess(sent, 200_000, "it was never slowed down")
        accepted = read - refused
        self.assertLess(accepted, 1000)
        agent.wait(lambda: any(kind == wire.SPAN_CREDIT and values[0] > sent for kind, *values in agent.others), "new credit, in time")
        home.wait_spans(accepted)
        home.stop()
        self.assertEqual(accepted, sum(span.name == "work" for span in home.spans()))

    def test_a_broker_with_the_exporter_loom_says_what_is_wrong_and_exports_by_otlp(self):
        with Collector([OK]) as collector:
            self.kind = IN_BROKER
            home = self.home(spans=False, environment={"OTEL_TRACES_EXPORTER": "loom", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                                                       "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"})
            home.loom("pub", "a", "hello")
            home.stop()
            self.assertIn("the exporter loom is for agents", home.broker.err)
            self.assertEqual(4, sum(request.spans for request in collector.requests))


del LinkSpans, Ladders, Rules, Failures  # only in their homes

if __name__ == "__main__":
    unittest.main()
