/* SPDX-License-Identifier: Apache-2.0 */
/* What one round is about: the shape of the traffic, and how the contender is set up for it. */
#ifndef LOOM_BENCH_SETUP_H
#define LOOM_BENCH_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BENCH_SIZE_MIN = 16, /* bytes: a sequence number and a time */
    BENCH_SIZE_MAX = 1024 * 1024,
    BENCH_PRODUCERS_MAX = 16,
    BENCH_CONSUMERS_MAX = 32,
    BENCH_FILTERS_MAX = 1000000,
    BENCH_AGENTS_MAX = 4096
};

typedef enum bench_bridge { BRIDGE_BROKER, BRIDGE_PROCESS, BRIDGE_COUNT } bench_bridge;
typedef enum bench_transport { TRANSPORT_IPC, TRANSPORT_TCP, TRANSPORT_COUNT } bench_transport;
/* RECORDER: as UNSAMPLED, and the flight recorder keeps the spans. LINK: like ON, but agents and bridges send theirs over
 * their links. DOWN: like ON, and nobody listens where the spans go. */
typedef enum bench_tracing {
    TRACING_OFF,
    TRACING_UNSAMPLED,
    TRACING_RECORDER,
    TRACING_PERCENT,
    TRACING_ON,
    TRACING_LINK,
    TRACING_DOWN,
    TRACING_COUNT
} bench_tracing;

/* Loom's requests: events with a reply_to, or actions. */
typedef enum bench_api { API_EVENT, API_ACTION, API_COUNT } bench_api;
/* Of processes on processors. FREE: as the kernel likes. APART: clients on one, servers on another, so that every hop
 * crosses over. TOGETHER: all on one. */
typedef enum bench_placement { PLACEMENT_FREE, PLACEMENT_APART, PLACEMENT_TOGETHER, PLACEMENT_COUNT } bench_placement;

/* What is done with spans in the span scenario (tools/bench/spans/README.md), in the exec scenario, how the http-action scenario
 * calls, and which handlers fail in the incident scenario. */
typedef enum bench_work {
    WORK_NONE,
    WORK_SAMPLED,
    WORK_UNSAMPLED,
    WORK_DISABLED,
    WORK_ENCODE,
    WORK_COMMAND,
    WORK_EXEC,
    WORK_COLLECT_TEXT,
    WORK_COLLECT_SPANS,
    WORK_FIND,
    WORK_PYTHON_START,
    WORK_SQLITE,
    WORK_LIBRARY_PYTHON,
    WORK_LIBRARY_NODE,
    WORK_INVOKE,
    WORK_HTTP_INVOKE,
    WORK_NONE_FAILS, /* from here on of handlers in the incident scenario */
    WORK_SOME_FAIL,
    WORK_ALL_FAIL
} bench_work;

/* What a noisy neighbour does in the fairness scenario (flood.h). BUSY: it spins, and talks to nobody. */
typedef enum bench_flood {
    FLOOD_NONE,
    FLOOD_BUSY,
    FLOOD_SUBSCRIBES, /* each ended again after a while */
    FLOOD_UNSUBSCRIBES, /* of what does not exist */
    FLOOD_CALLS,      /* of a provider that answers; then of one that does not, and of nobody */
    FLOOD_CALLS_UNANSWERED,
    FLOOD_CALLS_NOBODY,
    FLOOD_CANCELS,    /* of calls that nobody made */
    FLOOD_PINGS,
    FLOOD_PUBLISHES,
    FLOOD_LARGE_PUBLISHES,
    FLOOD_HELLOS,     /* it connects, says hello, and leaves */
    FLOOD_HTTP_IDLE,  /* from here on of HTTP: 10,000 connections that say nothing */
    FLOOD_HTTP_SLOW_HEADS, /* 1,000, a byte now and then */
    FLOOD_HTTP_BODIES, /* without an end */
    FLOOD_HTTP_REFUSED, /* requests that could be read in two ways */
    FLOOD_HTTP_UNREAD, /* requests one after the other whose answers nobody reads */
    FLOOD_VIEW,       /* no flood but a look, by loom view: a client that reads the stream of its Flow page */
    FLOOD_VIEW_PAGE,  /* the page in a browser */
    FLOOD_COUNT
} bench_flood;

/* How many of each; what a scenario has no use for is 0. */
typedef struct bench_shape {
    unsigned producers, consumers;
    bench_work work;
    bench_flood flood;
    unsigned filters; /* subscriptions held at once */
    unsigned agents;  /* idle sessions */
} bench_shape;

typedef struct bench_setup {
    bench_shape shape;
    size_t size;         /* payload bytes */
    bench_bridge bridge; /* these three: Loom's */
    bench_transport transport;
    bench_tracing tracing;
    bench_api api;
    bench_placement placement;
    double seconds;        /* of one timed window */
    double warm_up;        /* seconds before it */
    unsigned latency_rate; /* deliveries a second, all consumers together, while latency is measured */
    unsigned window;       /* messages on their way at once, for a peer that would drop them */
    unsigned stopped;      /* so many of the consumers are stopped while latency is measured */
    unsigned queue;        /* Loom: realtime queues and credit of so many messages; 0: what an agent gets unasked */
    bool paced;            /* at latency_rate only, not as fast as it goes */
    bool checked;          /* every byte of every payload; and the growth of the servers' memory while it goes fast */
    bool requests;         /* the servers are for requests and answers */
    bool http;             /* Loom: its gateway listens, too */
    bool looked_at;        /* Loom: its control socket is open */
    bool idle_flood;       /* the flood runs only where nobody else wants the processor */
} bench_setup;

/* Words of the command line and of the results; each list ends with NULL. */
extern const char *const bench_bridge_names[];
extern const char *const bench_transport_names[];
extern const char *const bench_tracing_names[];
extern const char *const bench_api_names[];
extern const char *const bench_placement_names[];
extern const char *const bench_work_names[]; /* "" for WORK_NONE */
extern const char *const bench_flood_names[];

/* "1→4", "1000 filters", "1000 sessions", "sampled"; empty for one producer and one consumer. */
void bench_shape_title(const bench_shape *shape, char out[32]);
/* "128 B", "16 KiB". */
void bench_size_title(size_t size, char out[16]);

/* Of how many messages one makes its handler fail; 0: none. */
unsigned bench_setup_fails(const bench_setup *setup);
/* Of one event: three, and two more for each subscriber. */
unsigned bench_setup_spans(const bench_setup *setup);
/* Messages a second that each producer sends while latency is measured: fewer where they are large, so that it is never
 * the machine's memory that is measured. */
double bench_setup_pace(const bench_setup *setup);
/* Messages that each producer may have on their way, for a peer that drops; most is the peer's own limit, 0: none. */
uint64_t bench_setup_window(const bench_setup *setup, unsigned most);

#endif
