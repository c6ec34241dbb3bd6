# SPDX-License-Identifier: Apache-2.0
"""Row 6: what it costs to end subscriptions, and how many one session may have. Work is counted in processor time of the
loop and compared between two sizes: a cost that does not grow with the number of subscriptions stays what it is."""


from hostile import Flood, in_both_homes, loop_ns, main, servers, subscribes, unsubscribes, wait_until

FEW = 2_000
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

    def test_one_session_may_not_subscribe_without_end(self):
        self.unsanitized()
        home, wanted = self.home(spans=False), 150_000
        flood = Flood(self.agent(home, "greedy").link).start(subscribes("a", range(1, wanted + 1)))
        flood.finish()
        had = home.stats()["eventbus"]["subscriptions"]
        self.right(had < wanted, f"one session has {had} subscriptions of the {wanted} it asked for")


del Removal  # only in its homes

if __name__ == "__main__":
    main()
