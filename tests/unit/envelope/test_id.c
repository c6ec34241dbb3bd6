/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <loom/context.h>

#include "envelope/id.h"
#include "base/random.h"
#include "tests/support/check.h"

enum { MANY = 20000 };

/* Seconds the wall clock of this test is set back by. */
static time_t clock_back_s;

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    const int result = __real_clock_gettime(clock, out);
    out->tv_sec -= clock == CLOCK_REALTIME ? clock_back_s : 0;
    return result;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, LOOM_TRACE_ID_SIZE);
}

static void assert_all_differ(uint8_t (*ids)[LOOM_TRACE_ID_SIZE], size_t count)
{
    qsort(ids, count, sizeof ids[0], compare_ids);
    for (size_t i = 1; i < count; i++) {
        assert_int_not_equal(0, memcmp(ids[i - 1], ids[i], sizeof ids[0]));
    }
}

static void *generate_many(void *ids_of_thread)
{
    uint8_t(*ids)[LOOM_TRACE_ID_SIZE] = ids_of_thread;
    for (size_t i = 0; i < MANY; i++) {
        loom_trace_id_generate(ids[i]);
    }
    return NULL;
}

static void ids_of_several_threads_all_differ(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    uint8_t(*ids)[LOOM_TRACE_ID_SIZE] = calloc((size_t)THREADS * MANY, sizeof *ids);
    assert_non_null(ids);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, generate_many, ids + i * MANY));
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_all_differ(ids, (size_t)THREADS * MANY);
    free(ids);
}

static void every_bit_of_an_id_varies(void **state)
{
    (void)state;
    uint8_t seen_set[LOOM_SPAN_ID_SIZE] = {0};
    uint8_t seen_clear[LOOM_SPAN_ID_SIZE] = {0};
    for (int i = 0; i < 1000; i++) {
        uint8_t id[LOOM_SPAN_ID_SIZE];
        loom_span_id_generate(id);
        for (size_t b = 0; b < sizeof id; b++) {
            seen_set[b] |= id[b];
            seen_clear[b] |= (uint8_t)~id[b];
        }
    }
    for (size_t b = 0; b < sizeof seen_set; b++) {
        assert_int_equal(0xff, seen_set[b]);
        assert_int_equal(0xff, seen_clear[b]);
    }
}

enum { DRAWN = 32 };

static void draw_bytes(uint8_t out[DRAWN])
{
    random_take(out, DRAWN);
}

static void draw_words(uint8_t out[DRAWN])
{
    for (size_t i = 0; i < DRAWN; i += sizeof(uint64_t)) {
        const uint64_t word = random_word();
        memcpy(out + i, &word, sizeof word);
    }
}

static void draw_secret_words(uint8_t out[DRAWN])
{
    for (size_t i = 0; i < DRAWN; i += sizeof(uint64_t)) {
        const uint64_t word = random_secret_word();
        memcpy(out + i, &word, sizeof word);
    }
}

static void assert_forked_child_draws_others(void (*draw)(uint8_t out[DRAWN]))
{
    uint8_t mine[DRAWN];
    uint8_t childs[DRAWN];
    draw(mine); /* now there is something that fork() copies */
    int pipes[2];
    assert_int_equal(0, pipe(pipes));
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        draw(childs);
        _exit(write(pipes[1], childs, sizeof childs) == (ssize_t)sizeof childs ? 0 : 1);
    }
    draw(mine);
    assert_int_equal(DRAWN, read(pipes[0], childs, sizeof childs));
    int status;
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_int_equal(0, status);
    assert_memory_not_equal(mine, childs, DRAWN);
    close(pipes[0]);
    close(pipes[1]);
}

static void a_forked_child_draws_other_bytes_than_its_parent(void **state)
{
    (void)state;
    assert_forked_child_draws_others(draw_bytes);
}

static void a_forked_child_draws_other_words_than_its_parent(void **state)
{
    (void)state;
    assert_forked_child_draws_others(draw_words);
    assert_forked_child_draws_others(draw_secret_words);
}

static void hex_of_an_id_reads_back(void **state)
{
    (void)state;
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    uint8_t span_id[LOOM_SPAN_ID_SIZE];
    loom_trace_id_generate(trace_id);
    loom_span_id_generate(span_id);
    char trace_hex[LOOM_TRACE_ID_HEX_SIZE];
    char span_hex[LOOM_SPAN_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_hex, trace_id);
    loom_span_id_to_hex(span_hex, span_id);
    uint8_t trace_again[LOOM_TRACE_ID_SIZE];
    uint8_t span_again[LOOM_SPAN_ID_SIZE];
    assert_status(LOOM_OK, loom_trace_id_from_hex(trace_again, str_of(trace_hex)));
    assert_status(LOOM_OK, loom_span_id_from_hex(span_again, str_of(span_hex)));
    assert_memory_equal(trace_id, trace_again, sizeof trace_id);
    assert_memory_equal(span_id, span_again, sizeof span_id);
}

static void hex_is_lower_case_and_in_byte_order(void **state)
{
    (void)state;
    static const uint8_t id[LOOM_SPAN_ID_SIZE] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    char hex[LOOM_SPAN_ID_HEX_SIZE];
    loom_span_id_to_hex(hex, id);
    assert_string_equal("0123456789abcdef", hex);
}

static void hex_of_another_form_is_refused_and_gives_zeros(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF",
                                      "0123456789abcdeg", "0123456789abcde ", "0x23456789abcdef", "0000000000000000"};
    static const uint8_t zeros[LOOM_SPAN_ID_SIZE] = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t id[LOOM_SPAN_ID_SIZE];
        memset(id, 0xaa, sizeof id);
        assert_status(LOOM_EMALFORMED, loom_span_id_from_hex(id, str_of(bad[i])));
        assert_memory_equal(zeros, id, sizeof id);
    }
}

static void no_character_but_the_sixteen_digits_is_hex(void **state)
{
    (void)state;
    char hex[] = "1111111111111111";
    uint8_t id[LOOM_SPAN_ID_SIZE];
    for (unsigned c = 0; c < 256; c++) {
        const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        for (size_t at = 14; at < 16; at++) { /* either half of a byte */
            memset(hex, '1', 16);
            hex[at] = (char)c;
            assert_status(digit ? LOOM_OK : LOOM_EMALFORMED, loom_span_id_from_hex(id, (loom_str){hex, 16}));
        }
    }
}

static void uuids_of_a_thread_ascend(void **state)
{
    (void)state;
    uint8_t last[LOOM_UUID_SIZE] = {0};
    for (int i = 0; i < MANY; i++) {
        uint8_t id[LOOM_UUID_SIZE];
        loom_uuid7_generate(id);
        assert_true(memcmp(last, id, sizeof id) < 0);
        memcpy(last, id, sizeof id);
    }
}

static void uuids_ascend_when_the_clock_is_set_back(void **state)
{
    (void)state;
    uint8_t last[LOOM_UUID_SIZE];
    loom_uuid7_generate(last);
    const uint64_t before_ms = loom_uuid7_unix_ms(last);
    clock_back_s = 3600;
    for (int i = 0; i < 2 * MANY; i++) {
        uint8_t id[LOOM_UUID_SIZE];
        loom_uuid7_generate(id);
        assert_true(memcmp(last, id, sizeof id) < 0);
        assert_int_equal(0x80, id[8] & 0xc0); /* counting up carries over the variant, not into it */
        memcpy(last, id, sizeof id);
    }
    clock_back_s = 0;
    /* Thousands of ids share one tick, so 40,000 of them do not run ahead of the clock noticeably. */
    assert_in_range(loom_uuid7_unix_ms(last), before_ms, before_ms + 1);
}

static void a_uuid_has_version_7_and_the_variant_of_rfc_9562(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint8_t id[LOOM_UUID_SIZE];
        loom_uuid7_generate(id);
        assert_int_equal(0x70, id[6] & 0xf0);
        assert_int_equal(0x80, id[8] & 0xc0);
    }
}

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void a_uuid_tells_the_millisecond_it_was_made(void **state)
{
    (void)state;
    const uint64_t before = clock_ms();
    uint8_t id[LOOM_UUID_SIZE];
    loom_uuid7_generate(id);
    assert_in_range(loom_uuid7_unix_ms(id), before, clock_ms());
}

static void uuid_text_reads_back_in_either_case(void **state)
{
    (void)state;
    static const uint8_t id[LOOM_UUID_SIZE] = {0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0, 0x7c, 0xc3,
                                               0x98, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f}; /* RFC 9562, A.6 */
    char text[LOOM_UUID_TEXT_SIZE];
    loom_uuid_to_text(text, id);
    assert_string_equal("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", text);
    uint8_t again[LOOM_UUID_SIZE];
    assert_status(LOOM_OK, loom_uuid_from_text(again, str_of(text)));
    assert_memory_equal(id, again, sizeof id);
    assert_status(LOOM_OK, loom_uuid_from_text(again, STR("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")));
    assert_memory_equal(id, again, sizeof id);
}

static void what_is_no_uuid_text_is_refused_and_gives_zeros(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
                                      "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
                                      "017f22e2_79b0-7cc3-98c4-dc0c0c07398f",
                                      "017f22e279b0-7cc3-98c4-dc0c0c07398f0",
                                      "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
                                      "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}"};
    static const uint8_t zeros[LOOM_UUID_SIZE] = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t id[LOOM_UUID_SIZE];
        memset(id, 0xaa, sizeof id);
        assert_status(LOOM_EMALFORMED, loom_uuid_from_text(id, str_of(bad[i])));
        assert_memory_equal(zeros, id, sizeof id);
    }
}

static void a_trace_id_is_read_as_hex_of_either_case_and_as_a_uuid(void **state)
{
    (void)state;
    uint8_t lower[LOOM_TRACE_ID_SIZE], id[LOOM_TRACE_ID_SIZE];
    assert_status(LOOM_OK, trace_id_from_text(lower, STR("4bf92f3577b34da6a3ce929d0e0e4736")));
    assert_status(LOOM_OK, trace_id_from_text(id, STR("4BF92F3577B34DA6A3CE929D0E0E4736")));
    assert_memory_equal(lower, id, sizeof id);
    assert_status(LOOM_OK, trace_id_from_text(id, STR("4bf92f35-77b3-4da6-a3ce-929d0e0e4736")));
    assert_memory_equal(lower, id, sizeof id);
    static const char *const bad[] = {"", "4711", "4bf92f3577b34da6a3ce929d0e0e473", "4bf92f3577b34da6a3ce929d0e0e473g",
                                      "00000000000000000000000000000000", "00000000-0000-0000-0000-000000000000"};
    static const uint8_t zeros[LOOM_TRACE_ID_SIZE];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_status(LOOM_EMALFORMED, trace_id_from_text(id, str_of(bad[i])));
        assert_memory_equal(zeros, id, sizeof id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_id_is_read_as_hex_of_either_case_and_as_a_uuid),
        cmocka_unit_test(ids_of_several_threads_all_differ),
        cmocka_unit_test(every_bit_of_an_id_varies),
        cmocka_unit_test(a_forked_child_draws_other_bytes_than_its_parent),
        cmocka_unit_test(a_forked_child_draws_other_words_than_its_parent),
        cmocka_unit_test(hex_of_an_id_reads_back),
        cmocka_unit_test(hex_is_lower_case_and_in_byte_order),
        cmocka_unit_test(hex_of_another_form_is_refused_and_gives_zeros),
        cmocka_unit_test(no_character_but_the_sixteen_digits_is_hex),
        cmocka_unit_test(uuids_of_a_thread_ascend),
        cmocka_unit_test(uuids_ascend_when_the_clock_is_set_back),
        cmocka_unit_test(a_uuid_has_version_7_and_the_variant_of_rfc_9562),
        cmocka_unit_test(a_uuid_tells_the_millisecond_it_was_made),
        cmocka_unit_test(uuid_text_reads_back_in_either_case),
        cmocka_unit_test(what_is_no_uuid_text_is_refused_and_gives_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
