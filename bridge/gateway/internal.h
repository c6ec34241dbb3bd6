/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the gateway. Calls go down this page: routes.c knows the handlers, these know exchanges and the bus.
 *
 * A handler of the bus may not call the bus, and an answer may bring the next request of its connection, which does. So
 * nothing is answered from there: what is to be done is put on a list, and done by the loop in its next round. */
#ifndef LOOM_BRIDGE_GATEWAY_INTERNAL_H
#define LOOM_BRIDGE_GATEWAY_INTERNAL_H

#include <loom/propagation.h>
#include <loom/qos.h>
#include <stdio.h>

#include "base/bytes_table.h"
#include "base/list.h"
#include "base/rate_limit.h"
#include "base/str.h"
#include "base/url.h"
#include "bridge/gateway/gateway.h"
#include "host/http/buffer.h"
#include "host/http/http_server.h"

enum {
    GATEWAY_BODY_MAX = 8 * 1024 * 1024,  /* bytes of a request: a batch, or a payload in base64 */
    GATEWAY_BATCH_MAX = 1000,            /* events of a batch */
    GATEWAY_BATCH_TURN = 64,             /* of them, before others have their turn; or what costs a BUS_TURN */
    GATEWAY_WAITING_MAX = 10000,         /* requests without an answer */
    GATEWAY_JOBS_A_ROUND = 32,           /* answers, and streams that are written to: some 0.2 ms */
    GATEWAY_HELD_MS = 5000,              /* how long a publish waits for a bus that presses */
    GATEWAY_DEADLINE_MS = 30000,         /* of calls and requests that name none */
    GATEWAY_DEADLINE_MAX_MS = 3600000,
    GATEWAY_ACK_MS = 10000,              /* how long the bus may take to confirm a subscription */
    GATEWAY_TICK_MS = 250,
    GATEWAY_KEEPALIVE_MS = 15000,        /* of silence before a comment is sent to a listening client */
    GATEWAY_STUCK_MS = 30000,            /* a client that takes nothing for so long is cut off */
    GATEWAY_WINDOW_MESSAGES = 256,       /* on their way to a listening client */
    GATEWAY_WINDOW_BYTES = 256 * 1024,
    GATEWAY_AGENT_SIZE = LOOM_AGENT_ID_MAX + 1,
    GATEWAY_MAILBOX = 1,                 /* the number of its subscription */
    PROBLEM_SIZE = 512
};

typedef struct gateway_address {
    struct gateway_address *next;
    gateway *gateway;
    bool loopback; /* only this machine can reach it: so nobody else's name may be its Host */
    bool secure;
    uint16_t port;
    char host[URL_HOST_SIZE];
} gateway_address;

struct gateway {
    gateway_options options;
    uv_loop_t *loop;
    http_server *http;
    gateway_address *addresses;
    unsigned propagators;
    char agent[GATEWAY_AGENT_SIZE], mailbox[LOOM_TOPIC_MAX];
    bus_port *port;          /* NULL: the broker has ended it; a tick attaches it again */
    bool pressed;            /* the bus asks publishers to wait */
    bool mailbox_open;
    bool draining, ended, closing;
    bool lost;               /* the broker has ended the port: a tick gives it up */
    uint64_t tick_at_ms, next_heartbeat_ms;
    bool publishing;         /* a notice is about the event that is being published */
    loom_status refused;     /* what the bus said of the event that is being published */
    char refusal[FRAME_TEXT_MAX + 1];
    uint8_t *scratch;        /* for one envelope */
    size_t scratch_size;
    uint64_t last_stream;
    linked_list held;        /* publishes that wait for the bus: pending.list */
    linked_list waiting;     /* calls and requests without an outcome: pending.list */
    linked_list streams;
    linked_list jobs;        /* for the next round */
    bytes_table by_call;     /* of pending.by_key: call ids */
    bytes_table by_correlation;
    uv_timer_t tick;
    uv_idle_t soon;
    unsigned handles_open;
    rate_limit told;         /* of the log about late refusals */
    gateway_stats stats;
    void (*done)(void *user); /* of gateway_close() */
    void *done_user;
};

static inline loom_str gateway_agent(const gateway *g)
{
    return str_of(g->agent);
}

/* ---- later.c: work for the next round, earlier ticks ---- */

typedef struct gateway_job {
    list_node node;
    bool listed;
    void (*run)(struct gateway_job *job);
} gateway_job;
void gateway_soon(gateway *g, gateway_job *job);
void gateway_not_soon(gateway *g, gateway_job *job);

/* The tick comes by then. */
void gateway_tick_by(gateway *g, uint64_t at_ms);
void gateway_on_tick(uv_timer_t *timer); /* gateway.c */

/* ---- exchange.c: a request, its span, its answer ---- */

typedef struct exchange {
    gateway *gateway;
    http_request *request;      /* NULL: answered */
    loom_span *span;
    loom_propagation from;      /* what the client sent */
    loom_trace_context context; /* what goes on: the span's, or the client's; may be invalid */
    bool cors;                  /* the answer says that its page may read it */
    char origin[256];
} exchange;

/* route: of the table, such as "/v1/events/{topic}"; NULL: none was found. */
void exchange_begin(exchange *x, const gateway_address *at, http_request *r, const char *route);
/* Whether a page of this origin may use the gateway from elsewhere. */
bool gateway_allows_origin(const gateway *g, loom_str origin);
typedef struct exchange_body {
    const char *type;  /* NULL: none */
    loom_bytes bytes;
    const http_field *fields; /* up to EXCHANGE_FIELDS_MAX more */
    size_t field_count;
} exchange_body;
enum { EXCHANGE_FIELDS_MAX = 6 };
/* Answers and ends the span. */
void exchange_answer(exchange *x, uint16_t status, const exchange_body *body);
/* Begins an answer of text/event-stream; the span goes on until exchange_end(). NULL: the client has left. */
http_stream *exchange_stream(exchange *x, const http_stream_events *events, void *user);
/* What is reported of the span, in place of an answer: status 0 leaves it as it is. error: error.type; may be NULL. */
void exchange_end(exchange *x, uint16_t status, const char *error);
/* The client has left: 499, and no answer. */
void exchange_left(exchange *x);

/* ---- problem.c: RFC 9457 ---- */

/* Answers application/problem+json. code: what is wrong, for programs, such as "invalid_topic". */
void exchange_fail(exchange *x, uint16_t status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* 503: there is no memory for the answer. */
void exchange_fail_memory(exchange *x);
/* The JSON of one, without a line's end; returns its length, below PROBLEM_JSON_SIZE. */
enum { PROBLEM_JSON_SIZE = 6 * (FRAME_TEXT_MAX + FRAME_TEXT_MAX) + 256 }; /* code and detail; a byte becomes six at most: \u001b */
size_t problem_json(char out[PROBLEM_JSON_SIZE], uint16_t status, const char *code, const char *detail);

/* ---- parameters.c ---- */

typedef struct parameter_spec {
    const char *name;
    char *text;      /* where its value goes, decoded; or */
    size_t size;
    uint32_t *ms;    /* a duration; or */
    bool *flag;      /* whether it is there, and not "false" */
} parameter_spec;
/* Reads the query. A parameter that is not among the specs, twice there, or not of its kind: the exchange is failed, and false. */
bool parameters_read(exchange *x, const parameter_spec *specs, size_t count);
/* The topic, filter or capability at the end of the path. False: the exchange has been failed. */
bool path_name(exchange *x, char out[LOOM_TOPIC_MAX + 1], const char *what,
               loom_status (*check)(loom_str text, const char **reason));
/* The media type of the body, without white space around it. False: failed with 415. */
bool content_type(exchange *x, char out[LOOM_CONTENT_TYPE_MAX + 1]);
bool is_media_type(loom_str type, const char *media); /* without its parameters */
/* Whether a text may be a content type: printable ASCII with a '/', of up to LOOM_CONTENT_TYPE_MAX bytes. */
bool is_content_type(loom_str text);
/* How the client feels about text/event-stream (RFC 9110, 12.5.1). */
typedef enum stream_wish {
    STREAM_REFUSED, /* it accepts other types only */
    STREAM_TAKEN,   /* it accepts anything, or does not say */
    STREAM_WANTED   /* it names the type */
} stream_wish;
stream_wish event_stream_wish(const http_request *r);

/* ---- message.c: events as JSON ---- */

typedef struct message {
    loom_envelope_fields fields;
    void *json;      /* what the fields point into */
    void *owned;     /* a payload that had to be made */
    loom_header headers[64];
} message;
/* An object with the fields of an event; topic must be that of the path, if it is there. False: *why says what is wrong. */
bool message_read(message *m, loom_bytes text, loom_str topic, char why[PROBLEM_SIZE]);
void message_fini(message *m);

/* Text that grows; failed remembers that memory ran out. */
typedef struct text_buffer {
    byte_buffer bytes;
    bool failed;
} text_buffer;
static inline loom_str text_buffer_str(const text_buffer *b)
{
    return (loom_str){b->bytes.data != NULL ? (const char *)b->bytes.data : "", b->bytes.len};
}
void text_put(text_buffer *b, const void *data, size_t len);
void text_puts(text_buffer *b, const char *text);
void text_printf(text_buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_put_quoted(text_buffer *b, loom_str text); /* a JSON string */
/* "payload": … for JSON, "payload_text" for UTF-8, "payload_base64" for anything else; as message_read() reads it. */
void text_put_payload(text_buffer *b, loom_bytes payload, loom_str content_type);
void text_put_event(text_buffer *b, const envelope_view *view, const loom_trace_context *context);
void text_fini(text_buffer *b);
bool payload_is_json(loom_bytes payload);
/* A type for a payload that comes without one. */
const char *payload_type(loom_bytes payload);

/* ---- emit.c ---- */

/* Sends one event: agent.emit, bridge.publish, and to the bus. LOOM_OK: accepted, and id is set. Otherwise g->refusal says
 * why. context: of the request. */
loom_status gateway_emit(gateway *g, loom_envelope_fields *f, const exchange *x, uint8_t id[LOOM_UUID_SIZE]);
/* The status of HTTP for a refusal, and its code. */
uint16_t status_of_refusal(loom_status st);
const char *code_of_refusal(loom_status st);
/* As much of the client's tracestate and baggage as an event may hold. */
typedef struct inherited {
    char tracestate[LOOM_TRACESTATE_MAX];
} inherited;
void exchange_inherit(loom_envelope_fields *f, const exchange *x, loom_str tracestate, inherited *text);
/* Room in g->scratch. False: out of memory. */
bool gateway_scratch(gateway *g, size_t size);

/* ---- pending.c: requests that wait ---- */

typedef struct pending {
    gateway_job job;         /* first; runs when there is a status, or its client has left: answers, and frees it */
    exchange x;
    list_node list;
    linked_list *of;         /* the list it is in */
    bytes_table *table;      /* that by_key is in; NULL: none */
    bytes_node by_key;
    uint64_t deadline_ms;
    uint16_t status;         /* of the answer, once it is known; 0: it is not */
    bool gone;               /* its client has left */
    char code[FRAME_TEXT_MAX + 1];
    char text[FRAME_TEXT_MAX + 1];
    uint8_t *payload;
    size_t payload_len;
    void (*late)(struct pending *p); /* its deadline has passed */
    void (*idle)(struct pending *p, uint64_t now_ms); /* now and then; may be NULL */
} pending;

/* Moves x into a new one of size bytes, which waits in the list. NULL: the exchange has been failed. */
void *pending_create(exchange *x, size_t size, linked_list *list, uint32_t within_ms);
void pending_key(pending *p, bytes_table *table, loom_bytes key); /* key: borrowed until pending_unkey() */
void pending_unkey(pending *p);
pending *pending_find(const bytes_table *table, loom_bytes key); /* the oldest; NULL: none */
/* The outcome, copied: answered in the next round. Only the first counts. */
void pending_done(pending *p, uint16_t status, loom_str code, loom_str text, loom_bytes payload);
void pending_free(pending *p); /* not its exchange */
void pending_tick(linked_list *list, uint64_t now_ms);
void pending_end(linked_list *list); /* 503 for all */
void pending_lose(linked_list *list, const bytes_table *table); /* 503 for those in it: their answer cannot come any more */
void pending_abandon(linked_list *list); /* their clients are gone: lets go of all */

/* ---- sse.c: a stream of events to a client ---- */

typedef struct sse {
    gateway_job job;   /* first */
    gateway *gateway;
    http_stream *stream;
    text_buffer out, flying;
    uint64_t said_ms;  /* when something was sent last */
    uint64_t stuck_ms; /* since when the client has taken nothing */
    size_t unsent;     /* at the last tick */
    bool ending;
    void (*taken)(struct sse *s);  /* all of it is with the kernel */
    void (*closed)(struct sse *s); /* the last word */
} sse;
/* s is zeroed. Events may be put from here on; they wait for the stream to begin. */
void sse_init(sse *s, gateway *g, void (*taken)(sse *s), void (*closed)(sse *s));
/* Takes the answer over. False: the client has left; closed is not called. */
bool sse_begin(sse *s, exchange *x);
/* Appends one event, of an id and name that may be NULL. data ends at len; its lines become lines. */
void sse_put(sse *s, const char *id, const char *name, const char *data, size_t len);
void sse_tick(sse *s, uint64_t now_ms);
void sse_end(sse *s); /* when all is sent */

/* ---- publish.c: events; publish_batch.c: lines of them ---- */

enum { PUBLISH_LINE_SIZE = 256 };

/* What the request says of its events, besides its body. */
typedef struct publish_ask {
    char topic[LOOM_TOPIC_MAX + 1];
    char content_type[LOOM_CONTENT_TYPE_MAX + 1];
    char type[LOOM_TYPE_MAX + 1], thread_id[LOOM_THREAD_ID_MAX + 1], correlation_id[LOOM_THREAD_ID_MAX + 1];
    char reply_to[LOOM_TOPIC_MAX + 1];
    bool envelope;
} publish_ask;

/* The fields of one event, which borrow from the ask. False: why says what is wrong. */
bool publish_fill(message *m, const publish_ask *a, loom_bytes body, char why[PROBLEM_SIZE]);
/* {"id":"…","trace_id":"…"} */
size_t publish_write_accepted(char out[PUBLISH_LINE_SIZE], const exchange *x, const uint8_t id[LOOM_UUID_SIZE]);
/* One that waits has waited too long: 429. */
void publish_late(pending *p);
/* Publishes the lines of the body, in turns, and answers. */
void publish_batch(exchange *x, const publish_ask *a);

/* ---- the handlers, a file each ---- */

void publish_post(exchange *x);
/* Calls a capability for the exchange itself, and hands take what it answers; a call that fails is answered as one of a client. */
void action_ask(exchange *x, const char *capability, loom_bytes question, void (*take)(exchange *x, loom_bytes result));
void action_post(exchange *x);
void request_post(exchange *x);
void events_get(exchange *x);
void agents_get(exchange *x);
void capabilities_get(exchange *x);
void topics_get(exchange *x);
void stats_get(exchange *x);
void openapi_get(exchange *x);
void healthz_get(exchange *x);
void readyz_get(exchange *x);
void metrics_get(exchange *x);

/* Runs a handler that publishes, now or when the bus presses no more. */
void publish_when_free(exchange *x, void (*handler)(exchange *x));

/* What the bus brings to the port of the requests. */
void publish_go_on(gateway *g); /* it presses no more */
void action_frame(gateway *g, const frame *f);
void request_deliver(gateway *g, const envelope_view *view);
void events_tick(gateway *g, uint64_t now_ms, bool heartbeat);
void events_end(gateway *g);

/* own.c: without a source. */
void own_stats(exchange *x);

/* ---- routes.c ---- */
extern const http_route gateway_routes[];
extern const size_t gateway_route_count;
uint16_t gateway_admit(void *user, const http_request *r, const char **why);
void gateway_refuse(void *user, http_request *r, uint16_t status, const char *why);
void gateway_answer_options(void *user, http_request *r);

#endif
