/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/bridge/fake_bus.h"

#include <stdlib.h>

static void keep(char *out, size_t size, loom_str text)
{
    snprintf(out, size, "%.*s", (int)text.len, text.data != NULL ? text.data : "");
}

static loom_status attach(bus *base, bus_port **out, const bus_agent *agent, const bus_handlers *handlers, void *user)
{
    fake_bus *b = (fake_bus *)base;
    *out = NULL;
    if (b->attach_status != LOOM_OK) {
        return b->attach_status;
    }
    for (size_t i = 0; i < FAKE_PORTS; i++) {
        bus_port *port = &b->ports[i];
        if (!port->used) {
            *port = (struct bus_port){.used = true, .handlers = handlers, .user = user, .heartbeat_ms = agent->heartbeat_ms};
            keep(port->agent, sizeof port->agent, agent->id);
            keep(port->software, sizeof port->software, agent->software);
            keep(port->peer, sizeof port->peer, str_of(agent->peer));
            assert_true(agent->instance.len == 0 || agent->instance.len == LOOM_UUID_SIZE);
            port->instance_len = agent->instance.len;
            if (agent->instance.len > 0) {
                memcpy(port->instance, agent->instance.data, agent->instance.len);
            }
            b->attached++;
            *out = port;
            return LOOM_OK;
        }
    }
    return LOOM_EFULL;
}

static void detach(bus *base, bus_port *port, loom_status why)
{
    fake_bus *b = (fake_bus *)base;
    if (port != NULL) {
        assert_true(port->used);
        port->used = false;
        b->detached++;
        b->why = why;
    }
}

static void deliver(bus_port *port, uint64_t subscription, loom_bytes wire)
{
    envelope_view view;
    const char *reason;
    assert_status(LOOM_OK, envelope_scan(&view, wire, NULL, &reason));
    port->handlers->deliver(port->user, subscription, &view);
}

static void grant(bus *base, bus_port *port, uint64_t messages, uint64_t bytes)
{
    (void)base;
    assert_true(port->used);
    assert_true(messages >= port->granted_messages && bytes >= port->granted_bytes); /* totals only grow */
    port->granted_messages = messages;
    port->granted_bytes = bytes;
    port->grants++;
    for (; port->waits > 0 && port->used_messages < messages && port->used_bytes < bytes; port->waits--) {
        port->used_messages++;
        port->used_bytes += port->waiting.len;
        deliver(port, 1, port->waiting);
    }
}

static void keep_wire(fake_bus *b, const envelope_view *view, const uint8_t *wire)
{
    assert_true(view->hop_in_place);
    assert_ptr_equal(view->data, wire);
    b->wire_len = view->len < FAKE_WIRE ? view->len : FAKE_WIRE;
    memcpy(b->wire, wire, b->wire_len);
}

static void publish(bus *base, bus_port *port, const envelope_view *view, uint8_t *wire)
{
    fake_bus *b = (fake_bus *)base;
    assert_true(port->used);
    b->published++;
    keep_wire(b, view, wire);
    b->shared = view->shared != NULL;
    for (size_t i = 0; i < 2 && b->passes_on_to[i] != NULL; i++) {
        bus_port *to = fake_bus_port(b, b->passes_on_to[i]);
        to->handlers->deliver(to->user, 1, view);
    }
}

static void keep_call_id(fake_bus *b, loom_bytes id)
{
    assert_true(id.len <= sizeof b->call.id);
    b->call.id_len = id.len;
    if (id.len > 0) {
        memcpy(b->call.id, id.data, id.len);
    }
}

static void call(bus *base, bus_port *port, const frame_call *f, const envelope_view *view, uint8_t *wire)
{
    fake_bus *b = (fake_bus *)base;
    assert_true(port->used);
    b->called++;
    keep_call_id(b, f->call_id);
    keep(b->call.capability, sizeof b->call.capability, f->capability);
    keep(b->call.version, sizeof b->call.version, f->version);
    b->call.deadline_ms = f->deadline_ms;
    b->call.idle_ms = f->idle_ms;
    b->call.flags = f->flags;
    keep_wire(b, view, wire);
}

static void answer(fake_bus *b, bus_port *port, uint64_t request, loom_status st, const char *text)
{
    b->request = request;
    if (!b->defers) {
        port->handlers->frame(port->user, &(frame){.type = FRAME_ACK,
                                                   .u.outcome = {.request = request, .status = (uint64_t)st, .text = str_of(text)}});
    }
}

static void said_of_call(fake_bus *b, const frame *f)
{
    switch (f->type) {
    case FRAME_RESULT:
        keep_call_id(b, f->u.result.call_id);
        keep(b->call.code, sizeof b->call.code, f->u.result.code);
        keep(b->call.text, sizeof b->call.text, f->u.result.text);
        b->call.outcome = f->u.result.outcome;
        b->call.payload_len = f->u.result.payload.len;
        break;
    case FRAME_REPORT:
        keep_call_id(b, f->u.report.call_id);
        b->call.kind = f->u.report.kind;
        b->call.number = f->u.report.number;
        b->call.payload_len = f->u.report.payload.len;
        break;
    case FRAME_CANCEL:
        keep_call_id(b, f->u.cancel.call_id);
        keep(b->call.text, sizeof b->call.text, f->u.cancel.reason);
        break;
    case FRAME_CALL_CREDIT:
        keep_call_id(b, f->u.call_credit.call_id);
        b->call.chunks = f->u.call_credit.chunks;
        b->call.bytes = f->u.call_credit.bytes;
        break;
    default: fail_msg("a bridge does not say %s", frame_type_name(f->type));
    }
}

static void say(bus *base, bus_port *port, const frame *f)
{
    fake_bus *b = (fake_bus *)base;
    assert_true(port->used);
    assert_in_range(f->type, 0, FAKE_TYPES - 1);
    b->said[f->type]++;
    switch (f->type) {
    case FRAME_SUBSCRIBE:
        b->subscription = f->u.subscribe.subscription;
        keep(b->filter, sizeof b->filter, f->u.subscribe.filter);
        answer(b, port, f->u.subscribe.request, LOOM_OK, "");
        break;
    case FRAME_UNSUBSCRIBE:
        b->subscription = f->u.unsubscribe.subscription;
        answer(b, port, f->u.unsubscribe.request, LOOM_ENOTFOUND, "no such subscription");
        break;
    case FRAME_PROVIDE:
        keep(b->filter, sizeof b->filter, f->u.provide.name);
        answer(b, port, f->u.provide.request, LOOM_OK, "");
        break;
    case FRAME_PING: b->number = f->u.number; break;
    default: said_of_call(b, f);
    }
}

static void keep_trace(bus *base, const frame_keep *f)
{
    fake_bus *b = (fake_bus *)base;
    b->kept++;
    memcpy(b->kept_trace_id, f->trace_id, sizeof b->kept_trace_id);
}

static void give_back(bus *base, bus_port *p, uint64_t subscription, const envelope_view *view)
{
    (void)base;
    (void)p;
    (void)subscription;
    (void)view;
    ((fake_bus *)base)->given_back++;
}

void fake_bus_init(fake_bus *b)
{
    static const bus_ops ops = {
        .attach = attach, .detach = detach, .grant = grant, .publish = publish, .call = call, .give_back = give_back, .frame = say, .keep = keep_trace};
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
    deliver(fake_bus_port(b, agent), subscription, wire);
}

void fake_bus_call(fake_bus *b, const char *agent, const frame_call *f, loom_bytes wire)
{
    bus_port *port = fake_bus_port(b, agent);
    envelope_view view;
    const char *reason;
    assert_status(LOOM_OK, envelope_scan(&view, wire, NULL, &reason));
    port->handlers->call(port->user, f, &view);
}

void fake_bus_say(fake_bus *b, const char *agent, const frame *f)
{
    bus_port *port = fake_bus_port(b, agent);
    port->handlers->frame(port->user, f);
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

static bool others(void *user)
{
    fake_agent *a = user;
    a->looked++;
    return a->others;
}

loom_status fake_agent_open(fake_agent *a, bridge *b)
{
    static const session_io io = {on_output, on_ended, others};
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
    size_t need, done = 0;
    do {
        bridge_new_round(a->bridge);
        done += session_receive(a->session, exact + done, bytes.len - done, &need);
    } while (done < bytes.len && session_is_spent(a->session));
    assert_int_equal(bytes.len, done);
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
        assert_int_equal(FRAME_WHOLE, frame_split(left, &body, &need));
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
