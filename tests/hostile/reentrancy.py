# SPDX-License-Identifier: Apache-2.0
"""Rows 1, 14: callbacks that wait, and what they see meanwhile. hostile_agent is built with the tree's own sanitizers;
without any, freed memory is overwritten by the allocator, so that whoever reads it is found out."""


from hostile import IN_BROKER, HostileTest, main, start_agent, wait_until, wire

FOUND_OUT = {"MALLOC_PERTURB_": "165"}


class Reentrancy(HostileTest):
    kind = IN_BROKER

    def started(self, mode):
        home = self.home(spans=False)
        self.other = self.agent(home, "other")
        for name in ("outer", "inner", "free", "slow"):
            self.other.provide(name)
        for number, topic in enumerate(("after", "from.callback", "from.action")):
            self.other.subscribe(topic, number + 1)
        agent = start_agent(home, mode, home.url, "agent", environment=FOUND_OUT)
        wait_until(lambda: "ready" in agent.out or not agent.running(), "the agent is ready")
        return home, agent

    def call_of(self, capability):
        self.other.wait(lambda: any(call.capability == capability for call in self.other.calls), f"a call of {capability}")
        call = next(call for call in self.other.calls if call.capability == capability)
        self.other.calls.remove(call)
        return call

    def interleaved(self):
        """The outer call's result comes while a callback of it waits for the inner call."""
        home, agent = self.started("reenter")
        self.other.publish("start", b"x", thread_id="the-thread", correlation_id="the-correlation")
        outer = self.call_of("outer")
        self.other.publish("noise", b"x")  # the agent does not hold the first event any more
        wait_until(lambda: "noise" in agent.out, "the agent has seen another event")
        self.other.report(outer.call_id, wire.CHUNK, 0, b"part")
        inner = self.call_of("inner")
        self.other.answer(outer.call_id)
        self.other.answer(inner.call_id)
        wait_until(lambda: "chunk ends" in agent.out or not agent.running(), "the callback returns")
        wait_until(lambda: "outcome" in agent.out or not agent.running(), "the outcome is told")
        if not agent.running():
            home.processes.remove(agent)  # its end is judged by the test
        return agent

    def test_the_outcome_is_told_after_the_callback_has_returned(self):
        agent = self.interleaved()
        order = [line for line in agent.out.splitlines() if line.startswith(("chunk", "outcome"))]
        self.right(order == ["chunk begins", "chunk ends", "outcome"], f"told in this order: {order}")

    def test_the_message_of_a_call_lives_while_a_callback_of_it_runs(self):
        agent = self.interleaved()
        if not agent.running():
            self.right(False, f"the agent ended with {agent.popen.returncode}: "
                              f"{next((line for line in agent.err.splitlines() if 'ERROR' in line), agent.err[-200:])}")
        try:
            event = self.other.wait_events(1)[0]
            seen = (event.thread_id, event.correlation_id)
        except (UnicodeDecodeError, TimeoutError) as problem:
            seen = problem
        self.right(seen == ("the-thread", "the-correlation"), f"what the callback emits is of thread and correlation {seen}")

    def nested(self, provoke, topic):
        """The trace of what is emitted by a stranger while a handler waits, and that handler's own."""
        home, _ = self.started("stranger")
        hop = wire.new_hop()
        self.other.publish("start", b"x", hop=hop)
        slow = self.call_of("slow")
        self.assertEqual(hop.trace_id, slow.envelope.context.trace_id)
        provoke()
        self.other.wait(lambda: any(event.topic == topic for event in self.other.events), topic)
        self.other.answer(slow.call_id)
        event = next(event for event in self.other.events if event.topic == topic)
        return event.context.trace_id != hop.trace_id

    def test_a_callback_while_a_handler_waits_is_in_no_trace_of_that_handler(self):
        other = self.nested(lambda: self.other.answer(self.call_of("free").call_id), "from.callback")
        self.right(other, f"what it emits is in {'a trace of its own' if other else 'the trace of the handler'}")

    def test_a_call_without_a_context_while_a_handler_waits_is_in_no_trace_of_that_handler(self):
        other = self.nested(lambda: self.other.call("own"), "from.action")
        self.right(other, f"what it emits is in {'a trace of its own' if other else 'the trace of the handler'}")


if __name__ == "__main__":
    main()
