# SPDX-License-Identifier: Apache-2.0
"""What the tests of actions share: agents on the wire, and what the broker must count when they are done."""

import time

from harness import wait_until

OK, ERROR, TIMEOUT, NO_RESPONDERS, DENIED, CANCELLED, TOO_LARGE = range(7)
PROMPT_S = 10.0  # "at once", on a machine that has other things to do


class Actions:
    """Mixed into the test classes. When all agents of a test have gone, its broker must have forgotten every call."""

    def bus_of_calls(self, **options):
        bus = self.home(spans=False, **options)
        self.addCleanup(self.assert_settled, bus)
        return bus

    def pair(self, *provided, **options):
        """A bus, a provider of these, and a caller."""
        bus = self.bus_of_calls(**options)
        provider, caller = self.agent(bus, "provider"), self.agent(bus, "caller")
        for name in provided:
            provider.provide(name)
        return bus, provider, caller

    @staticmethod
    def actions(bus):
        return bus.stats()["actions"]

    def assert_settled(self, bus):
        """No call is open, and each invoke had one outcome."""
        if not bus.broker.running() or (bus.bridge is not None and not bus.bridge.running()):
            return
        wait_until(lambda: not any(self.actions(bus)[name] for name in ("pending", "running", "kept_bytes")),
                   "every call is over")
        counts = self.actions(bus)
        self.assertEqual(counts["invoked"], sum(counts["outcomes"].values()), counts)

    def assert_outcomes(self, bus, **expected):
        """These so far, and no others."""
        self.assertEqual(expected, {name: count for name, count in self.actions(bus)["outcomes"].items() if count})

    def ended(self, caller, call_id, outcome, code=None):
        """The result, which must be this one, and the only one."""
        result = caller.wait_result(call_id)
        self.assertEqual(outcome, result.outcome, result)
        if code is not None:
            self.assertEqual(code, result.code, result)
        self.said_no_more(caller, call_id)
        return result

    def said_no_more(self, agent, call_id):
        """Nothing else of this call is on its way from the broker."""
        self.through(agent)
        self.assertEqual([], agent.results.get(call_id, []))

    @staticmethod
    def through(agent):
        """Until the broker has done all that this agent asked for, and the agent has read what was said meanwhile."""
        agent.request(11, name="nothing", withdraw=True)

    def served(self, provider, caller, name, payload=b"fine"):
        """A call of now goes to the provider and back."""
        call_id = caller.call(name, payload)
        call = provider.wait_call()
        self.assertEqual(payload, call.envelope.payload)
        provider.answer(call.call_id, payload=payload)
        self.assertEqual((OK, payload), caller.wait_result(call_id)[:2])

    def assert_soon(self, started):
        self.assertLess(time.monotonic() - started, PROMPT_S)
