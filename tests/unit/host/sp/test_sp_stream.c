/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a connection, without one. */
#include "host/net/sp/stream.h"

#include <stdlib.h>

#include "tests/support/check.h"

enum { SHARED = 4096 };

typedef struct fed {
    sp_stream s;
    uint8_t memory[SHARED];
    unsigned greeted, messages;
    size_t bytes;
    size_t most; /* memory of its own */
    sp_event end;
    loom_status status;
    char why[SP_WHY_SIZE];
} fed;

static sp_buffer shared(fed *f)
{
    return (sp_buffer){f->memory, sizeof f->memory};
}

static void take(fed *f)
{
    sp_buffer body;
    while ((f->end = sp_stream_next(&f->s, &body, &f->status, f->why)) != SP_EVENT_MORE && f->end != SP_EVENT_BROKEN) {
        f->greeted += f->end == SP_EVENT_GREETED;
        f->messages += f->end == SP_EVENT_MESSAGE;
        f->bytes += f->end == SP_EVENT_MESSAGE ? body.size : 0;
    }
    assert_true(sp_stream_rest(&f->s, shared(f)));
    f->most = f->s.partial_cap > f->most ? f->s.partial_cap : f->most;
}

/* In pieces of at most so many bytes. */
static void feed(fed *f, const uint8_t *data, size_t len, size_t piece)
{
    while (len > 0 && f->end != SP_EVENT_BROKEN) {
        sp_buffer room = sp_stream_room(&f->s, shared(f));
        assert_non_null(room.data);
        assert_true(room.size > 0);
        size_t some = len < piece ? len : piece;
        some = some < room.size ? some : room.size;
        memcpy(room.data, data, some);
        sp_stream_received(&f->s, shared(f), some);
        data += some;
        len -= some;
        take(f);
    }
}

static void start(fed *f, bool ipc, sp_protocol own)
{
    memset(f, 0, sizeof *f);
    sp_stream_init(&f->s, ipc, own, 1 << 20);
}

/* The bytes of a PUSH peer with messages of these sizes. The caller frees. */
static uint8_t *wire_of(bool ipc, const size_t *sizes, size_t count, size_t *len)
{
    size_t all = SP_GREETING_SIZE;
    for (size_t i = 0; i < count; i++) {
        all += SP_HEADER_MAX + sizes[i];
    }
    uint8_t *data = calloc(1, all), *at = data + SP_GREETING_SIZE;
    assert_non_null(data);
    sp_greeting(data, SP_PUSH);
    for (size_t i = 0; i < count; i++) {
        at += sp_header(at, ipc, sizes[i]) + sizes[i];
    }
    *len = (size_t)(at - data);
    return data;
}

static void messages_come_out_whole_however_they_are_cut(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 100, 2000, 4087, 4088, 5000, 0, 70000, 200000, 3};
    static const size_t pieces[] = {1, 2, 3, 7, 100, 4095, 4096, 1 << 20};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    for (int ipc = 0; ipc < 2; ipc++) {
        size_t len, total = 0;
        uint8_t *data = wire_of(ipc == 1, sizes, COUNT, &len);
        for (size_t i = 0; i < COUNT; i++) {
            total += sizes[i];
        }
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            fed f;
            start(&f, ipc == 1, SP_PULL);
            feed(&f, data, len, pieces[i]);
            assert_int_equal(1, f.greeted);
            assert_int_equal(COUNT, f.messages);
            assert_int_equal(total, f.bytes);
            assert_null(f.s.partial); /* between messages it holds nothing */
            sp_stream_fini(&f.s);
        }
        free(data);
    }
}

static void a_message_only_announced_costs_little_memory(void **state)
{
    (void)state;
    fed f;
    uint8_t head[SP_GREETING_SIZE + SP_HEADER_MAX + 1] = {0};
    start(&f, true, SP_PULL);
    sp_greeting(head, SP_PUSH);
    sp_header(head + SP_GREETING_SIZE, true, 1 << 20);
    feed(&f, head, sizeof head, sizeof head);
    (void)sp_stream_room(&f.s, shared(&f));
    assert_true(f.s.partial_cap <= 64 * 1024);
    sp_stream_fini(&f.s);
}

static void kept_messages_come_out_again(void **state)
{
    (void)state;
    static const size_t sizes[] = {10, 20, 30};
    fed f;
    size_t len;
    uint8_t *data = wire_of(true, sizes, 3, &len);
    sp_buffer body;
    start(&f, true, SP_PULL);
    memcpy(f.memory, data, len - 5);
    sp_stream_received(&f.s, shared(&f), len - 5);
    assert_int_equal(SP_EVENT_GREETED, sp_stream_next(&f.s, &body, &f.status, f.why));
    assert_int_equal(SP_EVENT_MESSAGE, sp_stream_next(&f.s, &body, &f.status, f.why));
    assert_true(sp_stream_left(&f.s) > 0);
    assert_true(sp_stream_rest(&f.s, shared(&f)));
    sp_stream_again(&f.s);
    take(&f);
    assert_int_equal(1, f.messages);
    feed(&f, data + len - 5, 5, 5);
    assert_int_equal(2, f.messages);
    assert_int_equal(50, f.bytes);
    sp_stream_fini(&f.s);
    free(data);
}

static void refused(sp_protocol own, const uint8_t *data, size_t len, loom_status expected, const char *why)
{
    for (size_t piece = 1; piece <= len; piece++) {
        fed f;
        start(&f, true, own);
        feed(&f, data, len, piece);
        assert_int_equal(SP_EVENT_BROKEN, f.end);
        assert_status(expected, f.status);
        assert_non_null(strstr(f.why, why));
        sp_stream_fini(&f.s);
    }
}

static void what_is_not_sp_is_refused(void **state)
{
    (void)state;
    static const uint8_t http[] = "GET / HTTP/1.1\r\n";
    static const uint8_t wrong[] = {0, 'S', 'P', 0, 0, 0x50, 0, 0};
    static const uint8_t unknown[] = {0, 'S', 'P', 0, 0x12, 0x34, 0, 0};
    static const uint8_t reserved[] = {0, 'S', 'P', 0, 0, 0x50, 0, 1};
    static const uint8_t type[] = {0, 'S', 'P', 0, 0, 0x50, 0, 0, 2};
    static const uint8_t large[] = {0, 'S', 'P', 0, 0, 0x50, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t over[] = {0, 'S', 'P', 0, 0, 0x50, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0, 1};
    refused(SP_PULL, http, sizeof http, LOOM_EPROTO, "does not speak SP");
    refused(SP_PUB, wrong, sizeof wrong, LOOM_EPROTO, "PUSH (0x50) where SUB is needed");
    refused(SP_PULL, unknown, sizeof unknown, LOOM_EPROTO, "unknown protocol");
    refused(SP_PULL, reserved, sizeof reserved, LOOM_EPROTO, "PUSH");
    refused(SP_PULL, type, sizeof type, LOOM_EPROTO, "type 2");
    refused(SP_PULL, large, sizeof large, LOOM_ETOOBIG, "over the limit");
    refused(SP_PULL, over, sizeof over, LOOM_ETOOBIG, "1048577");
}

static void the_ids_of_a_request_end_with_the_one_that_has_the_top_bit(void **state)
{
    (void)state;
    uint8_t ids[4 * SP_BACKTRACE_MAX + 8] = {0};
    size_t len;
    assert_status(LOOM_EPROTO, sp_backtrace(ids, 0, &len));
    assert_status(LOOM_EPROTO, sp_backtrace(ids, 3, &len));
    assert_status(LOOM_EPROTO, sp_backtrace(ids, 8, &len));
    assert_status(LOOM_ETOOBIG, sp_backtrace(ids, sizeof ids, &len));
    ids[4] = 0x80;
    assert_status(LOOM_EPROTO, sp_backtrace(ids, 7, &len));
    assert_status(LOOM_OK, sp_backtrace(ids, 8, &len));
    assert_int_equal(8, len);
    ids[4] = 0;
    ids[4 * SP_BACKTRACE_MAX - 4] = 0xff;
    assert_status(LOOM_OK, sp_backtrace(ids, sizeof ids, &len));
    assert_int_equal(4 * SP_BACKTRACE_MAX, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_whole_however_they_are_cut),
        cmocka_unit_test(a_message_only_announced_costs_little_memory),
        cmocka_unit_test(kept_messages_come_out_again),
        cmocka_unit_test(what_is_not_sp_is_refused),
        cmocka_unit_test(the_ids_of_a_request_end_with_the_one_that_has_the_top_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
