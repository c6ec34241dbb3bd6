# SPDX-License-Identifier: Apache-2.0
"""Row 6: what it costs to end subscriptions, capabilities and calls, and how many subscriptions one session may have. Work is
counted in processor time of the loop and compared between two sizes: a cost that does not grow with the number of subscriptions stays what it is."""


from hostile import (IN_BROKER, Flood, HostileTest, in_both_homes, loop_ns, main, pack, servers, subscribes, unsubscribes,
                     wait_until, wire)

FEW = 2_000
CONTROL_GREETING = b"\0SP\0\0\x30\0\0"  # of REQ
GROWTH = 8  # of 16 for one that searches; caches alone make 4 to 5


@in_both_homes
class Removal:
    def subscribed(self, home, name, count):
        """An agent with so many subscriptions of one filter; whatever is sent to it is read away."""
        link = self.agent(home, name).link
        flood = Flood(link).start(subscribes("one.filter", range(1, count + 1)))
        flood.finish()
        return flood

    @staticmethod
    def subscriptions(home):
        """How many there are; None: the broker is too busy to say."""
        try:
            return home.stats()["eventbus"]["subscriptions"]
        except TimeoutError:
            return None

    def bounded(self, what, many, remove):
        """Compares the cost of one removal among FEW and among many. remove: returns loop_ns() as it was before."""
        costs = []
        for count in (FEW, many):
            home = self.home(spans=False)
            before = remove(home, count)
            costs.append((loop_ns(*servers(home)) - before) / 1e3 / count)
        self.right(costs[1] <= GROWTH * costs[0], f"{what}: {costs[0]:.2f} µs each of {FEW}, {costs[1]:.2f} µs each of {many}")

    def test_an_agent_that_goes_costs_each_subscription_once(self):
        """Two agents have the same filter, and the one that subscribed first goes first."""
        self.unsanitized()

        def remove(home, count):
            first, _ = self.subscribed(home, "first", count), self.subscribed(home, "second", count)
            before = loop_ns(*servers(home))
            first.over = True
            first.sock.shutdown(2)
            wait_until(lambda: (self.subscriptions(home) or 2 * count) <= count + 2, "the first agent is gone", 60.0)
            return before
        self.bounded("its end", 12_000, remove)

    def unsubscribed(self, many, order):
        self.unsanitized()

        def remove(home, count):
            flood = self.subscribed(home, "agent", count)
            before = loop_ns(*servers(home))
            flood.start(unsubscribes(order(range(1, count + 1)))).finish()
            return before
        self.bounded("unsubscribing", many, remove)

    def test_unsubscribing_the_oldest_first_does_not_search_for_each(self):
        self.unsubscribed(32_000, list)

    def test_unsubscribing_the_newest_first_does_not_search_for_each(self):
        self.unsubscribed(12_000, reversed)

    def test_a_capability_that_is_withdrawn_does_not_search_the_calls_at_work(self):
        self.unsanitized()
        withdrawn, costs = 400, []
        for calls in (125, 8_000):
            home = self.home(spans=False)
            provider = self.agent(home, "provider").provide("slow")
            caller = self.agent(home, "caller")
            envelope = wire.envelope("slow", b"", "caller")
            caller.link.send(b"".join(wire.call_frame(number.to_bytes(4, "big"), "slow", envelope) for number in range(calls)))
            provider.wait(lambda: len(provider.calls) == calls, "all calls are at work")
            before = loop_ns(*servers(home))
            flood = Flood(provider.link).start(b"".join(
                wire.frame(wire.PROVIDE, {"request": 2 * number + 10 + withdraw, "name": f"name.{number}", "withdraw": bool(withdraw)})
                for number in range(withdrawn) for withdraw in (0, 1)))
            flood.finish()
            costs.append((loop_ns(*servers(home)) - before) / 1e3 / withdrawn)
        self.right(costs[1] <= 3 * costs[0],
                   f"withdrawing: {costs[0]:.2f} µs each with 125 calls at work, {costs[1]:.2f} µs each with 8000")

    def test_one_session_may_not_subscribe_without_end(self):
        self.unsanitized()
        home, wanted = self.home(spans=False), 150_000
        flood = Flood(self.agent(home, "greedy").link).start(subscribes("a", range(1, wanted + 1)))
        flood.finish()
        had = home.stats()["eventbus"]["subscriptions"]
        self.right(had < wanted, f"one session has {had} subscriptions of the {wanted} it asked for")


class Requesters(HostileTest):
    """Invocations at the control socket, of one peer that leaves."""
    kind = IN_BROKER

    def left(self, home, count):
        """What a peer costs that invokes so often, and leaves before there are results; in microseconds each."""
        before = loop_ns(home.broker)
        asker = self.raw(home.control_path)
        asker.sendall(CONTROL_GREETING)
        question = pack({"op": "invoke", "capability": "slow"})
        for number in range(count):
            body = (1 << 31 | number).to_bytes(4, "big") + question
            asker.sendall(b"\1" + len(body).to_bytes(8, "big") + body)
        wait_until(lambda: home.stats()["actions"]["pending"] == count, "all calls are made")
        asker.close()
        wait_until(lambda: home.stats()["actions"]["pending"] == 0, "all calls are cancelled")
        return (loop_ns(home.broker) - before) / 1e3 / count

    def test_a_requester_that_goes_does_not_search_for_each_of_its_calls(self):
        self.unsanitized()
        costs = []
        for count in (FEW // 4, 8_000):
            home = self.home(spans=False)
            provider = Flood(self.agent(home, "provider").provide("slow").link)
            costs.append(self.left(home, count))
            provider.over = True
        self.right(costs[1] <= GROWTH * costs[0], f"{costs[0]:.2f} µs each of {FEW // 4}, {costs[1]:.2f} µs each of 8000")


del Removal  # only in its homes

if __name__ == "__main__":
    main()
