/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/bridge/fake_bus.h"

#include <stdlib.h>

static loom_status attach(bus *base, bus_port **out, loom_str agent, const bus_handlers *handlers, void *user)
{
    fake_bus *b = (fake_bus *)base;
    *out = NULL;
    if (b->attach_status != LOOM_OK) {
        return b->attach_status;
    }
    for (size_t i = 0; i < FAKE_PORTS; i++) {
        if (!b->ports[i].used) {
            b->ports[i] = (struct bus_port){.used = true, .handlers = handlers, .user = user};
            memcpy(b->ports[i].agent, agent.data, agent.len);
            b->attached++;
            *out = &b->ports[i];
            return LOOM_OK;
        }
    }
    return LOOM_EFULL;
}

static void detach(bus *base, bus_port *port)
{
    fake_bus *b = (fake_bus *)base;
    if (port != NULL) {
        assert_true(port->used);
        port->used = false;
        b->detached++;
    }
}

static void subscribe(bus *base, bus_port *port, const frame_subscribe *request)
{
    fake_bus *b = (fake_bus *)base;
    b->subscribed++;
    b->request = request->request;
    b->subscription = request->subscription;
    snprintf(b->filter, sizeof b->filter, "%.*s", (int)request->filter.len, request->filter.data);
    if (!b->defers) {
        port->handlers->answered(port->user, request->request, LOOM_OK, "");
    }
}

static void unsubscribe(bus *base, bus_port *port, const frame_unsubscribe *request)
{
    fake_bus *b = (fake_bus *)base;
    b->unsubscribed++;
    b->request = request->request;
    b->subscription = request->subscription;
    port->handlers->answered(port->user, request->request, LOOM_ENOTFOUND, "no such subscription");
}

static void grant(bus *base, bus_port *port, uint64_t messages, uint64_t bytes)
{
    (void)base;
    assert_true(port->used);
    assert_true(messages >= port->granted_messages && bytes >= port->granted_bytes); /* totals only grow */
    port->granted_messages = messages;
    port->granted_bytes = bytes;
    port->grants++;
}

static void publish(bus *base, bus_port *port, const envelope_view *view, uint8_t *wire)
{
    fake_bus *b = (fake_bus *)base;
    assert_true(port->used);
    assert_true(view->hop_in_place);
    assert_ptr_equal(view->data, wire);
    b->published++;
    b->wire_len = view->len < FAKE_WIRE ? view->len : FAKE_WIRE;
    memcpy(b->wire, wire, b->wire_len);
}

void fake_bus_init(fake_bus *b)
{
    static const bus_ops ops = {.attach = attach, .detach = detach, .subscribe = subscribe, .unsubscribe = unsubscribe,
                                .grant = grant, .publish = publish};
    memset(b, 0, sizeof *b);
    b->base.ops = &ops;
}

bus_port *fake_bus_port(fake_bus *b, const char *agent)
{
    for (size_t i = 0; i < FAKE_PORTS; i++) {
        if (b->ports[i].used && strcmp(b->ports[i].agent, agent) == 0) {
            return &b->ports[i];
        }
    }
    fail_msg("%s is not on the bus", agent);
    return NULL;
}

void fake_bus_deliver(fake_bus *b, const char *agent, uint64_t subscription, loom_bytes wire)
{
    bus_port *port = fake_bus_port(b, agent);
    envelope_view view;
    const char *reason;
    assert_status(LOOM_OK, envelope_scan(&view, wire, NULL, &reason));
    port->handlers->deliver(port->user, subscription, &view);
}

loom_envelope *fake_bus_last(const fake_bus *b)
{
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_decode(&env, (loom_bytes){b->wire, b->wire_len}));
    return env;
}

/* ---- agents ---- */

static void on_output(void *user)
{
    ((fake_agent *)user)->outputs++;
}

static void on_ended(void *user)
{
    ((fake_agent *)user)->ended++;
}

loom_status fake_agent_open(fake_agent *a, bridge *b)
{
    static const session_io io = {on_output, on_ended};
    memset(a, 0, sizeof *a);
    a->bridge = b;
    frame_writer_init(&a->say);
    return session_open(b, &a->session, &io, a, "test");
}

void fake_agent_enter(fake_agent *a, bridge *b, const char *id, uint64_t credit_messages, uint64_t credit_bytes)
{
    const frame_hello hello = {.protocol = LINK_PROTOCOL, .agent = str_of(id), .software = STR("test/1"),
                               .credit_messages = credit_messages, .credit_bytes = credit_bytes};
    assert_status(LOOM_OK, fake_agent_open(a, b));
    assert_status(LOOM_OK, frame_put_hello(&a->say, &hello));
    fake_agent_send(a);
    fake_agent_hear(a);
    (void)fake_agent_frame(a, FRAME_WELCOME);
}

void fake_agent_close(fake_agent *a)
{
    if (a->session != NULL) {
        session_close(a->session);
        a->session = NULL;
    }
    frame_writer_fini(&a->say);
    free(a->heard);
    a->heard = NULL;
}

void fake_agent_send_bytes(fake_agent *a, loom_bytes bytes)
{
    uint8_t *exact = malloc(bytes.len > 0 ? bytes.len : 1);
    assert_non_null(exact);
    memcpy(exact, bytes.data, bytes.len);
    size_t need;
    assert_int_equal(bytes.len, session_receive(a->session, exact, bytes.len, &need));
    free(exact);
}

void fake_agent_send(fake_agent *a)
{
    frame_writer_seal(&a->say);
    fake_agent_send_bytes(a, (loom_bytes){a->say.data, a->say.len});
    frame_writer_clear(&a->say);
}

void fake_agent_hear(fake_agent *a)
{
    frame_writer *out = session_output(a->session);
    frame_writer_seal(out);
    free(a->heard);
    a->heard_len = out->len;
    a->heard = malloc(out->len > 0 ? out->len : 1);
    assert_non_null(a->heard);
    memcpy(a->heard, out->data != NULL ? out->data : a->heard, out->len);
    frame_writer_clear(out);
    session_sent(a->session, 0);
    loom_bytes left = {a->heard, a->heard_len};
    for (a->count = 0; left.len > 0; a->count++) {
        loom_bytes body;
        size_t need;
        char reason[FRAME_REASON_SIZE];
        assert_true(a->count < FAKE_FRAMES);
        assert_status(LOOM_OK, frame_split(left, &body, &need));
        assert_status(LOOM_OK, frame_decode(&a->frames[a->count], body, reason));
        left.data += need;
        left.len -= need;
    }
}

void fake_agent_publish(fake_agent *a, loom_bytes wire)
{
    uint8_t *room = frame_publish_begin(&a->say, wire.len);
    assert_non_null(room);
    memcpy(room, wire.data, wire.len);
    frame_batch_commit(&a->say, wire.len);
}

const frame *fake_agent_frame(const fake_agent *a, frame_type type)
{
    const frame *found = NULL;
    for (size_t i = 0; i < a->count; i++) {
        if (a->frames[i].type == type) {
            assert_null(found);
            found = &a->frames[i];
        }
    }
    if (found == NULL) {
        fail_msg("no %s frame among %zu", frame_type_name(type), a->count);
    }
    return found;
}

void check_ended(fake_agent *a, frame_type how, loom_status why, const char *text_part, const char *file, int line)
{
    fake_agent_hear(a);
    const frame *last = a->count > 0 ? &a->frames[a->count - 1] : NULL;
    if (a->ended != 1 || last == NULL || last->type != how) {
        print_error("ended %u times, the last frame is %s\n", a->ended, last != NULL ? frame_type_name(last->type) : "none");
        _fail(file, line);
    }
    check_status(why, (loom_status)last->u.outcome.status, "the end of the session", file, line);
    if (memmem(last->u.outcome.text.data, last->u.outcome.text.len, text_part, strlen(text_part)) == NULL) {
        print_error("\"%.*s\" does not say \"%s\"\n", (int)last->u.outcome.text.len, last->u.outcome.text.data, text_part);
        _fail(file, line);
    }
}

loom_envelope *fake_message(const char *topic, const char *sender, size_t payload)
{
    uint8_t *bytes = calloc(1, payload + 1);
    assert_non_null(bytes);
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = str_of(topic),
                                                                              .sender = str_of(sender),
                                                                              .payload = {bytes, payload}}));
    free(bytes);
    return env;
}
