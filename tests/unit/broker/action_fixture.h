/* SPDX-License-Identifier: Apache-2.0 */
/* Parties that write down what they are told. */
#ifndef LOOM_TESTS_ACTION_FIXTURE_H
#define LOOM_TESTS_ACTION_FIXTURE_H

#include "broker/actions/actionbroker.h"
#include "tests/support/check.h"

enum { SEEN_MAX = 64, SEEN_TEXT = 80 };

typedef struct seen_request {
    uint64_t ref, deadline_ms;
    char capability[SEEN_TEXT], version[SEEN_TEXT];
    bool streams;
    uint32_t envelope_size;
    char payload[SEEN_TEXT];
    loom_trace_context hop;
    uint8_t ttl;
} seen_request;

typedef struct seen_cancel {
    uint64_t ref;
    char reason[SEEN_TEXT];
} seen_cancel;

typedef struct seen_credit {
    uint64_t ref, chunks, bytes;
} seen_credit;

typedef struct seen_result {
    uint8_t call_id[ACTION_CALL_ID_MAX];
    size_t call_id_len;
    frame_call_outcome outcome;
    char code[SEEN_TEXT], text[SEEN_TEXT], payload[SEEN_TEXT];
    size_t code_len, text_len, payload_len;
} seen_result;

typedef struct seen_progress {
    action_progress_kind kind;
    uint64_t number;
    char payload[SEEN_TEXT];
} seen_progress;

/* Counts are of everything; only the last SEEN_MAX are kept, the n-th at n % SEEN_MAX. */
typedef struct test_party {
    action_party *handle;
    size_t requests, cancels, credits, results, progresses;
    seen_request request[SEEN_MAX];
    seen_cancel cancel[SEEN_MAX];
    seen_credit credit[SEEN_MAX];
    seen_result result[SEEN_MAX];
    seen_progress progress[SEEN_MAX];
} test_party;

loom_status test_party_open(test_party *party, actionbroker *broker, const char *agent);
void test_party_close(test_party *party);

/* The newest of each; fails the test when there is none. */
const seen_request *last_request(const test_party *party);
const seen_result *last_result(const test_party *party);

loom_status test_provide(test_party *party, const char *name, const char *version);
loom_status test_provide_kind(test_party *party, const char *name, const char *kind);

/* What to invoke; id NULL: the broker gives one. */
typedef struct test_call {
    const char *capability, *version, *id;
    uint64_t deadline_ms, idle_ms;
    bool idempotent, streams;
    uint32_t padding; /* bytes more of payload */
    uint8_t ttl;      /* 0: the default */
    bool used_up;     /* ttl 0 on arrival */
    loom_trace_context hop;
    const char *tracestate;
} test_call;

/* The envelope's payload is the capability, and padding. The id used is in id_out (NULL is allowed). */
loom_status test_invoke_id(test_party *caller, const test_call *call, uint8_t id_out[ACTION_CALL_ID_MAX], size_t *id_len);
loom_status test_invoke(test_party *caller, const test_call *call);

/* OK with this payload, to the newest request of the party. */
loom_status test_answer_ok(test_party *provider, const char *payload);
loom_status test_answer(test_party *provider, uint64_t ref, frame_call_outcome outcome, const char *code);
loom_status test_chunk(test_party *provider, uint64_t number, const char *payload);

void check_result(const test_party *caller, size_t count, frame_call_outcome outcome, const char *code, const char *file,
                  int line);
/* The party has had so many results, and the newest one is this; code NULL: any. */
#define assert_result(caller, count, outcome, code) check_result((caller), (count), (outcome), (code), __FILE__, __LINE__)

/* invoked = outcomes + pending. */
void check_calls_conserved(const actionbroker *broker, const char *file, int line);
#define assert_calls_conserved(broker) check_calls_conserved((broker), __FILE__, __LINE__)

#endif
