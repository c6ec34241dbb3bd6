/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the web view share. Everything runs on the loop's thread, but for the work of jobs. */
#ifndef LOOM_TOOLS_VIEW_INTERNAL_H
#define LOOM_TOOLS_VIEW_INTERNAL_H

#include <jansson.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/list.h"
#include "base/rate_limit.h"
#include "base/url.h"
#include "host/http/http_server.h"
#include "tools/loom/control_question.h"
#include "tools/loom/receiver.h"
#include "trace/collect/store.h"

enum {
    VIEW_TOKEN_SIZE = 33,  /* 128 random bits in hex, and NUL */
    VIEW_COOKIE_SIZE = 32, /* its name: cookies do not know ports, so it has the port in it */
    VIEW_JOBS_MAX = 16,    /* questions to the store that wait; more are told to come back */
    VIEW_READERS = 2,      /* of them at once, each with a connection and a thread of its own */
    VIEW_QUESTION_MS = 2000, /* that one may take */
    VIEW_BUS_WAITING_MAX = 16, /* for the answer to one question to the broker */
    VIEW_KEEPS_MAX = 8, /* questions about what is kept at once */
    VIEW_PROBLEM_SIZE = 512,
};

/* ---- what the parts keep ---- */

typedef enum view_bus_kind { VIEW_BUS_AGENTS, VIEW_BUS_CAPABILITIES, VIEW_BUS_TOPICS, VIEW_BUS_FLOW, VIEW_BUS_STATS, VIEW_BUS_KINDS } view_bus_kind;

typedef struct view_bus_waiters {
    http_request *requests[VIEW_BUS_WAITING_MAX];
    size_t count;
} view_bus_waiters;

typedef struct view_link_question view_link_question; /* bus_link.h */

typedef struct view_bus_feed {
    struct view *view;
    control_question *question; /* under way, one of the two; NULL: none */
    view_link_question *link_question;
    view_bus_waiters now, next; /* who asked before it was put, and since then */
    bool watched, watched_next; /* the stream wants it, too */
} view_bus_feed;

typedef struct view_bus {
    view_bus_feed feeds[VIEW_BUS_KINDS];
    bool silent;                 /* there is a broker, and it has not answered in time */
    char why[VIEW_PROBLEM_SIZE]; /* of the last question that failed */
} view_bus;

typedef struct view_keep {
    struct view *view;
    http_request *request; /* that waits for the answer; NULL: the place is free */
    control_question *question;
} view_keep;

/* In the order in which they are sent; from VIEW_EVENT_BUS on one for each view_bus_kind. */
typedef enum view_event_kind {
    VIEW_EVENT_BROKER,
    VIEW_EVENT_TRACES,
    VIEW_EVENT_BUS,
    VIEW_EVENT_LOOK = VIEW_EVENT_BUS + VIEW_BUS_KINDS,
    VIEW_EVENT_KINDS
} view_event_kind;
typedef struct view_frame view_frame;

typedef struct view_event {
    view_frame *frame; /* the latest; NULL: none yet. Of the bus: what is new since the one before */
    uint64_t number;   /* of the frame */
    json_t *now;       /* of the bus: all there is; NULL: nothing is known */
    view_frame *whole; /* of the bus: all there is, for whoever has missed one; NULL: nobody has asked for it */
} view_event;

typedef struct view_events {
    linked_list clients;
    unsigned client_count;
    uv_timer_t tick;
    uint64_t ticks;
    view_event latest[VIEW_EVENT_KINDS];
    view_frame *heartbeat;
    uint32_t awaited;  /* bits of view_bus_kind: answers that this look waits for */
} view_events;

typedef struct view {
    uv_loop_t loop;
    http_server *http;
    url address; /* where the page is */
    char token[VIEW_TOKEN_SIZE], cookie[VIEW_COOKIE_SIZE];
    const char *control; /* of the broker; NULL: it is asked over the agent link */
    char link[URL_SHOWN_SIZE]; /* where that leads, without passwords */
    const char *jaeger;  /* where its UI is; NULL: unknown */
    receiver *receiver;  /* NULL: receiver_problem says why */
    char receiver_problem[RECEIVER_PROBLEM_SIZE];
    rate_limit told; /* of strangers at the door */
    const char *db_path;
    store *watched;         /* of the loop, which only looks whether something has changed */
    store *readers[VIEW_READERS]; /* that no job has; NULL behind the last */
    linked_list jobs;       /* that wait for one */
    unsigned job_count;
    atomic_bool stopping;   /* jobs end at once */
    view_bus bus;
    view_keep keeps[VIEW_KEEPS_MAX];
    view_events events;
    struct view_member *member; /* member.h */
} view;


/* ---- door.c: who may come in, and what every answer says ---- */

/* A line on standard error. */
void view_tell(const char *text);
/* http_listen_options.admit and .fail. */
uint16_t view_admit(void *user, const http_request *r, const char **why);
void view_fail(void *user, http_request *r, uint16_t status, const char *why);
/* An error (RFC 9457); returns the bytes of its text. */
size_t view_write_problem(char out[VIEW_PROBLEM_SIZE], uint16_t status, const char *why);
#define VIEW_PROBLEM_TYPE "application/problem+json"
/* Whether the query names the token, wherever, and no other. */
bool view_has_token(const view *v, const http_request *r);
bool view_has_cookie(const view *v, const http_request *r);
bool view_has_bearer(const view *v, const http_request *r);
/* Calls visit with each parameter of the query, decoded; what it returns, if not NULL, is what is wrong with one: a sentence.
 * False: a parameter is wrong, and why says which. */
bool view_parameters(loom_str query, const char *(*visit)(void *user, const char *name, const char *value), void *user,
                     char why[VIEW_PROBLEM_SIZE]);
/* For view_parameters(): there are none here. */
const char *view_no_parameter(void *user, const char *name, const char *value);
/* An answer with the fields that every answer has, and up to three more. */
void view_answer(http_request *r, uint16_t status, const char *type, loom_bytes body, const http_field *more, size_t count);
/* With what as its body, whose reference it takes. NULL: out of memory, and the answer says so. */
void view_answer_json(http_request *r, json_t *what);
/* Begins one whose body comes bit by bit; as http_request_answer_stream(). */
http_stream *view_answer_stream(http_request *r, const char *type, const http_stream_events *events, void *user);

/* ---- page.c: the page and its assets ---- */

void view_page(void *user, http_request *r);
void view_asset(void *user, http_request *r);

/* ---- job.c: questions whose answers take time ---- */

typedef struct view_job {
    list_node node; /* of those that wait */
    uv_work_t work;
    view *view;
    store *reader;  /* its own, while it runs */
    http_request *request;
    /* On a thread of the pool: writes the answer to out, JSON unless type says otherwise. status is 200 before. */
    void (*run)(struct view_job *job);
    FILE *out;
    uint16_t status;
    const char *type;
    char *query; /* of the request, as it is */
    char rest[64];
    char *text;
    size_t text_len;
} view_job;

void view_job_start(view *v, http_request *r, void (*run)(view_job *job));
/* Answers those that wait. Those that run end soon. */
void view_jobs_stop(view *v);
/* What to say of a question to the store that failed. LOOM_ETIMEDOUT: it took too long. */
void view_job_fail_read(view_job *job, loom_status st);
/* Instead of what has been written: an error (RFC 9457). */
void view_job_fail(view_job *job, uint16_t status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* view_parameters() of the request. visit NULL: there are none here. False: the job has failed. */
bool view_query(view_job *job, const char *(*visit)(void *user, const char *name, const char *value), void *user);

/* ---- answers of what spans tell: walk.c ---- */

/* Calls visit with each trace of the store that the filter selects, until so many spans were looked at, or the time
 * is up, which *cut tells. False: the job has failed. */
enum { VIEW_WALK_SPANS = 50000 };
bool view_walk(view_job *job, const store_filter *filter, void (*visit)(void *user, span_range trace), void *user, bool *cut);
/* For view_query(): limit alone, into a store_filter. */
const char *view_read_limit(void *user, const char *name, const char *value);
/* An attribute of a span as text; "" when there is none. */
loom_str view_span_text(const trace_span *span, const char *key);
/* Sets a text, repaired where it is no UTF-8, unless it is empty. */
void view_set_text(json_t *to, const char *key, loom_str value);
/* Writes the answer of a job; takes the reference. NULL: out of memory. */
void view_write_json(view_job *job, json_t *what);

/* ---- traces.c, errors.c: what the store has ---- */

void view_traces(void *user, http_request *r);
void view_trace(void *user, http_request *r);
void view_about(void *user, http_request *r);
void view_logs(void *user, http_request *r);
/* What follows the route. False: the job has failed. */
bool view_read_trace_id(view_job *job, uint8_t id[LOOM_TRACE_ID_SIZE]);
void view_errors(void *user, http_request *r);
void view_latency(void *user, http_request *r);

/* ---- bus.c: what the broker says, and the view itself ---- */

void view_bus_open(view *v);
void view_bus_close(view *v); /* answers who still waits */
void view_bus_get(void *user, http_request *r); /* agents, capabilities, topics, flow, stats */
void view_state(void *user, http_request *r);
/* Asks for the stream, which is told by view_stream_bus(). */
void view_bus_watch(view *v, view_bus_kind kind);

/* ---- keep.c: what flight recorders are to keep ---- */

void view_keep_list(void *user, http_request *r);
void view_keep_add(void *user, http_request *r);
void view_keep_end(void *user, http_request *r);
void view_keep_close(view *v); /* answers who still waits */

/* ---- bus_news.c: what is new in an answer ---- */

/* The answer with its lists as objects, whose members are named by what names a row; of agents, when they were heard instead
 * of how long ago. before: the last of the kind; may be NULL. */
json_t *view_news_keyed(view_bus_kind kind, const json_t *answer, const json_t *before, int64_t now_ms);
/* What makes now of was (RFC 7396); empty: they are the same. */
json_t *view_news_patch(const json_t *was, const json_t *now);

/* ---- stream.c: what changes ---- */

void view_stream_open(view *v);
void view_stream_close(view *v);
void view_stream_fini(view *v); /* when the loop is through */
void view_stream(void *user, http_request *r);
/* answer NULL: why says why. */
void view_stream_bus(view *v, view_bus_kind kind, const json_t *answer, const char *why);

#endif
