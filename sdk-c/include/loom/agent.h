/* SPDX-License-Identifier: Apache-2.0 */
/* An agent: a named participant on the bus that emits events and handles those it subscribed to.
 *
 * Threads: unless poll_mode is set, an agent runs one thread of its own and calls handlers on it, one at a time. A handler
 * may take as long as it needs: a second, idle thread keeps the session alive meanwhile. In poll mode there are no threads:
 * handlers run inside loom_agent_poll(), which one thread must call at least once every three heartbeats.
 * loom_agent_emit(), subscribe and unsubscribe may be called from any thread and from handlers. Do not close an agent, or
 * wait for it to connect, from one of its handlers. In the child of a fork() its parent's agents are
 * closed: functions return LOOM_ECLOSED and do nothing, loom_agent_close() gives up their descriptors there and returns, and
 * the parent's go on. The child may open agents of its own.
 * Spans: emit starts agent.emit and puts its context into the message; agent.on_event is the current span inside a
 * handler, so that spans started and events emitted there nest. Telemetry starts when the agent opens and is flushed when
 * it closes (OTEL_* variables; LOOM_TELEMETRY_AUTO=0 turns it off). With OTEL_TRACES_EXPORTER=loom spans leave by the agent's
 * own link: those of a provider that several agents share by that of the first which is connected. They leave and are
 * answered on the agent's thread, so do not flush that provider in a handler. */
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
    LOOM_AGENT_DISCONNECTED, /* reconnects by itself, with jittered backoff */
    LOOM_AGENT_CLOSED        /* for good: closed, or replaced by a newer session with the same id */
} loom_agent_state;

/* Handles one event. event is borrowed: call loom_envelope_ref() to keep it. topic is the event's topic, NUL-terminated.
 * Anything but LOOM_OK is recorded as an error on the agent.on_event span; the session continues. */
typedef loom_status (*loom_on_event)(loom_agent *agent, const char *topic, loom_envelope *event, void *user);

typedef struct loom_agent_options {
    const char *id;                /* required: 1 to LOOM_AGENT_ID_MAX bytes, valid as one topic segment */
    /* NULL: LOOM_URL, else the local broker (ipc, its default path). Several, up to 8, separated by commas: the next is tried
     * when one fails, or when its broker is drained and asks its agents to leave. */
    const char *url;
    const char *const *topics;     /* filters to subscribe to at once, terminated by NULL; may be NULL */
    loom_on_event on_event;        /* for those topics, and for subscriptions without a handler of their own */
    void *user;                    /* passed to every callback */
    /* The state has changed; why and text (for people) give the reason. Runs on the agent's thread. May be NULL: failures
     * are then written to standard error, once per outage. */
    void (*on_state)(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user);
    /* One of this agent's messages or subscriptions was refused (not permitted, over a limit …), or a subscription stands with
     * a smaller queue or a shorter deadline than it asked for (LOOM_ETOOBIG): on the agent's thread.
     * Or traces cannot be exported (LOOM_EIO): on the exporter's thread. May be NULL: errors are then written to standard
     * error, at most once a second. */
    void (*on_error)(loom_agent *agent, loom_status why, const char *text, void *user);
    bool poll_mode;                /* the caller drives: loom_agent_fd(), loom_agent_poll() */
    size_t send_buffer_bytes;      /* limit of unsent data, while disconnected or under back-pressure; 0: 16 MiB */
    uint32_t receive_messages;     /* credit: messages in flight to this agent; 0: 8192 */
    uint32_t receive_bytes;        /* the same in bytes; 0: 4 MiB. A bridge sends no more than 8 MiB ahead */
    uint32_t heartbeat_ms;         /* how often it makes sure that its bridge is there, 10 at least; 0, or more than the bridge
                                      asks for: what that asks for */
    uint32_t emit_timeout_ms;      /* how long emit waits for space in the send buffer while connected; 0: it does not.
                                      In handlers and in poll mode it never waits */
    const char *tls_ca_file;       /* PEM, for tls+tcp and wss; NULL: LOOM_TLS_CA, else the system's authorities */
    loom_tracer_provider *telemetry; /* NULL: one of its own, service name agent-{id} unless OTEL_SERVICE_NAME is set */
    bool quiet;                    /* it stays for a moment only: no news of its coming and going on system.agents, nor in logs */
} loom_agent_options;

/* Creates the agent, starts connecting, and returns at once. Events emitted and subscriptions made before the connection is
 * up are kept for it. LOOM_EINVAL: id, url or a topic is invalid; loom_last_error() says which.  LOOM_ENOMEM.
 * LOOM_EIO. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_open(loom_agent **out, const loom_agent_options *options);
/* Why this thread's last loom_agent_open() failed, for people: loom_last_error() by an older name. Never NULL. */
LOOM_API const char *loom_agent_open_error(void);
/* Waits until the agent is connected and the bridge has answered every subscription made so far: no event published to them
 * from then on is missed. LOOM_ETIMEDOUT.  LOOM_ECLOSED.  LOOM_EBUSY: called from a handler.  Or the status with which the
 * bridge refused one of the subscriptions. In poll mode it polls. */
LOOM_API loom_status loom_agent_wait_connected(loom_agent *agent, uint32_t timeout_ms);

/* Blocks until loom_agent_stop() is called or the session is closed for good. LOOM_OK: stopped, even if before the call.
 * LOOM_EREPLACED: a newer session with the same id has taken over.  LOOM_ECLOSED: another thread closes the agent. In poll
 * mode it polls. */
LOOM_API loom_status loom_agent_run(loom_agent *agent);
/* As loom_agent_run(), but SIGINT, SIGTERM and SIGHUP stop it, too: for a program that is one agent. A SIGHUP that was
 * ignored before (nohup) stays ignored. Restores their handlers before it returns. A program that says it is ready before it
 * calls this blocks the three first, in this thread: they are taken here. */
LOOM_API loom_status loom_agent_run_until_signal(loom_agent *agent);
/* Stops loom_agent_run(). From any thread, and from signal handlers. */
LOOM_API void loom_agent_stop(loom_agent *agent);

/* Poll mode: readable when loom_agent_poll() has work. -1 when not in poll mode. */
LOOM_API int loom_agent_fd(const loom_agent *agent);
/* Poll mode: does the work that is due and runs handlers, waiting up to timeout_ms for something to do (0: does not wait,
 * -1: waits for ever). LOOM_EBUSY: called from a handler, or another thread is polling.  LOOM_EINVAL: not in poll mode.
 * LOOM_EREPLACED, LOOM_ECLOSED. */
LOOM_API loom_status loom_agent_poll(loom_agent *agent, int timeout_ms);

/* Sends what is buffered, for up to timeout_ms (5 s), and then the spans that go over the link, says goodbye, flushes
 * telemetry, and frees the agent. Handlers are no longer called. NULL is allowed. LOOM_ETIMEDOUT: some messages were not sent; their number goes to on_error.
 * LOOM_EBUSY: called from a handler; nothing was done. */
LOOM_API loom_status loom_agent_close(loom_agent *agent);
LOOM_API loom_status loom_agent_close_within(loom_agent *agent, uint32_t timeout_ms);

/* ---- events ---- */

/* Zero and NULL mean the default, as in loom_envelope_fields. Inside a handler, thread_id, correlation_id, baggage and the
 * remaining ttl default to those of the event or call being handled. */
typedef struct loom_emit_options {
    const char *type;
    const char *thread_id;
    const char *correlation_id;
    const char *reply_to; /* a topic */
    const char *content_type;
    const char *baggage;
    const loom_header *headers;
    size_t header_count;
    uint8_t ttl;
    uint8_t *id_out; /* LOOM_UUID_SIZE bytes that receive the message's id; may be NULL */
} loom_emit_options;

/* Publishes an event. The bytes are copied. LOOM_OK: queued for the bridge, in order. It leaves at once, or when the write
 * in progress completes; an event that a handler emits right after another leaves no later than the handler returns.
 * LOOM_EINVAL: the topic or an option is invalid; loom_last_error() says which.  LOOM_ETOOBIG.  LOOM_EFULL: the send buffer
 * is full; nothing was queued.  LOOM_ECLOSED.  LOOM_ENOMEM.  LOOM_ETIMEDOUT: the event being handled has no hops left, so nothing it leads to may be sent, as
 * loom_last_error() says; set ttl to send it all the same. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_emit(loom_agent *agent, const char *topic, loom_bytes payload,
                                                     const loom_emit_options *options);
/* The same for text. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_emit_text(loom_agent *agent, const char *topic, const char *text,
                                                          const loom_emit_options *options);
/* The same, and waits until the broker has published it and says how many subscriptions it matched; a group counts once.
 * timeout_ms 0: 30 s. LOOM_OK: *matched is set. LOOM_ENORESPONDERS: it matched none; *matched is 0. LOOM_ETIMEDOUT,
 * LOOM_ENOTCONN: the event was queued, and may or may not arrive; the answer has not come in time, or cannot come any more.
 * LOOM_EVERSION: it was queued, and the bridge is too old to tell. LOOM_EBUSY: handlers wait inside each other too deep;
 * nothing was queued. Others as loom_agent_emit(). May be called in handlers, which then wait. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_emit_matched(loom_agent *agent, const char *topic, loom_bytes payload,
                                                             const loom_emit_options *options, uint32_t timeout_ms,
                                                             uint64_t *matched);
/* Waits until everything emitted so far has been handed to the kernel. LOOM_ETIMEDOUT, LOOM_ENOTCONN, LOOM_ECLOSED.
 * Called from a handler, it writes what it can and does not wait. */
LOOM_API loom_status loom_agent_flush(loom_agent *agent, uint32_t timeout_ms);

typedef struct loom_subscribe_options {
    loom_on_event on_event;     /* NULL: the agent's */
    void *user;                 /* for on_event; ignored without it */
    const char *const *types;   /* event types, terminated by NULL; NULL: all */
    loom_qos qos;
    uint32_t queue_messages;    /* size of its queue at the broker; 0: the broker's, which is also the most; on_error says so */
    uint32_t queue_bytes;       /* the same in bytes */
    uint32_t deadline_ms;       /* how long a full queue holds publishers back; the same */
    /* Members of a group share its messages: of those that subscribe with the same group and filter, whoever and wherever
     * they are, one gets each message, the one that is the least behind. They have to name the same qos and types. A member
     * that ends leaves to the others what it had not been sent. One segment of a topic, up to LOOM_AGENT_ID_MAX bytes;
     * NULL: a subscription of its own, which gets everything. */
    const char *group;
} loom_subscribe_options;

/* Subscribes, now and after every reconnect. *subscription is set to a number for loom_agent_unsubscribe(); subscription may
 * be NULL. If the bridge refuses, on_error and loom_agent_wait_connected() say so.
 * LOOM_EINVAL: filter, types, group or qos are invalid, or there is no handler.  LOOM_ECLOSED.  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_subscribe(loom_agent *agent, const char *filter,
                                                          const loom_subscribe_options *options, uint64_t *subscription);
/* Events that are already on their way are no longer handled. LOOM_ENOTFOUND. */
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
    uint64_t lost;            /* sent on a connection that broke before the bridge confirmed reading them: they may or may
                                 not have arrived. Those not sent completely are sent on the next connection instead */
    uint64_t received;        /* events passed to handlers */
    uint64_t failed;          /* handlers that did not return LOOM_OK */
    uint64_t reconnects;
    uint64_t invalid_context; /* envelopes with an invalid trace context */
    size_t buffered_bytes;    /* waiting to be sent, now */
    uint64_t calls_made;      /* accepted by invoke */
    uint64_t calls_handled;   /* calls of this agent's capabilities passed to handlers */
    uint64_t calls_failed;    /* of those made: ended with any outcome but OK */
    uint64_t late_results;    /* results and reports of calls that had already ended */
} loom_agent_stats;
LOOM_API loom_agent_stats loom_agent_get_stats(const loom_agent *agent);

LOOM_END_DECLS
#endif
