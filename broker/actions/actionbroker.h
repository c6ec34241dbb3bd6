/* SPDX-License-Identifier: Apache-2.0 */
/* The ActionBroker: capabilities, calls and their outcomes in process, without I/O, threads, locks or clocks of its own.
 *
 * A party is one agent's session. It provides capabilities, and it invokes those of others, or its own. A call has exactly
 * one outcome, whatever happens to provider, caller, deadline or bytes; the caller's result handler runs once for each
 * invoke that was accepted (LOOM_OK), unless the caller's party closes first.
 * Conservation: invoked = sum of outcomes + pending, where an invoke whose party closed counts as CANCELLED.
 *
 * Threads: one at a time. Handlers run inside calls of this interface, and must not call back. What they are given is
 * borrowed for the call.
 *
 * Codes of outcomes that the broker itself decides:
 *   ERROR          provider_gone, provider_busy (max_provider_bytes), stream_overrun, stream_order (a chunk out of turn),
 *                  bad_result (an outcome there is not)
 *   TIMEOUT        deadline_exceeded, idle
 *   NO_RESPONDERS  no_provider
 *   DENIED         too_many_calls, call_id_reused (the id of a call of another capability or version, or of an idempotent
 *                  call with another payload), ttl_exhausted (it comes of a call that came of a call …, so many times
 *                  that it is a loop)
 *   CANCELLED      cancelled; on spans also caller_gone
 *   TOO_LARGE      result_too_large, report_too_large
 *
 * Spans, of sampled calls only:
 *   action.dispatch  SERVER, child of the envelope's hop context (remote), and the new hop context. From invoke until the
 *                    outcome, over all attempts.
 *                    rpc.system.name=loom and rpc.method (the capability) as in the RPC conventions since 1.38, where the
 *                    method is the fully qualified name and rpc.service is deprecated; rpc.system=loom for backends that
 *                    know the older name only. capability, agent_id (the caller), call_id (hex when it is not printable
 *                    ASCII), event_id, thread_id, correlation_id; loom.call.version (asked for), loom.call.provider (agent
 *                    of the last attempt), loom.call.attempts, loom.call.payload.size (of the envelope, bytes),
 *                    loom.call.outcome (call_outcome_name).
 *                    Every outcome but OK: status ERROR, and error.type: the code, or without one the outcome's name.
 *                    A duplicate has a short one of its own, with a link to that of the call it is a duplicate of: one that
 *                    joined a running call has loom.call.joined=true and no outcome, one answered from the cache
 *                    loom.call.cached=true. */
#ifndef LOOM_BROKER_ACTIONS_ACTIONBROKER_H
#define LOOM_BROKER_ACTIONS_ACTIONBROKER_H

#include <loom/trace.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log_sink.h"
#include "broker/flow/flow.h"
#include "envelope/frame/frame.h"
#include "envelope/view.h"

typedef struct actionbroker actionbroker;
typedef struct action_party action_party;

enum {
    ACTION_CALL_ID_MAX = 64,        /* bytes */
    ACTION_CAPABILITY_MAX = 256,    /* bytes of a name: a topic in form, such as "weather.lookup" */
    ACTION_VERSION_MAX = 64,
    ACTION_TEXT_MAX = 1024,         /* of an error's code and message, of a cancel's reason; longer ones are cut */
    ACTION_DESCRIPTION_MAX = 4096,
    ACTION_SCHEMA_MAX = 16 * 1024,
    ACTION_JOINED_BYTES = 4 * 1024 * 1024, /* of a result, told to all who have joined its call; beyond that they are refused
                                              (too_many_calls), and get it from the cache if they ask again */
    ACTION_WORK_BYTES = 64,         /* actionbroker_work() */
    ACTION_ATTEMPTS_MAX = 3,        /* providers that one call may outlive: it could be what they die of */
    ACTION_OUTCOMES = 7             /* values of frame_call_outcome */
};

typedef struct actionbroker_options {
    loom_tracer *tracer;             /* for action.dispatch; NULL: no spans */
    uint32_t default_deadline_ms;    /* 0: 30000 */
    uint32_t max_deadline_ms;        /* the absolute cap, progress or not; 0: 3600000 */
    uint32_t max_pending;            /* invokes of one party without an outcome yet, joined ones included; 0: 10000. One
                                        more is refused: DENIED, code "too_many_calls" */
    uint32_t max_capabilities;       /* of one party; 0: 1000 */
    uint64_t capability_bytes;       /* what one party may say about them; 0: 16 MiB */
    uint64_t total_capability_bytes; /* what all may; 0: 256 MiB */
    uint32_t cache_entries;          /* finished OK results kept for duplicates; 0: 10000 */
    uint64_t cache_bytes;            /* of their payloads, codes and texts; 0: 16 MiB */
    uint32_t cache_ttl_ms;           /* 0: 60000 */
    uint64_t kept_bytes;             /* of envelopes kept for another attempt, of all parties together; 0: 64 MiB. A call
                                        that does not fit has one attempt, idempotent or not */
    uint64_t max_provider_bytes;     /* of the calls that one party works on; 0: 64 MiB. One more is an ERROR, code
                                        "provider_busy", unless it is the only one */
    uint32_t payload_max;            /* of a result, a progress report or a chunk; 0: LOOM_PAYLOAD_MAX */
    uint32_t flow_edges;             /* of actionbroker_flow(); 0: its default */
    log_sink log;                    /* calls and capabilities refused at a limit; written inside calls of this interface */
    uint64_t first_ref;              /* number of the first attempt; 0: a random one */
} actionbroker_options;

/* clock is borrowed, must outlive the broker, and says when deadlines are. options NULL: the defaults, without spans.
 * LOOM_ENOMEM; LOOM_EIO: the system has no random numbers. */
LOOM_MUST_CHECK loom_status actionbroker_create(actionbroker **out, const loop_clock *clock,
                                                const actionbroker_options *options);
/* The deadline of calls without one, and how many one party may have: from here on. 0: the defaults. */
void actionbroker_set_limits(actionbroker *broker, uint32_t default_deadline_ms, uint32_t max_pending);
void actionbroker_destroy(actionbroker *broker); /* parties must be closed. NULL is allowed */
/* When actionbroker_expire() has something to do; UINT64_MAX: never. 0: at once, in the next round of the loop, since a party
 * has gone that had much under way. */
uint64_t actionbroker_next_deadline_ms(const actionbroker *broker);
/* What calls have been besides what callers and providers have sent: bytes of results that were told to those who joined a
 * call, or came from the cache, by ACTION_WORK_BYTES, which take as long as a message to one subscription. */
uint64_t actionbroker_work(const actionbroker *broker);
/* Ends calls whose deadline or idle time has passed (TIMEOUT; the provider is told), and forgets old cache entries: some of
 * them. What is left stays due; whoever says something about such a call finds it ended. Ends a slice of what parties that have
 * gone had under way. */
void actionbroker_expire(actionbroker *broker);

/* ---- parties ---- */

/* A call on its way to a provider. */
typedef struct action_request {
    uint64_t ref;            /* the broker's number of this attempt; the provider answers with it */
    loom_str capability, version; /* the provider's own */
    uint64_t deadline_ms;    /* what is left */
    bool streams;            /* the caller takes chunks */
    const envelope_view *view; /* borrowed; hop context is that of action.dispatch when it is sampled */
} action_request;

typedef struct action_result {
    frame_call_outcome outcome;
    loom_str code;           /* low-cardinality, such as "not_found"; empty for OK */
    loom_str text;           /* for people */
    loom_bytes payload;
} action_result;

typedef enum action_progress_kind { ACTION_PROGRESS = 0, ACTION_CHUNK = 1 } action_progress_kind;

/* request and result must be there, the others may be NULL. */
typedef struct action_handlers {
    /* to a provider */
    void (*request)(void *user, const action_request *request);
    /* The call is over for its caller, without an answer of this provider; what it still says is dropped and counted. */
    void (*cancel)(void *user, uint64_t ref, loom_str reason);
    void (*stream_credit)(void *user, uint64_t ref, uint64_t chunks, uint64_t bytes); /* totals */
    /* to a caller */
    void (*result)(void *user, loom_bytes call_id, const action_result *result);
    void (*progress)(void *user, loom_bytes call_id, action_progress_kind kind, uint64_t number, loom_bytes payload);
} action_handlers;

/* agent: 1 to LOOM_AGENT_ID_MAX bytes, copied; several parties may be of the same agent. LOOM_EINVAL, LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status action_party_open(actionbroker *broker, action_party **out, const action_handlers *handlers,
                                              void *user, loom_str agent);
/* Without a last word to its own handlers. Everything it provided goes. Calls it was working on fail (code "provider_gone"),
 * or, when the call says that it is idempotent, go to another provider; not when chunks of it have passed already, nor after
 * ACTION_ATTEMPTS_MAX attempts. Calls it had made are cancelled at their providers, unless another party of its agent has
 * joined them. Of many calls a few do so at once, in the order in which they were handed on, and the rest in the turns of
 * actionbroker_expire(); but its own invokes have their outcome now, and no party of its agent can join them any more. NULL is
 * allowed. */
void action_party_close(action_party *party);

/* ---- providing ---- */

typedef struct action_capability {
    loom_str name, version;      /* version may be empty: "0" */
    loom_str description, kind;  /* kind: "tool", "agent", "plain" (or empty: plain) */
    loom_str input_schema, output_schema; /* JSON text, not looked into */
    const loom_header *metadata;
    size_t metadata_count;
} action_capability;

/* Copies everything. The same name and version again replaces what this party said about it. Versions are the same when
 * their bytes are. LOOM_EINVAL (name, kind), LOOM_ETOOBIG (a field over its limit above; metadata over LOOM_HEADERS_MAX in
 * all), LOOM_EFULL (action_provide_limit() says which limit), LOOM_ENOMEM: nothing has changed. */
LOOM_MUST_CHECK loom_status action_provide(action_party *party, const action_capability *capability);
/* After LOOM_EFULL: the limit that was reached, as a sentence. Static storage. */
const char *action_provide_limit(const action_party *party, const action_capability *capability);
/* Calls that run go on. version may be empty: "0". LOOM_ENOTFOUND. */
loom_status action_withdraw(action_party *party, loom_str name, loom_str version);
/* What the party provides, the newest first. visit must not change anything. */
void action_party_visit(const action_party *party, void (*visit)(void *user, const action_capability *capability), void *user);

/* ---- calling ---- */

typedef struct action_call {
    loom_bytes call_id;     /* empty: the broker gives it one (see action_invoke) */
    loom_str capability;
    loom_str version;       /* empty: the highest there is (version.h); otherwise exactly this one */
    uint64_t deadline_ms;   /* from now; 0: the default; cut to max_deadline_ms. Nothing extends it */
    uint64_t idle_ms;       /* the longest silence of the provider, under the deadline; 0: only the deadline counts */
    bool idempotent;        /* may be tried again on another provider when one dies; costs a copy of the envelope */
    bool streams;           /* takes chunks, as far as action_grant() says: none at first */
} action_call;

/* Invokes, on the provider with the fewest calls outstanding, those of all its capabilities together (ties: least recently
 * used for this capability). Whatever is wrong is an outcome, given through the result handler before this returns or
 * later: NO_RESPONDERS at once, TIMEOUT, DENIED …
 * wire is view->data, with the hop in place; it is the caller's, and is patched when the call is sampled. The ttl is counted
 * down in it, once however many attempts there are; a provider's handler hands on what is left to the calls it makes.
 * call_id_out (ACTION_CALL_ID_MAX bytes) and call_id_len receive the id used, before any handler runs; both may be NULL. An
 * id the broker gives is 16 bytes, a UUIDv7.
 *
 * Duplicates: ids are per agent. A duplicate of a running call joins it: one result each, under the deadline of the running
 * call; progress and chunks go to the first that waits, and to the next one when that goes away. A duplicate of a call that
 * ended OK is answered from the cache; a call of which chunks have passed is not cached, since they could not be replayed;
 * failures are not replayed. The id with another capability or version, or with another payload where a call says that it is
 * idempotent, is no duplicate but a mistake: DENIED.
 * LOOM_EINVAL: a call id over its limit; LOOM_ENOMEM: both without any result. */
LOOM_MUST_CHECK loom_status action_invoke(action_party *caller, const action_call *call, const envelope_view *view,
                                          uint8_t *wire, uint8_t *call_id_out, size_t *call_id_len);
/* The outcome is CANCELLED, at once, once for each invoke of this party that waits under the id; the provider is told, unless
 * another party of the agent waits for it, too. LOOM_ENOTFOUND. */
loom_status action_cancel(action_party *caller, loom_bytes call_id, loom_str reason);
/* How many chunks and bytes the caller takes, as totals since the call began: a lower total than before is ignored. A chunk
 * may overdraw the bytes by its own length. LOOM_ENOTFOUND. */
loom_status action_grant(action_party *caller, loom_bytes call_id, uint64_t chunks, uint64_t bytes);

/* ---- answering; from the provider the call went to, others are ENOTFOUND ---- */

/* LOOM_ENOTFOUND: no such call (any more): counted. LOOM_ETOOBIG: payload_max; the caller gets TOO_LARGE. LOOM_EINVAL: not an
 * outcome; the caller gets ERROR, code "bad_result". */
loom_status action_answer(action_party *provider, uint64_t ref, const action_result *result);
/* Progress, or a chunk with its number from 0. Renews the idle timer.
 * LOOM_ENOTFOUND, as above. LOOM_EFULL: past the caller's stream credit; the call fails (code "stream_overrun", or
 * "stream_moved" when a caller that has gone had granted it, and the one that the stream belongs to now has not).
 * LOOM_EINVAL: a chunk where none are taken, or an unknown kind: dropped and counted, the call goes on; a chunk that is not
 * the next one: the call fails (code "stream_order"). LOOM_ETOOBIG: payload_max; the caller gets TOO_LARGE. */
loom_status action_report(action_party *provider, uint64_t ref, action_progress_kind kind, uint64_t number, loom_bytes payload);

/* ---- what there is ---- */

typedef struct action_stats {
    uint64_t invoked;           /* accepted invokes, joined and cached ones included */
    uint64_t attempts;          /* requests handed to providers */
    uint64_t joined, cached;
    uint64_t outcomes[ACTION_OUTCOMES]; /* of invokes, by frame_call_outcome */
    uint64_t late;              /* answers and reports of calls that were over, or that were not the provider's */
    uint64_t invalid;           /* answers and reports that made no sense, or broke a limit */
    uint32_t parties, capabilities; /* these are what there is now */
    uint32_t pending;           /* invokes without an outcome yet */
    uint32_t running;           /* calls: those that joined one are one with it */
    uint32_t cache_entries;
    uint64_t cache_bytes;
    uint64_t kept_bytes;        /* of envelopes kept for another attempt */
    uint64_t capability_bytes;  /* of what is said about capabilities */
} action_stats;
action_stats actionbroker_get_stats(const actionbroker *broker);
counter_source actionbroker_counter_source(const actionbroker *broker);

typedef struct action_provider_info {
    loom_str agent;
    const action_capability *capability; /* version and kind as they apply, never empty */
    uint32_t outstanding;                /* of this capability */
    uint64_t calls;                      /* attempts since it was provided */
    uint64_t errors;                     /* of these, what ended neither OK nor CANCELLED */
} action_provider_info;
/* Who called which capability (FLOW_OUT: accepted invokes) and who was called (FLOW_IN: attempts). Lost are those that did not
 * end OK, by frame_call_outcome; an attempt whose provider went away is an ERROR. */
const flow_table *actionbroker_flow(const actionbroker *broker);

/* A call without an outcome yet. */
typedef struct action_call_info {
    loom_str caller, capability, provider; /* provider: of the attempt under way; empty: has gone */
    uint64_t left_ms;                      /* until it is over at the latest */
    uint32_t attempts, size;               /* size: of the envelope, bytes */
} action_call_info;
/* Both until visit returns false; visit must not change anything. */
void actionbroker_visit_calls(const actionbroker *broker, bool (*visit)(void *user, const action_call_info *info), void *user);
void actionbroker_visit(const actionbroker *broker, bool (*visit)(void *user, const action_provider_info *info), void *user);

#endif
