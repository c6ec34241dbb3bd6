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
    "memory.Sessions.test_half_frames_are_bounded_in_all": Known("9", "113 MiB for 100 sessions"),
    "provider.Slow.test_calls_that_have_timed_out_do_not_end_the_session_of_a_slow_provider": Known("4", "ended after 74 MiB"),
    "provider.Progress.test_progress_for_a_caller_that_does_not_read_does_not_end_its_session": Known("10", "ended after 74 MiB"),
    "identity.Awards.test_an_award_of_somebody_else_is_not_taken": Known("15", "taken"),
    "identity.Awards.test_an_award_of_somebody_else_that_names_no_proposal_is_not_taken": Known("15", "taken"),
    "identity.Awards.test_an_award_that_does_not_say_which_proposal_it_answers_is_not_taken": Known("15", "taken"),
    "reentrancy.Reentrancy.test_a_call_without_a_context_while_a_handler_waits_is_in_no_trace_of_that_handler": Known(
        "14", "in the trace of the handler; a sibling"),
    "reentrancy.Reentrancy.test_a_callback_while_a_handler_waits_is_in_no_trace_of_that_handler": Known(
        "14", "in the trace of the handler"),
    "reentrancy.Reentrancy.test_the_message_of_a_call_lives_while_a_callback_of_it_runs": Known("1", "SIGSEGV"),
    "reentrancy.Reentrancy.test_the_outcome_is_told_after_the_callback_has_returned": Known(
        "1", "outcome before the callback's end"),
    "descriptors.Exhausted.test_a_scrape_without_descriptors_does_not_make_the_broker_spin": Known("23", "1.1 processors"),
    "descriptors.Exhausted.test_agents_that_find_no_place_are_logged_in_a_few_lines": Known("21", "0 lines, 138 refused"),
    "descriptors.Exhausted.test_an_agent_is_taken_or_told_why_not": Known("23", "closed without a word"),
    "descriptors.Exhausted.test_askers_are_in_a_limit": Known("23", "96 of 96 descriptors"),
    "descriptors.Exhausted.test_control_answers": Known("23", "no answer"),
    "descriptors.Exhausted.test_metrics_answer": Known("23", "no answer"),
    "descriptors.Exhausted.test_open_publishers_are_in_a_limit": Known("23", "96 of 96 descriptors"),
    "descriptors.Exhausted.test_open_subscribers_are_in_a_limit": Known("23", "96 of 96 descriptors"),
    "descriptors.NoHello.test_a_connection_without_hello_is_closed_after_10_seconds": Known("31", "9.2 to 10.0 s, and up to 11"),
    "descriptors.NoHello.test_connections_without_hello_take_no_place_of_an_agent": Known("21", "the first agent is refused"),
    "descriptors.Refusals.test_an_agent_that_is_refused_is_logged": Known("31", "0 lines"),
    "descriptors.Strangers.test_garbage_does_not_flood_the_log": Known("21", "300 lines of 300 connections"),
    "descriptors.Strangers.test_takeovers_do_not_flood_the_log": Known("31", "299 lines of 150 sessions"),
    "startup.Trust.test_a_bridge_says_nothing_to_a_server_in_a_directory_open_to_all": Known("3", "51 bytes"),
    "startup.Trust.test_an_agent_says_nothing_to_a_server_in_a_directory_open_to_all": Known("3", "206 bytes, the payload too"),
    "startup.Trust.test_the_command_line_asks_nothing_of_a_server_in_a_directory_open_to_all": Known("3", "32 bytes"),
    "startup.Provide.test_a_provider_that_is_stopped_with_calls_still_coming_ends_well": Known("12", "Invalid write of size 8"),
    "text.Logs.test_an_id_that_turns_the_line_round_does_not_reach_the_log": Known("suspected: bidi", "U+202E in the log"),
    "text.Terminals.test_a_notice_is_cleaned_before_it_is_printed": Known("20", "ESC on standard error"),
    "text.Terminals.test_a_notice_is_cleaned_before_an_agent_without_a_handler_prints_it": Known(
        "20", "the same, by libloom itself"),
    "text.Terminals.test_why_a_capability_is_refused_is_cleaned_before_it_is_printed": Known("20", "ESC on standard error"),
    "text.Terminals.test_why_a_session_ended_is_cleaned_before_it_is_printed": Known("20", "ESC on standard error"),
    "spansfile.SpansFile.test_a_bad_line_is_told_and_stepped_over": Known("27", "0 of 2 traces"),
    "spansfile.SpansFile.test_no_line_is_glued_to_what_a_full_disk_left": Known("27", "1 of 2 lines"),
    "spansfile.SpansFile.test_what_a_full_disk_left_hides_no_other_trace": Known("27", "0 of 2 traces"),
    "loss.Stop.test_queues_and_spans_share_one_deadline": Known("26", "3.05 s of 1.5"),
    "loss.Stop.test_sessions_and_the_broker_share_one_deadline": Known("26", "3.05 s of 1.5"),
    "loss.Stop.test_what_a_drain_throws_away_is_said": Known("26", "`stopped`, no count"),
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
