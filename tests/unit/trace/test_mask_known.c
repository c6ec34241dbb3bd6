/* SPDX-License-Identifier: Apache-2.0 */
/* What masking remembers of keys and texts, and that it never says more than it found out. */
#include "tests/support/check.h"
#include "trace/pipeline/mask_known.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const mask_rules all = {.kinds = LOOM_MASK_ALL};

static mask_known *open_known(void)
{
    mask_known *known = calloc(1, sizeof *known);
    assert_non_null(known);
    mask_known_init(known);
    return known;
}

static void close_known(mask_known *known)
{
    mask_known_fini(known);
    free(known);
}

static void a_key_is_judged_alike_every_time_and_however_many_there_are(void **state)
{
    (void)state;
    mask_known *known = open_known();
    char text[64], secret[64];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4 * MASK_KNOWN_KEYS; i++) {
            (void)snprintf(text, sizeof text, "order.%u.note", i);
            (void)snprintf(secret, sizeof secret, "order.%u.password", i);
            assert_int_equal(MASK_KEY_OTHER, mask_judge(known, &all, str_of(text)));
            assert_int_equal(MASK_KEY_SECRET, mask_judge(known, &all, str_of(secret)));
        }
        assert_int_equal(MASK_KEY_OTHER, mask_judge(known, &all, (loom_str){0}));
    }
    close_known(known);
}

static void keys_that_differ_in_their_middle_alone_are_told_apart(void **state)
{
    (void)state;
    mask_known *known = open_known();
    const loom_str plain = STR("12345678.secure.12345678"), secret = STR("12345678.secret.12345678");
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(MASK_KEY_OTHER, mask_judge(known, &all, plain));
        assert_int_equal(MASK_KEY_SECRET, mask_judge(known, &all, secret));
    }
    close_known(known);
}

static void a_text_is_clean_under_its_key_alone_until_another_takes_its_place(void **state)
{
    (void)state;
    mask_known *known = open_known();
    char text[32], long_text[MASK_KNOWN_TEXT_MAX + 1];
    const loom_str number = STR("4155552671"), other = STR("4155552672"), key = STR("order.id"), phone = STR("customer.phone");
    assert_false(mask_is_clean(known, key, number));
    mask_note_clean(known, key, number);
    assert_true(mask_is_clean(known, key, number));
    assert_false(mask_is_clean(known, phone, number));
    assert_false(mask_is_clean(known, (loom_str){0}, number));
    assert_false(mask_is_clean(known, key, other));
    for (unsigned i = 0; i < 100 * MASK_KNOWN_TEXTS; i++) {
        (void)snprintf(text, sizeof text, "%u", i);
        mask_note_clean(known, key, str_of(text));
        assert_true(mask_is_clean(known, key, str_of(text)));
    }
    assert_false(mask_is_clean(known, key, number));
    memset(long_text, 'x', sizeof long_text);
    mask_note_clean(known, (loom_str){0}, (loom_str){long_text, sizeof long_text});
    assert_false(mask_is_clean(known, (loom_str){0}, (loom_str){long_text, sizeof long_text}));
    mask_note_clean(known, (loom_str){0}, (loom_str){0});
    assert_false(mask_is_clean(known, (loom_str){0}, (loom_str){0}));
    close_known(known);
}

static void *judge_all(void *user)
{
    char text[64];
    uintptr_t wrong = 0;
    for (unsigned i = 0; i < 2000; i++) {
        (void)snprintf(text, sizeof text, i % 2 == 0 ? "k%u.token" : "k%u.name", i % 500);
        wrong += mask_judge(user, &all, str_of(text)) != (i % 2 == 0 ? MASK_KEY_SECRET : MASK_KEY_OTHER);
        if (i % 2 == 0) {
            mask_note_clean(user, (loom_str){0}, str_of(text));
        } else {
            wrong += mask_is_clean(user, (loom_str){0}, str_of(text));
        }
    }
    return (void *)wrong;
}

static void threads_may_ask_at_once(void **state)
{
    (void)state;
    mask_known *known = open_known();
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, judge_all, known));
    }
    for (size_t i = 0; i < 4; i++) {
        void *wrong;
        assert_int_equal(0, pthread_join(threads[i], &wrong));
        assert_null(wrong);
    }
    close_known(known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_judged_alike_every_time_and_however_many_there_are),
        cmocka_unit_test(keys_that_differ_in_their_middle_alone_are_told_apart),
        cmocka_unit_test(a_text_is_clean_under_its_key_alone_until_another_takes_its_place),
        cmocka_unit_test(threads_may_ask_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
