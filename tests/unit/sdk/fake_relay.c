/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/fake_relay.h"

#include <poll.h>
#include <stdlib.h>

static void ack(fake_relay *r, uint64_t request)
{
    assert_status(LOOM_OK, frame_put_outcome(&r->bridge->out, FRAME_ACK, &(frame_outcome){.request = request}));
}

static void subscribe(fake_relay *r, const frame_subscribe *f)
{
    assert_true(r->subscriptions < RELAY_SUBSCRIPTIONS);
    snprintf(r->filters[r->subscriptions], sizeof r->filters[0], "%.*s", (int)f->filter.len, f->filter.data);
    r->numbers[r->subscriptions++] = f->subscription;
    ack(r, f->request);
}

static void deliver(fake_relay *r, const envelope_view *view)
{
    loom_str topic = envelope_view_str(view, ENV_TOPIC);
    for (unsigned i = 0; i < r->subscriptions; i++) {
        if (strlen(r->filters[i]) == topic.len && memcmp(r->filters[i], topic.data, topic.len) == 0) {
            uint8_t *room = frame_deliver_begin(&r->bridge->out, r->numbers[i], view->len);
            assert_non_null(room);
            memcpy(room, view->data, view->len);
            frame_batch_commit(&r->bridge->out, view->len);
        }
    }
}

static void publish(fake_relay *r, const frame_batch *batch)
{
    loom_bytes left = batch->items;
    for (uint32_t i = 0; i < batch->count; i++) {
        envelope_view view;
        const char *reason;
        assert_status(LOOM_OK, envelope_scan(&view, left, NULL, &reason));
        deliver(r, &view);
        left.data += view.len;
        left.len -= view.len;
    }
}

static void call(fake_relay *r, const frame_call *f)
{
    frame_call down = *f;
    uint32_t place = r->call_count++;
    assert_true(place < RELAY_CALLS);
    r->calls[place].len = f->call_id.len;
    memcpy(r->calls[place].id, f->call_id.data, f->call_id.len);
    down.call_id = (loom_bytes){(const uint8_t *)&place, sizeof place};
    assert_status(LOOM_OK, frame_put_call(&r->bridge->out, &down));
}

static loom_bytes callers_id(fake_relay *r, loom_bytes providers_id)
{
    uint32_t place;
    assert_int_equal(sizeof place, providers_id.len);
    memcpy(&place, providers_id.data, sizeof place);
    assert_true(place < r->call_count);
    return (loom_bytes){r->calls[place].id, r->calls[place].len};
}

static void call_credit(fake_relay *r, const frame *f)
{
    for (uint32_t place = r->call_count; place-- > 0;) {
        loom_bytes id = f->u.call_credit.call_id;
        if (r->calls[place].len == id.len && memcmp(r->calls[place].id, id.data, id.len) == 0) {
            assert_status(LOOM_OK,
                          frame_put_call_credit(&r->bridge->out, (loom_bytes){(const uint8_t *)&place, sizeof place},
                                                f->u.call_credit.chunks, f->u.call_credit.bytes));
            return;
        }
    }
}

static void relay(fake_relay *r, const frame *f)
{
    frame_result result;
    frame_report report;
    switch (f->type) {
    case FRAME_SUBSCRIBE: subscribe(r, &f->u.subscribe); break;
    case FRAME_PROVIDE: ack(r, f->u.provide.request); break;
    case FRAME_PUBLISH: publish(r, &f->u.batch); break;
    case FRAME_CREDIT: atomic_store(&r->credit_messages, f->u.credit.messages); break;
    case FRAME_CALL: call(r, &f->u.call); break;
    case FRAME_CALL_CREDIT: call_credit(r, f); break;
    case FRAME_RESULT:
        result = f->u.result;
        result.call_id = callers_id(r, result.call_id);
        assert_status(LOOM_OK, frame_put_result(&r->bridge->out, &result));
        break;
    case FRAME_REPORT:
        report = f->u.report;
        report.call_id = callers_id(r, report.call_id);
        assert_status(LOOM_OK, frame_put_report(&r->bridge->out, &report));
        break;
    case FRAME_PING: assert_status(LOOM_OK, frame_put_number(&r->bridge->out, FRAME_PONG, f->u.number)); break;
    default: break;
    }
}

/* The agent may have lost its connection, rather than have gone. */
static bool awaits_another(fake_relay *r)
{
    struct pollfd p = {.fd = r->bridge->listener, .events = POLLIN};
    while (poll(&p, 1, 1) == 0) {
        if (atomic_load(&r->ended)) {
            return false;
        }
    }
    return true;
}

static void *serve(void *user)
{
    fake_relay *r = user;
    frame f;
    do {
        r->subscriptions = 0;
        atomic_store(&r->credit_messages, 0);
        fake_bridge_session(r->bridge, 0);
        while (fake_bridge_try_next(r->bridge, &f)) {
            relay(r, &f);
            fake_bridge_flush(r->bridge);
        }
        fake_bridge_drop(r->bridge);
    } while (awaits_another(r));
    return NULL;
}

void fake_relay_start(fake_relay *r, fake_bridge *b)
{
    memset(r, 0, sizeof *r);
    r->bridge = b;
    assert_int_equal(0, pthread_create(&r->thread, NULL, serve, r));
}

void fake_relay_end(fake_relay *r)
{
    atomic_store(&r->ended, true);
    pthread_join(r->thread, NULL);
}
