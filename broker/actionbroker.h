/* SPDX-License-Identifier: Apache-2.0 */
/* The ActionBroker: capabilities, calls and their outcomes in process, without I/O, threads, locks or clocks of its own.
 *
 * A party is one agent's session. It provides capabilities, and it invokes those of others. A call has exactly one outcome,
 * whatever happens to provider, caller, deadline or bytes; the caller's result handler runs once for each invoke that was
 * accepted, unless the caller's party closes first.
 *
 * Threads: one at a time. Handlers run inside calls of this interface, and must not call back. */
#ifndef LOOM_BROKER_ACTIONBROKER_H
#define LOOM_BROKER_ACTIONBROKER_H

#include <loom/trace.h>

#include "envelope/frame.h"
#include "envelope/view.h"

typedef struct actionbroker actionbroker;
typedef struct action_party action_party;

enum {
    ACTION_CALL_ID_MAX = 64,        /* bytes */
    ACTION_CAPABILITY_MAX = 256,    /* bytes of a name: a topic in form, such as "weather.lookup" */
    ACTION_VERSION_MAX = 64,
    ACTION_TEXT_MAX = 1024,         /* of an error's code and message, of a cancel's reason */
    ACTION_SCHEMA_MAX = 16 * 1024
};

typedef struct actionbroker_options {
    loom_tracer *tracer;             /* for action.dispatch; NULL: no spans */
    uint32_t default_deadline_ms;    /* 0: 30000 */
    uint32_t max_deadline_ms;        /* the absolute cap, progress or not; 0: 3600000 */
    uint32_t max_pending;            /* calls of one party at once; 0: 10000. One more is refused: TOO_LARGE is not meant,
                                        the outcome is DENIED with code "too_many_calls" */
    uint32_t max_capabilities;       /* of one party; 0: 1000 */
    uint32_t cache_entries;          /* finished OK results kept for duplicates; 0: 10000 */
    uint64_t cache_bytes;            /* of their payloads; 0: 16 MiB */
    uint32_t cache_ttl_ms;           /* 0: 60000 */
    uint32_t payload_max;            /* of a result; 0: LOOM_PAYLOAD_MAX */
} actionbroker_options;

LOOM_MUST_CHECK loom_status actionbroker_create(actionbroker **out, const actionbroker_options *options);
void actionbroker_destroy(actionbroker *broker); /* parties must be closed */
void actionbroker_set_time(actionbroker *broker, uint64_t now_ms);
uint64_t actionbroker_next_deadline_ms(const actionbroker *broker); /* UINT64_MAX: never */
void actionbroker_expire(actionbroker *broker);                     /* deadlines and cache entries that have passed */

/* ---- parties ---- */

/* A call on its way to a provider. */
typedef struct action_request {
    uint64_t ref;            /* the broker's number of this attempt; the provider answers with it */
    loom_str capability, version;
    uint64_t deadline_ms;    /* what is left */
    bool streams;            /* the caller takes chunks */
    const envelope_view *view; /* borrowed; hop context is that of action.dispatch when it is sampled */
} action_request;

typedef struct action_result {
    frame_call_outcome outcome;
    loom_str code;           /* low-cardinality, such as "not_found"; for ERROR */
    loom_str text;           /* for people */
    loom_bytes payload;
} action_result;

typedef enum action_progress_kind { ACTION_PROGRESS = 0, ACTION_CHUNK = 1 } action_progress_kind;

typedef struct action_handlers {
    /* to a provider */
    void (*request)(void *user, const action_request *request);
    void (*cancel)(void *user, uint64_t ref, loom_str reason);
    void (*stream_credit)(void *user, uint64_t ref, uint64_t chunks, uint64_t bytes); /* totals */
    /* to a caller */
    void (*result)(void *user, loom_bytes call_id, const action_result *result);
    void (*progress)(void *user, loom_bytes call_id, action_progress_kind kind, uint64_t number, loom_bytes payload);
} action_handlers;

LOOM_MUST_CHECK loom_status action_party_open(actionbroker *broker, action_party **out, const action_handlers *handlers,
                                              void *user, loom_str agent);
/* Everything it provided goes. Calls it was working on fail at once (code "provider_gone"), or, when the call says that it
 * is idempotent, go to another provider. Calls it had made are cancelled at their providers. NULL is allowed. */
void action_party_close(action_party *party);

/* ---- providing ---- */

typedef struct action_capability {
    loom_str name, version;      /* version may be empty: "0" */
    loom_str description, kind;  /* kind: "tool", "agent", "plain" (or empty: plain) */
    loom_str input_schema, output_schema; /* JSON text, not looked into */
    const loom_header *metadata;
    size_t metadata_count;
} action_capability;

/* The same name and version again replaces what this party said about it.
 * LOOM_EINVAL (name, kind), LOOM_ETOOBIG, LOOM_EFULL (max_capabilities), LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status action_provide(action_party *party, const action_capability *capability);
/* Calls that run go on. LOOM_ENOTFOUND. */
loom_status action_withdraw(action_party *party, loom_str name, loom_str version);

/* ---- calling ---- */

typedef struct action_call {
    loom_bytes call_id;     /* empty: the broker gives it one (see action_invoke) */
    loom_str capability;
    loom_str version;       /* empty: the highest there is (by dotted numbers, then text); otherwise exactly this one */
    uint64_t deadline_ms;   /* from now; 0: the default */
    uint64_t idle_ms;       /* progress renews it; 0: only the deadline counts */
    bool idempotent;        /* may be tried again on another provider when one dies */
    bool streams;           /* takes chunks */
} action_call;

/* Invokes, on the provider with the fewest calls outstanding (ties: least recently used). Whatever is wrong is an outcome,
 * given through the result handler before this returns or later: NO_RESPONDERS at once, TIMEOUT, DENIED …
 * Idempotency: ids are per agent. A duplicate of a running call joins it (one result each); a duplicate of a call that ended
 * OK is answered from the cache; failures are not replayed. wire is view->data, the caller's, and may be patched.
 * call_id_out (ACTION_CALL_ID_MAX bytes; may be NULL) and *len receive the id used.
 * LOOM_EINVAL: a call id over its limit; LOOM_ENOMEM: both without any result. */
LOOM_MUST_CHECK loom_status action_invoke(action_party *caller, const action_call *call, const envelope_view *view,
                                          uint8_t *wire, uint8_t *call_id_out, size_t *call_id_len);
/* The outcome is CANCELLED, at once; the provider is told, what it still says is dropped and counted. LOOM_ENOTFOUND. */
loom_status action_cancel(action_party *caller, loom_bytes call_id, loom_str reason);
/* How many chunks and bytes the caller takes, as totals since the call began. LOOM_ENOTFOUND. */
loom_status action_grant(action_party *caller, loom_bytes call_id, uint64_t chunks, uint64_t bytes);

/* ---- answering; from the provider the call went to, others are ENOTFOUND ---- */

/* LOOM_ENOTFOUND: no such call (any more): counted. LOOM_ETOOBIG: the caller gets TOO_LARGE. */
loom_status action_answer(action_party *provider, uint64_t ref, const action_result *result);
/* Progress, or a chunk with its number from 0. Renews the idle timer.
 * LOOM_ENOTFOUND; LOOM_EFULL: past the caller's stream credit, the call fails (code "stream_overrun");
 * LOOM_EINVAL: chunks where none are taken. */
loom_status action_report(action_party *provider, uint64_t ref, action_progress_kind kind, uint64_t number, loom_bytes payload);

/* ---- what there is ---- */

typedef struct action_stats {
    uint64_t invoked, attempts, joined, cached;
    uint64_t outcomes[7];       /* by frame_call_outcome */
    uint64_t late;              /* answers and reports of calls that were over */
    uint32_t parties, capabilities, pending, cache_entries;
    uint64_t cache_bytes;
} action_stats;
action_stats actionbroker_get_stats(const actionbroker *broker);

typedef struct action_provider_info {
    loom_str agent;
    const action_capability *capability;
    uint32_t outstanding;
    uint64_t calls, errors;
} action_provider_info;
void actionbroker_visit(const actionbroker *broker, bool (*visit)(void *user, const action_provider_info *info), void *user);

#endif
