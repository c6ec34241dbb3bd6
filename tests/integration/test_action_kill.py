# SPDX-License-Identifier: Apache-2.0
"""Processes that are killed or stopped in the middle of calls: every caller hears of it, nobody waits for ever, and what
comes of a time before is not taken for an answer of now."""

import signal
import time
import unittest

import control
import wire
from actions import ERROR, NO_RESPONDERS, OK, TIMEOUT, Actions
from agent import Agent
from harness import IN_BROKER, OWN_PROCESS, LoomTest, in_both_homes, wait_until


class KilledBridge(Actions, LoomTest):
    kind = OWN_PROCESS

    def local(self, bus, agent_id):
        """An agent that the broker serves by itself."""
        return self.enterContext(Agent(f"ipc://{bus.folder}/broker.sock", agent_id))

    def kill_bridge(self, bus):
        bus.kill(bus.bridge)
        wait_until(lambda: bus.stats()["bus"]["bridges"] == 0, "the broker notices")

    def test_the_broker_outlives_the_calls_between_agents_of_a_killed_bridge(self):
        bus = self.bus_of_calls()
        others = self.local(bus, "other-provider").provide("other"), self.local(bus, "other-caller")
        agents = [self.agent(bus, f"agent-{n}").provide(f"it.{n}") for n in range(4)]
        for n, agent in enumerate(agents):  # each calls the next: whichever goes first, some of the others still wait
            for _ in range(1500):
                agent.call(f"it.{(n + 1) % 4}", deadline_ms=60000)
        wait_until(lambda: self.actions(bus)["running"] == 6000, "the calls run")
        self.kill_bridge(bus)
        self.served(*others, "other")
        wait_until(lambda: self.actions(bus)["running"] == 0, "the last of them has ended: they do in slices")
        counts = self.actions(bus)
        self.assertEqual((0, 0, 1, 2), tuple(counts[name] for name in ("pending", "running", "capabilities", "parties")))
        self.assertEqual(counts["invoked"], sum(counts["outcomes"].values()))

    def test_providers_elsewhere_are_told_that_the_callers_of_a_killed_bridge_have_gone(self):
        bus = self.bus_of_calls()
        provider = self.local(bus, "provider").provide("it")
        caller = self.agent(bus, "caller")
        for _ in range(100):
            caller.call("it")
        provider.wait(lambda: len(provider.calls) == 100, "the calls")
        self.kill_bridge(bus)
        provider.wait(lambda: len(provider.cancels) == 100, "the cancels")
        self.assert_outcomes(bus, cancelled=100)

    def test_calls_of_providers_behind_a_killed_bridge_fail_or_go_elsewhere_at_once(self):
        bus = self.bus_of_calls()
        provider = self.agent(bus, "provider").provide("it")
        caller = self.local(bus, "caller")
        plain = caller.call("it", deadline_ms=60000)
        again = caller.call("it", deadline_ms=60000, flags=wire.IDEMPOTENT)
        provider.wait(lambda: len(provider.calls) == 2, "the calls")
        spare = self.local(bus, "spare").provide("it")
        started = time.monotonic()
        self.kill_bridge(bus)
        self.ended(caller, plain, ERROR, "provider_gone")
        spare.answer(spare.wait_call().call_id)
        self.ended(caller, again, OK)
        self.assert_soon(started)

    def test_calls_go_through_a_bridge_that_was_started_again(self):
        bus = self.bus_of_calls()
        caller = self.local(bus, "caller")
        for _ in range(2):
            with bus.agent("provider") as provider:
                provider.provide("it")
                self.served(provider, caller, "it")
                self.kill_bridge(bus)
            bus.start_bridge()


class KilledBroker(Actions, LoomTest):
    kind = OWN_PROCESS

    def pair_with_calls(self, count=1, **options):
        bus, provider, caller = self.pair("it")
        ids = [caller.call("it", deadline_ms=60000, **options) for _ in range(count)]
        provider.wait(lambda: len(provider.calls) == count, "the calls")
        return bus, provider, caller, ids

    def restart(self, bus):
        bus.start_broker()
        wait_until(lambda: bus.stats()["actions"]["capabilities"] == 1, "what there was is provided again")

    def test_callers_hear_at_once_that_the_broker_has_gone_and_providers_are_told(self):
        bus, provider, caller, ids = self.pair_with_calls(50)
        started = time.monotonic()
        bus.kill(bus.broker)
        for call_id in ids:
            result = caller.wait_result(call_id)
            self.assertEqual((ERROR, "bus_lost"), (result.outcome, result.code))
        provider.wait(lambda: len(provider.cancels) == 50, "the cancels")
        self.assert_soon(started)
        self.assertEqual({}, caller.results)

    def test_calls_without_a_broker_fail_at_once_and_with_the_next_one_they_go_on(self):
        bus, provider, caller, _ = self.pair_with_calls(0)
        bus.kill(bus.broker)
        for call_id in (b"", b"mine"):
            caller.call("it", call_id=call_id)
        results = caller.wait(lambda: len(caller.results) == 2 and caller.results, "both ends")
        self.assertEqual({"bus_lost"}, {result.code for [result] in results.values()})
        self.restart(bus)
        self.served(provider, caller, "it")

    def test_an_answer_for_the_broker_before_is_not_taken_for_a_call_of_now(self):
        bus, provider, caller, [old_id] = self.pair_with_calls()
        old = provider.wait_call()
        bus.kill(bus.broker)
        self.assertEqual("bus_lost", caller.wait_result(old_id).code)
        self.restart(bus)
        new_id = caller.call("it", b"something else")
        wait_until(lambda: bus.stats()["actions"]["running"] == 1, "the new call is at the provider")
        provider.report(old.call_id, wire.PROGRESS, 0, b"for the old one")
        provider.answer(old.call_id, payload=b"for the old one")  # it has not read yet that nobody waits for it
        new = provider.wait_call()
        provider.answer(new.call_id, payload=b"for the new one")
        self.assertEqual((OK, b"for the new one"), caller.wait_result(new_id)[:2])
        self.assertEqual([], caller.reports)

    def test_the_same_id_is_called_again_at_a_broker_that_has_forgotten_it(self):
        bus, provider, caller, _ = self.pair_with_calls(1, call_id=b"same")
        provider.calls.clear()
        bus.kill(bus.broker)
        self.assertEqual("bus_lost", caller.wait_result(b"same").code)
        self.restart(bus)
        caller.call("it", call_id=b"same")
        provider.answer(provider.wait_call().call_id, payload=b"x")
        self.assertEqual((OK, b"x"), caller.wait_result(b"same")[:2])

    def test_what_was_withdrawn_or_provided_anew_is_not_provided_twice_at_the_next_broker(self):
        bus, provider, caller = self.pair("it")
        for version in ("", "0", "1", "1"):
            provider.provide("other", version)
        self.assertEqual(wire.OK, provider.request(wire.PROVIDE, name="other", version="0", withdraw=True)["status"])
        self.assertEqual(wire.OK, provider.request(wire.PROVIDE, name="other", version="1", withdraw=True)["status"])
        bus.kill(bus.broker)
        self.restart(bus)
        self.ended(caller, caller.call("other"), NO_RESPONDERS)
        self.served(provider, caller, "it")

    def test_a_stopped_broker_does_not_fill_the_memory_of_a_bridge(self):
        bus, provider, caller, _ = self.pair_with_calls(0)
        before = bus.bridge.resident_kib()
        bus.broker.signal(signal.SIGSTOP)
        self.addCleanup(bus.broker.signal, signal.SIGCONT)  # whatever happens, before the home goes
        count = 150
        for n in range(count):
            caller.call("it", b"x" * (1 << 20), call_id=b"%d" % n)
            caller.pump(0)
        if not bus.bridge.sanitized():
            self.assertLess(bus.bridge.resident_kib() - before, 100 * 1024)
        bus.broker.signal(signal.SIGCONT)
        while len(caller.results) < count:
            if provider.calls or provider.pump(0.01):
                pass
            for call in provider.calls:
                provider.answer(call.call_id)
            provider.calls.clear()
            provider.others.clear()
            caller.pump(0)
        codes = {result.code for [result] in caller.results.values()}
        self.assertIn("bus_full", codes)
        self.assertLessEqual(codes, {"", "bus_full", "provider_busy", "bus_lost"})  # bus_lost: it was stopped for 10 s
        self.served(provider, caller, "it")


@in_both_homes
class KilledWithAgents(Actions):
    def test_a_command_line_caller_does_not_hang_when_the_bus_dies(self):
        bus = self.home(spans=False)
        provider = self.agent(bus, "provider").provide("it")
        caller = bus.run("loom", "invoke", "--url", bus.url, "it", "--deadline", "1h")
        provider.wait_call()
        bus.kill(bus.serving)
        self.assertEqual(1, caller.wait())
        self.assertIn("disconnected", caller.err)

    def test_a_command_line_provider_provides_again(self):
        bus = self.home(spans=False)
        provider = bus.run("loom", "provide", "--url", bus.url, "it", "--", "cat")
        wait_until(lambda: "providing" in provider.err, "it is provided")
        bus.kill(bus.serving)
        if self.kind == IN_BROKER:
            bus.start_broker()
        else:
            bus.start_bridge()
        wait_until(lambda: bus.stats()["actions"]["capabilities"] == 1, "it is provided again")
        self.assertEqual("x", bus.loom("invoke", "it", "x").stdout)


@in_both_homes
class StoppedProvider(Actions):
    def test_a_stopped_provider_keeps_nobody_else_waiting(self):
        bus, provider, caller = self.pair("it")
        stopped = bus.run("loom", "provide", "--url", bus.url, "stops", "--", "cat")
        wait_until(lambda: "providing" in stopped.err, "it is provided")
        stopped.signal(signal.SIGSTOP)
        ids = [caller.call("stops", b"x" * 10_000, deadline_ms=300) for _ in range(100)]
        for _ in range(100):
            self.served(provider, caller, "it")
        for call_id in ids:
            self.ended(caller, call_id, TIMEOUT, "deadline_exceeded")
        stopped.signal(signal.SIGCONT)
        late = caller.call("stops", b"now")
        self.assertEqual((OK, b"now"), caller.wait_result(late)[:2])
        self.assert_outcomes(bus, ok=101, timeout=100)


@in_both_homes
class ControlSocket(Actions):
    """A plain REQ that calls, with nothing else to it."""

    def setUp(self):
        self.bus, self.provider, self.caller = self.pair("it")

    def ask(self, **request):
        return control.ask(self.bus.control_path, op="invoke", **request)

    def test_what_nobody_provides_is_told_at_once(self):
        started = time.monotonic()
        answer = self.ask(capability="nobody.home", deadline_ms=3_600_000)
        self.assertEqual((0, "no_responders", "no_provider"), (answer["status"], answer["outcome_name"], answer["code"]))
        self.assert_soon(started)
        self.assertEqual("no_responders", self.ask(capability="it", version="2" * 100_000)["outcome_name"])

    def test_deadlines_are_kept_and_the_provider_is_told(self):
        started = time.monotonic()
        answer = self.ask(capability="it", deadline_ms=100)
        self.assertEqual(("timeout", "deadline_exceeded"), (answer["outcome_name"], answer["code"]))
        self.assert_soon(started)
        call = self.provider.wait_call()
        self.assertLessEqual(call.deadline_ms, 100)
        self.provider.wait(lambda: call.call_id in dict(self.provider.cancels), "the cancel")

    def test_garbage_is_answered_and_harms_no_call(self):
        with control.Asker(self.bus.control_path) as patient, control.Asker(self.bus.control_path) as asker:
            patient.send(op="invoke", capability="it", payload="text")
            call = self.provider.wait_call()
            for garbage in (b"", b"\xc0", b"\xff" * 50, b"\xdf\xff\xff\xff\xff", b"\x81\xa2op", bytes(1000),
                            wire.pack(["invoke"]), wire.pack({"op": 1}), wire.pack({"op": "invoke", "capability": b"it"}),
                            wire.pack({"op": "invoke", "capability": "it", "deadline_ms": -1}),
                            wire.pack({"op": "invoke", "capability": "it", "idempotent": 1}),
                            wire.pack({"op": "invoke", "capability": "it"}) + b"\x00"):
                asker.send_raw(garbage)
                self.assertEqual(wire.EMALFORMED, asker.receive()["status"], garbage[:20])
            self.provider.answer(call.call_id, payload=call.envelope.payload)
            self.assertEqual(b"text", patient.receive()["payload"])

    def test_names_that_cannot_be_are_refused(self):
        for name in ("a b", "*", "it."):
            answer = self.ask(capability=name)
            self.assertTrue(answer["status"] != 0 or answer["outcome_name"] == "no_responders", answer)

    def test_the_provider_sees_headers_and_who_asked(self):
        with control.Asker(self.bus.control_path) as asker:
            asker.send(op="invoke", capability="it", headers={"a": "b"}, content_type="x/y", call_id="by hand",
                       traceparent="not one")
            call = self.provider.wait_call()
            self.assertEqual(({"a": "b"}, "x/y", "control"),
                             (call.envelope.headers, call.envelope.content_type, call.envelope.sender))
            self.provider.answer(call.call_id, ERROR, b"p", "code", "text")
            answer = asker.receive()
        self.assertEqual(("error", "code", "text", b"p", b"by hand"),
                         tuple(answer[key] for key in ("outcome_name", "code", "text", "payload", "call_id")))

    def test_a_context_typed_by_hand_goes_to_the_provider(self):
        """A line's end may be left over; what is invalid counts as absent, and nobody has to mend it."""
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        cases = (("\n", "a=1", "k=v", "a=1", "k=v"), (" \t\r\n", "a=1\n", "k=v\r\n", "a=1", "k=v"), ("", "a=\x01", "k=\x01", None, None))
        for end, state, baggage, state_there, baggage_there in cases:
            with self.subTest(end, state=state), control.Asker(self.bus.control_path) as asker:
                asker.send(op="invoke", capability="it", traceparent=parent + end, tracestate=state, baggage=baggage)
                call = self.provider.wait_call()
                self.provider.answer(call.call_id)
                self.assertEqual(parent[3:35], asker.receive()["trace_id"])
                self.assertEqual((parent[3:35], state_there, baggage_there),
                                 (call.envelope.context.trace_id, call.envelope.tracestate or None, call.envelope.baggage or None))

    def test_an_asker_that_leaves_cancels_only_its_own(self):
        with control.Asker(self.bus.control_path) as stays:
            stays.send(op="invoke", capability="it", call_id=b"shared")
            call = self.provider.wait_call()
            with control.Asker(self.bus.control_path) as leaves:
                leaves.send(op="invoke", capability="it", call_id=b"shared")
                leaves.send(op="invoke", capability="it", call_id=b"own")
                own = self.provider.wait_call()
            self.provider.wait(lambda: self.provider.cancels, "the cancel")
            self.assertEqual([own.call_id], [call_id for call_id, _ in self.provider.cancels])
            self.provider.answer(call.call_id, payload=b"x")
            self.assertEqual(b"x", stays.receive()["payload"])

    def test_a_thousand_at_once_are_answered(self):
        with control.Asker(self.bus.control_path) as asker:
            for n in range(1000):
                asker.send(op="invoke", capability="it", payload=b"%d" % n)
            self.provider.wait(lambda: len(self.provider.calls) == 1000, "all calls")
            for call in self.provider.calls:
                self.provider.answer(call.call_id, payload=call.envelope.payload)
            self.assertEqual({b"%d" % n for n in range(1000)}, {asker.receive()["payload"] for _ in range(1000)})

    def test_an_agent_cannot_act_for_the_control_socket(self):
        """Its name is not taken, but the calls of the one are not those of the other."""
        with control.Asker(self.bus.control_path) as asker, self.bus.agent("control") as impostor:
            asker.send(op="invoke", capability="it", call_id=b"known")
            call = self.provider.wait_call()
            impostor.send(wire.CANCEL, b"known", "")
            impostor.send(wire.CALL_CREDIT, b"known", 5, 5)
            self.through(impostor)
            self.provider.answer(call.call_id, payload=b"x")
            answer = asker.receive()
            self.assertEqual(("ok", b"x"), (answer["outcome_name"], answer["payload"]))
            self.assertEqual({}, impostor.results)


if __name__ == "__main__":
    unittest.main()
