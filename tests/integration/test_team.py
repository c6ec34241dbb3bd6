# SPDX-License-Identifier: Apache-2.0
"""Six agents that work together, through a real broker: barriers, contract net, threads; in both homes. The scenarios are
in agents/team_agents.c."""

import collections
import subprocess
import unittest

import control
import harness
from harness import in_both_homes, wait_until
import ladder  # of the end-to-end tests: harness knows the way

PROGRAM = harness.BIN.parent / "tests" / "team_agents"
TEAM = [f"team-{number}" for number in range(6)]
OWN = {"team.jobs", "team.meet", "team.negotiate"}  # what each of them subscribes to by itself
FINE = {"open": "0", "failed_handlers": "0", "errors": "0"}


@in_both_homes
class Teams:
    def scenario(self, bus, name):
        """What the team has told. It has ended well, and its scenario has left nothing on the bus before that."""
        process = harness.Process(bus.folder, "team", [str(PROGRAM), bus.url, name], bus.environment, stdin=subprocess.PIPE)
        bus.processes.append(process)
        wait_until(lambda: "done" in process.out.splitlines() or not process.running(), f"the end of {name}", 100)
        told = dict(line.split(" ", 1) for line in process.out.splitlines() if line != "done")
        self.assertTrue(process.running(), f"{told} {process.err}")
        self.assert_nothing_left(bus)
        process.popen.stdin.close()
        self.assertEqual(0, process.wait(), f"{told} {process.err}")
        wait_until(lambda: bus.stats()["eventbus"]["subscriptions"] == 0, "no subscription after the end of the agents")
        self.assertEqual({}, bus.dropped())
        return told

    def assert_nothing_left(self, bus):
        """The agents are there, with what they subscribed to by themselves and their mailboxes."""
        def left():
            agents = control.ask(bus.control_path, op="agents")["agents"]
            self.assertLessEqual({agent["agent"] for agent in agents}, set(TEAM))
            return sorted(s["filter"] for agent in agents for s in agent["subscriptions"]
                          if s["filter"] not in OWN | {f"agent.{agent['agent']}.replies"})
        try:
            wait_until(lambda: not left(), "no subscription of the scenario")
        except TimeoutError:
            self.fail(f"subscriptions were left behind: {left()}")
        stats = bus.stats()["eventbus"]
        self.assertLessEqual(stats["subscriptions"], len(TEAM) * (len(OWN) + 1))
        self.assertEqual(0, stats["queued"])

    # ---- barriers ----

    def test_six_threads_meet_at_fifty_barriers_one_after_the_other(self):
        told = self.scenario(self.home(spans=False), "barrier")
        self.assertEqual({"met": "300", "early": "0", "alone": "ETIMEDOUT", "alone_arrived": "1", **FINE}, told)

    def test_six_handlers_meet_in_the_middle_of_their_events(self):
        told = self.scenario(self.home(spans=False), "barrier-in-handlers")
        self.assertEqual({"met": "60", "early": "0", **FINE}, told)

    # ---- contract net ----

    def assert_contract(self, told, bidders):
        places = {f"place_{place}": agent for place, agent in enumerate(reversed(bidders), start=1)}
        self.assertEqual({"status": "OK", "proposals": str(len(bidders)), "awarded": "2", "completed": "2", "ignored": "0",
                          "calls_heard": "6", "awards_heard": "2", "rejections_heard": str(len(bidders) - 2),
                          **places, **FINE}, told)

    def contract_trace(self, bus, bidders, before):
        """The one trace of a contract, whole. before: messages that led to it, each to all. Returns agent.fanout."""
        to_all, to_one = before + 1, 2 * len(bidders) + 2  # calls; proposals, answers and two results
        sent, taken = to_all + to_one, to_all * len(TEAM) + to_one
        expected = {"agent.emit": sent, "bridge.publish": sent, "eventbus.publish": sent, "bridge.forward": taken,
                    "agent.on_event": taken, "agent.fanout": 1, "agent.join": 2}
        bus.stop()
        found = bus.spans()
        ladder.assert_one_tree(found)
        self.assertEqual(expected, collections.Counter(span.name for span in found))
        by_id = {span.span_id: span for span in found}
        fanout = next(span for span in found if span.name == "agent.fanout")
        joins = sorted((span for span in found if span.name == "agent.join"), key=lambda span: len(span.links))
        self.assertEqual(("INTERNAL", f"agent-{TEAM[0]}"), (fanout.kind, fanout.service))
        self.assertEqual([(fanout.span_id, "CONSUMER", "complete", f"agent-{TEAM[0]}")] * 2,
                         [(join.parent_id, join.kind, join.attributes["loom.join.outcome"], join.service) for join in joins])
        winners = bidders[-2:]
        for join, sources in zip(joins, (winners, bidders)):  # the results, the proposals
            linked = [by_id[link.span_id] for link in join.links]
            self.assertEqual({fanout.trace_id}, {link.trace_id for link in join.links})
            self.assertEqual({"agent.emit"}, {span.name for span in linked})
            self.assertEqual([f"agent-{agent}" for agent in sources], sorted(span.service for span in linked))
            self.assertEqual(sources, sorted(join.attributes["loom.join.sources"]))
        self.assertEqual([0], list({span.status for span in found}))
        return fanout, by_id

    def test_a_contract_goes_to_the_best_two_of_six_and_is_one_trace(self):
        bus = self.home()
        self.assert_contract(self.scenario(bus, "contract"), TEAM)
        fanout, _ = self.contract_trace(bus, TEAM, before=0)
        self.assertEqual("", fanout.parent_id)

    def test_a_handler_makes_a_contract_with_the_others_below_its_own_span(self):
        bus = self.home()
        self.assert_contract(self.scenario(bus, "contract-in-handler"), TEAM[1:])
        fanout, by_id = self.contract_trace(bus, TEAM[1:], before=1)
        above = by_id[fanout.parent_id]
        self.assertEqual(("agent.on_event", "team.negotiate", f"agent-{TEAM[0]}"),
                         (above.name, above.attributes["topic"], above.service))

    # ---- threads ----

    def test_a_thread_knows_who_is_in_it_and_hears_every_post_in_order(self):
        told = self.scenario(self.home(spans=False), "thread")
        self.assertEqual({"seen": "36", "heard": "5000", "heard_by_poster": "0", "disorder": "0", "seen_after_close": "25",
                          "seen_after_leave": "16", **FINE}, told)

    def test_two_that_answer_each_others_posts_stop_after_sixteen_hops(self):
        bus = self.home()
        told = self.scenario(bus, "ping-pong")
        self.assertEqual({"heard": "16", "refused": "1", "seen_after_leave": "1", **FINE}, told)
        bus.stop()
        traces = collections.defaultdict(list)
        for span in bus.spans():
            traces[span.trace_id].append(span)
        posts = max(traces.values(), key=len)
        ladder.assert_one_tree(posts)
        self.assertEqual({"agent.emit": 16, "bridge.publish": 16, "eventbus.publish": 16, "bridge.forward": 32,
                          "agent.on_event": 32}, collections.Counter(span.name for span in posts))


if __name__ == "__main__":
    unittest.main()
