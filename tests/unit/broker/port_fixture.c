/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/port_fixture.h"

#include <stdlib.h>

static void note(char out[PORT_TEXT], const void *data, size_t len)
{
    const size_t kept = len < PORT_TEXT - 1 ? len : PORT_TEXT - 1;
    if (kept > 0) {
        memcpy(out, data, kept);
    }
    out[kept] = '\0';
}

static void note_str(char out[PORT_TEXT], loom_str text)
{
    note(out, text.data, text.len);
}

static size_t note_id(uint8_t out[FRAME_CALL_ID_MAX], loom_bytes id)
{
    assert_in_range(id.len, 0, FRAME_CALL_ID_MAX);
    if (id.len > 0) {
        memcpy(out, id.data, id.len);
    }
    return id.len;
}

/* ---- what it is told ---- */

static void on_deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    test_port *p = user;
    seen_delivery *seen = &p->delivery[p->deliveries++ % PORT_SEEN_MAX];
    const loom_bytes payload = envelope_view_bytes(view, ENV_PAYLOAD);
    seen->subscription = subscription;
    note_str(seen->topic, envelope_view_str(view, ENV_TOPIC));
    note(seen->payload, payload.data, payload.len);
    if (p->grants_when_delivered > 0) {
        p->granted += p->grants_when_delivered;
        port_grant(p->handle, p->granted, UINT64_MAX);
    }
}

static void on_pressure(void *user, bool on)
{
    test_port *p = user;
    *(on ? &p->on : &p->off) += 1;
}

static void on_call(void *user, const frame_call *f, const envelope_view *view)
{
    test_port *p = user;
    seen_call *seen = &p->call[p->calls++ % PORT_SEEN_MAX];
    const loom_bytes payload = envelope_view_bytes(view, ENV_PAYLOAD);
    *seen = (seen_call){.deadline_ms = f->deadline_ms, .idle_ms = f->idle_ms, .flags = f->flags, .ttl = hop_ttl(view->data)};
    assert_int_equal(0, f->envelope.len);
    seen->id_len = note_id(seen->id, f->call_id);
    note_str(seen->capability, f->capability);
    note_str(seen->version, f->version);
    note(seen->payload, payload.data, payload.len);
}

static void note_result(seen_frame *seen, const frame_result *f)
{
    seen->id_len = note_id(seen->id, f->call_id);
    seen->outcome = f->outcome;
    note_str(seen->code, f->code);
    note_str(seen->text, f->text);
    note(seen->payload, f->payload.data, f->payload.len);
}

static void on_frame(void *user, const frame *f)
{
    test_port *p = user;
    seen_frame *seen = &p->frame[p->frames++ % PORT_SEEN_MAX];
    *seen = (seen_frame){.type = f->type};
    switch (f->type) {
    case FRAME_ACK:
    case FRAME_NOTICE:
        seen->request = f->u.outcome.request;
        seen->status = f->u.outcome.status;
        seen->id_len = note_id(seen->id, f->u.outcome.message_id);
        note_str(seen->text, f->u.outcome.text);
        break;
    case FRAME_RESULT:
        p->results++;
        note_result(seen, &f->u.result);
        break;
    case FRAME_REPORT:
        seen->id_len = note_id(seen->id, f->u.report.call_id);
        seen->kind = f->u.report.kind;
        seen->number = f->u.report.number;
        note(seen->payload, f->u.report.payload.data, f->u.report.payload.len);
        break;
    case FRAME_CANCEL:
        seen->id_len = note_id(seen->id, f->u.cancel.call_id);
        note_str(seen->text, f->u.cancel.reason);
        break;
    case FRAME_CALL_CREDIT:
        seen->id_len = note_id(seen->id, f->u.call_credit.call_id);
        seen->chunks = f->u.call_credit.chunks;
        seen->bytes = f->u.call_credit.bytes;
        break;
    case FRAME_MATCHED:
        seen->request = f->u.matched.number;
        seen->number = f->u.matched.subscriptions;
        break;
    default: fail_msg("a %s frame does not go down", frame_type_name(f->type));
    }
}

static void on_ended(void *user, loom_status why)
{
    test_port *p = user;
    p->expired += why == LOOM_EEXPIRED;
    if (p->closes_when_expired || why == LOOM_EREPLACED) {
        test_port_close(p, why);
    }
}

/* ---- life ---- */

loom_status test_cores_create(broker_cores *cores, const loop_clock *clock, const actionbroker_options *options)
{
    *cores = (broker_cores){0};
    loom_status st = eventbus_create(&cores->events, clock, NULL);
    if (st == LOOM_OK) {
        st = actionbroker_create(&cores->actions, clock, options);
    }
    if (st == LOOM_OK) {
        st = directory_create(&cores->agents, clock, cores->events);
    }
    if (st != LOOM_OK) {
        test_cores_destroy(cores);
    }
    return st;
}

void test_cores_destroy(broker_cores *cores)
{
    directory_destroy(cores->agents);
    actionbroker_destroy(cores->actions);
    eventbus_destroy(cores->events);
    *cores = (broker_cores){0};
}

loom_status test_port_open_without_credit(test_port *p, const broker_cores *cores, const char *agent, uint32_t heartbeat_ms)
{
    static const bus_handlers handlers = {
        .deliver = on_deliver, .pressure = on_pressure, .call = on_call, .frame = on_frame, .ended = on_ended};
    memset(p, 0, sizeof *p);
    return port_open(cores, &p->handle, &(directory_about){
        .agent = str_of(agent), .bridge = STR("here"), .heartbeat_ms = heartbeat_ms}, &handlers, p);
}

loom_status test_port_open(test_port *p, const broker_cores *cores, const char *agent, uint32_t heartbeat_ms)
{
    const loom_status st = test_port_open_without_credit(p, cores, agent, heartbeat_ms);
    if (st == LOOM_OK) {
        port_grant(p->handle, UINT64_MAX, UINT64_MAX);
    }
    return st;
}

void test_port_close(test_port *p, loom_status why)
{
    port *handle = p->handle;
    p->handle = NULL;
    port_close(handle, why);
}

/* ---- what it was told ---- */

const seen_frame *last_frame(const test_port *p)
{
    assert_true(p->frames > 0);
    return &p->frame[(p->frames - 1) % PORT_SEEN_MAX];
}

const seen_call *last_call(const test_port *p)
{
    assert_true(p->calls > 0);
    return &p->call[(p->calls - 1) % PORT_SEEN_MAX];
}

const seen_delivery *last_delivery(const test_port *p)
{
    assert_true(p->deliveries > 0);
    return &p->delivery[(p->deliveries - 1) % PORT_SEEN_MAX];
}

/* ---- what it says ---- */

static loom_status request(test_port *p, const frame *f)
{
    const size_t before = p->frames;
    assert_status(LOOM_OK, port_frame(p->handle, f));
    assert_int_equal(before + 1, p->frames);
    assert_int_equal(FRAME_ACK, last_frame(p)->type);
    assert_int_equal(7, last_frame(p)->request);
    assert_int_equal(last_frame(p)->status == LOOM_OK, last_frame(p)->text[0] == '\0'); /* what is refused has a reason */
    return (loom_status)last_frame(p)->status;
}

loom_status test_port_subscribe(test_port *p, uint64_t subscription, const char *filter)
{
    return request(p, &(frame){.type = FRAME_SUBSCRIBE, .u.subscribe = {
        .request = 7, .subscription = subscription, .filter = str_of(filter), .qos = LOOM_QOS_BATCHED}});
}

loom_status test_port_provide(test_port *p, const char *name, const char *version, loom_bytes metadata)
{
    return request(p, &(frame){.type = FRAME_PROVIDE, .u.provide = {
        .request = 7, .name = str_of(name), .version = str_of(version), .metadata = metadata}});
}

loom_status test_port_withdraw(test_port *p, const char *name, const char *version)
{
    return request(p, &(frame){.type = FRAME_PROVIDE, .u.provide = {
        .request = 7, .name = str_of(name), .version = str_of(version), .withdraw = true}});
}

/* On the heap, of exactly its own size, so that a read past it is seen. NULL: out of memory. */
static uint8_t *encode(const char *topic, const char *payload, size_t *len)
{
    loom_envelope *env;
    const loom_str bytes = str_of(payload);
    if (loom_envelope_create(&env, &(loom_envelope_fields){.topic = str_of(topic), .sender = STR("someone"),
                                                           .payload = {(const uint8_t *)bytes.data, bytes.len}}) != LOOM_OK) {
        return NULL;
    }
    *len = loom_envelope_wire(env).len;
    uint8_t *wire = malloc(*len);
    if (wire != NULL) {
        memcpy(wire, loom_envelope_wire(env).data, *len);
    }
    loom_envelope_unref(env);
    return wire;
}

static void scan(envelope_view *view, uint8_t *wire, size_t len)
{
    const char *reason;
    assert_status(LOOM_OK, envelope_scan(view, (loom_bytes){wire, len}, NULL, &reason));
}

loom_status test_port_publish(test_port *p, const char *topic, const char *payload)
{
    size_t len;
    uint8_t *wire = encode(topic, payload, &len);
    if (wire == NULL) {
        return LOOM_ENOMEM;
    }
    envelope_view view;
    scan(&view, wire, len);
    port_publish(p->handle, &view, wire);
    free(wire);
    return LOOM_OK;
}

loom_status test_port_call(test_port *p, const frame_call *f, const char *payload, uint8_t ttl)
{
    size_t len;
    uint8_t *wire = encode("call", payload, &len);
    if (wire == NULL) {
        return LOOM_ENOMEM;
    }
    envelope_view view;
    hop_set_ttl(wire, ttl);
    scan(&view, wire, len);
    port_call(p->handle, f, &view, wire);
    free(wire);
    return LOOM_OK;
}

loom_status test_port_call_named(test_port *p, const char *id, const char *capability)
{
    return test_port_call(p, &(frame_call){.call_id = {(const uint8_t *)id, strlen(id)}, .capability = str_of(capability)},
                          "", LOOM_TTL_DEFAULT);
}

loom_status test_port_result(test_port *p, uint64_t outcome, const char *code, const char *payload)
{
    const seen_call *call = last_call(p);
    return port_frame(p->handle, &(frame){.type = FRAME_RESULT, .u.result = {
        .call_id = {call->id, call->id_len}, .outcome = outcome, .code = str_of(code),
        .payload = {(const uint8_t *)payload, strlen(payload)}}});
}

loom_status test_port_report(test_port *p, uint64_t kind, uint64_t number, const char *payload)
{
    const seen_call *call = last_call(p);
    return port_frame(p->handle, &(frame){.type = FRAME_REPORT, .u.report = {
        {call->id, call->id_len}, kind, number, {(const uint8_t *)payload, strlen(payload)}}});
}

loom_status test_port_cancel(test_port *p, const char *id, const char *reason)
{
    return port_frame(p->handle, &(frame){.type = FRAME_CANCEL, .u.cancel = {
        {(const uint8_t *)id, strlen(id)}, str_of(reason)}});
}
