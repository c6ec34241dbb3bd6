# SPDX-License-Identifier: Apache-2.0
"""The faults that are known today. "program.Class.test" (both homes) or "program.Class.test@home" → the row of the issue
and what was measured. A test that is listed here has to fail; whoever mends it takes its line away."""

from typing import NamedTuple


class Known(NamedTuple):
    row: str     # of section 1 of issue 11
    figure: str  # as measured when it was listed


KNOWN = {
    "fairness.Floods.test_a_flood_of_calls_delays_nobody": Known("5", "48 to 158 ms of the loop's work before an answer"),
    "fairness.Floods.test_a_flood_of_subscribes_delays_nobody": Known("5", "620 to 800 ms of the loop's work before an answer"),
    "fairness.Stalls.test_a_subscriber_that_stops_holds_its_publishers_back_for_a_moment_only": Known("29", "998 ms"),
    "fairness.Stalls.test_subscribing_anew_buys_no_new_time_to_hold_publishers_back": Known(
        "7", "21 MB/s instead of 320 to 1,250"),
    "removal.Removal.test_an_agent_that_goes_costs_each_subscription_once": Known("6", "10 µs each of 4,000, 38 of 16,000"),
    "removal.Removal.test_one_session_may_not_subscribe_without_end": Known("6", "150,000 of 150,000"),
    "removal.Removal.test_unsubscribing_the_newest_first_does_not_search_for_each@own_process": Known(
        "6", "25 µs each of 4,000, 80 of 16,000"),
    "removal.Removal.test_unsubscribing_the_oldest_first_does_not_search_for_each": Known(
        "6", "4 µs each of 4,000, 11 of 16,000"),
    "memory.Queues.test_a_slow_agent_with_many_subscriptions_takes_no_room_from_others": Known("8", "21 of 50 messages came"),
    "memory.Sessions.test_deep_filters_do_not_multiply_in_memory": Known("9", "48 MiB for 1.1 MiB of subscribes"),
    "memory.Sessions.test_capabilities_of_one_session_are_bounded_in_bytes": Known("9", "51 MiB for 1,000"),
    "memory.Sessions.test_half_frames_are_bounded_in_all": Known("9", "113 MiB for 100 sessions"),
    "memory.Bridge.test_cancels_of_calls_that_do_not_exist_are_not_kept": Known("11", "22 MiB for 200,000"),
    "memory.Bridge.test_credit_of_calls_that_do_not_exist_is_not_kept": Known("11", "15 MiB for 200,000"),
    "memory.Bridge.test_credit_of_the_session_is_not_kept_frame_by_frame": Known("11", "29 MiB for 1,500,000; a sibling"),
    "provider.Slow.test_calls_that_have_timed_out_do_not_end_the_session_of_a_slow_provider": Known("4", "ended after 74 MiB"),
    "provider.Progress.test_progress_for_a_caller_that_does_not_read_does_not_end_its_session": Known("10", "ended after 74 MiB"),
    "provider.Joined.test_a_stream_gives_its_new_owner_no_more_than_that_one_has_granted": Known(
        "suspected: joined stream", "10 chunks, none granted"),
    "identity.Awards.test_an_award_of_somebody_else_is_not_taken": Known("15", "taken"),
    "identity.Awards.test_an_award_of_somebody_else_that_names_no_proposal_is_not_taken": Known("15", "taken"),
    "identity.Awards.test_an_award_that_does_not_say_which_proposal_it_answers_is_not_taken": Known("15", "taken"),
    "identity.Twice.test_a_mailbox_has_one_reader": Known("16", "1 of 1 replies read by the older session too"),
    "identity.Twice.test_an_id_on_a_bridge_replaces_the_one_on_the_brokers_own": Known("16", "lives twice"),
    "identity.Twice.test_an_id_on_another_bridge_replaces_the_older_session": Known("16", "lives twice"),
    "identity.Twice.test_an_id_on_the_brokers_own_bridge_replaces_the_one_on_another": Known("16", "lives twice"),
    "reentrancy.Reentrancy.test_a_call_without_a_context_while_a_handler_waits_is_in_no_trace_of_that_handler": Known(
        "14", "in the trace of the handler; a sibling"),
    "reentrancy.Reentrancy.test_a_callback_while_a_handler_waits_is_in_no_trace_of_that_handler": Known(
        "14", "in the trace of the handler"),
    "reentrancy.Reentrancy.test_the_message_of_a_call_lives_while_a_callback_of_it_runs": Known("1", "SIGSEGV"),
    "reentrancy.Reentrancy.test_the_outcome_is_told_after_the_callback_has_returned": Known(
        "1", "outcome before the callback's end"),
    "descriptors.Exhausted.test_agents_that_find_no_place_are_logged_in_a_few_lines": Known("21", "0 lines, 138 refused"),
    "descriptors.Limits.test_agents_behind_bridges_are_agents": Known("31", "10 of at most 5"),
    "descriptors.Metrics.test_a_series_appears_once": Known("21", "loom_subscription_dropped_total and _queued twice"),
    "descriptors.Metrics.test_stats_do_not_hold_the_loop_up_for_long": Known("21", "70 to 106 ms of the loop"),
    "descriptors.NoHello.test_a_connection_without_hello_is_closed_after_10_seconds": Known("31", "9.2 to 10.0 s, and up to 11"),
    "descriptors.NoHello.test_connections_without_hello_take_no_place_of_an_agent": Known("21", "the first agent is refused"),
    "descriptors.Refusals.test_an_agent_that_is_refused_is_logged": Known("31", "0 lines"),
    "descriptors.Strangers.test_garbage_does_not_flood_the_log": Known("21", "300 lines of 300 connections"),
    "descriptors.Strangers.test_takeovers_do_not_flood_the_log": Known("31", "299 lines of 150 sessions"),
    "startup.Provide.test_a_provider_that_is_stopped_with_calls_still_coming_ends_well": Known("12", "Invalid write of size 8"),
    "text.Lists.test_a_metadata_key_that_is_no_utf8_harms_nobody": Known("17", "loom caps fails for everybody"),
    "text.Terminals.test_a_notice_is_cleaned_before_it_is_printed": Known("20", "ESC on standard error"),
    "text.Terminals.test_a_notice_is_cleaned_before_an_agent_without_a_handler_prints_it": Known(
        "20", "the same, by libloom itself"),
    "text.Terminals.test_why_a_capability_is_refused_is_cleaned_before_it_is_printed": Known("20", "ESC on standard error"),
    "text.Terminals.test_why_a_session_ended_is_cleaned_before_it_is_printed": Known("20", "ESC on standard error"),
    "loss.Bridge.test_a_stop_of_it_waits_for_what_is_queued_for_its_agents": Known("24", "10 of 3,000; goodbye after 2 ms"),
    "loss.Bridge.test_what_is_lost_when_it_is_stopped_is_counted": Known("24", "lost 4,615, counted 0"),
    "loss.Restart.test_publishers_that_are_back_first_wait_for_subscribers": Known("25", "26 of 69 lost, 3 counted"),
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
    "suspected.Stamps.test_an_envelope_that_the_hop_context_makes_too_large_does_not_end_the_session": Known(
        "suspected: stamps", "ended, ETOOBIG; a sibling"),
    "suspected.Stamps.test_an_envelope_that_the_senders_stamp_makes_too_large_does_not_end_the_session": Known(
        "suspected: stamps", "ended, ETOOBIG"),
}
