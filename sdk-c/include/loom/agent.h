/* SPDX-License-Identifier: Apache-2.0 */
/* An agent: a named participant on the bus that emits events and handles those it subscribed to.
 *
 * Threads: unless poll_mode is set, an agent runs one thread of its own, and handlers run on it, one at a time. They may
 * take their time: a second, idle thread keeps the session meanwhile. In poll mode the caller has to come back to
 * loom_agent_poll() within three heartbeats.
 * loom_agent_emit(), subscribe and unsubscribe may be called from any thread and from handlers.
 * In poll mode no thread is made: handlers run inside loom_agent_poll(), which one thread calls.
 * Closing and waiting are not for handlers. After fork() a child must not use, nor close, the agents of its parent: their
 * threads are not there. Open agents after the last fork.
 * Spans: emit makes agent.emit and puts its context into the message; agent.on_event is the current span inside a
 * handler, so that spans and emits in it nest. Telemetry starts when the agent opens and flushes when it closes
 * (OTEL_* variables; LOOM_TELEMETRY_AUTO=0 turns it off). */
#ifndef LOOM_AGENT_H
#define LOOM_AGENT_H

#include <loom/envelope.h>
#include <loom/qos.h>
#include <loom/trace.h>

LOOM_BEGIN_DECLS

typedef struct loom_agent loom_agent;

typedef enum loom_agent_state {
    LOOM_AGENT_CONNECTING,
    LOOM_AGENT_CONNECTED,
    LOOM_AGENT_DISCONNECTED, /* will try again by itself, with jittered backoff */
    LOOM_AGENT_CLOSED        /* for good: closed, or replaced by a newer session with the same id */
} loom_agent_state;

/* Handles one event. event is borrowed: loom_envelope_ref() it to keep it. topic is NUL-terminated, the event's topic.
 * Anything but LOOM_OK is recorded on the agent.on_event span as an error; the session goes on. */
typedef loom_status (*loom_on_event)(loom_agent *agent, const char *topic, loom_envelope *event, void *user);

typedef struct loom_agent_options {
    const char *id;                /* required: 1 to LOOM_AGENT_ID_MAX bytes, valid as one topic segment */
    const char *url;               /* NULL: LOOM_URL, else the local broker (ipc, its default path) */
    const char *const *topics;     /* filters subscribed at once, ended by NULL; may be NULL */
    loom_on_event on_event;        /* for those topics, and for subscriptions without a handler of their own */
    void *user;                    /* passed to every callback */
    /* State changes, with why (status and text for people). From the agent's thread. May be NULL: failures are then
     * written to standard error, once per outage. */
    void (*on_state)(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user);
    /* One message or subscription of ours was refused (not permitted, over a limit …), from the agent's thread; or traces
     * cannot be exported (LOOM_EIO), from the exporter's. May be NULL: then standard error, at most once a second. */
    void (*on_error)(loom_agent *agent, loom_status why, const char *text, void *user);
    bool poll_mode;                /* the caller drives: loom_agent_fd(), loom_agent_poll() */
    size_t send_buffer_bytes;      /* what may wait to be sent, disconnected or under back-pressure; 0: 16 MiB */
    uint32_t receive_messages;     /* credit: messages on their way to us at once; 0: 8192 */
    uint32_t receive_bytes;        /* the same in bytes; 0: 4 MiB */
    uint32_t heartbeat_ms;         /* 0: the bridge's choice */
    uint32_t emit_timeout_ms;      /* how long emit waits for room in the send buffer while connected; 0: 0, never.
                                      In handlers and in poll mode it never waits */
    const char *tls_ca_file;       /* PEM, for tls+tcp and wss; NULL: LOOM_TLS_CA, else the system's authorities */
    loom_tracer_provider *telemetry; /* NULL: one of its own, service name agent-{id} unless OTEL_SERVICE_NAME is set */
} loom_agent_options;

/* Makes the agent and begins to connect; returns at once. Emits and subscriptions made before the connection stands
 * are kept. LOOM_EINVAL: id, url or a topic is not valid (loom_agent_open_error says which).  LOOM_ENOMEM.  LOOM_EIO. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_open(loom_agent **out, const loom_agent_options *options);
/* What the last failed loom_agent_open() of this thread did not like. Never NULL. */
LOOM_API const char *loom_agent_open_error(void);
/* Waits until connected and until the bridge has answered every subscription made so far: from then on nothing published
 * to them is missed. LOOM_ETIMEDOUT.  LOOM_ECLOSED.  LOOM_EBUSY: called from a handler.  Or the status with which the
 * bridge refused one of the subscriptions. In poll mode it polls. */
LOOM_API loom_status loom_agent_wait_connected(loom_agent *agent, uint32_t timeout_ms);

/* Blocks until loom_agent_stop(), or until the session is closed for good. LOOM_OK after stop; LOOM_EREPLACED: a newer
 * session with the same id has taken over. In poll mode it polls. A stop before the call counts. */
LOOM_API loom_status loom_agent_run(loom_agent *agent);
/* The same, and SIGINT and SIGTERM stop it: for an agent that is a whole program. Their dispositions are put back. */
LOOM_API loom_status loom_agent_run_until_signal(loom_agent *agent);
/* Ends loom_agent_run(). Any thread, signal handlers too. */
LOOM_API void loom_agent_stop(loom_agent *agent);

/* Poll mode: readable when loom_agent_poll() has work. -1 when not in poll mode. */
LOOM_API int loom_agent_fd(const loom_agent *agent);
/* Poll mode: does what is to be done, waiting up to timeout_ms for it (0: not at all, -1: for ever). Runs handlers.
 * LOOM_EBUSY: from a handler, or another thread polls.  LOOM_EINVAL: not in poll mode.  LOOM_EREPLACED, LOOM_ECLOSED. */
LOOM_API loom_status loom_agent_poll(loom_agent *agent, int timeout_ms);

/* Sends what is buffered, up to timeout_ms (5 s), says goodbye, flushes telemetry, frees. Events are not handled any more.
 * NULL is allowed. LOOM_ETIMEDOUT: something was still unsent; how much is told as an error.
 * LOOM_EBUSY: called from a handler, and nothing was done. */
LOOM_API loom_status loom_agent_close(loom_agent *agent);
LOOM_API loom_status loom_agent_close_within(loom_agent *agent, uint32_t timeout_ms);

/* ---- events ---- */

/* More than topic and payload. Zero and NULL mean: the default, as in loom_envelope_fields. Inside a handler the thread_id,
 * correlation_id, baggage and remaining ttl of the event (or call) being handled are the defaults. */
typedef struct loom_emit_options {
    const char *type;
    const char *thread_id;
    const char *correlation_id;
    const char *reply_to;
    const char *content_type;
    const char *baggage;
    const loom_header *headers;
    size_t header_count;
    uint8_t ttl;
    uint8_t *id_out; /* LOOM_UUID_SIZE bytes that receive the message's id; may be NULL */
} loom_emit_options;

/* Publishes. The bytes are copied. LOOM_EINVAL: topic not valid.  LOOM_ETOOBIG.  LOOM_EFULL: the send buffer is full and
 * nothing was queued.  LOOM_ECLOSED.  LOOM_ENOMEM.  LOOM_ETIMEDOUT: the event being handled has used up its hops, so that
 * what it leads to may not travel on; give a ttl to go on all the same.
 * LOOM_OK means: queued in order for the bridge. A message leaves at once, or when the write under way is over; one that
 * a handler emits right after another leaves when the handler returns at the latest. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_emit(loom_agent *agent, const char *topic, loom_bytes payload,
                                                     const loom_emit_options *options);
/* The same for text. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_emit_text(loom_agent *agent, const char *topic, const char *text,
                                                          const loom_emit_options *options);
/* Waits until everything emitted so far has been handed to the kernel. LOOM_ETIMEDOUT, LOOM_ENOTCONN, LOOM_ECLOSED.
 * From a handler it writes what can be written, and does not wait. */
LOOM_API loom_status loom_agent_flush(loom_agent *agent, uint32_t timeout_ms);

typedef struct loom_subscribe_options {
    loom_on_event on_event;     /* NULL: the agent's */
    void *user;                 /* for that handler; used only with it */
    const char *const *types;   /* event types, ended by NULL; NULL: all */
    loom_qos qos;
    uint32_t queue_messages;    /* broker-side queue; 0: the broker's default */
    uint32_t queue_bytes;
    uint32_t deadline_ms;
} loom_subscribe_options;

/* Subscribes, now and after every reconnect. subscription receives a number for unsubscribe; may be NULL.
 * LOOM_EINVAL: filter, types or qos not valid, or nobody to handle the events.  LOOM_ECLOSED.  LOOM_ENOMEM.
 * A refusal by the bridge comes through on_error, and through loom_agent_wait_connected(). */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_subscribe(loom_agent *agent, const char *filter,
                                                          const loom_subscribe_options *options, uint64_t *subscription);
/* LOOM_ENOTFOUND. Events already on their way are not handled any more. */
LOOM_API loom_status loom_agent_unsubscribe(loom_agent *agent, uint64_t subscription);

/* ---- about the agent ---- */

LOOM_API const char *loom_agent_id(const loom_agent *agent);
LOOM_API loom_agent_state loom_agent_get_state(const loom_agent *agent);
/* For spans of your own: loom_span_start(loom_agent_tracer(agent), "name", NULL). NULL when telemetry is off. */
LOOM_API loom_tracer *loom_agent_tracer(const loom_agent *agent);

typedef struct loom_agent_stats {
    uint64_t emitted;         /* accepted by emit */
    uint64_t refused;         /* LOOM_EFULL */
    uint64_t sent;            /* handed to the kernel */
    uint64_t lost;            /* sent on a connection that broke before the bridge was known to have read them: may or
                                 may not have arrived. What was not sent whole waits for the next connection instead */
    uint64_t received;        /* events handed to handlers */
    uint64_t failed;          /* handlers that did not answer LOOM_OK */
    uint64_t reconnects;
    uint64_t invalid_context; /* envelopes whose trace context was refused */
    size_t buffered_bytes;    /* waiting to be sent, now */
    uint64_t calls_made;      /* accepted by invoke */
    uint64_t calls_handled;   /* calls of own capabilities handed to handlers */
    uint64_t calls_failed;    /* of those made: ended with any outcome but OK */
    uint64_t late_results;    /* results, and reports, of calls that were over */
} loom_agent_stats;
LOOM_API loom_agent_stats loom_agent_get_stats(const loom_agent *agent);

LOOM_END_DECLS
#endif
