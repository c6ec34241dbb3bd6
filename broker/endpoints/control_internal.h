/* SPDX-License-Identifier: Apache-2.0 */
/* A question to the control socket and its answer, for the files of the operations. */
#ifndef LOOM_BROKER_ENDPOINTS_CONTROL_INTERNAL_H
#define LOOM_BROKER_ENDPOINTS_CONTROL_INTERNAL_H

#include <msgpack.h>

#include "broker/endpoints/internal.h"

enum {
    CONTROL_ANSWER_TARGET = 512 * 1024, /* bytes: a list ends when it is longer; nng's sockets take 1 MiB by default */
    CONTROL_LIST_MAX = 1000,            /* items of a list */
    CONTROL_LIST_DEFAULT = 100,
    CONTROL_HEADERS_MAX = 128           /* of an invocation */
};

/* Every key that some operation knows; those that were not given are empty. */
typedef struct control_request {
    loom_str op;
    loom_str agent, topic, capability, name, prefix, filter, kind, after; /* which ones */
    uint64_t limit;                                                /* how many at most */
    loom_str version, content_type, traceparent, tracestate, baggage; /* of an invocation, as are those below */
    loom_str trace_id, reason;                                     /* of a trace to be kept, */
    uint64_t for_ms, per_second, number;                           /* or of a kind of them */
    loom_str how;                                                  /* what a drain is to do */
    loom_bytes payload, call_id, headers;                          /* headers: a checked msgpack map */
    uint64_t deadline_ms;
    bool idempotent;
} control_request;

/* Bytes with a packer; a failure is remembered, so that packers need not look. */
typedef struct control_buffer {
    msgpack_packer pk;
    msgpack_sbuffer bytes;
    bool failed;
} control_buffer;

void control_buffer_init(control_buffer *b);
void control_buffer_fini(control_buffer *b);

typedef enum control_outcome {
    CONTROL_ANSWERED, /* one map is packed; what was wrong, it says */
    CONTROL_LATER     /* nothing is packed: the answer is sent when it is there */
} control_outcome;

/* Answers one question. */
typedef control_outcome control_op(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer);
control_op control_stats, control_counters, control_agents, control_capabilities, control_topics, control_flow,
    control_invoke, control_kick, control_drain, control_keep, control_keep_last, control_kept, control_recorded,
    control_kinds, control_kind_end;

/* The part of "keep" that is about a kind of traces. */
control_outcome control_keep_kind(const control_request *q, control_buffer *answer);

/* Reads one question and runs its operation, as above. */
LOOM_MUST_CHECK control_outcome control_run(bus_server *s, loom_bytes body, const sp_reply_to *to, control_buffer *answer);
/* The same for what is asked by a call of system.NAME; body may be empty. LOOM_ENOTFOUND: not that. */
LOOM_MUST_CHECK loom_status control_run_system(bus_server *s, loom_str name, loom_bytes body, control_buffer *answer);
/* A broker_system's (system.c). */
loom_status control_system_answer(void *user, loom_str name, loom_bytes question, void (*take)(void *to, loom_bytes answer), void *to);
/* {"status": …, "text": …} */
control_outcome control_refuse(control_buffer *answer, loom_status st, const char *text);
/* LOOM_OK: traces may be kept for this reason; else *text says why not. */
loom_status control_check_reason(loom_str reason, const char **text);
void control_reply(bus_server *s, const sp_reply_to *to, control_buffer *answer);

void control_pack_str(msgpack_packer *pk, loom_str text);
void control_pack_bin(msgpack_packer *pk, loom_bytes bytes);
void control_pack_key(msgpack_packer *pk, const char *key);
void control_pack_text(msgpack_packer *pk, const char *key, loom_str text);
void control_pack_uint(msgpack_packer *pk, const char *key, uint64_t value);
void control_pack_bool(msgpack_packer *pk, const char *key, bool value);

/* A list in the making: items go to its buffer one by one. */
typedef struct control_list {
    control_buffer items;
    uint32_t count, limit;
    bool more; /* there are some that had no place */
} control_list;
uint32_t control_list_limit(const control_request *q); /* items that are told */
void control_list_init(control_list *list, const control_request *q);
/* Whether another item may be packed. */
bool control_list_room(control_list *list);
/* The array, and frees the list. */
void control_list_append(control_list *list, control_buffer *answer);
/* {"status": 0, key: […], "more": …}, and frees the list. */
control_outcome control_list_answer(control_list *list, control_buffer *answer, const char *key);

typedef struct control_ranked {
    uint64_t rank;
    void *item;
} control_ranked;

/* Of many items, those of the highest ranks (control_top.c). */
typedef struct control_top {
    control_ranked *heap; /* once it is full; the lowest first */
    char *items;
    size_t size;          /* of one */
    uint32_t count, limit;
    bool more, failed;    /* failed: out of memory */
} control_top;
void control_top_init(control_top *top, uint32_t limit, size_t size);
void control_top_fini(control_top *top);
void control_top_add(control_top *top, uint64_t rank, const void *item); /* copied */
/* As items of list, the highest first, as far as there is room. */
void control_top_pack(control_top *top, control_list *list, void (*pack)(void *user, msgpack_packer *pk, const void *item),
                      void *user);

/* The topics table of stats and of the operation "topics": those published to most. filter may be empty. */
void control_pack_topics(control_list *list, const broker_cores *cores, loom_str filter);

/* Has the trace kept everywhere, and answers with what is left of it (control_held.c). */
control_outcome control_ask_who_holds(bus_server *s, const frame_keep *f, const sp_reply_to *to, control_buffer *answer);
void control_held_forget(bus_server *s, const sp_peer *peer);
void control_held_close(bus_server *s);

/* One who asked has gone: what it waits for is cancelled. */
void control_invoke_forget(bus_server *s, const sp_peer *peer);
void control_invoke_close(bus_server *s);

#endif
