# SPDX-License-Identifier: Apache-2.0
"""Results in parts: progress, and chunks in order as far as the caller's credit goes."""

import unittest

import wire
from actions import CANCELLED, ERROR, OK, TOO_LARGE, Actions
from harness import LoomTest, in_both_homes

HUGE = 2**64 - 1


@in_both_homes
class Streams(Actions):
    def streaming(self, chunks=None, size=1 << 40, **options):
        """A call that takes so many chunks, at its provider."""
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it", flags=wire.STREAMS, **options)
        call = provider.wait_call()
        self.assertEqual(wire.STREAMS, call.flags & wire.STREAMS)
        if chunks is not None:
            self.grant(provider, caller, call, call_id, chunks, size)
        return bus, provider, caller, call, call_id

    def grant(self, provider, caller, call, call_id, chunks, size=1 << 40):
        caller.send(wire.CALL_CREDIT, call_id, chunks, size)
        provider.wait(lambda: (call.call_id, chunks, size) in provider.call_credits, "the credit")

    def chunks(self, caller):
        return [(report.number, report.payload) for report in caller.reports if report.kind == wire.CHUNK]

    def fails(self, bus, provider, caller, call, call_id, outcome, code):
        self.ended(caller, call_id, outcome, code)
        provider.wait(lambda: any(call.call_id == cancelled for cancelled, _ in provider.cancels), "the cancel")
        self.assertGreaterEqual(self.actions(bus)["invalid"], 1)
        self.served(provider, caller, "it")

    def test_chunks_come_in_order_and_before_the_result(self):
        bus, provider, caller, call, call_id = self.streaming(1000)
        sent = [(n, b"%d" % n * 50) for n in range(1000)]
        for number, payload in sent:
            provider.report(call.call_id, wire.CHUNK, number, payload)
        provider.answer(call.call_id, payload=b"end")
        self.assertEqual((OK, b"end"), caller.wait_result(call_id)[:2])
        self.assertEqual(sent, self.chunks(caller))
        self.assertEqual({call_id}, {report.call_id for report in caller.reports})

    def test_without_credit_no_chunk_may_be_sent(self):
        bus, provider, caller, call, call_id = self.streaming()
        provider.report(call.call_id, wire.CHUNK, 0, b"x")
        self.fails(bus, provider, caller, call, call_id, ERROR, "stream_overrun")
        self.assertEqual([], caller.reports)

    def test_a_chunk_past_the_credit_fails_the_call(self):
        bus, provider, caller, call, call_id = self.streaming(3)
        for number in range(4):
            provider.report(call.call_id, wire.CHUNK, number, b"x")
        self.fails(bus, provider, caller, call, call_id, ERROR, "stream_overrun")
        self.assertEqual(3, len(caller.reports))

    def test_a_chunk_past_the_credit_in_bytes_fails_the_call(self):
        bus, provider, caller, call, call_id = self.streaming(100, 1000)
        provider.report(call.call_id, wire.CHUNK, 0, b"x" * 999)
        provider.report(call.call_id, wire.CHUNK, 1, b"x" * 5000)  # the last one may overdraw it
        provider.report(call.call_id, wire.CHUNK, 2, b"x")
        self.fails(bus, provider, caller, call, call_id, ERROR, "stream_overrun")
        self.assertEqual(2, len(caller.reports))

    def test_a_chunk_out_of_turn_fails_the_call(self):
        for wrong in (1, 0, HUGE):
            with self.subTest(wrong=wrong):
                bus, provider, caller, call, call_id = self.streaming(10)
                if wrong == 0:
                    provider.report(call.call_id, wire.CHUNK, 0, b"x")
                provider.report(call.call_id, wire.CHUNK, wrong, b"y")
                self.fails(bus, provider, caller, call, call_id, ERROR, "stream_order")

    def test_credit_is_a_total_and_smaller_ones_are_ignored(self):
        bus, provider, caller, call, call_id = self.streaming(2)
        for chunks in (1, 0, 2):
            caller.send(wire.CALL_CREDIT, call_id, chunks, 0)
        self.through(caller)
        self.grant(provider, caller, call, call_id, 4)
        self.assertEqual([(2, 1 << 40), (4, 1 << 40)], [credit[1:] for credit in provider.call_credits])
        for number in range(4):
            provider.report(call.call_id, wire.CHUNK, number, b"x")
        provider.answer(call.call_id)
        self.ended(caller, call_id, OK)
        self.assertEqual(4, len(caller.reports))

    def test_huge_credit_is_taken_as_it_is(self):
        bus, provider, caller, call, call_id = self.streaming(HUGE, HUGE)
        provider.report(call.call_id, wire.CHUNK, 0, b"x")
        provider.answer(call.call_id)
        self.ended(caller, call_id, OK)

    def test_credit_for_what_there_is_not_is_ignored(self):
        bus, provider, caller, call, call_id = self.streaming()
        stranger = self.agent(bus, "stranger")
        for agent, identity in ((caller, b"unknown"), (stranger, call_id), (provider, call.call_id), (stranger, call.call_id)):
            agent.send(wire.CALL_CREDIT, identity, 5, 5)
            self.through(agent)
        self.through(provider)
        self.assertEqual([], provider.call_credits)
        provider.answer(call.call_id)
        self.ended(caller, call_id, OK)

    def test_a_chunk_that_the_caller_does_not_take_is_dropped_and_the_call_goes_on(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it")
        call = provider.wait_call()
        provider.report(call.call_id, wire.CHUNK, 0, b"x")
        provider.report(call.call_id, 7, 0, b"of no known kind")
        provider.report(call.call_id, HUGE, 0, b"of no known kind")
        provider.answer(call.call_id, payload=b"y")
        self.assertEqual(b"y", self.ended(caller, call_id, OK).payload)
        self.assertEqual([], caller.reports)
        self.assertEqual(3, self.actions(bus)["invalid"])

    def test_progress_needs_no_credit_and_no_order(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it")
        call = provider.wait_call()
        for number in (5, 1, 1, HUGE):
            provider.report(call.call_id, wire.PROGRESS, number, b"%d" % number)
        provider.answer(call.call_id)
        self.ended(caller, call_id, OK)
        self.assertEqual([(call_id, wire.PROGRESS, n, b"%d" % n) for n in (5, 1, 1, HUGE)], caller.reports)

    def test_a_chunk_that_is_too_large_fails_the_call(self):
        bus, provider, caller, call, call_id = self.streaming(10)
        provider.report(call.call_id, wire.CHUNK, 0, b"x" * (1 << 20))
        provider.report(call.call_id, wire.CHUNK, 1, b"x" * ((1 << 20) + 1))
        self.fails(bus, provider, caller, call, call_id, TOO_LARGE, "report_too_large")
        self.assertEqual([1 << 20], [len(report.payload) for report in caller.reports])

    def test_a_call_with_chunks_is_neither_cached_nor_tried_again(self):
        bus, provider, caller = self.pair("it")
        for flags in (wire.STREAMS, wire.STREAMS | wire.IDEMPOTENT):
            call_id = caller.call("it", call_id=b"same", flags=flags)
            call = provider.wait_call()
            self.grant(provider, caller, call, call_id, 10)
            provider.report(call.call_id, wire.CHUNK, 0, b"x")
            if flags == wire.STREAMS:
                provider.answer(call.call_id)
                self.ended(caller, call_id, OK)
        self.agent(bus, "spare").provide("it")
        self.through(provider)
        provider.close()
        self.ended(caller, call_id, ERROR, "provider_gone")
        self.assertEqual((2, 0), (self.actions(bus)["attempts"], self.actions(bus)["cache_entries"]))

    def test_credit_given_before_a_provider_died_is_told_to_the_next(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it", flags=wire.STREAMS | wire.IDEMPOTENT)
        self.grant(provider, caller, provider.wait_call(), call_id, 7, 700)
        spare = self.agent(bus, "spare").provide("it")
        provider.close()
        call = spare.wait_call()
        spare.wait(lambda: (call.call_id, 7, 700) in spare.call_credits, "the credit")
        spare.report(call.call_id, wire.CHUNK, 0, b"x")
        spare.answer(call.call_id)
        self.ended(caller, call_id, OK)
        self.assertEqual([(0, b"x")], self.chunks(caller))

    def test_the_stream_of_a_cancelled_call_stops(self):
        bus, provider, caller, call, call_id = self.streaming(HUGE, HUGE)
        provider.report(call.call_id, wire.CHUNK, 0, b"x")
        caller.wait(lambda: caller.reports, "a chunk")
        caller.send(wire.CANCEL, call_id, "")
        self.ended(caller, call_id, CANCELLED)
        for number in range(1, 50):
            provider.report(call.call_id, wire.CHUNK, number, b"x")
        self.through(provider)
        self.through(caller)
        self.assertEqual(1, len(caller.reports))

    def test_streams_side_by_side_do_not_mix(self):
        bus, provider, caller = self.pair("it")
        calls = {}
        for n in range(20):
            call_id = caller.call("it", b"%d" % n, flags=wire.STREAMS)
            calls[call_id] = provider.wait_call()
            caller.send(wire.CALL_CREDIT, call_id, 20, 1 << 20)
        self.through(caller)
        for number in range(20):
            for call in calls.values():
                provider.report(call.call_id, wire.CHUNK, number, call.envelope.payload)
        for call in calls.values():
            provider.answer(call.call_id)
        for call_id, call in calls.items():
            self.ended(caller, call_id, OK)
            self.assertEqual([(number, call.envelope.payload) for number in range(20)],
                             [(r.number, r.payload) for r in caller.reports if r.call_id == call_id])


if __name__ == "__main__":
    unittest.main()
