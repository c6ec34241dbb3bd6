/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/check.h"
#include "trace/otlp/read.h"

static bool keep(void *user, const otlp_span *span)
{
    *(otlp_span *)user = *span;
    return true;
}

static bool stop_at_once(void *user, const otlp_span *span)
{
    (void)span;
    ++*(int *)user;
    return false;
}

/* resource_spans { scope_spans { spans { name: "n" kind: 5 } scope { name: "s" } } resource { service.name: "v" } }:
 * what the spans belong to comes after them. */
static const uint8_t late_resource[] = {
    0x0a, 0x2a, 0x12, 0x0c, 0x12, 0x05, 0x2a, 0x01, 'n', 0x30, 0x05, 0x0a, 0x03, 0x0a, 0x01, 's', 0x0a, 0x1a,
    0x0a, 0x18, 0x0a, 0x0c, 's', 'e', 'r', 'v', 'i', 'c', 'e', '.', 'n', 'a', 'm', 'e', 0x12, 0x08, 0x0a, 0x01,
    'x', 0x0a, 0x03, 'v', 'i', 'a'};

static void resource_and_scope_are_found_behind_their_spans(void **state)
{
    (void)state;
    otlp_span span = {0};
    assert_status(LOOM_OK, otlp_read_request(BYTES(late_resource), keep, &span));
    assert_str("n", span.name);
    assert_int_equal(5, span.kind);
    loom_str name, version;
    otlp_read_scope(span.scope, &name, &version);
    assert_str("s", name);
    assert_str("", version);
    assert_str("via", otlp_resource_string(span.resource, "service.name")); /* of a oneof the last one counts */
    assert_str("", otlp_resource_string(span.resource, "host.name"));
}

static void a_visitor_stops_the_walk_without_an_error(void **state)
{
    (void)state;
    static const uint8_t two[] = {0x0a, 0x06, 0x12, 0x04, 0x12, 0x00, 0x12, 0x00};
    int visits = 0;
    assert_status(LOOM_OK, otlp_read_request(BYTES(two), stop_at_once, &visits));
    assert_int_equal(1, visits);
}

static void malformed_requests_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint8_t bytes[24];
        size_t len;
    } vectors[] = {
        {"a length beyond the end", {0x0a, 0x05, 0x12}, 3},
        {"a length without a body", {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}, 6},
        {"a length that would wrap around", {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11},
        {"a varint of eleven bytes", {0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, 12},
        {"a varint of more than 64 bits", {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 11},
        {"a tag cut off", {0x80}, 1},
        {"field number 0", {0x02, 0x00}, 2},
        {"a group", {0x0b, 0x0c}, 2},
        {"wire type 7", {0x0f}, 1},
        {"a fixed64 cut off", {0x09, 1, 2, 3}, 4},
        {"a trace id of 3 bytes", {0x0a, 0x09, 0x12, 0x07, 0x12, 0x05, 0x0a, 0x03, 1, 2, 3}, 11},
        {"a bad field inside a span", {0x0a, 0x05, 0x12, 0x03, 0x12, 0x01, 0x2a}, 7},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        otlp_span span;
        loom_bytes bytes = {vectors[i].bytes, vectors[i].len};
        if (otlp_read_request(bytes, keep, &span) != LOOM_EMALFORMED) {
            fail_msg("accepted: %s", vectors[i].why);
        }
    }
}

static void every_prefix_and_every_changed_byte_is_survived(void **state)
{
    (void)state;
    otlp_span span;
    for (size_t len = 0; len <= sizeof late_resource; len++) {
        loom_status st = otlp_read_request((loom_bytes){late_resource, len}, keep, &span);
        assert_int_equal(len == 0 || len == sizeof late_resource ? LOOM_OK : LOOM_EMALFORMED, st);
    }
    for (size_t i = 0; i < sizeof late_resource; i++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t changed[sizeof late_resource];
            memcpy(changed, late_resource, sizeof changed);
            changed[i] = (uint8_t)value;
            memset(&span, 0, sizeof span);
            loom_status st = otlp_read_request(BYTES(changed), keep, &span);
            assert_true(st == LOOM_OK || st == LOOM_EMALFORMED);
            (void)otlp_resource_string(span.resource, "service.name");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resource_and_scope_are_found_behind_their_spans),
        cmocka_unit_test(a_visitor_stops_the_walk_without_an_error),
        cmocka_unit_test(malformed_requests_are_refused),
        cmocka_unit_test(every_prefix_and_every_changed_byte_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
