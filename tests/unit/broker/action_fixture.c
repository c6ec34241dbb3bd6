/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/action_fixture.h"
#include "trace/messaging/call_span.h"

#include <stdlib.h>

static size_t note(char out[SEEN_TEXT], const void *data, size_t len)
{
    const size_t kept = len < SEEN_TEXT - 1 ? len : SEEN_TEXT - 1;
    if (kept > 0) {
        memcpy(out, data, kept);
    }
    out[kept] = '\0';
    return len;
}

static void on_request(void *user, const action_request *request)
{
    test_party *party = user;
    seen_request *seen = &party->request[party->requests++ % SEEN_MAX];
    *seen = (seen_request){.ref = request->ref, .deadline_ms = request->deadline_ms, .streams = request->streams,
                           .envelope_size = request->view->len, .ttl = hop_ttl(request->view->data)};
    const loom_bytes payload = envelope_view_bytes(request->view, ENV_PAYLOAD);
    note(seen->capability, request->capability.data, request->capability.len);
    note(seen->version, request->version.data, request->version.len);
    note(seen->payload, payload.data, payload.len);
    hop_read(request->view->data, &seen->hop);
}

static void on_cancel(void *user, uint64_t ref, loom_str reason)
{
    test_party *party = user;
    seen_cancel *seen = &party->cancel[party->cancels++ % SEEN_MAX];
    seen->ref = ref;
    note(seen->reason, reason.data, reason.len);
}

static void on_credit(void *user, uint64_t ref, uint64_t chunks, uint64_t bytes)
{
    test_party *party = user;
    party->credit[party->credits++ % SEEN_MAX] = (seen_credit){ref, chunks, bytes};
}

static void on_result(void *user, loom_bytes call_id, const action_result *result)
{
    test_party *party = user;
    seen_result *seen = &party->result[party->results++ % SEEN_MAX];
    assert_in_range(call_id.len, 1, ACTION_CALL_ID_MAX);
    memcpy(seen->call_id, call_id.data, call_id.len);
    seen->call_id_len = call_id.len;
    seen->outcome = result->outcome;
    seen->code_len = note(seen->code, result->code.data, result->code.len);
    seen->text_len = note(seen->text, result->text.data, result->text.len);
    seen->payload_len = note(seen->payload, result->payload.data, result->payload.len);
}

static void on_progress(void *user, loom_bytes call_id, action_progress_kind kind, uint64_t number, loom_bytes payload)
{
    test_party *party = user;
    seen_progress *seen = &party->progress[party->progresses++ % SEEN_MAX];
    assert_in_range(call_id.len, 1, ACTION_CALL_ID_MAX);
    seen->kind = kind;
    seen->number = number;
    note(seen->payload, payload.data, payload.len);
}

loom_status test_party_open(test_party *party, actionbroker *broker, const char *agent)
{
    static const action_handlers handlers = {.request = on_request, .cancel = on_cancel, .stream_credit = on_credit,
                                             .result = on_result, .progress = on_progress};
    memset(party, 0, sizeof *party);
    return action_party_open(broker, &party->handle, &handlers, party, str_of(agent));
}

void test_party_close(test_party *party)
{
    action_party_close(party->handle);
    party->handle = NULL;
}

const seen_request *last_request(const test_party *party)
{
    assert_true(party->requests > 0);
    return &party->request[(party->requests - 1) % SEEN_MAX];
}

const seen_result *last_result(const test_party *party)
{
    assert_true(party->results > 0);
    return &party->result[(party->results - 1) % SEEN_MAX];
}

loom_status test_provide(test_party *party, const char *name, const char *version)
{
    return action_provide(party->handle, &(action_capability){.name = str_of(name), .version = str_of(version)});
}

loom_status test_provide_kind(test_party *party, const char *name, const char *kind)
{
    return action_provide(party->handle, &(action_capability){.name = str_of(name), .kind = str_of(kind)});
}

/* The bytes of the envelope, on the heap, of exactly their own size, so that a read past them is seen. */
static uint8_t *encode(const test_call *call, size_t *len)
{
    const size_t name_len = strlen(call->capability);
    uint8_t *payload = calloc(1, name_len + call->padding + 1);
    if (payload == NULL) {
        return NULL;
    }
    memcpy(payload, call->capability, name_len);
    loom_envelope *env = NULL;
    const loom_status st = loom_envelope_create(&env, &(loom_envelope_fields){
        .topic = STR("call"),
        .sender = STR("someone"),
        .payload = {payload, name_len + call->padding},
        .tracestate = str_of(call->tracestate),
        .ttl = call->ttl,
        .context = call->hop});
    free(payload);
    assert_true(st == LOOM_OK || st == LOOM_ENOMEM);
    uint8_t *wire = NULL;
    if (st == LOOM_OK) {
        *len = loom_envelope_wire(env).len;
        wire = malloc(*len);
    }
    if (wire != NULL) {
        memcpy(wire, loom_envelope_wire(env).data, *len);
        if (call->used_up) {
            hop_set_ttl(wire, 0);
        }
    }
    loom_envelope_unref(env);
    return wire;
}

loom_status test_invoke_id(test_party *caller, const test_call *call, uint8_t id_out[ACTION_CALL_ID_MAX], size_t *id_len)
{
    size_t len;
    uint8_t *wire = encode(call, &len);
    if (wire == NULL) {
        return LOOM_ENOMEM;
    }
    envelope_view view;
    const char *reason;
    assert_status(LOOM_OK, envelope_scan(&view, (loom_bytes){wire, len}, NULL, &reason));
    const loom_str id = str_of(call->id);
    const loom_status st = action_invoke(caller->handle, &(action_call){
        .call_id = {(const uint8_t *)id.data, id.len},
        .capability = str_of(call->capability),
        .version = str_of(call->version),
        .deadline_ms = call->deadline_ms,
        .idle_ms = call->idle_ms,
        .idempotent = call->idempotent,
        .streams = call->streams}, &view, wire, id_out, id_len);
    memset(wire, 0xee, len); /* nobody may hold on to it */
    free(wire);
    return st;
}

loom_status test_invoke(test_party *caller, const test_call *call)
{
    return test_invoke_id(caller, call, NULL, NULL);
}

loom_status test_answer_ok(test_party *provider, const char *payload)
{
    const loom_str bytes = str_of(payload);
    return action_answer(provider->handle, last_request(provider)->ref, &(action_result){
        .outcome = FRAME_CALL_OK, .payload = {(const uint8_t *)bytes.data, bytes.len}});
}

loom_status test_answer(test_party *provider, uint64_t ref, frame_call_outcome outcome, const char *code)
{
    return action_answer(provider->handle, ref, &(action_result){.outcome = outcome, .code = str_of(code)});
}

loom_status test_chunk(test_party *provider, uint64_t number, const char *payload)
{
    const loom_str bytes = str_of(payload);
    return action_report(provider->handle, last_request(provider)->ref, ACTION_CHUNK, number,
                         (loom_bytes){(const uint8_t *)bytes.data, bytes.len});
}

void check_result(const test_party *caller, size_t count, frame_call_outcome outcome, const char *code, const char *file,
                  int line)
{
    const seen_result *last = caller->results > 0 ? &caller->result[(caller->results - 1) % SEEN_MAX] : NULL;
    if (caller->results != count || last == NULL || last->outcome != outcome ||
        (code != NULL && strcmp(last->code, code) != 0)) {
        print_error("%zu results, the last one %s (code \"%s\"); expected %zu and %s (\"%s\")\n", caller->results,
                    last != NULL ? call_outcome_name(last->outcome) : "none", last != NULL ? last->code : "", count,
                    call_outcome_name(outcome), code != NULL ? code : "any");
        _fail(file, line);
    }
}

void check_calls_conserved(const actionbroker *broker, const char *file, int line)
{
    const action_stats stats = actionbroker_get_stats(broker);
    uint64_t ended = 0;
    for (int i = 0; i < ACTION_OUTCOMES; i++) {
        ended += stats.outcomes[i];
    }
    if (stats.invoked != ended + stats.pending) {
        print_error("invoked %llu, ended %llu, pending %u\n", (unsigned long long)stats.invoked, (unsigned long long)ended,
                    stats.pending);
        _fail(file, line);
    }
}
