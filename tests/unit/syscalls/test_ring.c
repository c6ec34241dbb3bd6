/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "trace/process/syscalls/ring.h"
#include "trace/process/syscalls/tally.h"

enum { RECORD_MAX = 4096, ROUNDS = 200000 };

typedef struct fixture {
    ring *ring;
    int bell;
    union {
        event head;
        uint8_t bytes[RECORD_MAX];
    } record;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->ring = aligned_alloc(64, sizeof *f->ring);
    memset(f->ring, 0, sizeof *f->ring);
    f->bell = eventfd(0, EFD_NONBLOCK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    close(f->bell);
    free(f->ring);
    free(f);
    return 0;
}

static uint32_t some_size(int64_t number)
{
    return (uint32_t)(sizeof(event) + (size_t)(number * 7919 % 800) * 4);
}

static bool write_one(fixture *f, uint32_t size, int64_t number, ring_urgency urgency)
{
    f->record.head = (event){.size = size, .result = number};
    memset(f->record.bytes + sizeof(event), (int)(number & 0xff), size - sizeof(event));
    return ring_write(f->ring, &f->record.head, urgency, f->bell);
}

static void check_one(const event *e, int64_t number)
{
    assert_int_equal(number, e->result);
    const size_t len = some_size(number);
    assert_int_equal(0, (uintptr_t)e % _Alignof(event));
    assert_in_range(e->size, len, len + 7);
    for (size_t i = sizeof *e; i < e->size; i++) {
        assert_int_equal(i < len ? (uint8_t)(number & 0xff) : 0, ((const uint8_t *)e)[i]);
    }
}

static void records_come_out_as_they_went_in_round_after_round(void **state)
{
    fixture *f = *state;
    assert_null(ring_peek(f->ring));
    for (int64_t i = 0; i < 60000; i++) { /* more than 100 MiB */
        assert_true(write_one(f, some_size(i), i, RING_MAY_WAIT));
        if (i % 3 == 2) {
            for (int64_t k = i - 2; k <= i; k++) {
                const event *e = ring_peek(f->ring);
                assert_non_null(e);
                check_one(e, k);
                ring_consume(f->ring, e);
            }
            assert_null(ring_peek(f->ring));
        }
    }
}

static void a_full_ring_counts_what_it_loses_and_keeps_room_for_what_must_be_heard(void **state)
{
    fixture *f = *state;
    int64_t kept = 0;
    while (write_one(f, some_size(kept), kept, RING_MAY_WAIT)) {
        kept++;
    }
    assert_int_equal(1, atomic_load(&f->ring->lost));
    assert_true(write_one(f, some_size(kept), kept, RING_MUST_BE_HEARD));
    for (int64_t i = 0; i <= kept; i++) {
        const event *e = ring_peek(f->ring);
        check_one(e, i);
        ring_consume(f->ring, e);
    }
    assert_null(ring_peek(f->ring));
    assert_true(write_one(f, sizeof(event), 1, RING_MAY_WAIT));
}

static bool has_rung(const fixture *f)
{
    uint64_t value;
    return read(f->bell, &value, sizeof value) == sizeof value;
}

static void the_bell_rings_for_a_sleeper_and_what_is_worth_it(void **state)
{
    fixture *f = *state;
    assert_true(write_one(f, sizeof(event), 0, RING_MUST_BE_HEARD));
    assert_false(has_rung(f)); /* nobody sleeps */
    assert_false(ring_may_sleep(f->ring));
    ring_consume(f->ring, ring_peek(f->ring));
    assert_true(ring_may_sleep(f->ring));
    assert_true(write_one(f, sizeof(event), 1, RING_MAY_WAIT));
    assert_false(has_rung(f));
    assert_true(write_one(f, sizeof(event), 2, RING_MUST_BE_HEARD));
    assert_true(has_rung(f));
    assert_true(write_one(f, sizeof(event), 3, RING_MUST_BE_HEARD));
    assert_false(has_rung(f)); /* it is awake */
}

static void *read_all(void *user)
{
    fixture *f = user;
    int64_t next = 0;
    while (next < ROUNDS) {
        const event *e = ring_peek(f->ring);
        if (e != NULL) {
            assert_int_equal(next, e->result);
            ring_consume(f->ring, e);
            next++;
        }
    }
    return NULL;
}

static void one_writes_while_another_reads(void **state)
{
    fixture *f = *state;
    pthread_t reader;
    assert_int_equal(0, pthread_create(&reader, NULL, read_all, f));
    for (int64_t i = 0; i < ROUNDS;) {
        i += write_one(f, some_size(i), i, RING_MAY_WAIT) ? 1 : 0;
    }
    pthread_join(reader, NULL);
}

static void percentiles_are_within_their_bucket(void **state)
{
    (void)state;
    tally *t = calloc(1, sizeof *t);
    for (uint64_t i = 1; i <= 10000; i++) {
        tally_add(t, 3, i * 1000, i % 10 == 0);
    }
    const call_tally *c = &t->by_number[3];
    assert_int_equal(10000, c->calls);
    assert_int_equal(1000, c->errors);
    assert_int_equal(10000000, c->longest_ns);
    assert_in_range(tally_percentile(c, 0.5), 4350000, 5650000);
    assert_in_range(tally_percentile(c, 0.99), 8700000, 10000000);
    assert_int_equal(10000000, tally_percentile(c, 1));
    assert_int_equal(0, tally_percentile(&t->by_number[4], 0.5));
    tally_add(t, 5, UINT64_MAX / 2, false);
    assert_int_equal(UINT64_MAX / 2, t->by_number[5].longest_ns);
    tally_add(t, 6, 0, false);
    assert_int_equal(0, tally_percentile(&t->by_number[6], 0.99));
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_come_out_as_they_went_in_round_after_round, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_ring_counts_what_it_loses_and_keeps_room_for_what_must_be_heard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_bell_rings_for_a_sleeper_and_what_is_worth_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_writes_while_another_reads, set_up, tear_down),
        cmocka_unit_test(percentiles_are_within_their_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
