# SPDX-License-Identifier: Apache-2.0
"""Call ids and what may be tried again: duplicates that join or get the result once more, and providers that die."""

import os
import unittest

import wire
from actions import CANCELLED, DENIED, ERROR, NO_RESPONDERS, OK, TIMEOUT, TOO_LARGE, Actions
from harness import LoomTest, in_both_homes, wait_until


@in_both_homes
class Duplicates(Actions):
    def results(self, caller, call_id, count):
        return [caller.wait_result(call_id) for _ in range(count)]

    def test_duplicates_of_a_running_call_are_one_with_it(self):
        bus, provider, caller = self.pair("it")
        for _ in range(10):
            caller.call("it", b"x", call_id=b"same")
        call = provider.wait_call()
        self.through(caller)
        provider.answer(call.call_id, payload=b"once")
        for result in self.results(caller, b"same", 10):
            self.assertEqual((OK, b"once"), result[:2])
        self.said_no_more(caller, b"same")
        self.through(provider)
        self.assertEqual([], provider.calls)
        counts = self.actions(bus)
        self.assertEqual((10, 9, 1), (counts["invoked"], counts["joined"], counts["attempts"]))

    def test_a_duplicate_of_a_finished_call_gets_its_result_again(self):
        bus, provider, caller = self.pair("it")
        caller.call("it", call_id=b"same")
        provider.answer(provider.wait_call().call_id, payload=b"p" * 1000, code="c", text="t")
        first = caller.wait_result(b"same")
        for _ in range(3):
            caller.call("it", call_id=b"same")
            self.assertEqual(first, caller.wait_result(b"same"))
        self.through(provider)
        self.assertEqual([], provider.calls)
        self.assertEqual((3, 1), (self.actions(bus)["cached"], self.actions(bus)["cache_entries"]))

    def test_the_cached_result_outlives_provider_and_caller(self):
        bus, provider, caller = self.pair("it")
        caller.call("it", call_id=b"same")
        provider.answer(provider.wait_call().call_id, payload=b"kept")
        caller.wait_result(b"same")
        provider.close()
        caller.close()
        wait_until(lambda: self.actions(bus)["capabilities"] == 0, "the provider has left")
        caller = self.agent(bus, "caller")
        self.assertEqual((OK, b"kept"), caller.wait_result(caller.call("it", call_id=b"same"))[:2])

    def test_failures_are_not_replayed(self):
        bus, provider, caller = self.pair("it")
        for outcome in (ERROR, TIMEOUT, NO_RESPONDERS, DENIED, CANCELLED, TOO_LARGE):
            with self.subTest(outcome=outcome):
                caller.call("it", call_id=b"same")
                provider.answer(provider.wait_call().call_id, outcome)
                self.ended(caller, b"same", outcome)
        caller.call("it", call_id=b"same")
        provider.answer(provider.wait_call().call_id, payload=b"at last")
        self.assertEqual((OK, b"at last"), caller.wait_result(b"same")[:2])
        self.assertEqual((7, 0), (self.actions(bus)["attempts"], self.actions(bus)["cached"]))

    def test_an_id_belongs_to_its_agent(self):
        bus, provider, caller = self.pair("it")
        other = self.agent(bus, "other")
        caller.call("it", b"caller", call_id=b"same")
        other.call("it", b"other", call_id=b"same")
        for _ in range(2):
            call = provider.wait_call()
            provider.answer(call.call_id, payload=call.envelope.payload)
        self.assertEqual(b"caller", caller.wait_result(b"same").payload)
        self.assertEqual(b"other", other.wait_result(b"same").payload)

    def test_an_id_used_for_something_else_is_refused(self):
        bus, provider, caller = self.pair("it", "else")
        caller.call("it", call_id=b"same")
        call = provider.wait_call()
        caller.call("else", call_id=b"same")
        self.assertEqual((DENIED, "call_id_reused"), caller.wait_result(b"same")[::2])
        provider.answer(call.call_id)
        self.ended(caller, b"same", OK)
        caller.call("it", call_id=b"same", version="0")
        self.ended(caller, b"same", DENIED, "call_id_reused")

    def test_a_cancel_ends_all_duplicates_of_its_caller(self):
        bus, provider, caller = self.pair("it")
        for _ in range(3):
            caller.call("it", call_id=b"same")
        provider.wait_call()
        caller.send(wire.CANCEL, b"same", "")
        self.assertEqual([CANCELLED] * 3, [result.outcome for result in self.results(caller, b"same", 3)])
        self.said_no_more(caller, b"same")
        self.assert_outcomes(bus, cancelled=3)

    def test_the_cache_is_bounded_in_bytes_and_entries(self):
        bus, provider, caller = self.pair("it", broker=("--call-cache-entries", "10", "--call-cache-bytes", "1MiB"))
        for n in range(30):
            caller.call("it", call_id=b"%d" % n)
            provider.answer(provider.wait_call().call_id, payload=b"x" * (300_000 if n > 20 else 10))
            caller.wait_result(b"%d" % n)
            counts = self.actions(bus)
            self.assertLessEqual(counts["cache_entries"], 10)
            self.assertLessEqual(counts["cache_bytes"], 1 << 20)

    def test_a_result_is_forgotten_after_its_time(self):
        bus, provider, caller = self.pair("it", broker=("--call-cache-ttl", "50ms"))
        caller.call("it", call_id=b"same")
        provider.answer(provider.wait_call().call_id)
        caller.wait_result(b"same")
        wait_until(lambda: self.actions(bus)["cache_entries"] == 0, "it is forgotten")
        caller.call("it", call_id=b"same")
        provider.answer(provider.wait_call().call_id)
        caller.wait_result(b"same")


@in_both_homes
class AnotherProvider(Actions):
    def replacement(self, bus, n):
        return self.agent(bus, f"spare-{n}").provide("it")

    def test_an_idempotent_call_goes_on_at_another_provider(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it", b"payload", flags=wire.IDEMPOTENT, deadline_ms=60000)
        first = provider.wait_call()
        spare = self.replacement(bus, 1)
        self.assertGreater(self.actions(bus)["kept_bytes"], 0)
        provider.close()
        second = spare.wait_call()
        self.assertEqual((b"payload", "caller"), (second.envelope.payload, second.envelope.sender))
        self.assertEqual(first.envelope.id, second.envelope.id)
        self.assertLessEqual(second.deadline_ms, first.deadline_ms)
        spare.answer(second.call_id, payload=b"from the spare one")
        self.assertEqual(b"from the spare one", self.ended(caller, call_id, OK).payload)
        self.assertEqual(2, self.actions(bus)["attempts"])

    def test_a_call_that_is_not_idempotent_is_not_tried_again(self):
        bus, provider, caller = self.pair("it")
        spare = self.replacement(bus, 1)
        ids = [caller.call("it") for _ in range(2)]
        provider.wait_call(), spare.wait_call()
        provider.close()
        gone = caller.wait(lambda: next((i for i in ids if i in caller.results), None), "the call of the one that died")
        self.ended(caller, gone, ERROR, "provider_gone")
        self.through(spare)
        self.assertEqual([], spare.calls)

    def test_a_call_outlives_two_providers_and_not_three(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it", flags=wire.IDEMPOTENT)
        for n in range(3):
            provider.wait_call()
            spare = self.replacement(bus, n)
            provider.close()
            provider = spare
        self.ended(caller, call_id, ERROR, "provider_gone")
        self.assertEqual(3, self.actions(bus)["attempts"])
        self.served(provider, caller, "it")

    def test_an_idempotent_call_without_another_provider_fails(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it", flags=wire.IDEMPOTENT)
        provider.wait_call()
        provider.close()
        self.ended(caller, call_id, ERROR, "provider_gone")

    def test_the_exact_version_is_kept_on_the_way_to_another_provider(self):
        bus, provider, caller = self.pair()
        provider.provide("it", "1")
        call_id = caller.call("it", version="1", flags=wire.IDEMPOTENT)
        provider.wait_call()
        other = self.agent(bus, "other").provide("it", "2")
        provider.close()
        self.ended(caller, call_id, ERROR, "provider_gone")
        self.through(other)
        self.assertEqual([], other.calls)

    def test_joined_callers_hear_the_result_of_the_second_attempt(self):
        bus, provider, caller = self.pair("it")
        for _ in range(3):
            caller.call("it", call_id=b"same", flags=wire.IDEMPOTENT)
        provider.wait_call()
        spare = self.replacement(bus, 1)
        self.through(caller)
        provider.close()
        spare.answer(spare.wait_call().call_id, payload=b"x")
        for _ in range(3):
            self.assertEqual((OK, b"x"), caller.wait_result(b"same")[:2])
        self.said_no_more(caller, b"same")

    def test_the_envelopes_that_are_kept_are_bounded(self):
        """What does not fit any more has one attempt, and is called all the same."""
        bus, provider, caller = self.pair("it")
        providers = [provider, self.replacement(bus, 1)]  # one of them alone would be busy before
        ids = [caller.call("it", b"x" * 1_000_000, flags=wire.IDEMPOTENT) for _ in range(80)]
        for each in providers:
            each.wait(lambda each=each: len(each.calls) == 40, "half of the calls")
        counts = self.actions(bus)
        self.assertEqual(80, counts["pending"])
        self.assertTrue(60 << 20 < counts["kept_bytes"] <= 64 << 20, counts)
        for each in providers:
            each.close()
        for call_id in ids:
            self.ended(caller, call_id, ERROR, "provider_gone")

    def test_many_calls_of_a_dying_provider_each_find_another(self):
        bus, provider, caller = self.pair("it")
        ids = [caller.call("it", os.urandom(100), flags=wire.IDEMPOTENT) for _ in range(500)]
        provider.wait(lambda: len(provider.calls) == 500, "all calls")
        spares = [self.replacement(bus, n) for n in range(2)]
        provider.close()
        for spare in spares:
            spare.wait(lambda spare=spare: len(spare.calls) == 250, "half of the calls")
            for call in spare.calls:
                spare.answer(call.call_id, payload=call.envelope.payload)
        for call_id in ids:
            self.assertEqual(OK, caller.wait_result(call_id).outcome)


if __name__ == "__main__":
    unittest.main()
