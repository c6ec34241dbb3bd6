/* SPDX-License-Identifier: Apache-2.0 */
/* The hop context as other programs leave it: whatever it is, the message is unharmed, and what is refused is told. */
#include <stdlib.h>

#include "envelope/view.h"
#include "tests/conformance/wire/vectors.h"

static void assert_context(json_t *vector, const loom_envelope *env)
{
    json_t *context = json_object_get(vector, "context");
    loom_trace_context expected = {0}, actual;
    if (json_is_object(context)) {
        assert_status(LOOM_OK, loom_trace_id_from_hex(expected.trace_id, vector_str(context, "trace_id")));
        assert_status(LOOM_OK, loom_span_id_from_hex(expected.span_id, vector_str(context, "span_id")));
        expected.trace_flags = (uint8_t)vector_uint(json_object_get(context, "trace_flags"));
    }
    if (loom_envelope_extract(env, &actual) != json_is_object(context) ||
        memcmp(&expected, &actual, sizeof actual) != 0) {
        fail_msg("%s: another context, flags %02x", vector_string(vector, "name"), actual.trace_flags);
    }
}

static void each_hop_field_gives_its_context_and_leaves_the_message_alone(void **state)
{
    (void)state;
    json_t *vectors = vectors_load(), *vector;
    size_t i;
    json_array_foreach(json_object_get(vectors, "contexts"), i, vector) {
        loom_bytes bytes = vector_bytes(json_object_get(vector, "bytes"));
        loom_envelope *env;
        const loom_status st = loom_envelope_decode(&env, bytes);
        if (st != LOOM_OK) {
            fail_msg("%s: LOOM_%s", vector_string(vector, "name"), loom_status_name(st));
        }
        assert_context(vector, env);
        assert_str("a.b", loom_envelope_topic(env));
        assert_int_equal(5, loom_envelope_payload(env).len);
        assert_memory_equal("hello", loom_envelope_payload(env).data, 5);
        loom_envelope_unref(env);
        free((void *)(uintptr_t)bytes.data);
    }
    json_decref(vectors);
}

/* The two ways to see it: in place, half of it zero; elsewhere, refused by the rewriting. */
static void a_context_that_was_there_and_is_refused_is_told(void **state)
{
    (void)state;
    json_t *vectors = vectors_load(), *vector;
    size_t i;
    json_array_foreach(json_object_get(vectors, "contexts"), i, vector) {
        loom_bytes bytes = vector_bytes(json_object_get(vector, "bytes"));
        envelope_view view;
        const char *reason;
        bool invalid = false;
        assert_status(LOOM_OK, envelope_scan(&view, bytes, NULL, &reason));
        if (view.hop_in_place) {
            static const uint8_t none[LOOM_TRACE_ID_SIZE + LOOM_SPAN_ID_SIZE];
            loom_trace_context ctx;
            invalid = !envelope_view_context(&view, &ctx) && memcmp(bytes.data + HOP_OFFSET, none, sizeof none) != 0;
        } else {
            uint8_t *out = malloc(view.len + ENVELOPE_PREFIX_SIZE);
            assert_non_null(out);
            (void)envelope_normalise(out, &view, LOOM_TTL_DEFAULT, &invalid);
            free(out);
        }
        if (invalid != json_is_true(json_object_get(vector, "counted"))) {
            fail_msg("%s: %s", vector_string(vector, "name"), invalid ? "told" : "not told");
        }
        free((void *)(uintptr_t)bytes.data);
    }
    json_decref(vectors);
}

static void injecting_an_invalid_context_leaves_the_fields_alone(void **state)
{
    (void)state;
    const loom_trace_context half[] = {{{0}, {1}, 1}, {{1}, {0}, 1}, {{0}, {0}, 1}};
    for (size_t i = 0; i < sizeof half / sizeof half[0]; i++) {
        loom_envelope_fields fields = {.topic = STR("t")}, before = fields;
        loom_envelope_inject(&fields, &half[i]);
        loom_envelope_inject(&fields, NULL);
        assert_memory_equal(&before, &fields, sizeof fields);
    }
}

static void what_is_injected_is_extracted_with_its_flags(void **state)
{
    (void)state;
    for (uint8_t flags = 0; flags < 4; flags++) {
        const loom_trace_context ctx = {{1, 2, 3}, {4, 5, 6}, flags};
        loom_envelope_fields fields = {.topic = STR("t")};
        loom_envelope_inject(&fields, &ctx);
        loom_envelope *env;
        assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
        loom_trace_context out;
        assert_true(loom_envelope_extract(env, &out));
        assert_memory_equal(&ctx, &out, sizeof out);
        assert_true(loom_envelope_creation_context(env, &out));
        assert_memory_equal(&ctx, &out, sizeof out);
        loom_envelope_unref(env);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_hop_field_gives_its_context_and_leaves_the_message_alone),
        cmocka_unit_test(a_context_that_was_there_and_is_refused_is_told),
        cmocka_unit_test(injecting_an_invalid_context_leaves_the_fields_alone),
        cmocka_unit_test(what_is_injected_is_extracted_with_its_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
