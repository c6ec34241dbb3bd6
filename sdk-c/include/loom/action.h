/* SPDX-License-Identifier: Apache-2.0 */
/* Actions: an agent announces its capabilities; any other agent can call them. Each call has exactly one outcome.
 *
 * Threads: invoke, provide, withdraw, cancel and all functions on a loom_action may be called from any thread and from
 * handlers. While a handler waits for an outcome its agent keeps working: it receives answers and handles calls of its own
 * capabilities, nested up to 16 deep (4 deep for calls whose thread_id is not that of a waiting handler; further calls
 * wait). Events wait until the handler returns.
 * Spans: invoke starts action.invoke (CLIENT) and puts its context into the call; agent.on_action (SERVER) is the current
 * span inside the provider's handler. */
#ifndef LOOM_ACTION_H
#define LOOM_ACTION_H

#include <loom/agent.h>

LOOM_BEGIN_DECLS

/* ---- providing ---- */

typedef struct loom_action loom_action; /* one call, at its provider; reference counted */

/* Handles one call. Answer with loom_action_reply() or loom_action_fail(), here or, with a reference, later from any thread.
 * A handler that returns without having answered answers by its status: LOOM_OK, unless a reference was kept, is an empty
 * reply; any other status is loom_action_fail() with its name and text. */
typedef loom_status (*loom_on_action)(loom_agent *agent, loom_action *action, void *user);

/* NULL means empty. Everything is copied. */
typedef struct loom_capability {
    const char *name;          /* required; has the form of a topic, such as "weather.lookup" */
    const char *version;       /* such as "1.2.0"; empty: "0". Compared number by number; callers get the highest */
    const char *description;
    const char *kind;          /* "tool", "agent" or "plain"; empty: plain */
    const char *input_schema;  /* JSON Schema, as text; of any draft */
    const char *output_schema;
    const loom_header *metadata;
    size_t metadata_count;
    loom_on_action on_action;  /* required */
    /* The caller has given up or the deadline has passed: no answer will be received. Runs on the agent's thread. May be
     * NULL: loom_action_cancelled() reports the same. */
    void (*on_cancel)(loom_agent *agent, loom_action *action, void *user);
    void *user;
    /* Holds payloads against the schemas, which have to be of draft 7 or older, at this agent's side: a call whose payload
     * input_schema does not allow fails with code "invalid_input" before on_action; a reply that output_schema does not allow
     * is LOOM_EINVAL, unless it ends a stream of chunks. A string that is matched against a pattern or format has at most
     * 4096 bytes, an array whose items are to be unique 2000 of them, and nothing is nested over 64 levels deep. */
    bool validate;
} loom_capability;

/* Announces a capability, now and after every reconnect; one of the same name and version is replaced. If the broker
 * refuses, on_error and loom_agent_wait_connected() say so; the latter waits for these answers, too.
 * LOOM_EINVAL: name, kind or handler, or a schema that is not JSON Schema; loom_last_error() says which.  LOOM_ETOOBIG.  LOOM_ECLOSED.  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_provide(loom_agent *agent, const loom_capability *capability);
/* Calls in progress are not affected. LOOM_ENOTFOUND. */
LOOM_API loom_status loom_agent_withdraw(loom_agent *agent, const char *name, const char *version);

LOOM_API const char *loom_action_capability(const loom_action *action);
LOOM_API const char *loom_action_version(const loom_action *action);
LOOM_API loom_bytes loom_action_payload(const loom_action *action);
/* Headers, content type, sender (the caller), thread and correlation ids. Borrowed; valid as long as the action. */
LOOM_API loom_envelope *loom_action_envelope(const loom_action *action);
LOOM_API uint32_t loom_action_deadline_left_ms(const loom_action *action); /* 0: it has passed */
LOOM_API bool loom_action_cancelled(const loom_action *action);
LOOM_API bool loom_action_streams(const loom_action *action); /* the caller accepts chunks */
/* The context of agent.on_action, as the parent of spans for work outside the handler. */
LOOM_API const loom_trace_context *loom_action_context(const loom_action *action);

/* Answers the call, once. LOOM_EEXIST: it has been answered.  LOOM_ETOOBIG: payload, or LOOM_EINVAL: the capability validates,
 * and output_schema does not allow it; nothing was sent, and another answer can be given.  LOOM_ENOTCONN: the session that the call came by has ended; nobody waits for the answer.  LOOM_ENOMEM. */
LOOM_API loom_status loom_action_reply(loom_action *action, loom_bytes payload);
/* code: for programs, from a small set, such as "not_found". text: for people; may be NULL. */
LOOM_API loom_status loom_action_fail(loom_action *action, const char *code, const char *text);
/* Reports progress to the caller, and restarts its idle timer. Errors as above. */
LOOM_API loom_status loom_action_progress(loom_action *action, loom_bytes payload);
/* Sends the next part of the result; loom_action_reply() ends the stream. Waits up to timeout_ms for the caller's credit; in
 * a handler the agent keeps working meanwhile. LOOM_EFULL: no credit in time.  LOOM_EINVAL: the caller accepts no chunks.
 * LOOM_ECANCELED: the call has ended. Others as above. */
LOOM_API loom_status loom_action_chunk(loom_action *action, loom_bytes payload, uint32_t timeout_ms);

LOOM_API loom_action *loom_action_ref(loom_action *action); /* returns action */
/* Dropping the last reference without having answered fails the call, code "no_answer". NULL is allowed. */
LOOM_API void loom_action_unref(loom_action *action);

/* ---- invoking ---- */

/* Values as on the wire (WIRE.md 4.7). */
typedef enum loom_outcome {
    LOOM_OUTCOME_OK = 0,
    LOOM_OUTCOME_ERROR = 1,         /* the provider's; code and text are its own */
    LOOM_OUTCOME_TIMEOUT = 2,       /* deadline or idle time */
    LOOM_OUTCOME_NO_RESPONDERS = 3, /* nobody provides it; known at once */
    LOOM_OUTCOME_DENIED = 4,
    LOOM_OUTCOME_CANCELLED = 5,
    LOOM_OUTCOME_TOO_LARGE = 6
} loom_outcome;
LOOM_API const char *loom_outcome_name(loom_outcome outcome); /* "ok", "no_responders" …; "?" */

/* How a call ended. Owned by whoever receives it: free it. */
typedef struct loom_result loom_result;
LOOM_API loom_outcome loom_result_outcome(const loom_result *result);
LOOM_API const char *loom_result_code(const loom_result *result); /* never NULL, as text */
LOOM_API const char *loom_result_text(const loom_result *result);
LOOM_API loom_bytes loom_result_payload(const loom_result *result);
LOOM_API void loom_result_free(loom_result *result); /* NULL is allowed */

/* Progress and chunks; on the agent's thread, before the outcome. payload is borrowed. */
typedef void (*loom_on_part)(loom_agent *agent, uint64_t number, loom_bytes payload, void *user);

/* Zero and NULL mean the default. Inside a handler, thread_id, correlation_id and baggage are inherited as by emit. */
typedef struct loom_invoke_options {
    const char *version;         /* NULL: the highest */
    uint32_t deadline_ms;        /* at most an hour; 0: 30000; inside a provider's handler at most what is left of its own call's */
    uint32_t idle_ms;            /* how long the provider may be silent; 0: only the deadline applies */
    bool idempotent;             /* may be retried on another provider if one dies */
    loom_bytes call_id;          /* up to 64 bytes: a second call with this id joins the first, or gets its result;
                                    empty: a new id */
    const char *type, *thread_id, *correlation_id, *content_type, *baggage;
    const loom_header *headers;
    size_t header_count;
    loom_on_part on_progress;    /* may be NULL */
    loom_on_part on_chunk;       /* NULL: no streaming */
    uint32_t chunk_window;       /* chunks in flight; 0: 64 */
    void *user;                  /* for on_progress and on_chunk */
} loom_invoke_options;

/* Invokes a capability and waits for the outcome. If there is an outcome, any outcome, *out is set; out may be NULL.
 * LOOM_OK.  By outcome: LOOM_EREMOTE (ERROR), LOOM_ETIMEDOUT, LOOM_ENORESPONDERS, LOOM_EDENIED, LOOM_ECANCELED,
 * LOOM_ETOOBIG.  Without an outcome: LOOM_EINVAL (capability, options), LOOM_ENOMEM, LOOM_ECLOSED, LOOM_EFULL,
 * LOOM_ENOTCONN (not connected by the deadline), LOOM_EBUSY (handlers wait inside each other too deep, or in poll mode
 * another thread is polling). If the session breaks, the call ends with ERROR, code "disconnected"; an idempotent call is
 * sent again instead, under its id, if the next session is up before the deadline. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_invoke(loom_agent *agent, const char *capability, loom_bytes payload,
                                                       const loom_invoke_options *options, loom_result **out);

/* The outcome; on the agent's thread, inside the span that is the parent of action.invoke. The callee owns result. */
typedef void (*loom_on_result)(loom_agent *agent, loom_result *result, void *user);
/* The same without waiting. If LOOM_OK is returned, on_result runs exactly once, no later than the agent closes. *call is
 * set to a number for loom_agent_cancel(); call may be NULL. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_invoke_async(loom_agent *agent, const char *capability, loom_bytes payload,
                                                             const loom_invoke_options *options, loom_on_result on_result,
                                                             void *user, uint64_t *call);
/* Asks the broker to end the call: its outcome is CANCELLED unless another one was on its way. LOOM_ENOTFOUND: it has
 * ended. */
LOOM_API loom_status loom_agent_cancel(loom_agent *agent, uint64_t call, const char *reason);

LOOM_END_DECLS
#endif
