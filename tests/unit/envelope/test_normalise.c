/* SPDX-License-Identifier: Apache-2.0 */
/* What hops write: the context and ttl in place, the fixed form, the sender's stamp; and nothing else. */
#include <stdlib.h>

#include <loom/tracestate.h>

#include "envelope/msgpack_bytes.h"
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

/* An envelope whose tracestate and baggage no encoder of ours would write, behind those fields as they were. */
static size_t with_raw_context(uint8_t *out, const loom_envelope *env, loom_str tracestate, loom_str baggage)
{
    loom_bytes wire = loom_envelope_wire(env);
    mp_reader r = {wire.data, wire.data + wire.len};
    uint32_t count;
    assert_true(mp_read_array(&r, &count));
    for (unsigned f = 0; f < ENV_TRACESTATE; f++) {
        assert_true(mp_skip(&r, 0));
    }
    uint8_t *p = mp_put_raw(out, wire.data, (size_t)(r.at - wire.data));
    assert_true(mp_skip(&r, 0));
    assert_true(mp_skip(&r, 0));
    p = mp_put_str_or_nil(p, tracestate);
    p = mp_put_str_or_nil(p, baggage);
    p = mp_put_raw(p, r.at, (size_t)(r.end - r.at));
    return (size_t)(p - out);
}

/* The envelope after envelope_mend_context(), which its caller drops. */
static loom_envelope *mended(const loom_trace_context *context, loom_str tracestate, loom_str baggage)
{
    static uint8_t wire[64 * 1024];
    loom_envelope_fields fields = {.topic = STR("t"), .sender = STR("a"), .payload = BYTES("hello")};
    loom_envelope_inject(&fields, context);
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    size_t len = with_raw_context(wire, env, tracestate, baggage);
    loom_envelope_unref(env);
    envelope_view view;
    const char *reason;
    assert_status(LOOM_OK, envelope_scan(&view, (loom_bytes){wire, len}, &(envelope_limits){.any_context = true}, &reason));
    assert_true(envelope_context_needs_look(&view));
    assert_status(LOOM_OK, loom_envelope_decode(&env, (loom_bytes){wire, envelope_mend_context(wire, &view)}));
    assert_int_equal(fields.payload.len, loom_envelope_payload(env).len);
    assert_memory_equal(fields.payload.data, loom_envelope_payload(env).data, fields.payload.len);
    return env;
}

/* W3C Trace Context, 3.3: without a valid traceparent the tracestate is discarded. */
static void tracestate_without_a_context_is_taken_out(void **state)
{
    (void)state;
    loom_envelope *env = mended(NULL, STR("foo=1"), STR("k=v"));
    assert_int_equal(0, envelope_as_view(env)->field[ENV_TRACESTATE].len);
    assert_str("k=v", loom_envelope_baggage(env));
    loom_envelope_unref(env);
    env = mended(&ctx, STR("foo=1"), STR("k=v"));
    assert_str("foo=1", loom_envelope_tracestate(env));
    loom_envelope_unref(env);
}

/* W3C Trace Context, 3.3.1.5, and Baggage, 3.3.2: by whole members, and the message goes on. */
static void context_over_its_limits_is_cut_by_whole_members(void **state)
{
    (void)state;
    char tracestate[2 + 256 + 1 + 2 + 250 + 4 + 1], members[LOOM_BAGGAGE_MAX + 64];
    snprintf(tracestate, sizeof tracestate, "a=%0256d,b=%0250d,c=1", 0, 0);
    size_t len = 0;
    while (len <= LOOM_BAGGAGE_MAX) {
        len += (size_t)snprintf(members + len, sizeof members - len, "%sk%04zu=%0194d", len > 0 ? "," : "", len, 0);
    }
    loom_envelope *env = mended(&ctx, str_of(tracestate), (loom_str){members, len});
    loom_str cut = loom_envelope_tracestate(env);
    assert_true(cut.len > 250 && cut.len <= LOOM_TRACESTATE_MAX);
    assert_status(LOOM_OK, loom_tracestate_check(cut));
    cut = loom_envelope_baggage(env);
    assert_int_equal(40 * 200 + 39, cut.len);
    assert_memory_equal(members, cut.data, cut.len);
    loom_envelope_unref(env);
    memset(tracestate, ' ' + 1, sizeof tracestate - 1); /* no members to cut by */
    env = mended(&ctx, str_of(tracestate), STR("k=v"));
    assert_str("", loom_envelope_tracestate(env));
    loom_envelope_unref(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patching_the_hop_changes_the_hop_alone),
        cmocka_unit_test(a_context_that_lies_elsewhere_keeps_its_ttl),
        cmocka_unit_test(stamping_the_sender_changes_the_sender_alone),
        cmocka_unit_test(tracestate_without_a_context_is_taken_out),
        cmocka_unit_test(context_over_its_limits_is_cut_by_whole_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
