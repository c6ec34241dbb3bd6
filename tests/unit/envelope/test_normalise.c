/* SPDX-License-Identifier: Apache-2.0 */
/* What hops write: the context and ttl in place, the fixed form, the sender's stamp; and nothing else. */
#include <stdlib.h>

#include "envelope/view.h"
#include "tests/support/check.h"

static const loom_trace_context ctx = {{1, 2, 3}, {4, 5, 6}, LOOM_TRACE_FLAG_SAMPLED};

static loom_envelope *message(loom_str sender)
{
    loom_envelope_fields fields = {.topic = STR("a.b"), .sender = sender, .type = STR("x"), .payload = BYTES("hello"),
                                   .tracestate = STR("k=v"), .ttl = 7};
    loom_envelope_inject(&fields, &ctx);
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    return env;
}

static uint8_t *copy_of(loom_bytes bytes)
{
    uint8_t *copy = malloc(bytes.len);
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.len);
    return copy;
}

static void patching_the_hop_changes_the_hop_alone(void **state)
{
    (void)state;
    const loom_trace_context next = {{9, 9}, {8, 8}, LOOM_TRACE_FLAG_RANDOM};
    loom_envelope *env = message(STR("s"));
    loom_bytes wire = loom_envelope_wire(env);
    uint8_t *copy = copy_of(wire);
    hop_patch(copy, &next);
    assert_memory_equal(wire.data, copy, HOP_OFFSET);
    assert_memory_equal(wire.data + HOP_TTL_OFFSET, copy + HOP_TTL_OFFSET, wire.len - HOP_TTL_OFFSET);
    loom_trace_context read;
    hop_read(copy, &read);
    assert_memory_equal(&next, &read, sizeof read);

    hop_set_ttl(copy, 6);
    assert_int_equal(6, hop_ttl(copy));
    assert_memory_equal(wire.data + ENVELOPE_PREFIX_SIZE, copy + ENVELOPE_PREFIX_SIZE, wire.len - ENVELOPE_PREFIX_SIZE);
    loom_trace_context creation;
    loom_envelope *patched;
    assert_status(LOOM_OK, loom_envelope_decode(&patched, (loom_bytes){copy, wire.len}));
    assert_true(loom_envelope_creation_context(patched, &creation));
    assert_memory_equal(ctx.span_id, creation.span_id, LOOM_SPAN_ID_SIZE); /* the producer's span stays */
    loom_envelope_unref(patched);
    free(copy);
    loom_envelope_unref(env);
}

/* The same envelope with an array32 header; its context is right, only elsewhere. */
static void a_context_that_lies_elsewhere_keeps_its_ttl(void **state)
{
    (void)state;
    loom_envelope *env = message(STR("s"));
    loom_bytes wire = loom_envelope_wire(env);
    size_t len = wire.len + 2;
    uint8_t *moved = malloc(len), *out = malloc(len + ENVELOPE_PREFIX_SIZE);
    assert_non_null(moved);
    assert_non_null(out);
    memcpy(moved, "\xdd\0\0\0\x10", 5);
    memcpy(moved + 5, wire.data + 3, wire.len - 3);
    envelope_view view;
    const char *reason;
    bool invalid;
    assert_status(LOOM_OK, envelope_scan(&view, (loom_bytes){moved, len}, NULL, &reason));
    assert_false(view.hop_in_place);
    assert_int_equal(wire.len, envelope_normalise(out, &view, 99, &invalid));
    assert_memory_equal(wire.data, out, wire.len);
    assert_false(invalid);
    free(out);
    free(moved);
    loom_envelope_unref(env);
}

static void stamping_the_sender_changes_the_sender_alone(void **state)
{
    (void)state;
    char longest[LOOM_AGENT_ID_MAX];
    memset(longest, 'z', sizeof longest);
    const loom_str names[] = {STR("a"), {longest, 31}, {longest, 32}, {longest, sizeof longest}};
    loom_envelope *unnamed = message(STR(""));
    const envelope_view *view = envelope_as_view(unnamed);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint8_t *out = malloc(view->len + LOOM_AGENT_ID_MAX + 3);
        assert_non_null(out);
        uint32_t len = envelope_with_sender(out, view, names[i]);
        loom_envelope *env;
        assert_status(LOOM_OK, loom_envelope_decode(&env, (loom_bytes){out, len}));
        loom_str sender = loom_envelope_sender(env);
        assert_int_equal(names[i].len, sender.len);
        assert_memory_equal(names[i].data, sender.data, sender.len);
        assert_true(envelope_as_view(env)->hop_in_place);
        /* all before it and all behind it */
        uint32_t before = view->field[ENV_TYPE].off + view->field[ENV_TYPE].len;
        assert_memory_equal(view->data, out, before);
        assert_memory_equal(view->data + before + 1, out + len - (view->len - before - 1), view->len - before - 1);
        loom_envelope_unref(env);
        free(out);
    }
    loom_envelope_unref(unnamed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patching_the_hop_changes_the_hop_alone),
        cmocka_unit_test(a_context_that_lies_elsewhere_keeps_its_ttl),
        cmocka_unit_test(stamping_the_sender_changes_the_sender_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
