/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes of vectors.json: what is read from them, what is written for them, and which bytes are refused. */
#include <stdlib.h>

#include "envelope/view.h"
#include "tests/conformance/wire/vectors.h"

static json_t *vectors;

static int load(void **state)
{
    (void)state;
    vectors = vectors_load();
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static void same_str(json_t *vector, const char *field, loom_str expected, loom_str actual)
{
    if (expected.len != actual.len || (actual.len > 0 && memcmp(expected.data, actual.data, actual.len) != 0)) {
        fail_msg("%s: %s is \"%.*s\"", vector_string(vector, "name"), field, (int)actual.len, actual.data);
    }
}

typedef struct header_walk {
    const loom_envelope_fields *expected;
    size_t seen;
} header_walk;

static bool expect_header(void *user, loom_header header)
{
    header_walk *walk = user;
    assert_true(walk->seen < walk->expected->header_count);
    const loom_header *expected = &walk->expected->headers[walk->seen++];
    assert_int_equal(expected->key.len, header.key.len);
    assert_memory_equal(expected->key.data, header.key.data, header.key.len);
    assert_int_equal(expected->value.len, header.value.len);
    assert_memory_equal(expected->value.data, header.value.data, header.value.len);
    return true;
}

static void same_defaults(json_t *vector, const loom_envelope *env)
{
    json_t *effective = json_object_get(json_object_get(vector, "fields"), "effective");
    char text[LOOM_UUID_TEXT_SIZE], reply_to[LOOM_REPLY_TO_SIZE];
    same_str(vector, "thread_id", vector_str(effective, "thread_id"), loom_envelope_thread_id(env, text));
    same_str(vector, "correlation_id", vector_str(effective, "correlation_id"), loom_envelope_correlation_id(env, text));
    same_str(vector, "reply_to", vector_str(effective, "reply_to"), loom_envelope_reply_to(env, reply_to));
}

static void same_fields(json_t *vector, const loom_envelope_fields *expected, const loom_envelope *env)
{
    same_str(vector, "topic", expected->topic, loom_envelope_topic(env));
    same_str(vector, "type", expected->type, loom_envelope_type(env));
    same_str(vector, "sender", expected->sender, loom_envelope_sender(env));
    same_str(vector, "content_type", expected->content_type, loom_envelope_content_type(env));
    same_str(vector, "tracestate", expected->tracestate, loom_envelope_tracestate(env));
    same_str(vector, "baggage", expected->baggage, loom_envelope_baggage(env));
    loom_bytes payload = loom_envelope_payload(env);
    same_str(vector, "payload", (loom_str){(const char *)expected->payload.data, expected->payload.len},
             (loom_str){(const char *)payload.data, payload.len});
    assert_memory_equal(expected->id, loom_envelope_id(env), LOOM_UUID_SIZE);
    assert_true(expected->timestamp_unix_ns == loom_envelope_timestamp_unix_ns(env));
    assert_int_equal(expected->ttl, loom_envelope_ttl(env));
    header_walk walk = {expected, 0};
    loom_envelope_headers(env, expect_header, &walk);
    assert_int_equal(expected->header_count, walk.seen);

    loom_trace_context ctx, creation;
    assert_int_equal(loom_trace_context_valid(&expected->context), loom_envelope_extract(env, &ctx));
    assert_memory_equal(&expected->context, &ctx, sizeof ctx);
    if (loom_envelope_creation_context(env, &creation)) {
        assert_memory_equal(expected->creation_span_id, creation.span_id, LOOM_SPAN_ID_SIZE);
        assert_memory_equal(expected->context.trace_id, creation.trace_id, LOOM_TRACE_ID_SIZE);
    }
}

static void each_envelope_reads_as_its_vector_says(void **state)
{
    (void)state;
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "envelopes"), i, vector) {
        loom_bytes bytes = vector_bytes(json_object_get(vector, "bytes"));
        vector_fields expected;
        vector_fields_init(&expected, json_object_get(vector, "fields"));
        loom_envelope *env;
        const loom_status st = loom_envelope_decode(&env, bytes);
        if (st != LOOM_OK) {
            fail_msg("%s: LOOM_%s", vector_string(vector, "name"), loom_status_name(st));
        }
        same_fields(vector, &expected.fields, env);
        same_defaults(vector, env);
        loom_envelope_unref(env);
        vector_fields_fini(&expected);
        free((void *)(uintptr_t)bytes.data);
    }
}

static void each_canonical_envelope_is_written_byte_for_byte(void **state)
{
    (void)state;
    size_t i, written = 0;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "envelopes"), i, vector) {
        if (!json_is_true(json_object_get(vector, "canonical"))) {
            continue;
        }
        loom_bytes bytes = vector_bytes(json_object_get(vector, "bytes"));
        vector_fields fields;
        vector_fields_init(&fields, json_object_get(vector, "fields"));
        loom_envelope *env;
        assert_status(LOOM_OK, loom_envelope_create(&env, &fields.fields));
        same_str(vector, "wire", (loom_str){(const char *)bytes.data, bytes.len},
                 (loom_str){(const char *)loom_envelope_wire(env).data, loom_envelope_wire(env).len});
        written++;
        loom_envelope_unref(env);
        vector_fields_fini(&fields);
        free((void *)(uintptr_t)bytes.data);
    }
    assert_true(written >= 7);
}

/* A later version's trailing fields survive the rewriting of a foreign form too. */
static void trailing_fields_are_kept(void **state)
{
    (void)state;
    size_t i, seen = 0;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "envelopes"), i, vector) {
        if (strstr(vector_string(vector, "name"), "trailing") == NULL) {
            continue;
        }
        loom_bytes bytes = vector_bytes(json_object_get(vector, "bytes"));
        loom_envelope *env;
        assert_status(LOOM_OK, loom_envelope_decode(&env, bytes));
        loom_bytes wire = loom_envelope_wire(env);
        size_t tail = wire.len - ENVELOPE_PREFIX_SIZE; /* all from the topic on */
        assert_memory_equal(bytes.data + bytes.len - tail, wire.data + wire.len - tail, tail);
        assert_int_equal(bytes.data[2], wire.data[2]); /* the count of fields */
        seen++;
        loom_envelope_unref(env);
        free((void *)(uintptr_t)bytes.data);
    }
    assert_true(seen >= 4);
}

static void each_malformed_envelope_is_refused_with_its_status(void **state)
{
    (void)state;
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "refused_envelopes"), i, vector) {
        loom_bytes bytes = vector_bytes(json_object_get(vector, "bytes"));
        envelope_view view;
        const char *reason = NULL;
        loom_envelope *env;
        const loom_status st = envelope_scan(&view, bytes, NULL, &reason);
        if (st != vector_status(vector) || reason == NULL) {
            fail_msg("%s: LOOM_%s (%s)", vector_string(vector, "name"), loom_status_name(st), reason);
        }
        assert_status(st, loom_envelope_decode(&env, bytes));
        assert_null(env);
        free((void *)(uintptr_t)bytes.data);
    }
}

/* Each prefix lies in memory of its own size, where one byte read too far is an error of the sanitizer. */
static void no_prefix_of_an_envelope_is_one(void **state)
{
    (void)state;
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "envelopes"), i, vector) {
        loom_bytes bytes = vector_bytes(json_object_get(vector, "bytes"));
        size_t step = bytes.len > 4096 ? 997 : 1;
        for (size_t len = 0; len < bytes.len; len += len < 256 ? 1 : step) {
            uint8_t *cut = malloc(len > 0 ? len : 1);
            assert_non_null(cut);
            memcpy(cut, bytes.data, len);
            envelope_view view;
            const char *reason;
            const loom_status st = envelope_scan(&view, (loom_bytes){cut, len}, NULL, &reason);
            if (st != LOOM_EMALFORMED) {
                fail_msg("%s cut to %zu bytes: LOOM_%s", vector_string(vector, "name"), len, loom_status_name(st));
            }
            free(cut);
        }
        free((void *)(uintptr_t)bytes.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_envelope_reads_as_its_vector_says),
        cmocka_unit_test(each_canonical_envelope_is_written_byte_for_byte),
        cmocka_unit_test(trailing_fields_are_kept),
        cmocka_unit_test(each_malformed_envelope_is_refused_with_its_status),
        cmocka_unit_test(no_prefix_of_an_envelope_is_one),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
