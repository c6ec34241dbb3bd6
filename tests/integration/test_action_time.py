# SPDX-License-Identifier: Apache-2.0
"""The time of a call: its deadline, the silence of its provider, what comes too late, and callers that change their mind."""

import time
import unittest

import wire
from actions import CANCELLED, OK, TIMEOUT, Actions
from harness import LoomTest, in_both_homes

HUGE = 2**64 - 1


@in_both_homes
class Deadlines(Actions):
    def times_out(self, caller, call_id, code, at_least_s, started):
        result = self.ended(caller, call_id, TIMEOUT, code)
        took = time.monotonic() - started
        self.assertGreaterEqual(took, at_least_s - 0.01)  # the broker's clock ticks in milliseconds, and a round is one moment
        self.assertLess(took, at_least_s + 5.0)
        return result

    def cancelled(self, provider, call):
        provider.wait(lambda: any(call_id == call.call_id for call_id, _ in provider.cancels), "the cancel")

    def test_the_provider_is_told_what_is_left(self):
        bus, provider, caller = self.pair("it")
        for asked, least, most in ((5000, 4000, 5000), (1, 0, 1), (0, 29000, 30000), (HUGE, 3_599_000, 3_600_000)):
            with self.subTest(asked=asked):
                call_id = caller.call("it", deadline_ms=asked)
                call = provider.wait_call()
                self.assertTrue(least <= call.deadline_ms <= most, call.deadline_ms)
                provider.answer(call.call_id)
                caller.wait_result(call_id)

    def test_a_deadline_ends_the_call_in_time_and_the_provider_is_told(self):
        bus, provider, caller = self.pair("it")
        started = time.monotonic()
        call_id = caller.call("it", deadline_ms=150)
        call = provider.wait_call()
        self.times_out(caller, call_id, "deadline_exceeded", 0.15, started)
        self.cancelled(provider, call)
        self.assert_outcomes(bus, timeout=1)

    def test_every_call_ends_at_its_own_deadline(self):
        bus, provider, caller = self.pair("it")
        wanted = [(n * 37) % 200 + 1 for n in range(200)]
        ids = [caller.call("it", b"%d" % n, deadline_ms=ms, call_id=b"%d" % n) for n, ms in enumerate(wanted)]
        for n, call_id in enumerate(ids):
            self.assertEqual(TIMEOUT, caller.wait_result(call_id).outcome)
        provider.wait(lambda: len(provider.cancels) == len(ids), "all are told")
        self.assert_outcomes(bus, timeout=200)

    def test_a_result_after_the_deadline_is_counted_and_harms_nobody(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it", deadline_ms=50)
        call = provider.wait_call()
        self.assertEqual(TIMEOUT, caller.wait_result(call_id).outcome)
        provider.report(call.call_id, wire.PROGRESS, 0, b"on my way")
        provider.answer(call.call_id, payload=b"too late")
        provider.answer(call.call_id, payload=b"again")
        self.through(provider)
        self.said_no_more(caller, call_id)
        self.assertEqual([], caller.reports)
        if self.kind == "in_broker":  # another bridge keeps them to itself
            self.assertEqual(3, self.actions(bus)["late"])
        self.served(provider, caller, "it")

    def test_the_silence_of_a_provider_ends_the_call(self):
        bus, provider, caller = self.pair("it")
        started = time.monotonic()
        call_id = caller.call("it", idle_ms=100, deadline_ms=60000)
        call = provider.wait_call()
        self.times_out(caller, call_id, "idle", 0.1, started)
        self.cancelled(provider, call)

    def test_progress_renews_the_idle_time_but_not_the_deadline(self):
        bus, provider, caller = self.pair("it")
        started = time.monotonic()
        call_id = caller.call("it", idle_ms=300, deadline_ms=700)
        call = provider.wait_call()
        number = 0
        while not caller.results:
            provider.report(call.call_id, wire.PROGRESS, number)
            number += 1
            caller.pump(0.05)
        self.times_out(caller, call_id, "deadline_exceeded", 0.7, started)
        self.assertGreater(len(caller.reports), 5)

    def test_an_idle_time_longer_than_the_deadline_does_not_extend_it(self):
        bus, provider, caller = self.pair("it")
        started = time.monotonic()
        call_id = caller.call("it", idle_ms=HUGE, deadline_ms=100)
        self.times_out(caller, call_id, "deadline_exceeded", 0.1, started)

    def test_no_deadline_is_the_brokers(self):
        bus, provider, caller = self.pair("it", broker=("--call-deadline", "100ms"))
        started = time.monotonic()
        self.times_out(caller, caller.call("it"), "deadline_exceeded", 0.1, started)

    def test_calls_that_nobody_answers_end_while_the_bus_is_busy(self):
        bus, provider, caller = self.pair("it")
        noise = self.agent(bus, "noise")
        call_id = caller.call("it", deadline_ms=200)
        started = time.monotonic()
        while not caller.results and time.monotonic() - started < 5:
            noise.publish_raw([wire.envelope("noise", b"x" * 100, "noise") for _ in range(20)])
            noise.pump(0)
            caller.pump(0)
        self.times_out(caller, call_id, "deadline_exceeded", 0.2, started)


@in_both_homes
class Cancelling(Actions):
    def cancel(self, agent, call_id, reason=""):
        agent.send(wire.CANCEL, call_id, reason)

    def test_a_cancel_reaches_the_provider_and_the_caller_hears_of_it_once(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it")
        call = provider.wait_call()
        self.cancel(caller, call_id, "changed my mind")
        self.cancel(caller, call_id, "really")
        self.ended(caller, call_id, CANCELLED, "cancelled")
        provider.wait(lambda: provider.cancels, "the cancel")
        self.through(provider)
        self.assertEqual([(call.call_id, "changed my mind")], provider.cancels)
        provider.answer(call.call_id, payload=b"anyway")
        self.through(provider)
        self.said_no_more(caller, call_id)
        self.assert_outcomes(bus, cancelled=1)

    def test_an_answer_that_crosses_the_cancel_is_one_outcome(self):
        bus, provider, caller = self.pair("it")
        for _ in range(50):
            call_id = caller.call("it")
            call = provider.wait_call()
            provider.answer(call.call_id)
            self.cancel(caller, call_id)
            self.assertIn(caller.wait_result(call_id).outcome, (OK, CANCELLED))
            self.said_no_more(caller, call_id)

    def test_a_cancel_of_what_there_is_not_is_ignored(self):
        bus, provider, caller = self.pair("it")
        for call_id in (b"?", b"x" * 64, bytes(8)):
            self.cancel(caller, call_id, "z" * 1024)
        call_id = caller.call("it")
        call = provider.wait_call()
        self.cancel(provider, call_id)            # not its call
        self.cancel(provider, call.call_id)       # that of the attempt is none of a caller's
        self.through(provider)
        provider.answer(call.call_id)
        self.ended(caller, call_id, OK)

    def test_nobody_cancels_the_call_of_another(self):
        bus, provider, caller = self.pair("it")
        stranger = self.agent(bus, "stranger")
        call_id = caller.call("it", call_id=b"known")
        call = provider.wait_call()
        self.cancel(stranger, b"known")
        self.through(stranger)
        provider.answer(call.call_id)
        self.ended(caller, call_id, OK)

    def test_a_cancelled_id_may_be_used_again(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it", call_id=b"again")
        first = provider.wait_call()
        self.cancel(caller, call_id)
        caller.call("it", call_id=b"again")
        second = provider.wait_call()
        self.assertNotEqual(first.call_id, second.call_id)
        provider.answer(first.call_id, payload=b"first")
        provider.answer(second.call_id, payload=b"second")
        self.assertEqual(CANCELLED, caller.wait_result(call_id).outcome)
        self.assertEqual((OK, b"second"), caller.wait_result(call_id)[:2])

    def test_calls_of_calls_end_with_them(self):
        """A provider that asks others hears that its own caller has gone, and may cancel what it asked."""
        bus, middle, caller = self.pair("outer")
        inner = self.agent(bus, "inner").provide("inner")
        caller.call("outer")
        outer_call = middle.wait_call()
        asked = middle.call("inner", hop=outer_call.envelope.context)
        inner.wait_call()
        caller.close()
        middle.wait(lambda: middle.cancels, "the cancel")
        self.cancel(middle, asked)
        inner.wait(lambda: inner.cancels, "the cancel, one further")
        self.ended(middle, asked, CANCELLED)

    def test_calls_that_call_each_other_in_a_circle_end(self):
        bus, first, caller = self.pair("a")
        second = self.agent(bus, "second").provide("b")
        outcome = caller.call("a")
        hops = 0
        agents = [(first, "b"), (second, "a")]
        while True:
            agent, further = agents[hops % 2]
            call = agent.wait(lambda agent=agent: agent.calls or [r for r in agent.results.values()], "a call, or the end")
            if not agent.calls:
                break
            call = agent.calls.pop(0)
            hops += 1
            self.assertLess(hops, 40)
            asked = agent.call(further, hop=call.envelope.context)
            self.through(agent)
            if agent.results.get(asked):
                self.assertEqual((4, "ttl_exhausted"), (agent.results[asked][0].outcome, agent.results[asked][0].code))
                break
        self.assertEqual(16, hops)
        caller.close()


if __name__ == "__main__":
    unittest.main()
