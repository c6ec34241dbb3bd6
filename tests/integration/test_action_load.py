# SPDX-License-Identifier: Apache-2.0
"""Many calls, and agents that do not read: bounds are kept, nothing is lost within them, and memory stays where it was."""

import struct
import threading
import time
import unittest

import control
import wire
from actions import DENIED, NO_RESPONDERS, OK, Actions
from harness import LoomTest, in_both_homes, wait_until

KIB = 1024


def serve(provider, count):
    """Answers so many calls with what came in the last byte of their payload; written for speed."""
    link, buffer, done = provider.link, b"", 0
    while done < count:
        buffer += link.recv(20.0)
        at, answers = 0, []
        while len(buffer) - at >= 4:
            end = at + 4 + struct.unpack_from(">I", buffer, at)[0]
            if end > len(buffer):
                break
            if buffer[at + 5] == wire.CALL:
                call_id = buffer[at + 8:at + 16]  # behind the type: c4 08
                answers.append(b"\x00\x00\x00\x12\x96\x09\xc4\x08" + call_id + b"\x00\xa0\xa0\xc4\x01" + buffer[end - 1:end])
            at = end
        buffer = buffer[at:]
        link.send(b"".join(answers))
        done += len(answers)


def count_results(caller, count):
    """Reads so many results; their outcomes."""
    buffer, outcomes = b"", {}
    while sum(outcomes.values()) < count:
        buffer += caller.link.recv(20.0)
        at = 0
        while len(buffer) - at >= 4:
            end = at + 4 + struct.unpack_from(">I", buffer, at)[0]
            if end > len(buffer):
                break
            if buffer[at + 5] == wire.RESULT:
                outcome = buffer[at + 8 + buffer[at + 7]]
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
            at = end
        buffer = buffer[at:]
    return outcomes


@in_both_homes
class Many(Actions):
    def pipelined(self, provider, caller, count, first=0):
        """So many calls with ids of their own, 1,000 at once."""
        template = wire.call_frame(b"\xaa" * 8, "it", wire.envelope("it", b"x", "caller"), deadline_ms=60000)
        before, after = template.split(b"\xaa" * 8)
        server = threading.Thread(target=serve, args=(provider, count))
        server.start()
        for start in range(first, first + count, 1000):
            caller.link.send(b"".join(before + struct.pack(">Q", n) + after for n in range(start, start + 1000)))
            self.assertEqual({OK: 1000}, count_results(caller, 1000))
        server.join()

    def test_a_hundred_thousand_calls_leave_no_memory_behind(self):
        bus, provider, caller = self.pair("it")
        watched = [process for process in (bus.broker, bus.bridge) if process is not None]
        self.pipelined(provider, caller, 20_000)  # the cache of results is full after half of them
        before = [process.resident_kib() for process in watched]
        self.pipelined(provider, caller, 100_000, 20_000)
        for process, memory in zip(watched, before):
            if not process.sanitized():
                self.assertLess(process.resident_kib() - memory, 2048, process.name)
        counts = self.actions(bus)
        self.assertEqual((120_000, 120_000, 120_000, 10_000),
                         (counts["invoked"], counts["attempts"], counts["outcomes"]["ok"], counts["cache_entries"]))

    def test_ten_thousand_calls_wait_and_one_more_is_refused(self):
        bus, provider, caller = self.pair("it")
        other = self.agent(bus, "other")
        ids = [caller.call("it", b"%d" % n, call_id=b"%d" % n) for n in range(10_000)]
        more = caller.call("it")
        self.ended(caller, more, DENIED, "too_many_calls")
        self.assertEqual((10_000, 10_000), (self.actions(bus)["pending"], self.actions(bus)["running"]))
        caller.call("it", call_id=ids[0])  # one that would join is one more, too
        self.ended(caller, ids[0], DENIED, "too_many_calls")
        self.served_among(provider, other)
        provider.wait(lambda: len(provider.calls) == 10_000, "all calls")
        for call in provider.calls:
            provider.answer(call.call_id, payload=call.envelope.payload)
        caller.wait(lambda: len(caller.results) == 10_000, "all results")
        for call_id in ids:
            self.assertEqual([(OK, call_id, "", "")], caller.results[call_id])
        provider.calls.clear()
        caller.results.clear()
        self.served(provider, caller, "it")

    def served_among(self, provider, other):
        """Another caller is not held up by the many."""
        call_id = other.call("it", b"other")
        call = provider.wait(lambda: next((c for c in provider.calls if c.envelope.sender == "other"), None), "the call")
        provider.calls.remove(call)
        provider.answer(call.call_id)
        self.ended(other, call_id, OK)

    def test_ten_thousand_calls_of_a_caller_that_leaves_are_cancelled(self):
        bus, provider, caller = self.pair("it")
        for n in range(10_000):
            caller.call("it", call_id=b"%d" % n)
        provider.wait(lambda: len(provider.calls) == 10_000, "all calls")
        caller.close()
        provider.wait(lambda: len(provider.cancels) == 10_000, "all cancels")
        self.assert_outcomes(bus, cancelled=10_000)

    def test_ten_thousand_calls_of_a_provider_that_leaves_fail(self):
        bus, provider, caller = self.pair("it")
        for n in range(10_000):
            caller.call("it", call_id=b"%d" % n)
        provider.wait(lambda: len(provider.calls) == 10_000, "all calls")
        provider.close()
        caller.wait(lambda: len(caller.results) == 10_000, "all results")
        self.assert_outcomes(bus, error=10_000)

    def test_an_agent_that_provides_over_and_over_keeps_nobody_waiting_for_long(self):
        bus, provider, caller = self.pair("it")
        restless = self.agent(bus, "restless")
        for n in range(1000):
            restless.send(wire.PROVIDE, {"request": 0, "name": f"other.{n}"})
        restless.link.send(wire.frame(wire.PROVIDE, {"request": 0, "name": "other.999"}) * 5000)
        started = time.monotonic()
        self.served(provider, caller, "it")
        self.assert_soon(started)
        self.through(restless)
        self.assertEqual(1001, self.actions(bus)["capabilities"])

    def test_a_thousand_duplicates_and_their_cancel(self):
        bus, provider, caller = self.pair("it")
        for _ in range(1000):
            caller.call("it", call_id=b"same")
        provider.wait_call()
        caller.send(wire.CANCEL, b"same", "")
        caller.wait(lambda: len(caller.results.get(b"same", [])) == 1000, "as many results")
        self.assert_outcomes(bus, cancelled=1000)


@in_both_homes
class NotReading(Actions):
    """An agent that does not read what it asked for costs a bounded amount of memory and in the end its session; one that
    does not read what it is asked costs the memory, and is busy. The others notice nothing else."""

    def bystanders(self, bus):
        return self.agent(bus, "honest-provider").provide("honest"), self.agent(bus, "honest-caller")

    def memory(self, bus):
        return [process.resident_kib() for process in (bus.broker, bus.bridge) if process is not None]

    def assert_bounded(self, bus, before):
        for process, memory in zip((bus.broker, bus.bridge), before):
            if process is not None and not process.sanitized():
                self.assertLess(process.resident_kib() - memory, 120 * KIB, process.name)

    def test_a_provider_that_does_not_read_is_busy_until_it_does(self):
        bus, deaf, caller = self.pair("it")
        honest = self.bystanders(bus)
        before = self.memory(bus)
        deadline_ms = 5000  # longer than it takes to send them
        ids = [caller.call("it", b"x" * 512 * KIB, deadline_ms=deadline_ms) for _ in range(150)]
        caller.wait(lambda: any(result.code == "provider_busy" for [result] in caller.results.values()), "a refusal")
        self.served(*honest, "honest")
        self.assert_bounded(bus, before)
        codes = {caller.wait_result(call_id).code for call_id in ids}
        self.assertEqual({"provider_busy", "deadline_exceeded"}, codes)
        ids = [caller.call("it", b"x" * 512 * KIB, deadline_ms=deadline_ms) for _ in range(60)]
        codes = {caller.wait_result(call_id).code for call_id in ids}
        self.assertLessEqual(codes, {"provider_busy", "deadline_exceeded"})
        self.served(*honest, "honest")
        self.assert_bounded(bus, before)
        deaf.sync()
        self.assertIsNone(deaf.end)
        self.assertLess(len(deaf.calls), 60)  # the others were over before they were sent
        deaf.calls.clear()
        call_id = caller.call("it")
        deaf.answer(deaf.wait_call().call_id)
        caller.wait_result(call_id)

    def test_a_caller_that_never_reads_its_results_loses_its_session(self):
        bus, provider, deaf = self.pair("it")
        honest = self.bystanders(bus)
        before = self.memory(bus)
        for n in range(160):
            deaf.call("it", call_id=b"%d" % n)
        for n in range(160):
            provider.answer(provider.wait_call().call_id, payload=b"x" * 512 * KIB)
            if n % 40 == 0:
                self.served(*honest, "honest")
        wait_until(lambda: not any(a["agent"] == "caller" for a in self.agents(bus)), "its session is over")
        self.served(*honest, "honest")
        self.assert_bounded(bus, before)
        self.assertEqual(wire.EFULL, deaf.wait_end()[1])

    @staticmethod
    def agents(bus):
        return control.ask(bus.control_path, op="agents")["agents"]

    def test_a_hundred_thousand_refusals_are_all_there_for_a_caller_that_reads_late(self):
        bus, _, late = self.pair()
        late.link.send(wire.call_frame(b"id", "nobody.home", wire.envelope("nobody.home", sender="caller")) * 100_000)
        self.assertEqual({NO_RESPONDERS: 100_000}, count_results(late, 100_000))

    def test_a_caller_that_never_reads_its_stream_loses_its_session(self):
        bus, provider, deaf = self.pair("it")
        honest = self.bystanders(bus)
        before = self.memory(bus)
        call_id = deaf.call("it", flags=wire.STREAMS)
        call = provider.wait_call()
        deaf.send(wire.CALL_CREDIT, call_id, 1 << 40, 1 << 60)  # more than it can take
        provider.wait(lambda: provider.call_credits, "the credit")
        for number in range(160):
            provider.report(call.call_id, wire.CHUNK, number, b"x" * 512 * KIB)
        provider.wait(lambda: provider.cancels, "the cancel, since the caller has gone")
        self.served(*honest, "honest")
        self.assert_bounded(bus, before)

    def test_a_provider_that_reads_slowly_keeps_its_session(self):
        """A megabyte after the other, always less than the bound on its way."""
        bus, provider, caller = self.pair("it")
        for _ in range(5):
            ids = [caller.call("it", b"x" * 64 * KIB) for _ in range(60)]
            for _ in range(60):
                provider.answer(provider.wait_call().call_id)
            for call_id in ids:
                self.assertEqual(OK, caller.wait_result(call_id).outcome)


if __name__ == "__main__":
    unittest.main()
