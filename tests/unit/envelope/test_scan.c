/* SPDX-License-Identifier: Apache-2.0 */
/* The gate for bytes from outside, and the msgpack readers under it. The cases of whole envelopes are vectors, in
 * tests/conformance/wire. */
#include <stdlib.h>

#include "envelope/msgpack_bytes.h"
#include "envelope/view.h"
#include "tests/support/check.h"

static loom_envelope *message(size_t payload)
{
    uint8_t *bytes = calloc(1, payload + 1);
    assert_non_null(bytes);
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("a.b"), .sender = STR("s"),
                                                                              .payload = {bytes, payload}}));
    free(bytes);
    return env;
}

static void a_lower_payload_limit_is_kept(void **state)
{
    (void)state;
    loom_envelope *env = message(100);
    envelope_view view;
    const char *reason;
    assert_status(LOOM_OK, envelope_scan(&view, loom_envelope_wire(env), &(envelope_limits){.payload_max = 100}, &reason));
    assert_status(LOOM_ETOOBIG, envelope_scan(&view, loom_envelope_wire(env), &(envelope_limits){.payload_max = 99}, &reason));
    assert_string_equal("payload is over the limit", reason);
    loom_envelope_unref(env);
}

static void more_bytes_may_follow_an_envelope(void **state)
{
    (void)state;
    loom_envelope *env = message(10);
    loom_bytes wire = loom_envelope_wire(env);
    uint8_t *two = malloc(2 * wire.len);
    assert_non_null(two);
    memcpy(two, wire.data, wire.len);
    memcpy(two + wire.len, wire.data, wire.len);
    envelope_view view;
    const char *reason;
    assert_status(LOOM_OK, envelope_scan(&view, (loom_bytes){two, 2 * wire.len}, NULL, &reason));
    assert_int_equal(wire.len, view.len);
    loom_envelope *none;
    assert_status(LOOM_EMALFORMED, loom_envelope_decode(&none, (loom_bytes){two, 2 * wire.len})); /* exactly one */
    assert_null(none);
    free(two);
    loom_envelope_unref(env);
}

static void no_bytes_are_no_envelope(void **state)
{
    (void)state;
    envelope_view view;
    const char *reason = NULL;
    assert_status(LOOM_EMALFORMED, envelope_scan(&view, (loom_bytes){NULL, 0}, NULL, &reason));
    assert_string_equal("not an envelope: empty", reason);
}

/* Any single byte changed to any other: accepted or refused, never read past, and what is accepted is whole. */
static void no_changed_byte_makes_the_scan_leave_the_bytes(void **state)
{
    (void)state;
    loom_envelope *env = message(5);
    loom_bytes wire = loom_envelope_wire(env);
    uint8_t *copy = malloc(wire.len);
    assert_non_null(copy);
    for (size_t at = 0; at < wire.len; at++) {
        memcpy(copy, wire.data, wire.len);
        for (unsigned value = 0; value < 256; value++) {
            copy[at] = (uint8_t)value;
            envelope_view view;
            const char *reason;
            if (envelope_scan(&view, (loom_bytes){copy, wire.len}, NULL, &reason) == LOOM_OK) {
                assert_in_range(view.len, 1, wire.len);
                for (unsigned f = ENV_HOP; f < ENVELOPE_FIELDS; f++) {
                    assert_true(view.field[f].off + view.field[f].len <= view.len);
                }
            }
        }
    }
    free(copy);
    loom_envelope_unref(env);
}

/* ---- the short way through the usual envelope ---- */

enum { MORE = 2048 }; /* bytes behind it: the short way is taken when there are enough */

static void assert_same_view(const envelope_view *a, const envelope_view *b)
{
    assert_int_equal(a->len, b->len);
    assert_int_equal(a->headers_count, b->headers_count);
    assert_int_equal(a->hop_in_place, b->hop_in_place);
    for (unsigned f = ENV_HOP; f < ENVELOPE_FIELDS; f++) {
        assert_int_equal(a->field[f].off, b->field[f].off);
        assert_int_equal(a->field[f].len, b->field[f].len);
    }
}

/* long_way lies alone in its memory, short_way has MORE bytes behind it. */
static void assert_read_alike(loom_bytes long_way, const uint8_t *short_way)
{
    envelope_view alone, followed;
    const char *why_alone, *why_followed;
    const loom_status st = envelope_scan(&alone, long_way, NULL, &why_alone);
    const loom_status other = envelope_scan(&followed, (loom_bytes){short_way, long_way.len + MORE}, NULL, &why_followed);
    if (st == LOOM_OK || (other == LOOM_OK && followed.len <= long_way.len)) {
        assert_status(LOOM_OK, st);
        assert_status(LOOM_OK, other);
        assert_same_view(&alone, &followed);
    } else if (other != LOOM_OK && st != other) {
        assert_status(LOOM_EMALFORMED, st); /* its end came first */
    }
}

static void assert_any_change_is_read_alike(const loom_envelope_fields *fields)
{
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, fields));
    const loom_bytes wire = loom_envelope_wire(env);
    uint8_t *alone = malloc(wire.len), *followed = calloc(1, wire.len + MORE);
    assert_non_null(alone);
    assert_non_null(followed);
    memcpy(alone, wire.data, wire.len);
    memcpy(followed, wire.data, wire.len);
    assert_read_alike((loom_bytes){alone, wire.len}, followed);
    for (size_t at = 0; at < wire.len - fields->payload.len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            alone[at] = followed[at] = (uint8_t)value;
            assert_read_alike((loom_bytes){alone, wire.len}, followed);
        }
        alone[at] = followed[at] = wire.data[at];
    }
    free(alone);
    free(followed);
    loom_envelope_unref(env);
}

static void what_follows_an_envelope_does_not_change_how_it_is_read(void **state)
{
    (void)state;
    static const uint8_t bytes[300];
    static const char long_text[] = "a.topic.of.more.than.31.bytes.in.the.form.with.a.length";
    const loom_trace_context ctx = {{1}, {2}, 0};
    const loom_envelope_fields usual = {.topic = STR("a.b"), .sender = STR("s"), .payload = {bytes, 5}};
    loom_envelope_fields f = usual;
    assert_any_change_is_read_alike(&f);
    loom_envelope_inject(&f, &ctx);
    assert_any_change_is_read_alike(&f);
    f.type = STR("sensor.reading");
    f.topic = (loom_str){long_text, sizeof long_text - 1};
    f.payload.len = sizeof bytes;
    assert_any_change_is_read_alike(&f);
    f.correlation_id = STR("c");
    assert_any_change_is_read_alike(&f);
    f = usual;
    f.payload.len = 0;
    f.headers = &(loom_header){STR("k"), STR("v")};
    f.header_count = 1;
    assert_any_change_is_read_alike(&f);
}

static void a_lower_payload_limit_is_kept_when_more_follows(void **state)
{
    (void)state;
    loom_envelope *env = message(300);
    const loom_bytes wire = loom_envelope_wire(env);
    uint8_t *followed = calloc(1, wire.len + MORE);
    assert_non_null(followed);
    memcpy(followed, wire.data, wire.len);
    const loom_bytes bytes = {followed, wire.len + MORE};
    envelope_view view;
    const char *reason;
    assert_status(LOOM_OK, envelope_scan(&view, bytes, &(envelope_limits){.payload_max = 300}, &reason));
    assert_status(LOOM_ETOOBIG, envelope_scan(&view, bytes, &(envelope_limits){.payload_max = 299}, &reason));
    assert_string_equal("payload is over the limit", reason);
    free(followed);
    loom_envelope_unref(env);
}

/* ---- msgpack ---- */

typedef struct number {
    uint8_t bytes[9];
    size_t len;
    bool ok;
    uint64_t value;
} number;

static void every_form_of_an_unsigned_number_is_read(void **state)
{
    (void)state;
    static const number numbers[] = {
        {{0x00}, 1, true, 0},
        {{0x7f}, 1, true, 127},
        {{0xcc, 0x80}, 2, true, 128},
        {{0xcd, 1, 0}, 3, true, 256},
        {{0xce, 1, 0, 0, 0}, 5, true, 1u << 24},
        {{0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, true, UINT64_MAX},
        {{0xd0, 0x7f}, 2, true, 127},
        {{0xd0, 0x80}, 2, false, 0},
        {{0xd1, 0x7f, 0xff}, 3, true, INT16_MAX},
        {{0xd1, 0x80, 0x00}, 3, false, 0},
        {{0xd2, 0x7f, 0xff, 0xff, 0xff}, 5, true, INT32_MAX},
        {{0xd2, 0x80, 0, 0, 0}, 5, false, 0},
        {{0xd3, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, true, INT64_MAX},
        {{0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0}, 9, false, 0},
        {{0xe0}, 1, false, 0},
        {{0xca, 0, 0, 0, 0}, 5, false, 0},
        {{0xc0}, 1, false, 0},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const number *n = &numbers[i];
        for (size_t len = 0; len <= n->len; len++) {
            uint8_t *exact = malloc(len + !len);
            assert_non_null(exact);
            memcpy(exact, n->bytes, len);
            mp_reader r = {exact, exact + len};
            uint64_t value = 0;
            const bool ok = mp_read_uint(&r, &value);
            assert_int_equal(n->ok && len == n->len, ok);
            if (ok) {
                assert_true(value == n->value);
                assert_ptr_equal(r.end, r.at);
            }
            free(exact);
        }
    }
}

static void what_is_written_reads_back_at_every_edge_of_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535};
    uint8_t *text = calloc(1, 65536), *out = malloc(65536 + 16);
    assert_non_null(text);
    assert_non_null(out);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        loom_str s;
        uint8_t *end = mp_put_str(out, (loom_str){(char *)text, sizes[i]});
        mp_reader r = {out, end};
        assert_true(mp_read_str(&r, &s));
        assert_int_equal(sizes[i], s.len);
        assert_ptr_equal(end, r.at);
        loom_bytes b;
        end = mp_put_bin(out, text, sizes[i]);
        r = (mp_reader){out, end};
        assert_true(mp_read_bin(&r, &b));
        assert_int_equal(sizes[i], b.len);
        assert_ptr_equal(end, r.at);
    }
    static const uint64_t values[] = {0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, 1ull << 32, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint64_t v = 0;
        uint8_t *end = mp_put_uint(out, values[i]);
        mp_reader r = {out, end};
        assert_true(mp_read_uint(&r, &v) && v == values[i]);
        assert_ptr_equal(end, r.at);
    }
    free(out);
    free(text);
}

static void every_kind_of_value_is_stepped_over_whole(void **state)
{
    (void)state;
    static const uint8_t all[] = {
        0xdc, 0, 16, 0x01, 0xff, 0xc0, 0xc2, 0xc3, 0xca, 1, 2, 3, 4, 0xcb, 1, 2, 3, 4, 5, 6, 7, 8, 0xd3, 1, 2, 3, 4, 5, 6, 7, 8,
        0xa1, 'a', 0xc4, 1, 0, 0xd4, 5, 0, 0xc7, 2, 5, 0, 0, 0x81, 0xa1, 'k', 0x90, 0xdc, 0, 1, 0xd9, 1, 'x',
        0xde, 0, 0, 0xdb, 0, 0, 0, 1, 'y'};
    for (size_t len = 0; len <= sizeof all; len++) {
        uint8_t *exact = malloc(len + !len);
        assert_non_null(exact);
        memcpy(exact, all, len);
        mp_reader r = {exact, exact + len};
        assert_int_equal(len == sizeof all, mp_skip(&r, 32));
        if (len == sizeof all) {
            assert_ptr_equal(r.end, r.at);
        }
        free(exact);
    }
}

static void values_are_stepped_over_as_deep_as_allowed_and_no_deeper(void **state)
{
    (void)state;
    for (unsigned depth = 0; depth <= 32; depth++) {
        uint8_t nested[34];
        memset(nested, 0x91, sizeof nested);
        nested[depth] = 0x01; /* so many arrays around a number */
        mp_reader r = {nested, nested + depth + 1};
        assert_true(mp_skip(&r, depth));
        if (depth > 0) {
            r = (mp_reader){nested, nested + depth + 1};
            assert_false(mp_skip(&r, depth - 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lower_payload_limit_is_kept),
        cmocka_unit_test(more_bytes_may_follow_an_envelope),
        cmocka_unit_test(no_bytes_are_no_envelope),
        cmocka_unit_test(no_changed_byte_makes_the_scan_leave_the_bytes),
        cmocka_unit_test(what_follows_an_envelope_does_not_change_how_it_is_read),
        cmocka_unit_test(a_lower_payload_limit_is_kept_when_more_follows),
        cmocka_unit_test(every_form_of_an_unsigned_number_is_read),
        cmocka_unit_test(what_is_written_reads_back_at_every_edge_of_size),
        cmocka_unit_test(every_kind_of_value_is_stepped_over_whole),
        cmocka_unit_test(values_are_stepped_over_as_deep_as_allowed_and_no_deeper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
