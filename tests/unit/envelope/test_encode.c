/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder: limits, defaults, and the room it says it needs. */
#include <stdlib.h>

#include "envelope/encode.h"
#include "envelope/view.h"
#include "tests/support/check.h"

static char text[LOOM_HEADERS_MAX + 2]; /* of the letter x */
static uint8_t payload[LOOM_PAYLOAD_MAX + 1];

static int fill(void **state)
{
    (void)state;
    memset(text, 'x', sizeof text);
    return 0;
}

static loom_status check(const loom_envelope_fields *fields)
{
    size_t size;
    return envelope_encode_check(fields, &size);
}

static void an_envelope_needs_a_topic(void **state)
{
    (void)state;
    assert_status(LOOM_EINVAL, check(&(loom_envelope_fields){.payload = BYTES("x")}));
}

static void a_header_needs_a_key(void **state)
{
    (void)state;
    const loom_header headers[] = {{STR("k"), STR("v")}, {STR(""), STR("v")}};
    assert_status(LOOM_EINVAL, check(&(loom_envelope_fields){.topic = STR("t"), .headers = headers, .header_count = 2}));
}

static void each_text_field_is_held_to_its_limit(void **state)
{
    (void)state;
    static const struct {
        size_t offset, max;
    } limits[] = {
        {offsetof(loom_envelope_fields, topic), LOOM_TOPIC_MAX},
        {offsetof(loom_envelope_fields, type), LOOM_TYPE_MAX},
        {offsetof(loom_envelope_fields, sender), LOOM_AGENT_ID_MAX},
        {offsetof(loom_envelope_fields, thread_id), LOOM_THREAD_ID_MAX},
        {offsetof(loom_envelope_fields, correlation_id), LOOM_THREAD_ID_MAX},
        {offsetof(loom_envelope_fields, reply_to), LOOM_TOPIC_MAX},
        {offsetof(loom_envelope_fields, content_type), LOOM_CONTENT_TYPE_MAX},
        {offsetof(loom_envelope_fields, tracestate), LOOM_TRACESTATE_MAX},
        {offsetof(loom_envelope_fields, baggage), LOOM_BAGGAGE_MAX},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        loom_envelope_fields fields = {.topic = STR("t")};
        loom_str *field = (loom_str *)((char *)&fields + limits[i].offset);
        *field = (loom_str){text, limits[i].max};
        loom_envelope *env;
        assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
        loom_envelope_unref(env);
        field->len++;
        assert_status(LOOM_ETOOBIG, loom_envelope_create(&env, &fields));
        assert_null(env);
    }
}

static void a_payload_is_held_to_its_limit(void **state)
{
    (void)state;
    assert_status(LOOM_OK, check(&(loom_envelope_fields){.topic = STR("t"), .payload = {payload, LOOM_PAYLOAD_MAX}}));
    assert_status(LOOM_ETOOBIG,
                  check(&(loom_envelope_fields){.topic = STR("t"), .payload = {payload, LOOM_PAYLOAD_MAX + 1}}));
}

/* Just at the limit for the reader is just at the limit for the writer. */
static void headers_are_held_to_their_encoded_size(void **state)
{
    (void)state;
    loom_header header = {STR("k"), {text, LOOM_HEADERS_MAX - 1 - 2 - 3}};
    loom_envelope_fields fields = {.topic = STR("t"), .headers = &header, .header_count = 1};
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    assert_int_equal(LOOM_HEADERS_MAX, envelope_as_view(env)->field[ENV_HEADERS].len);
    loom_envelope_unref(env);
    header.value.len++;
    assert_status(LOOM_ETOOBIG, check(&fields));
    header.value.len = SIZE_MAX;
    assert_status(LOOM_ETOOBIG, check(&fields));
}

static void thousands_of_short_headers_are_as_good_as_one_long(void **state)
{
    (void)state;
    enum { COUNT = 4095 }; /* of four bytes each */
    loom_header *headers = calloc(COUNT + 1, sizeof *headers);
    assert_non_null(headers);
    for (size_t i = 0; i <= COUNT; i++) {
        headers[i] = (loom_header){STR("k"), STR("v")};
    }
    loom_envelope *env;
    loom_envelope_fields fields = {.topic = STR("t"), .headers = headers, .header_count = COUNT};
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    assert_int_equal(COUNT, envelope_as_view(env)->headers_count);
    loom_envelope_unref(env);
    fields.header_count++;
    assert_status(LOOM_ETOOBIG, check(&fields));
    free(headers);
}

static void the_encoder_stays_within_the_room_it_asked_for(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 31, 32, 127, 128, 255, 256};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = sizes[i], small = n < 128 ? n : 128;
        const loom_str full = {text, n}, cut = {text, small};
        const loom_header headers[] = {{{text, n + 1}, full}};
        const loom_envelope_fields fields = {
            .topic = {text, n > 0 ? n : 1}, .payload = {payload, n * n}, .type = cut, .sender = cut, .thread_id = cut,
            .correlation_id = cut, .reply_to = full, .content_type = cut, .tracestate = full, .baggage = full,
            .headers = headers, .header_count = 1, .timestamp_unix_ns = UINT64_MAX,
            .creation_span_id = {1}, .context = {{1}, {1}, 1}};
        size_t room;
        assert_status(LOOM_OK, envelope_encode_check(&fields, &room));
        uint8_t *out = malloc(room), id[LOOM_UUID_SIZE];
        assert_non_null(out);
        assert_in_range(envelope_encode(out, &fields, id), 1, room);
        free(out);
    }
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    loom_envelope *env, *other;
    const loom_envelope_fields fields = {.topic = STR("t")};
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    assert_status(LOOM_OK, loom_envelope_create(&other, &fields));
    assert_memory_not_equal(loom_envelope_id(env), loom_envelope_id(other), LOOM_UUID_SIZE);
    assert_true(loom_envelope_timestamp_unix_ns(env) > 1500000000ull * 1000000000ull);
    assert_int_equal(LOOM_TTL_DEFAULT, loom_envelope_ttl(env));
    char id[LOOM_UUID_TEXT_SIZE], buf[LOOM_UUID_TEXT_SIZE], reply[LOOM_REPLY_TO_SIZE], expected[LOOM_REPLY_TO_SIZE];
    loom_envelope_id_text(env, id);
    snprintf(expected, sizeof expected, "thread.%s.reply", id);
    assert_str(id, loom_envelope_thread_id(env, buf));
    assert_str(id, loom_envelope_correlation_id(env, buf));
    assert_str(expected, loom_envelope_reply_to(env, reply));
    loom_envelope_unref(env);
    loom_envelope_unref(other);
}

/* Trace Context level 2, 3.2.2.5.3: a participant sets the flags it does not know to zero. */
static void unknown_trace_flags_are_not_written(void **state)
{
    (void)state;
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t"),
                                                                              .context = {{1}, {1}, 0xff}}));
    assert_int_equal(LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM, loom_envelope_wire(env).data[HOP_FLAGS_OFFSET]);
    loom_envelope_unref(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_envelope_needs_a_topic),
        cmocka_unit_test(a_header_needs_a_key),
        cmocka_unit_test(each_text_field_is_held_to_its_limit),
        cmocka_unit_test(a_payload_is_held_to_its_limit),
        cmocka_unit_test(headers_are_held_to_their_encoded_size),
        cmocka_unit_test(thousands_of_short_headers_are_as_good_as_one_long),
        cmocka_unit_test(the_encoder_stays_within_the_room_it_asked_for),
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(unknown_trace_flags_are_not_written),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
