# SPDX-License-Identifier: Apache-2.0
"""The faults that are known today. "program.Class.test" (both homes) or "program.Class.test@home" → the row of the issue
and what was measured. A test that is listed here has to fail; whoever mends it takes its line away."""

from typing import NamedTuple


class Known(NamedTuple):
    row: str     # of section 1 of issue 11
    figure: str  # as measured when it was listed


KNOWN = {
    "memory.Sessions.test_deep_filters_do_not_multiply_in_memory": Known("9", "48 MiB for 1.1 MiB of subscribes"),
    "memory.Sessions.test_capabilities_of_one_session_are_bounded_in_bytes": Known("9", "51 MiB for 1,000"),
    "provider.Joined.test_a_stream_gives_its_new_owner_no_more_than_that_one_has_granted": Known(
        "suspected: joined stream", "10 chunks, none granted"),
    "descriptors.Limits.test_agents_behind_bridges_are_agents": Known("31", "10 of at most 5"),
    "descriptors.Metrics.test_a_series_appears_once": Known("21", "loom_subscription_dropped_total and _queued twice"),
    "descriptors.Metrics.test_stats_do_not_hold_the_loop_up_for_long": Known("21", "70 to 106 ms of the loop"),
}
