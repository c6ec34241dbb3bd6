# SPDX-License-Identifier: Apache-2.0
"""Rows 15, 16: who an agent is, and from whom it takes an award."""

import signal
import time

from hostile import (IN_BROKER, OWN_PROCESS, Agent, Ended, HostileTest, control, in_both_homes, main, start_agent, wait_until,
                     wire)
from gateway import Client  # of the integration tests, whose folder hostile adds


def lives(home, agent_id):
    return [agent["bridge"] for agent in control.ask(home.control_path, op="agents")["agents"] if agent["agent"] == agent_id]


class Twice(HostileTest):
    kind = OWN_PROCESS

    def known(self, home, older):
        """The broker has heard of it, and not yet of a newer one."""
        wait_until(lambda: lives(home, "twin"), "the directory knows the older session")
        return older

    def assert_once(self, home, older, newer):
        """The newer session has taken the place of the older one, and both agents and directory know."""
        newer.sync()
        try:
            older.wait(lambda: older.end is not None, "the end of the older session", deadline_s=1.0)
        except TimeoutError:
            pass
        where = lives(home, "twin")
        self.right(older.end is not None and older.end[1] == wire.EREPLACED and len(where) == 1,
                   f"the older session hears {older.end}; the directory has it at {where}")

    def second_bridge(self, home):
        second = home.run("loom-bridge", "--bus-bridge", f"ipc://{home.folder}/bus-bridge.sock", "--id", "second",
                          "--listen", f"ipc://{home.folder}/second.sock", "--ready-file", home.folder / "second.ready")
        wait_until((home.folder / "second.ready").exists, "the second bridge listens")
        self.addCleanup(second.stop)
        return second

    def test_an_id_on_another_bridge_replaces_the_older_session(self):
        home = self.home(spans=False)
        self.second_bridge(home)
        older = self.known(home, self.agent(home, "twin"))
        self.assert_once(home, older, self.enterContext(Agent(f"ipc://{home.folder}/second.sock", "twin")))

    def test_the_newer_session_stays_in_whatever_order_a_new_broker_hears_of_the_two(self):
        home = self.home(spans=False)
        second = self.second_bridge(home)
        older = self.known(home, self.agent(home, "twin"))
        home.kill(home.broker)
        wait_until(lambda: "lost the connection" in home.bridge.err and "lost the connection" in second.err, "both know")
        time.sleep(0.05)  # ages are told in milliseconds
        newer = self.enterContext(Agent(f"ipc://{home.folder}/second.sock", "twin"))
        home.bridge.signal(signal.SIGSTOP)
        home.start_broker()
        self.known(home, newer)
        home.bridge.signal(signal.SIGCONT)
        self.assert_once(home, older, newer)

    def test_an_id_on_the_brokers_own_bridge_replaces_the_one_on_another(self):
        home = self.home(spans=False)
        older = self.known(home, self.agent(home, "twin"))
        self.assert_once(home, older, self.enterContext(Agent(f"ipc://{home.folder}/broker.sock", "twin")))

    def test_an_id_on_a_bridge_replaces_the_one_on_the_brokers_own(self):
        home = self.home(spans=False)
        older = self.known(home, self.enterContext(Agent(f"ipc://{home.folder}/broker.sock", "twin")))
        self.assert_once(home, older, self.agent(home, "twin"))

    def test_a_mailbox_has_one_reader(self):
        home = self.home(spans=False)
        older = self.known(home, self.agent(home, "twin").subscribe("agent.twin.replies"))
        newer = self.enterContext(Agent(f"ipc://{home.folder}/broker.sock", "twin")).subscribe("agent.twin.replies")
        sender = self.agent(home, "sender")
        sender.publish("agent.twin.replies", b"secret")
        newer.wait_events(1)
        older.pump(0.2)
        self.right(not older.events, f"the older session has read {len(older.events)} of 1 replies")


@in_both_homes
class Gateways:
    def test_no_agent_takes_the_place_of_a_gateway(self):
        home = self.home(spans=False, listen=("ipc", "http"))
        taken = "gateway-broker" if self.kind == IN_BROKER else "gateway-bridge"
        wait_until(lambda: lives(home, taken), "the gateway is there")
        provider = self.agent(home, "provider").provide("work")
        asking = Client(home.url_of("http")).later("/v1/actions/work", b"x")
        call = provider.wait_call()
        try:
            thief = self.agent(home, taken)
            thief.wait(lambda: thief.end is not None, "the end of its session", deadline_s=2.0)
            end = thief.end
        except (Ended, TimeoutError) as problem:
            end = str(problem)
        provider.answer(call.call_id, payload=b"done")
        answer = asking.wait()
        self.right(answer.status == 200 and "its id is that of a gateway" in str(end), f"the client gets {answer.status}, the agent {end}")


class Awards(HostileTest):
    """A call for proposals is public, and so are its ids: not everybody who knows them may award."""
    kind = IN_BROKER

    def proposed(self):
        home = self.home(spans=False)
        initiator = self.agent(home, "initiator").subscribe("agent.initiator.replies")
        other = self.agent(home, "other")
        party = start_agent(home, "party", home.url, "party")
        wait_until(lambda: "ready" in party.out, "the party is ready")
        initiator.publish("work.wanted", b"task", type="loom.contract.call", correlation_id="known-to-all",
                          reply_to="agent.initiator.replies", thread_id="thread",
                          headers={"loom.contract.window_ms": "20000", "loom.request": "key"})
        proposal = initiator.wait_events(1)[0]
        return home, party, initiator, other, proposal

    @staticmethod
    def award(agent, proposal, headers):
        agent.publish("agent.party.replies", b"do it", type="loom.contract.award", correlation_id="known-to-all",
                      reply_to=f"agent.{agent.id}.replies", thread_id="thread", headers=headers)

    def judged(self, sender_is_other, with_key):
        """What the party took for its award, once it was sent a wrong one and then the right one."""
        home, party, initiator, other, proposal = self.proposed()
        key = proposal.headers["loom.request"]
        wrong = other if sender_is_other else initiator
        self.award(wrong, proposal, {"loom.in_reply_to": key} if with_key else {})
        wrong.sync()
        self.award(initiator, proposal, {"loom.in_reply_to": key})
        wait_until(lambda: "award" in party.out, "an award is taken")
        return next(line for line in party.out.splitlines() if line.startswith("award"))

    def test_an_award_of_somebody_else_is_not_taken(self):
        taken = self.judged(sender_is_other=True, with_key=True)
        self.right(taken == "award initiator keyed", f"taken: {taken}")

    def test_an_award_of_somebody_else_that_names_no_proposal_is_not_taken(self):
        taken = self.judged(sender_is_other=True, with_key=False)
        self.right(taken == "award initiator keyed", f"taken: {taken}")

    def test_an_award_that_does_not_say_which_proposal_it_answers_is_not_taken(self):
        taken = self.judged(sender_is_other=False, with_key=False)
        self.right(taken == "award initiator keyed", f"taken: {taken}")


del Gateways  # only in its homes

if __name__ == "__main__":
    main()
