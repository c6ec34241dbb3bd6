/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of a port, both ways. A provider knows an attempt under a call id of eight bytes, the broker's number of it. */
#include "broker/port/internal.h"

#include "envelope/id.h"
#include "envelope/reserved.h"

enum { REF_SIZE = 8 };

static void ref_write(uint8_t out[REF_SIZE], uint64_t ref)
{
    for (int i = REF_SIZE - 1; i >= 0; i--, ref >>= 8) {
        out[i] = (uint8_t)ref;
    }
}

/* 0: no attempt ever has it. What is said under it counts as late. */
static uint64_t ref_read(loom_bytes id)
{
    uint64_t ref = 0;
    for (size_t i = 0; i < id.len && id.len == REF_SIZE; i++) {
        ref = ref << 8 | id.data[i];
    }
    return ref;
}

/* ---- to a provider ---- */

static void on_request(void *user, const action_request *request)
{
    const port *p = user;
    uint8_t id[REF_SIZE];
    ref_write(id, request->ref);
    p->handlers->call(p->user, &(frame_call){
        .call_id = {id, sizeof id},
        .capability = request->capability,
        .version = request->version,
        .deadline_ms = request->deadline_ms,
        .flags = request->streams ? FRAME_CALL_STREAMS : 0,
    }, request->view);
}

static void on_cancel(void *user, uint64_t ref, loom_str reason)
{
    uint8_t id[REF_SIZE];
    ref_write(id, ref);
    port_say(user, &(frame){.type = FRAME_CANCEL, .u.cancel = {.call_id = {id, sizeof id}, .reason = reason}});
}

static void on_stream_credit(void *user, uint64_t ref, uint64_t chunks, uint64_t bytes)
{
    uint8_t id[REF_SIZE];
    ref_write(id, ref);
    port_say(user, &(frame){.type = FRAME_CALL_CREDIT, .u.call_credit = {{id, sizeof id}, chunks, bytes}});
}

/* ---- to a caller ---- */

static void on_result(void *user, loom_bytes call_id, const action_result *result)
{
    port_say(user, &(frame){.type = FRAME_RESULT, .u.result = {
        .call_id = call_id,
        .outcome = (uint64_t)result->outcome,
        .code = result->code,
        .text = result->text,
        .payload = result->payload,
    }});
}

static void on_progress(void *user, loom_bytes call_id, action_progress_kind kind, uint64_t number, loom_bytes payload)
{
    port_say(user, &(frame){.type = FRAME_REPORT, .u.report = {call_id, (uint64_t)kind, number, payload}});
}

const action_handlers port_action_handlers = {
    .request = on_request,
    .cancel = on_cancel,
    .stream_credit = on_stream_credit,
    .result = on_result,
    .progress = on_progress,
};

/* ---- from a caller ---- */

static void fail(port *p, loom_bytes call_id, frame_call_outcome outcome, const char *code, const char *text)
{
    on_result(p, call_id, &(action_result){.outcome = outcome, .code = {code, strlen(code)}, .text = {text, strlen(text)}});
}

/* ---- the broker's own capabilities ---- */

typedef struct system_call {
    port *p;
    loom_bytes call_id;
} system_call;

static void take_answer(void *to, loom_bytes answer)
{
    const system_call *call = to;
    on_result(call->p, call->call_id, &(action_result){.outcome = FRAME_CALL_OK, .payload = answer});
}

/* Answered at once: no provider, no attempts, nothing to cancel. */
static void call_system(port *p, const frame_call *f, const envelope_view *view)
{
    const broker_system *system = p->cores.system;
    const loom_str name = str_tail(f->capability, sizeof "system." - 1);
    uint8_t given[LOOM_UUID_SIZE];
    system_call call = {p, f->call_id};
    if (call.call_id.len == 0) {
        loom_uuid7_generate(given);
        call.call_id = (loom_bytes){given, sizeof given};
    }
    switch (system->answer(system->user, name, envelope_view_bytes(view, ENV_PAYLOAD), take_answer, &call)) {
    case LOOM_OK: break;
    case LOOM_EBUSY: fail(p, call.call_id, FRAME_CALL_ERROR, "system_busy", "the broker was asked too much lately; try again"); break;
    case LOOM_ENOMEM: fail(p, call.call_id, FRAME_CALL_ERROR, "out_of_memory", "the broker has no memory for the answer"); break;
    default: fail(p, call.call_id, FRAME_CALL_NO_RESPONDERS, "no_provider", "the broker has no such capability"); break;
    }
}

void port_call(port *p, const frame_call *f, const envelope_view *view, uint8_t *wire)
{
    uint8_t id[ACTION_CALL_ID_MAX];
    size_t id_len = 0;
    directory_heard(p->entry, 0);
    if (broker_name_reserved(f->capability) && p->cores.system != NULL && p->cores.system->answer != NULL) {
        call_system(p, f, view);
        return;
    }
    const loom_status st = action_invoke(p->party, &(action_call){
        .call_id = f->call_id,
        .capability = f->capability,
        .version = f->version,
        .deadline_ms = f->deadline_ms,
        .idle_ms = f->idle_ms,
        .idempotent = (f->flags & FRAME_CALL_IDEMPOTENT) != 0,
        .streams = (f->flags & FRAME_CALL_STREAMS) != 0,
    }, view, wire, id, &id_len);
    if (st == LOOM_ENOMEM) {
        fail(p, (loom_bytes){id, id_len}, FRAME_CALL_ERROR, "out_of_memory", "the broker has no memory for the call");
    } else if (st != LOOM_OK) {
        fail(p, (loom_bytes){f->call_id.data, ACTION_CALL_ID_MAX}, FRAME_CALL_DENIED, "invalid_call",
             "the call id is over its limit");
    }
}

/* ---- from a provider ---- */

void port_result(port *p, const frame_result *f)
{
    const uint64_t outcome = f->outcome < ACTION_OUTCOMES ? f->outcome : ACTION_OUTCOMES; /* not cut to something known */
    (void)action_answer(p->party, ref_read(f->call_id), &(action_result){
        .outcome = (frame_call_outcome)outcome,
        .code = f->code,
        .text = f->text,
        .payload = f->payload,
    });
}

void port_report(port *p, const frame_report *f)
{
    const uint64_t kind = f->kind <= FRAME_CHUNK ? f->kind : FRAME_CHUNK + 1;
    (void)action_report(p->party, ref_read(f->call_id), (action_progress_kind)kind, f->number, f->payload);
}
