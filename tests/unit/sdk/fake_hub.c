/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/fake_hub.h"

#include <poll.h>

static void subscribe(fake_hub *h, unsigned agent, const frame_subscribe *f)
{
    hub_subscription *at = h->subscriptions;
    while (at->number != 0) {
        at++;
        assert_true(at < h->subscriptions + HUB_SUBSCRIPTIONS);
    }
    at->agent = agent;
    at->number = f->subscription;
    snprintf(at->filter, sizeof at->filter, "%.*s", (int)f->filter.len, f->filter.data);
    assert_status(LOOM_OK, frame_put_outcome(&h->bridges[agent].out, FRAME_ACK, &(frame_outcome){.request = f->request}));
}

/* number 0: all of them. */
static void unsubscribe(fake_hub *h, unsigned agent, uint64_t number)
{
    for (hub_subscription *at = h->subscriptions; at < h->subscriptions + HUB_SUBSCRIPTIONS; at++) {
        if (at->agent == agent && (number == 0 || at->number == number)) {
            at->number = 0;
        }
    }
}

static void deliver(fake_hub *h, const envelope_view *view)
{
    loom_str topic = envelope_view_str(view, ENV_TOPIC);
    for (hub_subscription *at = h->subscriptions; at < h->subscriptions + HUB_SUBSCRIPTIONS; at++) {
        fake_bridge *b = &h->bridges[at->agent];
        bool selects = strlen(at->filter) == topic.len && memcmp(at->filter, topic.data, topic.len) == 0;
        if (at->number == 0 || b->peer < 0 || !selects) {
            continue;
        }
        uint8_t *room = frame_deliver_begin(&b->out, at->number, view->len);
        assert_non_null(room);
        memcpy(room, view->data, view->len);
        frame_batch_commit(&b->out, view->len);
    }
}

static void deliver_wire(fake_hub *h, loom_bytes wire)
{
    envelope_view view;
    const char *reason;
    assert_status(LOOM_OK, envelope_scan(&view, wire, NULL, &reason));
    deliver(h, &view);
}

static void publish(fake_hub *h, const frame_batch *batch)
{
    loom_bytes left = batch->items;
    for (uint32_t i = 0; i < batch->count; i++) {
        envelope_view view;
        const char *reason;
        assert_status(LOOM_OK, envelope_scan(&view, left, NULL, &reason));
        deliver(h, &view);
        left.data += view.len;
        left.len -= view.len;
        atomic_fetch_add(&h->published, 1);
    }
}

static void flush_all(fake_hub *h)
{
    for (unsigned i = 0; i < HUB_AGENTS; i++) {
        if (h->bridges[i].peer >= 0) {
            fake_bridge_flush(&h->bridges[i]);
        }
    }
}

static void on_frame(fake_hub *h, unsigned agent, const frame *f)
{
    switch (f->type) {
    case FRAME_SUBSCRIBE: subscribe(h, agent, &f->u.subscribe); break;
    case FRAME_UNSUBSCRIBE: unsubscribe(h, agent, f->u.number); break;
    case FRAME_PUBLISH: publish(h, &f->u.batch); break;
    case FRAME_PING: assert_status(LOOM_OK, frame_put_number(&h->bridges[agent].out, FRAME_PONG, f->u.number)); break;
    default: break;
    }
    flush_all(h);
}

static void gone(fake_hub *h, unsigned agent)
{
    char json[96];
    loom_envelope *news;
    fake_bridge_drop(&h->bridges[agent]);
    frame_writer_clear(&h->bridges[agent].out);
    unsubscribe(h, agent, 0);
    int len = snprintf(json, sizeof json, "{\"agent\":\"%s\",\"bridge\":\"fake\",\"session\":1}", h->ids[agent]);
    loom_envelope_fields fields = {.topic = STR("system.agents"),
                                   .type = STR("agent.unregistered"),
                                   .sender = STR("loom-broker"),
                                   .payload = {(const uint8_t *)json, (size_t)len}};
    assert_status(LOOM_OK, loom_envelope_create(&news, &fields));
    deliver_wire(h, loom_envelope_wire(news));
    loom_envelope_unref(news);
    flush_all(h);
}

static bool has_frame(const fake_bridge *b)
{
    loom_bytes body;
    size_t need;
    return b->end > b->begin && frame_split((loom_bytes){b->in + b->begin, b->end - b->begin}, &body, &need) == FRAME_WHOLE;
}

static void read_frames(fake_hub *h, unsigned agent)
{
    fake_bridge *b = &h->bridges[agent];
    do {
        frame f;
        if (!fake_bridge_try_next(b, &f)) {
            gone(h, agent);
            return;
        }
        on_frame(h, agent, &f);
    } while (has_frame(b));
}

static void serve_agent(fake_hub *h, unsigned agent)
{
    fake_bridge *b = &h->bridges[agent];
    if (b->peer < 0) {
        fake_bridge_session(b, 0);
    }
    if (has_frame(b)) {
        read_frames(h, agent); /* came with the greeting */
    }
}

static void *serve(void *user)
{
    fake_hub *h = user;
    while (!atomic_load(&h->ended)) {
        struct pollfd p[HUB_AGENTS];
        for (unsigned i = 0; i < HUB_AGENTS; i++) {
            const fake_bridge *b = &h->bridges[i];
            p[i] = (struct pollfd){.fd = b->peer >= 0 ? b->peer : b->listener, .events = POLLIN};
        }
        (void)poll(p, HUB_AGENTS, 2);
        for (unsigned i = 0; i < HUB_AGENTS; i++) {
            if (p[i].revents == 0) {
                continue;
            }
            if (h->bridges[i].peer >= 0) {
                read_frames(h, i);
            } else {
                serve_agent(h, i);
            }
        }
        int drop = atomic_load(&h->drop);
        if (drop >= 0) {
            gone(h, (unsigned)drop);
            atomic_store(&h->drop, -1);
        }
    }
    return NULL;
}

void fake_hub_start(fake_hub *h, const char *const *ids)
{
    memset(h, 0, sizeof *h);
    atomic_store(&h->drop, -1);
    for (unsigned i = 0; i < HUB_AGENTS; i++) {
        fake_bridge_open(&h->bridges[i]);
        if (*ids != NULL) {
            snprintf(h->ids[i], sizeof h->ids[i], "%s", *ids++);
        }
    }
    assert_int_equal(0, pthread_create(&h->thread, NULL, serve, h));
}

void fake_hub_end(fake_hub *h)
{
    atomic_store(&h->ended, true);
    pthread_join(h->thread, NULL);
    for (unsigned i = 0; i < HUB_AGENTS; i++) {
        fake_bridge_close(&h->bridges[i]);
    }
}

void fake_hub_drop(fake_hub *h, unsigned agent)
{
    atomic_store(&h->drop, (int)agent);
    wait_until(atomic_load(&h->drop) == -1, FAKE_DEADLINE_MS);
}
