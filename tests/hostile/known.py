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
    "identity.Awards.test_an_award_of_somebody_else_is_not_taken": Known("15", "taken"),
    "identity.Awards.test_an_award_of_somebody_else_that_names_no_proposal_is_not_taken": Known("15", "taken"),
    "identity.Awards.test_an_award_that_does_not_say_which_proposal_it_answers_is_not_taken": Known("15", "taken"),
    "descriptors.Limits.test_agents_behind_bridges_are_agents": Known("31", "10 of at most 5"),
    "descriptors.Metrics.test_a_series_appears_once": Known("21", "loom_subscription_dropped_total and _queued twice"),
    "descriptors.Metrics.test_stats_do_not_hold_the_loop_up_for_long": Known("21", "70 to 106 ms of the loop"),
    "startup.Provide.test_a_provider_that_is_stopped_with_calls_still_coming_ends_well": Known("12", "Invalid write of size 8"),
    "text.Lists.test_a_metadata_key_that_is_no_utf8_harms_nobody": Known("17", "loom caps fails for everybody"),
    "text.Logs.test_an_id_that_turns_the_line_round_does_not_reach_the_log": Known("suspected: bidi", "U+202E in the log"),
    "text.Terminals.test_a_notice_is_cleaned_before_it_is_printed": Known("20", "ESC on standard error"),
    "text.Terminals.test_a_notice_is_cleaned_before_an_agent_without_a_handler_prints_it": Known(
        "20", "the same, by libloom itself"),
    "text.Terminals.test_why_a_capability_is_refused_is_cleaned_before_it_is_printed": Known("20", "ESC on standard error"),
    "text.Terminals.test_why_a_session_ended_is_cleaned_before_it_is_printed": Known("20", "ESC on standard error"),
    "spansfile.SpansFile.test_a_bad_line_is_told_and_stepped_over": Known("27", "0 of 2 traces"),
    "spansfile.SpansFile.test_no_line_is_glued_to_what_a_full_disk_left": Known("27", "1 of 2 lines"),
    "spansfile.SpansFile.test_what_a_full_disk_left_hides_no_other_trace": Known("27", "0 of 2 traces"),
    "loss.Lost.test_after_a_goodbye_nothing_is_lost": Known("30", "2,000 of 2,000, and all arrived"),
    "loss.Lost.test_after_a_kill_the_count_is_near_the_loss": Known("30", "2,000 of 2,000, and all arrived"),
    "suspected.Races.test_a_signal_handler_writes_to_no_descriptor_of_others": Known(
        "suspected: signals_leave()", "8 bytes in a file"),
    "suspected.Races.test_an_agent_lives_while_another_thread_flushes_it": Known("suspected: close", "freed under the waiter"),
    "suspected.Races.test_an_agent_lives_while_another_thread_runs_it": Known(
        "suspected: close", "freed, and run() does not return"),
    "suspected.Races.test_an_agent_lives_while_another_thread_waits_for_its_connection": Known(
        "suspected: close", "freed under the waiter"),
    "suspected.Races.test_an_agent_lives_while_another_thread_waits_for_room_to_emit": Known(
        "suspected: close", "freed under the waiter"),
}
