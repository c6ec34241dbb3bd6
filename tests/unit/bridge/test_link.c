/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of agents over ipc and tcp: bytes in pieces, peers that do not read, closing in every state. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/link/link.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/bridge/link_fixture.h"

static void drop(loom_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

/* ---- reading ---- */

static void send_publishes(size_t payload, size_t count, size_t piece)
{
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&p, &f, "a");
    loom_bytes bytes = link_publishes("a", payload, count);
    link_peer_send(&p, bytes, piece);
    until(&f, f.bus.published == count);
    link_peer_hear(&p);
    assert_false(p.over);
    drop(bytes);
    link_peer_close(&p);
    link_fixture_close(&f);
}

static void a_frame_in_single_bytes_arrives_whole(void **state)
{
    (void)state;
    send_publishes(3000, 2, 1);
}

static void a_frame_larger_than_the_read_buffer_arrives_whole(void **state)
{
    (void)state;
    send_publishes(LOOM_PAYLOAD_MAX, 1, 70001);
}

static void frames_in_pieces_of_any_size_arrive_whole(void **state)
{
    (void)state;
    static const size_t pieces[] = {2, 3, 4, 5, 7, 255, 256, 257, 1000, 4099, 65536, SIZE_MAX};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        send_publishes(250, 40, pieces[i]);
    }
}

/* The turn ends with a frame, and nothing is left behind it: the next one begins anew, also when the link was idle. */
static void large_frames_with_pauses_between_them_arrive_whole(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, &(link_server_options){.heartbeat_ms = 8});
    link_peer_enter(&p, &f, "a");
    for (unsigned i = 1; i <= 4; i++) {
        loom_bytes bytes = link_publishes("a", 600 * 1024, 1);
        link_peer_send(&p, bytes, SIZE_MAX);
        until(&f, f.bus.published == i);
        drop(bytes);
        const uint64_t idle_ms = uv_now(&f.loop) + 10; /* some ticks */
        until(&f, uv_now(&f.loop) > idle_ms && link_server_get_stats(f.server).kept_bytes == 0);
    }
    link_peer_close(&p);
    link_fixture_close(&f);
}

static void small_frames_behind_a_large_one_arrive_whole(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&p, &f, "a");
    loom_bytes large = link_publishes("a", 600 * 1024, 1), small = link_publishes("a", 10, 50);
    uint8_t *both = malloc(large.len + small.len);
    assert_non_null(both);
    memcpy(both, large.data, large.len);
    memcpy(both + large.len, small.data, small.len);
    link_peer_send(&p, (loom_bytes){both, large.len + small.len}, 99991);
    until(&f, f.bus.published == 51);
    free(both);
    drop(large);
    drop(small);
    link_peer_close(&p);
    link_fixture_close(&f);
}

static void what_is_no_agent_link_is_answered_and_closed(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, NULL);
    link_peer_open(&p, &f);
    link_peer_send(&p, BYTES("GET / HTTP/1.1\r\n\r\n"), SIZE_MAX);
    until(&f, link_peer_hear(&p) && p.over);
    assert_int_equal(1, link_peer_count(&p, FRAME_ERROR));
    link_peer_close(&p);
    link_fixture_close(&f);
}

static void what_was_sent_before_a_half_close_counts(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&p, &f, "a");
    loom_bytes bytes = link_publishes("a", 100, 10);
    link_peer_send(&p, bytes, SIZE_MAX);
    assert_int_equal(0, shutdown(p.fd, SHUT_WR));
    until(&f, f.bus.published == 10 && bridge_get_stats(f.bridge).sessions == 0);
    drop(bytes);
    link_peer_close(&p);
    link_fixture_close(&f);
}

/* ---- turns ---- */

/* Frames of a flooder that one read brings all at once, and a ping of somebody else that comes behind them. */
static void a_flood_of_one_session_lets_others_have_their_turn(void **state)
{
    (void)state;
    enum { FLOOD = 2000, TURN = 128 };
    link_fixture f;
    link_peer flood, other;
    frame_writer w;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&flood, &f, "flood");
    link_peer_enter(&other, &f, "other");
    frame_writer_init(&w);
    for (uint64_t i = 0; i < FLOOD; i++) {
        assert_status(LOOM_OK, frame_put_number(&w, FRAME_PING, i));
    }
    frame_writer_seal(&w);
    assert_int_equal(w.len, send(flood.fd, w.data, w.len, MSG_NOSIGNAL));
    frame_writer_clear(&w);
    assert_status(LOOM_OK, frame_put_number(&w, FRAME_PING, 1));
    frame_writer_seal(&w);
    assert_int_equal(w.len, send(other.fd, w.data, w.len, MSG_NOSIGNAL));
    frame_writer_fini(&w);
    until(&f, link_peer_hear(&other) && link_peer_count(&other, FRAME_PONG) == 1);
    link_peer_hear(&flood);
    assert_in_range(link_peer_count(&flood, FRAME_PONG), 1, TURN);
    until(&f, link_peer_hear(&flood) && link_peer_count(&flood, FRAME_PONG) == FLOOD);
    link_peer_close(&flood);
    link_peer_close(&other);
    link_fixture_close(&f);
}

/* Each looks whether the other one waits, and it does, in the socket or held by its link. */
static void two_floods_take_turns_by_the_slice(void **state)
{
    (void)state;
    enum { FLOOD = 2000, SLICE = 16 };
    link_fixture f;
    link_peer peers[2];
    size_t heard[2] = {0};
    frame_writer w;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&peers[0], &f, "one");
    link_peer_enter(&peers[1], &f, "two");
    frame_writer_init(&w);
    for (uint64_t i = 0; i < FLOOD; i++) {
        assert_status(LOOM_OK, frame_put_number(&w, FRAME_PING, i));
    }
    frame_writer_seal(&w);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(w.len, send(peers[i].fd, w.data, w.len, MSG_NOSIGNAL));
    }
    frame_writer_fini(&w);
    while (heard[0] < FLOOD && heard[1] < FLOOD) {
        until(&f, link_peer_hear(&peers[0]) && link_peer_hear(&peers[1]));
        for (size_t i = 0; i < 2; i++) {
            heard[i] = link_peer_count(&peers[i], FRAME_PONG);
        }
        assert_in_range(heard[0], heard[1] > 2 * SLICE ? heard[1] - 2 * SLICE : 0, heard[1] + 2 * SLICE);
    }
    link_peer_close(&peers[0]);
    link_peer_close(&peers[1]);
    link_fixture_close(&f);
}

/* Pings of somebody who always has more to be handled, which is what others look at. */
static void enter_noisy(link_peer *p, link_fixture *f, unsigned pings)
{
    frame_writer w;
    link_peer_enter(p, f, "noisy");
    frame_writer_init(&w);
    for (uint64_t i = 0; i < pings; i++) {
        assert_status(LOOM_OK, frame_put_number(&w, FRAME_PING, i));
    }
    frame_writer_seal(&w);
    assert_int_equal(w.len, send(p->fd, w.data, w.len, MSG_NOSIGNAL));
    frame_writer_fini(&w);
}

enum { NOISE = 2000, ROUNDS_OF_A_MEGABYTE = 12, ROUNDS_WRITTEN = 6 }; /* 64 and 128 KiB each; some may pass before others wait */

static void count_round(uv_prepare_t *rounds)
{
    ++*(unsigned *)rounds->data;
}

static void start_counting(uv_prepare_t *rounds, link_fixture *f, unsigned *count)
{
    *count = 0;
    rounds->data = count;
    assert_int_equal(0, uv_prepare_init(&f->loop, rounds));
    assert_int_equal(0, uv_prepare_start(rounds, count_round));
}

static void stop_counting(uv_prepare_t *rounds, link_fixture *f)
{
    uv_close((uv_handle_t *)rounds, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void a_large_frame_is_read_in_pieces_while_others_wait(void **state)
{
    (void)state;
    link_fixture f;
    link_peer large, noisy;
    uv_prepare_t rounds;
    unsigned count;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&large, &f, "large");
    enter_noisy(&noisy, &f, NOISE);
    loom_bytes bytes = link_publishes("large", LOOM_PAYLOAD_MAX, 1);
    start_counting(&rounds, &f, &count);
    link_peer_send(&large, bytes, SIZE_MAX);
    until(&f, f.bus.published == 1);
    assert_in_range(count, ROUNDS_OF_A_MEGABYTE, UINT_MAX);
    link_peer_hear(&noisy);
    assert_in_range(link_peer_count(&noisy, FRAME_PONG), ROUNDS_OF_A_MEGABYTE, NOISE);
    drop(bytes);
    stop_counting(&rounds, &f);
    link_peer_close(&large);
    link_peer_close(&noisy);
    link_fixture_close(&f);
}

static void a_flood_and_a_goodbye_are_taken_in_order(void **state)
{
    (void)state;
    enum { FLOOD = 2000 };
    link_fixture f;
    link_peer p;
    frame_writer w;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&p, &f, "a");
    frame_writer_init(&w);
    for (uint64_t i = 0; i < FLOOD; i++) {
        assert_status(LOOM_OK, frame_put_number(&w, FRAME_PING, i));
    }
    assert_status(LOOM_OK, frame_put_outcome(&w, FRAME_BYE, &(frame_outcome){.status = LOOM_OK}));
    frame_writer_seal(&w);
    assert_int_equal(w.len, send(p.fd, w.data, w.len, MSG_NOSIGNAL));
    frame_writer_fini(&w);
    assert_int_equal(0, shutdown(p.fd, SHUT_WR));
    until(&f, link_peer_hear(&p) && p.over);
    assert_int_equal(FLOOD, link_peer_count(&p, FRAME_PONG));
    assert_int_equal(1, link_peer_count(&p, FRAME_BYE));
    link_peer_close(&p);
    link_fixture_close(&f);
}

/* In the middle of what is held, by another session of the same agent. */
static void a_session_that_ends_while_it_is_held_is_closed(void **state)
{
    (void)state;
    enum { FLOOD = 2000 };
    link_fixture f;
    link_peer p, newer;
    frame_writer w;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&p, &f, "a");
    link_peer_open(&newer, &f);
    uv_run(&f.loop, UV_RUN_NOWAIT);
    frame_writer_init(&w);
    for (uint64_t i = 0; i < FLOOD; i++) {
        assert_status(LOOM_OK, frame_put_number(&w, FRAME_PING, i));
    }
    frame_writer_seal(&w);
    assert_int_equal(w.len, send(p.fd, w.data, w.len, MSG_NOSIGNAL));
    frame_writer_fini(&w);
    loom_bytes hello = link_hello("a");
    assert_int_equal(hello.len, send(newer.fd, hello.data, hello.len, MSG_NOSIGNAL));
    drop(hello);
    until(&f, link_peer_hear(&p) && p.over);
    assert_int_equal(1, link_peer_count(&p, FRAME_ERROR));
    assert_true(link_peer_count(&p, FRAME_PONG) < FLOOD);
    until(&f, link_peer_hear(&newer) && link_peer_count(&newer, FRAME_WELCOME) == 1);
    link_peer_close(&p);
    link_peer_close(&newer);
    link_fixture_close(&f);
}

/* Each announces a frame of the largest size and sends a part of it. Others go on, and so does who sends the whole. */
static void half_frames_are_bounded_in_all_and_told(void **state)
{
    (void)state;
    enum { HALVES = 60, PART = 100 * 1024 };
    static link_peer halves[HALVES];
    static uint8_t half[PART] = {FRAME_MAX >> 24, (FRAME_MAX >> 16) & 0xff, (FRAME_MAX >> 8) & 0xff, FRAME_MAX & 0xff, FRAME_PING};
    link_fixture f;
    link_peer honest;
    link_fixture_start(&f, NULL, &(link_server_options){.heartbeat_ms = 40});
    for (size_t i = 0; i < HALVES; i++) {
        char name[16];
        snprintf(name, sizeof name, "half-%zu", i);
        link_peer_enter(&halves[i], &f, name);
        assert_int_equal(PART, send(halves[i].fd, half, PART, MSG_NOSIGNAL));
        uv_run(&f.loop, UV_RUN_NOWAIT);
        assert_in_range(link_server_get_stats(f.server).kept_bytes, 1, 48 * 1024 * 1024);
    }
    link_peer_enter(&honest, &f, "honest");
    loom_bytes large = link_publishes("honest", LOOM_PAYLOAD_MAX, 2);
    link_peer_send(&honest, large, SIZE_MAX);
    until(&f, f.bus.published == 2);
    link_peer_hear(&honest);
    assert_false(honest.over);
    assert_true(link_server_get_stats(f.server).frames_refused > 0);
    size_t told = 0;
    for (size_t i = 0; i < HALVES; i++) {
        link_peer_hear(&halves[i]);
        told += link_peer_count(&halves[i], FRAME_ERROR);
        link_peer_close(&halves[i]);
    }
    assert_int_equal(link_server_get_stats(f.server).frames_refused, told);
    drop(large);
    link_peer_close(&honest);
    link_fixture_close(&f);
}

/* ---- writing ---- */

static void deliver(link_fixture *f, const char *agent, size_t payload, size_t count)
{
    loom_envelope *env = fake_message("a.b", "other", payload);
    for (size_t i = 0; i < count; i++) {
        fake_bus_deliver(&f->bus, agent, 1, loom_envelope_wire(env));
    }
    loom_envelope_unref(env);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* As another part of the loop may, which reads what it had put off, say. */
static void deliver_before_sleep(link_fixture *f)
{
    loom_envelope *env = fake_message("a.b", "other", 100);
    f->before_sleep = NULL;
    fake_bus_deliver(&f->bus, "a", 1, loom_envelope_wire(env));
    loom_envelope_unref(env);
    assert_int_equal(0, uv_backend_timeout(&f->loop));
}

static void what_comes_just_before_the_loop_sleeps_leaves_at_once(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&p, &f, "a");
    until(&f, uv_backend_timeout(&f.loop) != 0);
    f.before_sleep = deliver_before_sleep;
    uv_run(&f.loop, UV_RUN_NOWAIT);
    uv_run(&f.loop, UV_RUN_ONCE);
    link_peer_hear(&p);
    assert_int_equal(1, link_peer_count(&p, FRAME_DELIVER));
    until(&f, uv_backend_timeout(&f.loop) != 0);
    link_peer_close(&p);
    link_fixture_close(&f);
}

static void a_slow_reader_gets_everything_in_the_end(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&p, &f, "a");
    for (size_t i = 0; i < 20; i++) {
        deliver(&f, "a", 64 * 1024, 5);
    }
    assert_int_equal(1, link_server_busy(f.server));
    until(&f, link_peer_hear(&p) && link_peer_count(&p, FRAME_DELIVER) == 100);
    until(&f, link_server_busy(f.server) == 0);
    link_peer_close(&p);
    link_fixture_close(&f);
}

static bool writes_fail; /* after half of what is to be written */

int __real_uv_try_write(uv_stream_t *handle, const uv_buf_t bufs[], unsigned count);
int __wrap_uv_try_write(uv_stream_t *handle, const uv_buf_t bufs[], unsigned count);
int __wrap_uv_try_write(uv_stream_t *handle, const uv_buf_t bufs[], unsigned count)
{
    const uv_buf_t half = {bufs[0].base, bufs[0].len / 2};
    return __real_uv_try_write(handle, writes_fail ? &half : bufs, count);
}

int __real_uv_write(uv_write_t *req, uv_stream_t *handle, const uv_buf_t bufs[], unsigned count, uv_write_cb cb);
int __wrap_uv_write(uv_write_t *req, uv_stream_t *handle, const uv_buf_t bufs[], unsigned count, uv_write_cb cb);
int __wrap_uv_write(uv_write_t *req, uv_stream_t *handle, const uv_buf_t bufs[], unsigned count, uv_write_cb cb)
{
    return writes_fail ? UV_ENOMEM : __real_uv_write(req, handle, bufs, count, cb);
}

/* An agent that is a member of a group. */
static void enter_group(link_peer *p, link_fixture *f)
{
    frame_writer w;
    link_peer_enter(p, f, "a");
    frame_writer_init(&w);
    assert_status(LOOM_OK, frame_put_subscribe(&w, &(frame_subscribe){
        .request = 1, .subscription = 1, .filter = STR("a.b"), .group = STR("g")}));
    link_peer_send(p, (loom_bytes){w.data, w.len}, SIZE_MAX);
    frame_writer_fini(&w);
    until(f, link_peer_hear(p) && link_peer_count(p, FRAME_ACK) == 1);
}

/* What its socket has taken of a piece, it may read; the rest goes to others. */
static void what_a_socket_did_not_take_when_writing_fails_is_given_back(void **state)
{
    (void)state;
    enum { MESSAGES = 10, SIZE = 33 * 1000 }; /* each a frame of its own */
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, NULL);
    enter_group(&p, &f);
    writes_fail = true;
    deliver(&f, "a", SIZE, MESSAGES);
    until(&f, bridge_get_stats(f.bridge).sessions == 0);
    writes_fail = false;
    link_peer_hear(&p);
    assert_true(p.over);
    const size_t heard = link_peer_count(&p, FRAME_DELIVER);
    assert_int_equal(1, heard);
    assert_int_equal(MESSAGES - heard, f.bus.given_back);
    link_peer_close(&p);
    link_fixture_close(&f);
}

/* A write that waits, of which its socket takes a part before it fails. */
static void what_a_socket_did_not_take_of_a_write_that_waited_is_given_back(void **state)
{
    (void)state;
    enum { MESSAGES = 200, SIZE = 33 * 1000, ROOM = 64 * 1024 };
    const int room = ROOM;
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, NULL);
    enter_group(&p, &f);
    const int ours = f.server->links->fd;
    assert_int_equal(0, setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &room, sizeof room));
    deliver(&f, "a", SIZE, MESSAGES);
    until(&f, link_peer_hear(&p) && link_peer_count(&p, FRAME_DELIVER) > 3 && f.server->links->sending);
    assert_int_equal(0, shutdown(ours, SHUT_WR)); /* the next write fails; what was written may still be read */
    until(&f, link_peer_hear(&p) && bridge_get_stats(f.bridge).sessions == 0);
    link_peer_hear(&p);
    assert_true(p.over);
    assert_int_equal(MESSAGES - link_peer_count(&p, FRAME_DELIVER), f.bus.given_back);
    link_peer_close(&p);
    link_fixture_close(&f);
}

static void a_large_frame_is_written_in_pieces_while_others_wait(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p, noisy;
    uv_prepare_t rounds;
    unsigned count;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&p, &f, "a");
    enter_noisy(&noisy, &f, NOISE);
    uv_run(&f.loop, UV_RUN_NOWAIT);
    start_counting(&rounds, &f, &count);
    deliver(&f, "a", LOOM_PAYLOAD_MAX, 1);
    until(&f, link_peer_hear(&p) && link_peer_count(&p, FRAME_DELIVER) == 1);
    assert_in_range(count, ROUNDS_WRITTEN, UINT_MAX);
    link_peer_hear(&noisy);
    assert_in_range(link_peer_count(&noisy, FRAME_PONG), ROUNDS_WRITTEN, NOISE);
    until(&f, link_server_busy(f.server) == 0);
    stop_counting(&rounds, &f);
    link_peer_close(&p);
    link_peer_close(&noisy);
    link_fixture_close(&f);
}

static uint8_t byte_at(size_t size, size_t at)
{
    return (uint8_t)((at * 2654435761u + size) >> 7);
}

/* A message that is told apart by its size, and in all its bytes. */
static loom_bytes publish_of(const char *agent, size_t size)
{
    frame_writer w;
    uint8_t *payload = malloc(size);
    loom_envelope *env;
    frame_writer_init(&w);
    assert_non_null(payload);
    for (size_t at = 0; at < size; at++) {
        payload[at] = byte_at(size, at);
    }
    const loom_envelope_fields fields = {.topic = STR("a.b"), .sender = {agent, strlen(agent)}, .payload = {payload, size}};
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    free(payload);
    const loom_bytes wire = loom_envelope_wire(env);
    uint8_t *room = frame_publish_begin(&w, wire.len);
    assert_non_null(room);
    memcpy(room, wire.data, wire.len);
    frame_batch_commit(&w, wire.len);
    loom_envelope_unref(env);
    frame_writer_seal(&w);
    return (loom_bytes){w.data, w.len};
}

static void assert_heard(const link_peer *p, const size_t *sizes, size_t count)
{
    size_t at = 0, need, n = 0;
    loom_bytes body;
    while (frame_split((loom_bytes){p->heard + at, p->heard_len - at}, &body, &need) == FRAME_WHOLE) {
        frame f;
        char reason[FRAME_REASON_SIZE];
        at += FRAME_HEADER_SIZE + body.len;
        assert_status(LOOM_OK, frame_decode(&f, body, reason));
        const uint8_t *item = f.u.batch.items.data, *end = item + f.u.batch.items.len;
        for (uint32_t i = 0; f.type == FRAME_DELIVER && i < f.u.batch.count; i++, n++) {
            envelope_view view;
            const char *why;
            item++; /* the subscription's number, 1 */
            assert_in_range(n, 0, count - 1);
            assert_status(LOOM_OK, envelope_scan(&view, (loom_bytes){item, (size_t)(end - item)}, NULL, &why));
            const loom_bytes payload = envelope_view_bytes(&view, ENV_PAYLOAD);
            assert_int_equal(sizes[n], payload.len);
            for (size_t b = 0; b < payload.len; b++) {
                if (payload.data[b] != byte_at(sizes[n], b)) {
                    fail_msg("message %zu has another byte at %zu of %zu", n, b, payload.len);
                }
            }
            item += view.len;
        }
    }
    assert_int_equal(count, n);
}

static void start_with_two_receivers(link_fixture *f, link_peer *from, link_peer to[2])
{
    link_fixture_start(f, NULL, NULL);
    link_peer_enter(from, f, "from");
    link_peer_enter(&to[0], f, "one");
    link_peer_enter(&to[1], f, "two");
    f->bus.passes_on_to[0] = "one";
    f->bus.passes_on_to[1] = "two";
}

/* Neither of the two may find what belongs to the next message in the memory of one before. */
static void large_messages_reach_all_whole_and_in_order_from_where_they_were_read(void **state)
{
    (void)state;
    static const size_t sizes[] = {10, LOOM_PAYLOAD_MAX, 20, 300 * 1024, 700 * 1024, 100 * 1024, 5, LOOM_PAYLOAD_MAX - 1};
    enum { COUNT = sizeof sizes / sizeof sizes[0], TIMES = 3 };
    link_fixture f;
    link_peer from, to[2];
    start_with_two_receivers(&f, &from, to);
    for (unsigned time = 0; time < TIMES; time++) {
        for (size_t i = 0; i < COUNT; i++) {
            const loom_bytes bytes = publish_of("from", sizes[i]);
            link_peer_send(&from, bytes, time == 0 ? SIZE_MAX : 99991 / time);
            drop(bytes);
        }
        until(&f, f.bus.published == (time + 1) * COUNT);
        assert_true(f.bus.shared);
        for (size_t i = 0; i < 2; i++) {
            until(&f, link_peer_hear(&to[i]) && link_peer_count(&to[i], FRAME_DELIVER) == COUNT);
            assert_heard(&to[i], sizes, COUNT);
            to[i].heard_len = 0;
        }
    }
    until(&f, link_server_busy(f.server) == 0);
    link_peer_close(&from);
    link_peer_close(&to[0]);
    link_peer_close(&to[1]);
    link_fixture_close(&f);
}

static void connections_end_in_the_middle_of_a_shared_message(void **state)
{
    (void)state;
    link_fixture f;
    link_peer from, to[2];
    start_with_two_receivers(&f, &from, to);
    const loom_bytes bytes = link_publishes("from", LOOM_PAYLOAD_MAX, 4);
    link_peer_send(&from, bytes, SIZE_MAX);
    until(&f, f.bus.published == 4);
    drop(bytes);
    f.bus.passes_on_to[0] = NULL;
    link_peer_close(&from);
    link_peer_close(&to[0]);
    until(&f, bridge_get_stats(f.bridge).sessions == 1);
    until(&f, link_peer_hear(&to[1]) && link_peer_count(&to[1], FRAME_DELIVER) == 4);
    link_peer_close(&to[1]);
    link_fixture_close(&f);
}

static void a_session_that_ended_goes_though_its_peer_does_not_read(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, &(link_server_options){.heartbeat_ms = 40, .linger_ms = 50});
    link_peer_enter(&p, &f, "a");
    deliver(&f, "a", LOOM_PAYLOAD_MAX, 4);
    bridge_end_sessions(f.bridge, LOOM_ECLOSED, "enough");
    assert_int_equal(1, bridge_get_stats(f.bridge).sessions);
    until(&f, bridge_get_stats(f.bridge).sessions == 0);
    link_peer_close(&p);
    link_fixture_close(&f);
}

static void the_last_words_of_a_session_reach_a_peer_that_reads(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, NULL);
    link_peer_enter(&p, &f, "a");
    deliver(&f, "a", LOOM_PAYLOAD_MAX, 4);
    bridge_end_sessions(f.bridge, LOOM_ECLOSED, "enough");
    until(&f, link_peer_hear(&p) && p.over);
    assert_int_equal(4, link_peer_count(&p, FRAME_DELIVER));
    assert_int_equal(1, link_peer_count(&p, FRAME_BYE));
    link_peer_close(&p);
    link_fixture_close(&f);
}

/* ---- connections ---- */

static void too_many_agents_are_told_so(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p[3];
    link_fixture_start(&f, &(bridge_options){.max_sessions = 2}, NULL);
    link_peer_enter(&p[0], &f, "a");
    link_peer_enter(&p[1], &f, "b");
    link_peer_open(&p[2], &f);
    until(&f, link_peer_hear(&p[2]) && p[2].over);
    assert_int_equal(1, link_peer_count(&p[2], FRAME_ERROR));
    assert_int_equal(1, link_server_get_stats(f.server).connections_refused);
    link_peer_close(&p[0]);
    link_peer_close(&p[2]);
    until(&f, bridge_get_stats(f.bridge).sessions == 1);
    link_peer_enter(&p[2], &f, "c");
    link_peer_close(&p[1]);
    link_peer_close(&p[2]);
    link_fixture_close(&f);
}

static void many_connections_come_and_go_in_any_order(void **state)
{
    (void)state;
    enum { PEERS = 200 };
    link_fixture f;
    static link_peer p[PEERS];
    link_fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < PEERS; i++) {
        link_peer_open(&p[i], &f);
        link_peer_send(&p[i], (loom_bytes){(const uint8_t *)"\0\0\0\x40half", i % 8}, SIZE_MAX);
    }
    until(&f, bridge_get_stats(f.bridge).sessions == PEERS);
    for (size_t i = 0; i < PEERS; i++) {
        link_peer_close(&p[i * 67 % PEERS]); /* 67 and 200 have no common divisor */
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    until(&f, bridge_get_stats(f.bridge).sessions == 0);
    link_fixture_close(&f);
}

static size_t count_told(link_peer *p, size_t count)
{
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        link_peer_hear(&p[i]);
        told += link_peer_count(&p[i], FRAME_DELIVER);
    }
    return told;
}

static void what_many_get_leaves_in_slices_and_what_has_come_last_goes_first(void **state)
{
    (void)state;
    enum { PEERS = 200, LATE = PEERS - 1 };
    link_fixture f;
    static link_peer p[PEERS];
    char id[PEERS][8];
    link_fixture_start(&f, NULL, NULL);
    for (size_t i = 0; i < PEERS; i++) {
        snprintf(id[i], sizeof id[i], "p%zu", i);
        link_peer_enter(&p[i], &f, id[i]);
    }
    loom_envelope *env = fake_message("a.b", "other", 8);
    for (size_t i = 0; i < LATE; i++) {
        fake_bus_deliver(&f.bus, id[i], 1, loom_envelope_wire(env));
    }
    uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_in_range(count_told(p, PEERS), 1, PEERS / 2);
    fake_bus_deliver(&f.bus, id[LATE], 1, loom_envelope_wire(env));
    uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_in_range(count_told(p, LATE), 1, LATE - 1);
    assert_int_equal(1, count_told(&p[LATE], 1));
    until(&f, count_told(p, LATE) == LATE);
    loom_envelope_unref(env);
    for (size_t i = 0; i < PEERS; i++) {
        link_peer_close(&p[i]);
    }
    link_fixture_close(&f);
}

static void closing_the_server_ends_connections_in_every_state(void **state)
{
    (void)state;
    link_fixture f;
    link_peer fresh, partial, large, open, unread, ended, gone;
    link_fixture_start(&f, NULL, NULL);
    link_peer_open(&fresh, &f);
    link_peer_open(&partial, &f);
    link_peer_send(&partial, BYTES("\0\0\1\0half"), 3);
    link_peer_enter(&large, &f, "large");
    loom_bytes bytes = link_publishes("large", LOOM_PAYLOAD_MAX, 1);
    link_peer_send(&large, (loom_bytes){bytes.data, bytes.len - 1}, SIZE_MAX);
    drop(bytes);
    link_peer_enter(&open, &f, "open");
    link_peer_enter(&unread, &f, "unread");
    deliver(&f, "unread", LOOM_PAYLOAD_MAX, 4);
    link_peer_enter(&ended, &f, "ended");
    deliver(&f, "ended", LOOM_PAYLOAD_MAX, 4);
    link_peer_send(&ended, BYTES("\0\0\0\0"), SIZE_MAX);
    link_peer_enter(&gone, &f, "gone");
    link_peer_close(&gone);
    until(&f, bridge_get_stats(f.bridge).sessions == 6);
    link_fixture_close_server(&f);
    link_peer *const all[] = {&fresh, &partial, &large, &open, &unread, &ended};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        until(&f, link_peer_hear(all[i]) && all[i]->over);
        link_peer_close(all[i]);
    }
    link_fixture_close(&f);
}

/* ---- listening ---- */

static void nobody_else_may_connect_to_the_socket(void **state)
{
    (void)state;
    link_fixture f;
    struct stat st;
    mode_t before = umask(0);
    link_fixture_start(&f, NULL, NULL);
    umask(before);
    assert_int_equal(0, stat(link_fixture_path(&f), &st));
    assert_int_equal(0600, st.st_mode & 0777);
    link_fixture_close(&f);
}

static void a_socket_that_nobody_answers_on_is_replaced(void **state)
{
    (void)state;
    link_fixture f;
    link_peer p;
    assert_status(LOOM_OK, link_fixture_open(&f, NULL, NULL));
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s/link.sock", f.dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(0, bind(fd, (struct sockaddr *)&at, sizeof at));
    close(fd);
    assert_status(LOOM_OK, link_fixture_listen(&f, NULL));
    link_peer_enter(&p, &f, "a");
    link_peer_close(&p);
    link_fixture_close(&f);
}

static void a_socket_in_use_stays_with_its_owner(void **state)
{
    (void)state;
    link_fixture f, second;
    link_peer p;
    link_fixture_start(&f, NULL, NULL);
    assert_status(LOOM_OK, link_fixture_open(&second, NULL, NULL));
    assert_status(LOOM_EBUSY, link_fixture_listen(&second, f.url));
    link_fixture_close(&second);
    link_peer_enter(&p, &f, "a");
    link_peer_close(&p);
    link_fixture_close(&f);
}

static void a_file_that_is_no_socket_is_not_replaced(void **state)
{
    (void)state;
    link_fixture f;
    char path[64];
    assert_status(LOOM_OK, link_fixture_open(&f, NULL, NULL));
    snprintf(path, sizeof path, "%s/link.sock", f.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_status(LOOM_EBUSY, link_fixture_listen(&f, NULL));
    assert_int_equal(0, unlink(path));
    link_fixture_close(&f);
}

static void a_port_in_use_is_said_with_its_url(void **state)
{
    (void)state;
    link_fixture f;
    char again[URL_MAX], bound[URL_MAX], why[LINK_ERROR_SIZE];
    assert_status(LOOM_OK, link_fixture_open(&f, NULL, NULL));
    assert_status(LOOM_OK, link_fixture_listen(&f, "tcp://127.0.0.1:0"));
    snprintf(again, sizeof again, "%s", f.url);
    assert_status(LOOM_EBUSY, link_server_listen(f.server, again, bound, sizeof bound, why));
    assert_non_null(strstr(why, again));
    link_fixture_close(&f);
}

static bool connects(link_fixture *f, const struct sockaddr *to, socklen_t len)
{
    unsigned before = bridge_get_stats(f->bridge).sessions;
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, to, len) != 0) {
        close(fd);
        return false;
    }
    until(f, bridge_get_stats(f->bridge).sessions == before + 1);
    close(fd);
    until(f, bridge_get_stats(f->bridge).sessions == before);
    return true;
}

static void a_star_listens_on_both_families(void **state)
{
    (void)state;
    link_fixture f;
    url u;
    char why[URL_ERROR_SIZE];
    assert_status(LOOM_OK, link_fixture_open(&f, NULL, NULL));
    assert_status(LOOM_OK, link_fixture_listen(&f, "tcp://*:0"));
    assert_status(LOOM_OK, url_parse(&u, f.url, URL_TCP, why));
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(u.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(u.port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    assert_true(connects(&f, (struct sockaddr *)&four, sizeof four));
    if (access("/proc/net/if_inet6", R_OK) == 0 && !connects(&f, (struct sockaddr *)&six, sizeof six)) {
        print_message("this machine has no IPv6 loopback\n");
    }
    link_fixture_close(&f);
}

/* ---- memory ---- */

static loom_status open_and_listen(void *user)
{
    (void)user;
    link_fixture f;
    loom_status st = link_fixture_open(&f, NULL, NULL);
    if (st == LOOM_OK) {
        st = link_fixture_listen(&f, NULL);
    }
    link_fixture_close(&f);
    return st;
}

static void opening_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(open_and_listen, NULL) > 0);
}

/* A connection that says hello in pieces and is welcome, or is closed for want of memory. */
static loom_status converse(void *user)
{
    link_fixture *f = user;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", link_fixture_path(f));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&to, sizeof to));
    static const uint8_t hello[] = {0, 0, 0, 21, 0x92, 1, 0x82, 0xa8, 'p', 'r', 'o', 't', 'o', 'c', 'o', 'l', 1,
                                    0xa5, 'a', 'g', 'e', 'n', 't', 0xa1, 'a'};
    for (size_t at = 0; at < sizeof hello; at += 5) {
        size_t part = sizeof hello - at < 5 ? sizeof hello - at : 5;
        (void)!send(fd, hello + at, part, MSG_NOSIGNAL);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    uint8_t heard[4096];
    ssize_t got = -1;
    until(f, (got = recv(fd, heard, sizeof heard, 0)) >= 0 || errno == ECONNRESET);
    close(fd);
    until(f, bridge_get_stats(f->bridge).sessions == 0);
    return got > 0 && heard[5] == FRAME_WELCOME ? LOOM_OK : LOOM_ENOMEM;
}

static void a_connection_survives_every_failed_allocation(void **state)
{
    (void)state;
    link_fixture f;
    link_fixture_start(&f, NULL, &(link_server_options){.heartbeat_ms = 40});
    assert_true(alloc_fault_each_survived(converse, &f) > 0);
    link_fixture_close(&f);
}

/* Nobody is refused, and the loop sleeps meanwhile. */
static void without_a_descriptor_whoever_connects_waits(void **state)
{
    (void)state;
    enum { MOST = 64 };
    struct rlimit before;
    int taken[MOST];
    size_t count = 0;
    link_fixture f;
    link_peer p;
    link_fixture_start(&f, NULL, &(link_server_options){.heartbeat_ms = 40});
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &(struct rlimit){MOST, before.rlim_max}));
    link_peer_open(&p, &f);
    while (count < MOST && (taken[count] = open("/dev/null", O_RDONLY)) >= 0) {
        count++;
    }
    unsigned turns = 0;
    for (uint64_t end = wait_now_ms() + 200; wait_now_ms() < end; turns++) {
        uv_run(&f.loop, UV_RUN_ONCE); /* sleeps, or this would be a hundred thousand turns */
    }
    assert_true(turns < 200);
    assert_true(link_peer_hear(&p) && !p.over);
    while (count > 0) {
        close(taken[--count]);
    }
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
    loom_bytes hello = link_hello("a");
    link_peer_send(&p, hello, hello.len);
    drop(hello);
    until(&f, link_peer_hear(&p) && link_peer_count(&p, FRAME_WELCOME) == 1);
    assert_int_equal(0, link_server_get_stats(f.server).connections_refused);
    link_peer_close(&p);
    link_fixture_close(&f);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in every process of ours */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_in_single_bytes_arrives_whole),
        cmocka_unit_test(a_frame_larger_than_the_read_buffer_arrives_whole),
        cmocka_unit_test(frames_in_pieces_of_any_size_arrive_whole),
        cmocka_unit_test(large_frames_with_pauses_between_them_arrive_whole),
        cmocka_unit_test(small_frames_behind_a_large_one_arrive_whole),
        cmocka_unit_test(what_is_no_agent_link_is_answered_and_closed),
        cmocka_unit_test(what_was_sent_before_a_half_close_counts),
        cmocka_unit_test(half_frames_are_bounded_in_all_and_told),
        cmocka_unit_test(a_flood_of_one_session_lets_others_have_their_turn),
        cmocka_unit_test(two_floods_take_turns_by_the_slice),
        cmocka_unit_test(a_large_frame_is_read_in_pieces_while_others_wait),
        cmocka_unit_test(a_flood_and_a_goodbye_are_taken_in_order),
        cmocka_unit_test(a_session_that_ends_while_it_is_held_is_closed),
        cmocka_unit_test(what_comes_just_before_the_loop_sleeps_leaves_at_once),
        cmocka_unit_test(a_slow_reader_gets_everything_in_the_end),
        cmocka_unit_test(what_a_socket_did_not_take_when_writing_fails_is_given_back),
        cmocka_unit_test(what_a_socket_did_not_take_of_a_write_that_waited_is_given_back),
        cmocka_unit_test(a_large_frame_is_written_in_pieces_while_others_wait),
        cmocka_unit_test(large_messages_reach_all_whole_and_in_order_from_where_they_were_read),
        cmocka_unit_test(connections_end_in_the_middle_of_a_shared_message),
        cmocka_unit_test(a_session_that_ended_goes_though_its_peer_does_not_read),
        cmocka_unit_test(the_last_words_of_a_session_reach_a_peer_that_reads),
        cmocka_unit_test(too_many_agents_are_told_so),
        cmocka_unit_test(many_connections_come_and_go_in_any_order),
        cmocka_unit_test(what_many_get_leaves_in_slices_and_what_has_come_last_goes_first),
        cmocka_unit_test(closing_the_server_ends_connections_in_every_state),
        cmocka_unit_test(nobody_else_may_connect_to_the_socket),
        cmocka_unit_test(a_socket_that_nobody_answers_on_is_replaced),
        cmocka_unit_test(a_socket_in_use_stays_with_its_owner),
        cmocka_unit_test(a_file_that_is_no_socket_is_not_replaced),
        cmocka_unit_test(a_port_in_use_is_said_with_its_url),
        cmocka_unit_test(a_star_listens_on_both_families),
        cmocka_unit_test(without_a_descriptor_whoever_connects_waits),
        cmocka_unit_test(opening_survives_every_failed_allocation),
        cmocka_unit_test(a_connection_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
