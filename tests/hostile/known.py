# SPDX-License-Identifier: Apache-2.0
"""The faults that are known today. "program.Class.test" (both homes) or "program.Class.test@home" → the row of the issue and
what was measured. A test that is listed here has to fail; whoever mends it takes its line away."""

from typing import NamedTuple


class Known(NamedTuple):
    row: str     # of section 1 of issue 11
    figure: str  # as measured when it was listed


KNOWN = {
    "fairness.Floods.test_a_flood_of_calls_delays_nobody": Known("5", "48 to 158 ms of the loop's work before an answer"),
    "fairness.Floods.test_a_flood_of_subscribes_delays_nobody": Known("5", "620 to 800 ms of the loop's work before an answer"),
    "fairness.Stalls.test_a_subscriber_that_stops_holds_its_publishers_back_for_a_moment_only": Known("29", "998 ms"),
    "fairness.Stalls.test_subscribing_anew_buys_no_new_time_to_hold_publishers_back": Known("7", "21 MB/s instead of 320 to 1,250"),
    "removal.Removal.test_an_agent_that_goes_costs_each_subscription_once": Known("6", "10 µs each of 4,000, 38 of 16,000"),
    "removal.Removal.test_one_session_may_not_subscribe_without_end": Known("6", "150,000 of 150,000"),
    "removal.Removal.test_unsubscribing_the_newest_first_does_not_search_for_each@own_process": Known(
        "6", "25 µs each of 4,000, 80 of 16,000"),
    "removal.Removal.test_unsubscribing_the_oldest_first_does_not_search_for_each": Known("6", "4 µs each of 4,000, 11 of 16,000"),
}
