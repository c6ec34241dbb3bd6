/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/fake_hub.h"

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
    for (hub_subscription *at = h->subscriptions; at < h->subscriptions + HUB_SUBSCRIPTIONS; at++) {
        fake_bridge *b = &h->bridges[at->agent];
        if (at->number != 0 && b->peer >= 0 && fake_server_has_topic(view, at->filter)) {
            fake_server_deliver(b, at->number, view);
        }
    }
}

static void published(void *user, const envelope_view *view)
{
    fake_hub *h = user;
    deliver(h, view);
    atomic_fetch_add(&h->published, 1);
}

static void on_frame(void *user, unsigned agent, const frame *f)
{
    fake_hub *h = user;
    switch (f->type) {
    case FRAME_SUBSCRIBE: subscribe(h, agent, &f->u.subscribe); break;
    case FRAME_UNSUBSCRIBE: unsubscribe(h, agent, f->u.number); break;
    case FRAME_PUBLISH: fake_server_each(&f->u.batch, published, h); break;
    case FRAME_PING: assert_status(LOOM_OK, frame_put_number(&h->bridges[agent].out, FRAME_PONG, f->u.number)); break;
    default: break;
    }
}

static void on_gone(void *user, unsigned agent)
{
    fake_hub *h = user;
    char json[96];
    loom_envelope *news;
    unsubscribe(h, agent, 0);
    int len = snprintf(json, sizeof json, "{\"agent\":\"%s\",\"bridge\":\"fake\",\"session\":1}", h->ids[agent]);
    loom_envelope_fields fields = {.topic = STR("system.agents"),
                                   .type = STR("agent.unregistered"),
                                   .sender = STR("loom-broker"),
                                   .payload = {(const uint8_t *)json, (size_t)len}};
    assert_status(LOOM_OK, loom_envelope_create(&news, &fields));
    deliver(h, envelope_as_view(news));
    loom_envelope_unref(news);
}

void fake_hub_start(fake_hub *h, const char *const *ids)
{
    memset(h, 0, sizeof *h);
    h->server = (fake_server){.count = HUB_AGENTS, .on_frame = on_frame, .on_gone = on_gone, .user = h};
    for (unsigned i = 0; i < HUB_AGENTS; i++) {
        fake_bridge_open(&h->bridges[i]);
        h->server.bridges[i] = &h->bridges[i];
        if (*ids != NULL) {
            snprintf(h->ids[i], sizeof h->ids[i], "%s", *ids++);
        }
    }
    fake_server_start(&h->server);
}

void fake_hub_end(fake_hub *h)
{
    fake_server_end(&h->server);
    for (unsigned i = 0; i < HUB_AGENTS; i++) {
        fake_bridge_close(&h->bridges[i]);
    }
}

void fake_hub_drop(fake_hub *h, unsigned agent)
{
    fake_server_drop(&h->server, agent);
}
