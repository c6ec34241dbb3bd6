/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope object: references, headers, reuse, and what happens without memory. */
#include <pthread.h>
#include <stdlib.h>

#include "envelope/view.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

static const loom_header two[] = {{{"priority", 8}, {"high", 4}}, {{"priority", 8}, {"second", 6}}};
static const loom_envelope_fields fields = {.topic = {"a.b", 3}, .payload = {(const uint8_t *)"hello", 5}, .headers = two,
                                            .header_count = 2};

static void a_header_is_found_by_its_key_the_first_of_equal_ones(void **state)
{
    (void)state;
    loom_envelope *env;
    loom_str value;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    assert_status(LOOM_OK, loom_envelope_header(env, "priority", &value));
    assert_str("high", value);
    assert_status(LOOM_ENOTFOUND, loom_envelope_header(env, "priorit", &value));
    assert_int_equal(0, value.len);
    loom_envelope_unref(env);
}

static bool stop_at_once(void *user, loom_header header)
{
    (void)header;
    (*(unsigned *)user)++;
    return false;
}

static void visiting_headers_stops_when_told_to(void **state)
{
    (void)state;
    loom_envelope *env;
    unsigned seen = 0;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    loom_envelope_headers(env, stop_at_once, &seen);
    assert_int_equal(1, seen);
    loom_envelope_unref(env);
}

static void decoded_bytes_may_go_at_once(void **state)
{
    (void)state;
    loom_envelope *env, *copy;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    loom_bytes wire = loom_envelope_wire(env);
    uint8_t *bytes = malloc(wire.len);
    assert_non_null(bytes);
    memcpy(bytes, wire.data, wire.len);
    assert_status(LOOM_OK, loom_envelope_decode(&copy, (loom_bytes){bytes, wire.len}));
    free(bytes);
    assert_str("a.b", loom_envelope_topic(copy));
    loom_envelope_unref(copy);
    loom_envelope_unref(env);
    loom_envelope_unref(NULL);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *share(void *user)
{
    loom_envelope *env = user;
    size_t sum = 0;
    for (int i = 0; i < ROUNDS; i++) {
        loom_envelope *mine = loom_envelope_ref(env);
        sum += loom_envelope_payload(mine).len;
        loom_envelope_unref(mine);
    }
    loom_envelope_unref(env); /* each thread was given one; the last one frees */
    return (void *)sum;
}

static void threads_share_an_envelope_and_the_last_one_frees_it(void **state)
{
    (void)state;
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, share, loom_envelope_ref(env)));
    }
    loom_envelope_unref(env);
    for (int i = 0; i < THREADS; i++) {
        void *sum;
        assert_int_equal(0, pthread_join(threads[i], &sum));
        assert_int_equal(ROUNDS * strlen("hello"), (size_t)sum);
    }
}

static void an_envelope_is_renewed_in_place_only_for_its_only_holder(void **state)
{
    (void)state;
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    size_t capacity = 0;
    loom_envelope *first = envelope_renew(NULL, &capacity, envelope_as_view(env));
    assert_non_null(first);
    loom_envelope *again = envelope_renew(first, &capacity, envelope_as_view(env));
    assert_ptr_equal(first, again);
    loom_envelope *kept = loom_envelope_ref(again);
    loom_envelope *other = envelope_renew(again, &capacity, envelope_as_view(env));
    assert_ptr_not_equal(kept, other);
    assert_str("a.b", loom_envelope_topic(kept));
    loom_envelope_unref(kept);
    loom_envelope_unref(other);
    loom_envelope_unref(env);
}

static loom_status create(void *user)
{
    loom_envelope *env;
    const loom_status st = loom_envelope_create(&env, user);
    assert_true((env != NULL) == (st == LOOM_OK));
    loom_envelope_unref(env);
    return st;
}

static loom_status decode(void *user)
{
    loom_envelope *env;
    const loom_status st = loom_envelope_decode(&env, *(const loom_bytes *)user);
    assert_true((env != NULL) == (st == LOOM_OK));
    loom_envelope_unref(env);
    return st;
}

static void an_envelope_is_one_allocation_and_its_failure_is_told(void **state)
{
    (void)state;
    static const uint8_t foreign[] = {0xdc, 0, 16, 1, 0xc0, 0xa1, 't', 0xc4, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                      15, 16, 0xc0, 0xc0, 1, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc4, 0};
    loom_envelope_fields copy = fields;
    assert_int_equal(1, alloc_fault_each(create, &copy));
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    loom_bytes wire = loom_envelope_wire(env), other = BYTES(foreign);
    assert_int_equal(1, alloc_fault_each(decode, &wire));
    assert_int_equal(1, alloc_fault_each(decode, &other));
    loom_envelope_unref(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_found_by_its_key_the_first_of_equal_ones),
        cmocka_unit_test(visiting_headers_stops_when_told_to),
        cmocka_unit_test(decoded_bytes_may_go_at_once),
        cmocka_unit_test(threads_share_an_envelope_and_the_last_one_frees_it),
        cmocka_unit_test(an_envelope_is_renewed_in_place_only_for_its_only_holder),
        cmocka_unit_test(an_envelope_is_one_allocation_and_its_failure_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
