/* SPDX-License-Identifier: Apache-2.0 */
/* Actions: capabilities that agents provide, and invoke of each other, with one outcome each.
 *
 * Threads: invoke, provide, withdraw, cancel and everything about a loom_action may be called from any thread and from
 * handlers. While a handler waits for an outcome, its agent goes on: answers are taken, calls of this agent's own
 * capabilities are handled (one inside the other, 16 deep; such with another thread_id than the waiting handlers have, 4
 * deep; the rest waits), events wait until the handler returns.
 * Spans: invoke makes action.invoke (CLIENT) and puts its context into the call; agent.on_action (SERVER) is the current
 * span inside a provider's handler. */
#ifndef LOOM_ACTION_H
#define LOOM_ACTION_H

#include <loom/agent.h>

LOOM_BEGIN_DECLS

/* ---- providing ---- */

typedef struct loom_action loom_action; /* one call, at its provider; reference counted */

/* Handles one call. It is answered by loom_action_reply() or loom_action_fail(), here or later from any thread by whoever
 * holds a reference. Returning LOOM_OK without an answer and without a reference kept is an empty reply; any other status
 * without an answer is loom_action_fail() with that status's name and text. */
typedef loom_status (*loom_on_action)(loom_agent *agent, loom_action *action, void *user);

/* NULL means empty. Everything is copied. */
typedef struct loom_capability {
    const char *name;          /* required: a topic in form, such as "weather.lookup" */
    const char *version;       /* such as "1.2.0"; empty: "0". Compared number by number; the highest is the default */
    const char *description;
    const char *kind;          /* "tool", "agent" or "plain"; empty: plain */
    const char *input_schema;  /* JSON Schema, as text */
    const char *output_schema;
    const loom_header *metadata;
    size_t metadata_count;
    loom_on_action on_action;  /* required */
    /* The caller has given up, or the deadline has passed: an answer is not heard any more. From the agent's thread; may
     * be NULL, loom_action_cancelled() tells as well. */
    void (*on_cancel)(loom_agent *agent, loom_action *action, void *user);
    void *user;
} loom_capability;

/* Provides, now and after every reconnect; the same name and version again replaces it. A refusal by the broker comes
 * through on_error, and through loom_agent_wait_connected(), which waits for the answers to these, too.
 * LOOM_EINVAL: name, kind or handler.  LOOM_ETOOBIG.  LOOM_ECLOSED.  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_provide(loom_agent *agent, const loom_capability *capability);
/* Calls under way go on. LOOM_ENOTFOUND. */
LOOM_API loom_status loom_agent_withdraw(loom_agent *agent, const char *name, const char *version);

LOOM_API const char *loom_action_capability(const loom_action *action);
LOOM_API const char *loom_action_version(const loom_action *action);
LOOM_API loom_bytes loom_action_payload(const loom_action *action);
/* Headers, content type, sender (the caller), thread and correlation ids. Borrowed, valid as long as the action. */
LOOM_API loom_envelope *loom_action_envelope(const loom_action *action);
LOOM_API uint32_t loom_action_deadline_left_ms(const loom_action *action); /* 0: it has passed */
LOOM_API bool loom_action_cancelled(const loom_action *action);
LOOM_API bool loom_action_streams(const loom_action *action); /* the caller takes chunks */
/* For spans of its own work outside the handler: the context of agent.on_action. */
LOOM_API const loom_trace_context *loom_action_context(const loom_action *action);

/* The one answer. LOOM_EEXIST: it had one.  LOOM_ETOOBIG: payload; nothing was sent, answer again.  LOOM_ENOTCONN: the session that the
 * call came through has gone, nobody waits any more.  LOOM_ENOMEM. */
LOOM_API loom_status loom_action_reply(loom_action *action, loom_bytes payload);
/* code: low-cardinality, for programs, such as "not_found". text: for people; may be NULL. */
LOOM_API loom_status loom_action_fail(loom_action *action, const char *code, const char *text);
/* A report on the way; renews the caller's idle timer. Errors as above. */
LOOM_API loom_status loom_action_progress(loom_action *action, loom_bytes payload);
/* A part of the result, in order; reply() ends the stream. Waits up to timeout_ms for the caller's credit (in a handler the
 * agent goes on meanwhile). LOOM_EFULL: no credit in time.  LOOM_EINVAL: the caller takes none.  LOOM_ECANCELED: the
 * call is over. Others as above. */
LOOM_API loom_status loom_action_chunk(loom_action *action, loom_bytes payload, uint32_t timeout_ms);

LOOM_API loom_action *loom_action_ref(loom_action *action); /* returns action */
/* The last one without an answer fails the call (code "no_answer"). NULL is allowed. */
LOOM_API void loom_action_unref(loom_action *action);

/* ---- invoking ---- */

/* Values as on the wire (WIRE.md 4.7). */
typedef enum loom_outcome {
    LOOM_OUTCOME_OK = 0,
    LOOM_OUTCOME_ERROR = 1,         /* the provider's; code and text are its own */
    LOOM_OUTCOME_TIMEOUT = 2,       /* deadline or idle time */
    LOOM_OUTCOME_NO_RESPONDERS = 3, /* nobody provides it, told at once */
    LOOM_OUTCOME_DENIED = 4,
    LOOM_OUTCOME_CANCELLED = 5,
    LOOM_OUTCOME_TOO_LARGE = 6
} loom_outcome;
LOOM_API const char *loom_outcome_name(loom_outcome outcome); /* "ok", "no_responders" …; "?" */

/* How a call ended. Belongs to who received it. */
typedef struct loom_result loom_result;
LOOM_API loom_outcome loom_result_outcome(const loom_result *result);
LOOM_API const char *loom_result_code(const loom_result *result); /* never NULL, as text */
LOOM_API const char *loom_result_text(const loom_result *result);
LOOM_API loom_bytes loom_result_payload(const loom_result *result);
LOOM_API void loom_result_free(loom_result *result); /* NULL is allowed */

/* Progress and chunks, from the agent's thread, before the outcome. payload is borrowed. */
typedef void (*loom_on_part)(loom_agent *agent, uint64_t number, loom_bytes payload, void *user);

/* Zero and NULL mean the default. Inside handlers thread_id, correlation_id and baggage are inherited as by emit. */
typedef struct loom_invoke_options {
    const char *version;         /* NULL: the highest */
    uint32_t deadline_ms;        /* 0: 30000; inside a provider's handler at most what is left of its own call */
    uint32_t idle_ms;            /* the longest silence of the provider; 0: only the deadline counts */
    bool idempotent;             /* may be tried again on another provider when one dies */
    loom_bytes call_id;          /* up to 64 bytes: the same id again joins the running call, or gets its result again;
                                    empty: a new one */
    const char *type, *thread_id, *correlation_id, *content_type, *baggage;
    const loom_header *headers;
    size_t header_count;
    loom_on_part on_progress;    /* may be NULL */
    loom_on_part on_chunk;       /* NULL: no streaming */
    uint32_t chunk_window;       /* chunks on their way at once; 0: 64 */
    void *user;                  /* for on_progress and on_chunk */
} loom_invoke_options;

/* Invokes and waits for the outcome. *out is set whenever there is one, whatever it is; out may be NULL.
 * LOOM_OK.  By outcome: LOOM_EREMOTE (ERROR), LOOM_ETIMEDOUT, LOOM_ENORESPONDERS, LOOM_EDENIED, LOOM_ECANCELED,
 * LOOM_ETOOBIG.  Without outcome: LOOM_EINVAL (capability, options), LOOM_ENOMEM, LOOM_ECLOSED, LOOM_EFULL, LOOM_ENOTCONN
 * (not connected within the deadline). A session that breaks ends the call: ERROR, code "disconnected"; with idempotent it
 * is sent again, under its id, when the next session stands and time is left. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_invoke(loom_agent *agent, const char *capability, loom_bytes payload,
                                                       const loom_invoke_options *options, loom_result **out);

/* The outcome, from the agent's thread, inside the span action.invoke was a child of. The callee owns result. */
typedef void (*loom_on_result)(loom_agent *agent, loom_result *result, void *user);
/* The same without waiting. on_result runs exactly once if LOOM_OK is returned, at the latest when the agent closes.
 * call receives a number for loom_agent_cancel(); may be NULL. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_invoke_async(loom_agent *agent, const char *capability, loom_bytes payload,
                                                             const loom_invoke_options *options, loom_on_result on_result,
                                                             void *user, uint64_t *call);
/* Asks for the call to end: its outcome is CANCELLED unless another was on its way. LOOM_ENOTFOUND: it has ended. */
LOOM_API loom_status loom_agent_cancel(loom_agent *agent, uint64_t call, const char *reason);

LOOM_END_DECLS
#endif
