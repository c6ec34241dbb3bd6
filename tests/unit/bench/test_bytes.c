/* SPDX-License-Identifier: Apache-2.0 */
/* What is read without a library: spans in an OTLP request, MQTT packets, messages of the floor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench/peers/mqtt.h"
#include "tools/bench/otlp_count.h"
#include "tools/bench/peers/floor_relay.h"
#include "tools/bench/stream.h"
#include "tools/bench/traffic.h"

#define COUNT(bytes) otlp_span_count(bytes, sizeof bytes)

static void spans_of_all_resources_and_scopes_are_counted(void **state)
{
    /* resource_spans { resource {}; scope_spans { spans {} spans { 1 byte } } }  resource_spans { scope_spans { spans {} } } */
    static const uint8_t request[] = {0x0a, 0x0b, 0x0a, 0x00, 0x12, 0x07, 0x12, 0x00, 0x12, 0x03,
                                      0x08, 0x01, 0x00, 0x0a, 0x04, 0x12, 0x02, 0x12, 0x00};
    (void)state;
    assert_int_equal(3, COUNT(request));
}

static void other_fields_are_skipped_whatever_their_type(void **state)
{
    /* varint, fixed64, fixed32 of unknown numbers, then one span */
    static const uint8_t request[] = {0x78, 0xff, 0x01, 0x79, 1, 2,    3,    4,    5,    6,    7,   8,
                                      0x7d, 1,    2,    3,    4, 0x0a, 0x04, 0x12, 0x02, 0x12, 0x00};
    (void)state;
    assert_int_equal(1, COUNT(request));
}

static void any_cut_of_a_request_is_counted_without_reading_on(void **state)
{
    static const uint8_t request[] = {0x0a, 0x0b, 0x0a, 0x00, 0x12, 0x07, 0x12, 0x00, 0x12, 0x03, 0x08, 0x01, 0x00};
    (void)state;
    for (size_t len = 0; len <= sizeof request; len++) {
        uint8_t *copy = malloc(len > 0 ? len : 1); /* so that a sanitizer sees the end */
        assert_non_null(copy);
        memcpy(copy, request, len);
        assert_true(otlp_span_count(copy, len) <= 2);
        free(copy);
    }
}

static void a_length_beyond_the_end_is_not_believed(void **state)
{
    static const uint8_t request[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x12};
    (void)state;
    assert_int_equal(0, COUNT(request));
}

/* A server that consents to the connection, and then sends bytes in pieces of one. */
typedef struct server {
    int fd;
    const uint8_t *bytes;
    size_t size;
    uint8_t hello[64];
} server;

static void *serve(void *arg)
{
    static const uint8_t connack[] = {0x20, 2, 0, 0};
    server *s = arg;
    if (read(s->fd, s->hello, sizeof s->hello) > 0 && stream_put(s->fd, connack, sizeof connack)) {
        for (size_t i = 0; i < s->size && stream_put(s->fd, s->bytes + i, 1); i++) {
        }
    }
    close(s->fd);
    return NULL;
}

static void open_with(server *s, mqtt *m, pthread_t *thread)
{
    int ends[2];
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    s->fd = ends[1];
    assert_int_equal(0, pthread_create(thread, NULL, serve, s));
    assert_true(mqtt_open(m, ends[0], "me", 128));
}

static void mqtt_messages_are_taken_out_of_a_stream_of_single_bytes(void **state)
{
    static const uint8_t bytes[] = {0x30, 5, 0, 1, 't', 'h', 'i', 0xd0, 0 /* PINGRESP */, 0x30, 4, 0, 1, 't', '!'};
    server s = {.bytes = bytes, .size = sizeof bytes};
    mqtt m;
    mqtt_message got;
    pthread_t thread;
    (void)state;
    open_with(&s, &m, &thread);
    assert_true(mqtt_next(&m, &got));
    assert_int_equal(2, got.size);
    assert_memory_equal("hi", got.data, 2);
    assert_true(mqtt_next(&m, &got));
    assert_int_equal(1, got.size);
    assert_false(mqtt_next(&m, &got)); /* the end */
    pthread_join(thread, NULL);
    assert_memory_equal("\x10\x0e\0\4MQTT\4\2\0\0\0\2me", s.hello, 16);
    mqtt_close(&m);
}

static void an_mqtt_length_that_never_ends_ends_the_connection(void **state)
{
    static const uint8_t bytes[] = {0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    server s = {.bytes = bytes, .size = sizeof bytes};
    mqtt m;
    mqtt_message got;
    pthread_t thread;
    (void)state;
    open_with(&s, &m, &thread);
    assert_false(mqtt_next(&m, &got));
    pthread_join(thread, NULL);
    mqtt_close(&m);
}

static void mqtt_publishes_gather_until_they_are_flushed(void **state)
{
    int ends[2];
    uint8_t got[32];
    uint8_t room[256];
    (void)state;
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    mqtt m = {.fd = ends[0], .out = {.data = room, .size = sizeof room}};
    assert_true(mqtt_publish(&m, "t", (const uint8_t *)"hi", 2) && mqtt_publish(&m, "t", (const uint8_t *)"!", 1));
    assert_int_equal(-1, recv(ends[1], got, sizeof got, MSG_DONTWAIT));
    assert_true(mqtt_flush(&m));
    assert_int_equal(13, recv(ends[1], got, sizeof got, MSG_DONTWAIT));
    assert_memory_equal("\x30\5\0\1thi\x30\4\0\1t!", got, 13);
    close(ends[0]);
    close(ends[1]);
}

static void the_floor_counts_whole_messages_only(void **state)
{
    static const uint8_t bytes[] = {2, 0, 0, 0, 'h', 'i', 3, 0, 0, 0, 'a', 'b', 'c'};
    floor_buffer b;
    (void)state;
    assert_true(floor_buffer_init(&b, 16));
    memcpy(b.data, bytes, sizeof bytes);
    for (b.used = 0; b.used <= sizeof bytes; b.used++) {
        assert_int_equal(b.used == sizeof bytes ? 13 : b.used >= 6 ? 6 : 0, floor_buffer_whole(&b));
    }
    b.used = sizeof bytes - 1;
    floor_buffer_drop(&b, 6);
    assert_int_equal(6, b.used);
    assert_int_equal('a', b.data[4]);
    free(b.data);
}

static void a_payload_that_is_checked_fits_no_other_bytes(void **state)
{
    (void)state;
    enum { SIZE = 61 }; /* no whole number of words */
    uint8_t payload[SIZE] = {0};
    const uint64_t stamp = (UINT64_C(3) << TRAFFIC_NUMBER_BITS) | 41;
    traffic_fill(payload, SIZE, stamp);
    assert_true(traffic_intact(payload, SIZE, stamp));
    assert_false(traffic_intact(payload, SIZE, stamp + 1));
    for (size_t at = sizeof(traffic_head); at < SIZE; at++) {
        payload[at] ^= 1;
        assert_false(traffic_intact(payload, SIZE, stamp));
        payload[at] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_of_all_resources_and_scopes_are_counted),
        cmocka_unit_test(other_fields_are_skipped_whatever_their_type),
        cmocka_unit_test(any_cut_of_a_request_is_counted_without_reading_on),
        cmocka_unit_test(a_length_beyond_the_end_is_not_believed),
        cmocka_unit_test(mqtt_messages_are_taken_out_of_a_stream_of_single_bytes),
        cmocka_unit_test(an_mqtt_length_that_never_ends_ends_the_connection),
        cmocka_unit_test(mqtt_publishes_gather_until_they_are_flushed),
        cmocka_unit_test(the_floor_counts_whole_messages_only),
        cmocka_unit_test(a_payload_that_is_checked_fits_no_other_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
