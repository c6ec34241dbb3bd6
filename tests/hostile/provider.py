# SPDX-License-Identifier: Apache-2.0
"""Rows 4, 10, and a suspicion: a slow provider, a caller that does not read, and streams that change their owner."""

import signal

from hostile import MIB, OWN_PROCESS, Agent, HostileTest, in_both_homes, main, wait_until, wire

OK, ERROR, TIMEOUT = range(3)


def is_alive(agent):
    """Whether its session still answers, after everything that waits for it was read."""
    try:
        agent.sync()
        return agent.end is None
    except Exception:  # its end, or the end of its connection
        return False


@in_both_homes
class Slow:
    def test_calls_that_have_timed_out_do_not_end_the_session_of_a_slow_provider(self):
        self.unsanitized()
        home = self.home(spans=False)
        provider, caller = self.agent(home, "provider").provide("slow"), self.agent(home, "caller")
        payload = bytes(MIB - 1000)
        for _ in range(4):  # what a provider may have unanswered is 64 MiB; each round is over before the next
            calls = [caller.call("slow", payload, deadline_ms=100) for _ in range(25)]
            for call_id in calls:
                caller.wait_result(call_id)
        alive = is_alive(provider)
        self.right(alive, f"100 MiB of calls with 100 ms each: the session is {'alive' if alive else f'ended, {provider.end}'}, "
                          f"{len(provider.calls)} of them came")


@in_both_homes
class Progress:
    def test_progress_for_a_caller_that_does_not_read_does_not_end_its_session(self):
        self.unsanitized()
        home = self.home(spans=False)
        provider, caller = self.agent(home, "provider").provide("talks"), self.agent(home, "caller")
        caller.call("talks", deadline_ms=60_000)
        call = provider.wait_call()
        for number in range(90):
            provider.report(call.call_id, wire.PROGRESS, number, bytes(MIB - 1000))
        provider.sync()
        provider.answer(call.call_id)
        wait_until(lambda: not home.stats()["actions"]["running"], "the call is over")
        alive = is_alive(caller)
        self.right(alive, f"90 MiB of progress: the caller's session is {'alive' if alive else f'ended, {caller.end}'}, "
                          f"{len(caller.reports)} reports came")


class StoppedBridge(HostileTest):
    """What waits at the broker for a bridge that does not read is bounded without ending the bridge."""
    kind = OWN_PROCESS
    MIB_IN_ALL = 300  # a bridge for which 256 MiB wait loses its connection

    def stopped(self, home):
        home.bridge.signal(signal.SIGSTOP)
        self.addCleanup(home.bridge.signal, signal.SIGCONT)

    def alive_again(self, home, agent, what):
        home.bridge.signal(signal.SIGCONT)
        alive = is_alive(agent)
        lost = "bridge disconnected" in home.broker.err
        self.right(alive and not lost, f"{self.MIB_IN_ALL} MiB of {what} while its bridge was stopped: the session is "
                                       f"{'alive' if alive else f'ended, {agent.end}'}, the bridge was{'' if lost else ' not'} given up")

    def test_calls_that_have_timed_out_do_not_end_the_bridge_of_their_provider(self):
        self.unsanitized()
        home = self.home(spans=False)
        provider = self.agent(home, "provider").provide("slow")
        caller = self.enterContext(Agent(f"ipc://{home.folder}/broker.sock", "caller"))
        self.stopped(home)
        payload, codes = bytes(MIB - 1000), set()
        for _ in range(self.MIB_IN_ALL // 25):
            calls = [caller.call("slow", payload, deadline_ms=100) for _ in range(25)]
            codes |= {caller.wait_result(call_id).code for call_id in calls}
        self.alive_again(home, provider, "calls with 100 ms each")
        self.assertIn("provider_busy", codes)
        self.assertGreater(home.stats()["bus"]["refused_calls"], 0)

    def test_progress_does_not_end_the_bridge_of_its_caller(self):
        self.unsanitized()
        home = self.home(spans=False)
        caller = self.agent(home, "caller")
        provider = self.enterContext(Agent(f"ipc://{home.folder}/broker.sock", "provider")).provide("talks")
        caller.call("talks", deadline_ms=60_000)
        call = provider.wait_call()
        self.stopped(home)
        for number in range(self.MIB_IN_ALL):
            provider.report(call.call_id, wire.PROGRESS, number, bytes(MIB - 1000))
        provider.sync()
        self.alive_again(home, caller, "progress")
        self.assertGreater(home.stats()["bus"]["dropped_progress"], 0)


class Joined(HostileTest):
    """An agent begins a stream, and comes back through another bridge, where it asks the same call again. (That two parties
    of one agent share a stream is a unit test: an agent lives once.)"""
    kind = OWN_PROCESS

    def test_a_stream_gives_its_new_owner_no_more_than_that_one_has_granted(self):
        home = self.home(spans=False)
        provider = self.agent(home, "provider").provide("stream")
        first = self.enterContext(Agent(f"ipc://{home.folder}/broker.sock", "caller"))
        first.call("stream", call_id=b"same", flags=wire.STREAMS, deadline_ms=60_000)
        first.send(wire.CALL_CREDIT, b"same", 10, MIB)
        before = provider.wait_call()
        provider.wait(lambda: provider.call_credits, "credit")
        second = self.agent(home, "caller")
        first.wait(lambda: first.end is not None, "the end of the older session")
        second.call("stream", call_id=b"same", flags=wire.STREAMS, deadline_ms=60_000)
        now = provider.wait_call()
        for number in range(10):
            provider.report(before.call_id, wire.CHUNK, number, b"chunk")
        provider.answer(before.call_id)
        provider.answer(now.call_id)
        result = second.wait_result(b"same")
        chunks = sum(report.kind == wire.CHUNK for report in second.reports)
        self.right(chunks == 0, f"the new owner granted nothing and got {chunks} chunks, and the result {result[:3]}")


del Slow, Progress  # only in their homes

if __name__ == "__main__":
    main()
