# SPDX-License-Identifier: Apache-2.0
"""The market-analyst demo, with a killed analyst, asked about in a real Jaeger: every price is one trace whose branches are
joined, or of which two are joined when the third is missing; in both homes of the bridge."""

import unittest

import demos
import jaeger
import ladder
import spans

DEMO = jaeger.ROOT / "demos" / "market-analyst" / "run.sh"
TICKS, KILLED_TICKS = 2, 2
SPANS = {"complete": 29, "timeout": 22}
ANALYSTS = {"complete": {"trend", "risk", "sentiment"}, "timeout": {"trend", "sentiment"}}


def setUpModule():
    global server  # unittest gives a module's fixture no other place
    server = unittest.enterModuleContext(jaeger.Jaeger())


class Prices:
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.written = demos.run(server, DEMO, "--ticks", str(TICKS), "--killed-ticks", str(KILLED_TICKS), "--interval", "100",
                                "--timeout", "1000", *cls.options)
        roots = sorted((span for span in cls.written if span.name == "market.tick"), key=lambda span: span.start_ns)
        if len(roots) != TICKS + KILLED_TICKS:
            raise AssertionError(f"{len(roots)} traces\n{spans.draw(cls.written)}")
        wanted = ["complete"] * TICKS + ["timeout"] * KILLED_TICKS
        cls.traces = [(outcome, server.wait_trace(root.trace_id, lambda found, outcome=outcome: len(found) >= SPANS[outcome],
                                                  demos.TRACE_DEADLINE_S))
                      for root, outcome in zip(roots, wanted)]

    def test_every_price_is_one_trace_of_exactly_its_spans(self):
        for outcome, found in self.traces:
            self.assertEqual(SPANS[outcome], len(found), spans.draw(found))
            self.assertEqual(1, sum(not span.parent_id for span in found), spans.draw(found))

    def test_the_join_links_every_opinion_and_says_how_it_ended(self):
        for outcome, found in self.traces:
            [join] = [span for span in found if span.name == "agent.join"]
            partials = {span.span_id: span.service for span in found
                        if span.name == "agent.emit" and span.attributes["topic"].startswith("market.partial.")}
            self.assertEqual({f"agent-{name}" for name in ANALYSTS[outcome]}, set(partials.values()))
            self.assertEqual(set(partials), {link.span_id for link in join.links})
            self.assertEqual(outcome, join.attributes["loom.join.outcome"])
            self.assertEqual(3, join.attributes["loom.join.expected"])
            self.assertEqual(len(partials), join.attributes["loom.join.received"])

    def test_the_plan_is_part_of_the_join(self):
        for _, found in self.traces:
            [join] = [span for span in found if span.name == "agent.join"]
            [plan] = [span for span in found if span.name == "agent.emit" and span.attributes["topic"] == "plan.ready"]
            self.assertEqual(join.span_id, plan.parent_id)

    def test_jaeger_finds_nothing_odd(self):
        for _, found in self.traces:
            ladder.assert_nothing_odd(found)


class WithTheBridgeInItsOwnProcess(Prices, unittest.TestCase):
    pass


class WithTheBridgeInsideTheBroker(Prices, unittest.TestCase):
    options = ("--in-process-bridge",)


if __name__ == "__main__":
    jaeger.require()
    unittest.main()
