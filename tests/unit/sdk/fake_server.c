/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/fake_server.h"

#include <poll.h>

void fake_server_each(const frame_batch *batch, void (*visit)(void *user, const envelope_view *view), void *user)
{
    loom_bytes left = batch->items;
    for (uint32_t i = 0; i < batch->count; i++) {
        envelope_view view;
        const char *reason;
        assert_status(LOOM_OK, envelope_scan(&view, left, NULL, &reason));
        visit(user, &view);
        left.data += view.len;
        left.len -= view.len;
    }
}

void fake_server_deliver(fake_bridge *b, uint64_t subscription, const envelope_view *view)
{
    uint8_t *room = frame_deliver_begin(&b->out, subscription, view->len);
    assert_non_null(room);
    memcpy(room, view->data, view->len);
    frame_batch_commit(&b->out, view->len);
}

bool fake_server_has_topic(const envelope_view *view, const char *topic)
{
    return str_is(envelope_view_str(view, ENV_TOPIC), topic);
}

static void flush_all(fake_server *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->bridges[i]->peer >= 0) {
            fake_bridge_flush(s->bridges[i]);
        }
    }
}

static void gone(fake_server *s, unsigned bridge)
{
    fake_bridge_drop(s->bridges[bridge]);
    frame_writer_clear(&s->bridges[bridge]->out);
    s->on_gone(s->user, bridge);
    flush_all(s);
}

static bool has_frame(const fake_bridge *b)
{
    loom_bytes body;
    size_t need;
    return b->end > b->begin && frame_split((loom_bytes){b->in + b->begin, b->end - b->begin}, &body, &need) == FRAME_WHOLE;
}

static void read_frames(fake_server *s, unsigned bridge)
{
    fake_bridge *b = s->bridges[bridge];
    do {
        frame f;
        if (!fake_bridge_try_next(b, &f)) {
            gone(s, bridge);
            return;
        }
        s->on_frame(s->user, bridge, &f);
        flush_all(s);
    } while (has_frame(b));
}

static void take_connection(fake_server *s, unsigned bridge)
{
    fake_bridge_session(s->bridges[bridge], 0);
    if (has_frame(s->bridges[bridge])) {
        read_frames(s, bridge); /* came with the greeting */
    }
}

static void serve_once(fake_server *s)
{
    struct pollfd p[FAKE_SERVER_BRIDGES];
    for (unsigned i = 0; i < s->count; i++) {
        const fake_bridge *b = s->bridges[i];
        p[i] = (struct pollfd){.fd = b->peer >= 0 ? b->peer : b->listener, .events = POLLIN};
    }
    (void)poll(p, s->count, 2);
    for (unsigned i = 0; i < s->count; i++) {
        if (p[i].revents != 0 && s->bridges[i]->peer >= 0) {
            read_frames(s, i);
        } else if (p[i].revents != 0) {
            take_connection(s, i);
        }
    }
}

static void *serve(void *user)
{
    fake_server *s = user;
    while (!atomic_load(&s->ended)) {
        serve_once(s);
        int drop = atomic_load(&s->drop);
        if (drop >= 0) {
            gone(s, (unsigned)drop);
            atomic_store(&s->drop, -1);
        }
    }
    return NULL;
}

void fake_server_start(fake_server *s)
{
    atomic_store(&s->drop, -1);
    assert_int_equal(0, pthread_create(&s->thread, NULL, serve, s));
}

void fake_server_end(fake_server *s)
{
    atomic_store(&s->ended, true);
    pthread_join(s->thread, NULL);
}

void fake_server_drop(fake_server *s, unsigned bridge)
{
    atomic_store(&s->drop, (int)bridge);
    wait_until(atomic_load(&s->drop) == -1, FAKE_DEADLINE_MS);
}
