/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/fake_relay.h"

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

static void deliver(void *user, const envelope_view *view)
{
    fake_relay *r = user;
    for (unsigned i = 0; i < r->subscriptions; i++) {
        if (fake_server_has_topic(view, r->filters[i])) {
            fake_server_deliver(r->bridge, r->numbers[i], view);
        }
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

static void on_frame(void *user, unsigned bridge, const frame *f)
{
    (void)bridge;
    fake_relay *r = user;
    frame_result result;
    frame_report report;
    switch (f->type) {
    case FRAME_SUBSCRIBE: subscribe(r, &f->u.subscribe); break;
    case FRAME_PROVIDE: ack(r, f->u.provide.request); break;
    case FRAME_PUBLISH: fake_server_each(&f->u.batch, deliver, r); break;
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

static void on_gone(void *user, unsigned bridge)
{
    (void)bridge;
    fake_relay *r = user;
    r->subscriptions = 0;
    atomic_store(&r->credit_messages, 0);
}

void fake_relay_start(fake_relay *r, fake_bridge *b)
{
    memset(r, 0, sizeof *r);
    r->bridge = b;
    r->server = (fake_server){.bridges = {b}, .count = 1, .on_frame = on_frame, .on_gone = on_gone, .user = r};
    fake_server_start(&r->server);
}

void fake_relay_end(fake_relay *r)
{
    fake_server_end(&r->server);
}
