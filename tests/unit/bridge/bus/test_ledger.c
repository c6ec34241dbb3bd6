/* SPDX-License-Identifier: Apache-2.0 */
/* What an end of the bridge bus knows of its connection, without one. */
#include "bridge/bus/ledger.h"

#include <stdlib.h>

#include "tests/support/check.h"

enum { PING_MS = 200, SILENCE_MS = 1000 };

static bus_frame taken(uint64_t number, bool answer)
{
    return (bus_frame){.type = BUS_FRAME_TAKEN, .number = number, .answer = answer};
}

/* The one report in w, which is emptied. */
static bus_frame written(frame_writer *w)
{
    char reason[FRAME_REASON_SIZE];
    bus_frame f;
    loom_bytes rest = {w->data, w->len};
    assert_status(LOOM_OK, bus_frame_next(&rest, &f, reason));
    assert_int_equal(BUS_FRAME_TAKEN, f.type);
    assert_int_equal(0, rest.len);
    frame_writer_clear(w);
    return f;
}

static void what_was_confirmed_is_no_loss(void **state)
{
    bus_ledger l = {.sent = 7};
    char reason[FRAME_REASON_SIZE];
    const bus_frame some = taken(3, false), all = taken(7, false);
    (void)state;
    assert_int_equal(7, bus_ledger_unconfirmed(&l));
    assert_status(LOOM_OK, bus_ledger_confirm(&l, &some, reason));
    assert_int_equal(4, bus_ledger_unconfirmed(&l));
    assert_status(LOOM_OK, bus_ledger_confirm(&l, &all, reason));
    assert_int_equal(0, bus_ledger_unconfirmed(&l));
}

static void nobody_confirms_what_was_never_sent_or_takes_back_a_word(void **state)
{
    bus_ledger l = {.sent = 7, .confirmed = 3};
    char reason[FRAME_REASON_SIZE] = "";
    const bus_frame more = taken(8, true), less = taken(2, true);
    (void)state;
    assert_status(LOOM_EPROTO, bus_ledger_confirm(&l, &more, reason));
    assert_status(LOOM_EPROTO, bus_ledger_confirm(&l, &less, reason));
    assert_true(strlen(reason) > 0);
    assert_int_equal(4, bus_ledger_unconfirmed(&l));
    assert_false(l.asked);
}

static void a_report_goes_with_what_leaves_anyway_or_alone_after_many_messages(void **state)
{
    bus_ledger l = {.taken = 0};
    frame_writer w;
    (void)state;
    frame_writer_init(&w);
    assert_false(bus_ledger_report_due(&l, true)); /* nothing was taken */
    l.taken = 5;
    assert_true(bus_ledger_report_due(&l, true));
    unsigned messages = 0;
    while (!bus_ledger_report_due(&l, false)) {
        bus_ledger_received(&l);
        assert_in_range(++messages, 1, 1000);
    }
    assert_in_range(messages, 10, 1000);
    assert_status(LOOM_OK, bus_ledger_report(&l, &w, false, 0));
    assert_int_equal(5, written(&w).number);
    assert_false(bus_ledger_report_due(&l, true));
    frame_writer_fini(&w);
}

static void who_asks_gets_a_report_even_without_news(void **state)
{
    bus_ledger l = {.sent = 0};
    char reason[FRAME_REASON_SIZE];
    frame_writer w;
    const bus_frame question = taken(0, true);
    (void)state;
    frame_writer_init(&w);
    assert_status(LOOM_OK, bus_ledger_confirm(&l, &question, reason));
    assert_true(bus_ledger_report_due(&l, false));
    assert_status(LOOM_OK, bus_ledger_report(&l, &w, true, 0));
    assert_true(written(&w).answer);
    assert_false(bus_ledger_report_due(&l, false));
    frame_writer_fini(&w);
}

static void silence_is_asked_about_and_then_ends_it(void **state)
{
    bus_ledger l = {.heard = true};
    (void)state;
    assert_int_equal(BUS_LIFE_HEARD, bus_ledger_tick(&l, PING_MS, SILENCE_MS));
    for (unsigned tick = 1; tick < SILENCE_MS / PING_MS; tick++) {
        assert_int_equal(BUS_LIFE_QUIET, bus_ledger_tick(&l, PING_MS, SILENCE_MS));
    }
    assert_int_equal(BUS_LIFE_GONE, bus_ledger_tick(&l, PING_MS, SILENCE_MS));
    bus_ledger_received(&l);
    assert_int_equal(BUS_LIFE_HEARD, bus_ledger_tick(&l, PING_MS, SILENCE_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_confirmed_is_no_loss),
        cmocka_unit_test(nobody_confirms_what_was_never_sent_or_takes_back_a_word),
        cmocka_unit_test(a_report_goes_with_what_leaves_anyway_or_alone_after_many_messages),
        cmocka_unit_test(who_asks_gets_a_report_even_without_news),
        cmocka_unit_test(silence_is_asked_about_and_then_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
