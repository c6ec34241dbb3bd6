# SPDX-License-Identifier: Apache-2.0
"""What agents must not do with calls: too large, too many, malformed, forged. Whoever did it hears of it, nobody else."""

import random
import struct
import unittest

import wire
from actions import DENIED, ERROR, NO_RESPONDERS, OK, TOO_LARGE, Actions
from harness import IN_BROKER, LoomTest, in_both_homes, wait_until
from packing import array_header, pack

HUGE = 2**64 - 1
PAYLOAD_MAX = 1 << 20


def framed(body):
    return struct.pack(">I", len(body)) + body


@in_both_homes
class Sizes(Actions):
    def test_payloads_of_the_limit_go_both_ways(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it", b"a" * PAYLOAD_MAX)
        call = provider.wait_call()
        self.assertEqual(PAYLOAD_MAX, len(call.envelope.payload))
        provider.answer(call.call_id, payload=b"b" * PAYLOAD_MAX)
        self.assertEqual(b"b" * PAYLOAD_MAX, self.ended(caller, call_id, OK).payload)

    def test_a_call_over_the_limit_is_refused_and_the_session_lives(self):
        bus, provider, caller = self.pair("it")
        for payload, options in ((b"a" * (PAYLOAD_MAX + 1), {}), (b"", {"headers": {"x": "y" * 17000}}),
                                 (b"", {"thread_id": "t" * 129})):
            self.ended(caller, caller.call("it", payload, **options), TOO_LARGE, "call_too_large")
        self.assertEqual([], provider.calls)
        self.served(provider, caller, "it")

    def test_a_result_over_the_limit_is_the_callers_outcome_and_the_session_lives(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it")
        provider.answer(provider.wait_call().call_id, payload=b"a" * (PAYLOAD_MAX + 1))
        self.ended(caller, call_id, TOO_LARGE, "result_too_large")
        self.assertEqual(1, self.actions(bus)["invalid"])
        self.served(provider, caller, "it")

    def test_a_smaller_limit_of_the_broker_is_kept(self):
        bus, provider, caller = self.pair("it", broker=("--max-payload", "1KiB"))
        if self.kind == IN_BROKER:  # a bridge has a limit of its own
            self.ended(caller, caller.call("it", b"x" * 1025), TOO_LARGE, "call_too_large")
        call_id = caller.call("it", b"x" * 1024)
        provider.answer(provider.wait_call().call_id, payload=b"y" * 1025)
        self.ended(caller, call_id, TOO_LARGE, "result_too_large")
        self.served(provider, caller, "it", b"z" * 1024)

    def test_the_longest_names_texts_and_ids_go_through(self):
        bus, provider, caller = self.pair()
        name, version = "n" * 256, "1." + "2" * 62
        provider.provide(name, version)
        call_id = caller.call(name, call_id=b"i" * 64, version=version)
        call = provider.wait_call()
        self.assertEqual((name, version), (call.capability, call.version))
        provider.answer(call.call_id, ERROR, code="c" * 1024, text="t" * 1024)
        self.assertEqual(("c" * 1024, "t" * 1024), self.ended(caller, call_id, ERROR)[2:])


@in_both_homes
class Nonsense(Actions):
    """Frames that are wrong end the session of whoever sent them."""

    def ends(self, bus, data, status=wire.EMALFORMED, number=[0]):
        number[0] += 1
        stranger = self.agent(bus, f"stranger-{number[0]}")
        stranger.link.send(data)
        kind, got, text = stranger.wait_end()
        self.assertEqual((wire.ERROR, status), (kind, got), text)
        self.assertTrue(text)

    def call_of(self, *values, envelope=None):
        """A call frame that is as wrong as its values."""
        values = [wire.CALL, *values]
        return framed(array_header(len(values) + 1) + b"".join(map(pack, values)) +
                      (envelope if envelope is not None else wire.envelope("it")))

    def test_malformed_calls_end_their_session_and_no_other(self):
        bus, provider, caller = self.pair("it")
        good = [b"id", "it", "", 0, 0, 0]
        for place, bad in ((0, b"x" * 65), (0, "id"), (0, None), (1, "n" * 257), (1, b"it"), (1, None), (2, "v" * 65),
                           (3, -1), (3, "1"), (4, None), (4, 1.5), (5, -1), (5, True)):
            with self.subTest(place=place, bad=bad):
                self.ends(bus, self.call_of(*good[:place], bad, *good[place + 1:]))
        self.ends(bus, self.call_of(*good[:5]))
        self.ends(bus, self.call_of(*good, 0))
        whole = wire.envelope("it")
        for broken in (b"", b"\xc0", b"\xff" * 40, b"\xdd\x04\x00\x00\x00", whole[:-1], whole + b"\xc0", whole + whole,
                       whole[:3] + b"\x63" + whole[4:], bytes(33), pack("it"), pack([1] * 16)):
            with self.subTest(broken=broken[:10]):
                self.ends(bus, self.call_of(*good, envelope=broken),
                          wire.EVERSION if broken[3:4] == b"\x63" else wire.EMALFORMED)
        self.served(provider, caller, "it")
        self.assert_outcomes(bus, ok=1)

    def test_malformed_answers_end_their_session_and_no_other(self):
        bus, provider, caller = self.pair("it")
        for values in ((wire.RESULT, b"", 0, "", "", b""), (wire.RESULT, b"x" * 65, 0, "", "", b""),
                       (wire.RESULT, b"x", -1, "", "", b""), (wire.RESULT, b"x", 0, "c" * 1025, "", b""),
                       (wire.RESULT, b"x", 0, "", "t" * 1025, b""), (wire.RESULT, b"x", 0, "", "", "text"),
                       (wire.RESULT, b"x", 0, "", ""), (wire.RESULT, {}), (wire.REPORT, b"", 0, 0, b""),
                       (wire.REPORT, b"x", 0, 0), (wire.REPORT, b"x", "0", 0, b""), (wire.CANCEL, b"", ""),
                       (wire.CANCEL, b"x", "r" * 1025), (wire.CANCEL, b"x"), (wire.CALL_CREDIT, b"x", 1, -1),
                       (wire.CALL_CREDIT, b"x" * 65, 1, 1)):
            with self.subTest(values=str(values)[:60]):
                self.ends(bus, wire.frame(*values))
        self.served(provider, caller, "it")

    def test_calls_before_hello_are_refused(self):
        bus, provider, caller = self.pair("it")
        stranger = self.agent(bus)
        stranger.link.send(self.call_of(b"id", "it", "", 0, 0, 0))
        self.assertEqual((wire.ERROR, wire.EPROTO), stranger.wait_end()[:2])

    def test_values_of_a_later_version_after_an_answer_are_ignored(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it")
        call = provider.wait_call()
        provider.send(wire.REPORT, call.call_id, wire.PROGRESS, 0, b"", {"later": [1]})
        provider.send(wire.RESULT, call.call_id, OK, "", "", b"x", "later")
        self.assertEqual(b"x", self.ended(caller, call_id, OK).payload)

    def test_capabilities_that_cannot_be_have_no_provider(self):
        bus, provider, caller = self.pair("it")
        for name in ("", "a b", "*", ">", "it.", "\0", "n" * 256):
            call_id = b"id of " + name.encode()[:20]
            caller.link.send(wire.call_frame(call_id, name, wire.envelope("it", sender="caller")))
            self.ended(caller, call_id, NO_RESPONDERS)

    def test_mutated_frames_harm_nobody_but_their_sender(self):
        bus = self.bus_of_calls()
        provider = bus.run("loom", "provide", "--url", bus.url, "it", "--", "cat")
        wait_until(lambda: "providing" in provider.err, "it is provided")
        caller = self.agent(bus, "caller")
        chance = random.Random(4711)
        kinds = [self.call_of(b"id", "it", "0", 100, 50, 3, envelope=wire.envelope("it", b"x", headers={"a": "b"})),
                 wire.frame(wire.RESULT, bytes(8), 0, "code", "text", b"payload"), wire.frame(wire.CANCEL, b"id", "why"),
                 wire.frame(wire.REPORT, bytes(8), 1, 0, b"payload"), wire.frame(wire.CALL_CREDIT, b"id", 10, 1000),
                 wire.frame(wire.PROVIDE, {"request": 1, "name": "other", "version": "1", "metadata": {"a": "b"}})]
        for n in range(250):
            with bus.agent(f"mutant-{n % 10}") as mutant:
                data = bytearray(b"".join(chance.choices(kinds, k=4)))
                for _ in range(chance.randint(1, 4)):
                    data[chance.randrange(4, len(data))] = chance.randrange(256)
                mutant.link.send(bytes(data))
        wait_until(lambda: self.actions(bus)["parties"] == 2, "all of them have gone")
        self.assertEqual((OK, b"fine"), caller.wait_result(caller.call("it", b"fine"))[:2])
        self.assertTrue(provider.running())

@in_both_homes
class Forgeries(Actions):
    def test_a_forged_sender_is_denied(self):
        bus, provider, caller = self.pair("it")
        self.ended(caller, caller.call("it", sender="provider"), DENIED, "sender")
        self.served(provider, caller, "it")

    def test_no_sender_is_the_agent(self):
        bus, provider, caller = self.pair("it")
        caller.call("it", sender=None)
        call = provider.wait_call()
        self.assertEqual("caller", call.envelope.sender)
        provider.answer(call.call_id)

    def test_answers_that_nobody_waits_for_are_ignored(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it")
        call = provider.wait_call()
        for unknown in (call_id, b"x", bytes(8), b"\xff" * 8, b"y" * 64, call.call_id + b"\0", call.call_id[:-1]):
            provider.answer(unknown, payload=b"wrong")
            provider.report(unknown, wire.PROGRESS, 0, b"wrong")
            caller.answer(unknown)
        self.through(provider)
        self.through(caller)
        provider.answer(call.call_id, payload=b"right")
        provider.answer(call.call_id, payload=b"twice")
        provider.answer(call.call_id, ERROR, b"twice")
        self.assertEqual(b"right", self.ended(caller, call_id, OK).payload)
        self.through(provider)
        self.said_no_more(caller, call_id)
        self.assertEqual([], caller.reports)
        self.assert_outcomes(bus, ok=1)

    def test_nobody_answers_for_another_provider(self):
        bus, provider, caller = self.pair("it")
        call_id = caller.call("it", flags=wire.STREAMS)
        call = provider.wait_call()
        thief = self.agent(bus, "thief").provide("it").provide("other")
        other_id = caller.call("other")
        thief.wait_call()
        for kind in (wire.PROGRESS, wire.CHUNK):
            thief.report(call.call_id, kind, 0, b"stolen")
        thief.answer(call.call_id, payload=b"stolen")
        caller.answer(call.call_id, payload=b"stolen")
        self.through(thief)
        self.through(caller)
        provider.answer(call.call_id, payload=b"own")
        self.assertEqual(b"own", self.ended(caller, call_id, OK).payload)
        self.assertEqual([], caller.reports)
        thief.close()
        self.ended(caller, other_id, ERROR, "provider_gone")

    def test_an_outcome_that_there_is_not_is_an_error(self):
        bus, provider, caller = self.pair("it")
        for outcome in (7, 99, 2**32, HUGE):
            call_id = caller.call("it")
            provider.answer(provider.wait_call().call_id, outcome, b"x")
            self.ended(caller, call_id, ERROR, "bad_result")
        self.assertEqual(4, self.actions(bus)["invalid"])
        self.served(provider, caller, "it")

    def test_a_newer_session_of_an_agent_does_not_get_the_results_of_the_older(self):
        bus, provider, caller = self.pair("it")
        caller.call("it", call_id=b"same")
        call = provider.wait_call()
        newer = self.agent(bus, "caller")
        provider.wait(lambda: provider.cancels, "the cancel")
        provider.answer(call.call_id, payload=b"for the older one")
        self.through(provider)
        self.through(newer)
        self.assertEqual({}, newer.results)


if __name__ == "__main__":
    unittest.main()
