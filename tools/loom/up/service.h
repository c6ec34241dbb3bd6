/* SPDX-License-Identifier: Apache-2.0 */
/* One thing that an `up` keeps running: its process, its output, its restarts. Threads: the loop's. */
#ifndef LOOM_TOOLS_UP_SERVICE_H
#define LOOM_TOOLS_UP_SERVICE_H

#include <uv.h>

#include "base/rate_limit.h"
#include "tools/loom/up/groups.h"
#include "tools/loom/up/plan.h"

/* A second's worth of lines of one service; more are counted and thrown away. */
enum { SERVICE_LINES_MAX = 2000, SERVICE_EXIT_SIZE = 48, SERVICE_TEXT_SIZE = 320 };

typedef enum service_state {
    SERVICE_WAITING,  /* for what is started before it */
    SERVICE_RUNNING,  /* and not ready yet */
    SERVICE_READY,
    SERVICE_BACKOFF,  /* until its restart */
    SERVICE_STOPPING, /* was asked to end */
    SERVICE_ENDED,
    SERVICE_FAILED    /* will not be started again */
} service_state;

struct service;

/* What a service needs of the supervisor. */
typedef struct service_host {
    uv_loop_t *loop;
    bool stopping;     /* nothing is started any more */
    size_t runs;       /* processes whose handles are still open */
    char *read_buffer; /* SERVICE_READ_SIZE, of all of them */
    /* The environment, for as long as service_start() runs. NULL: no memory. */
    char *const *(*environment)(void *user, const struct service *s);
    void (*line)(void *user, struct service *s, loom_str line);
    void (*say)(void *user, const char *text); /* a line of the supervisor's own */
    void (*changed)(void *user, struct service *s); /* its state, or how many lines were left out */
    void *user;
} service_host;

enum { SERVICE_READ_SIZE = 64 * 1024 };

typedef struct service {
    const plan_item *item;
    service_host *host;
    unsigned number;
    service_state state;
    process_id id;        /* pid 0: it does not run */
    pid_t left_behind;    /* group of one that has ended during a stop; 0: none */
    uint64_t since_unix_ms, started_ms; /* started_ms: by the loop's clock */
    unsigned in_a_row;    /* restarts after short lives */
    uint64_t restarts, suppressed;
    char last_exit[SERVICE_EXIT_SIZE]; /* "code 1", "signal 9 (Killed)"; "": it never ended */
    rate_limit flood;
    uv_timer_t restart;
    struct service_run *run;
} service;

void service_init(service *s, service_host *host, const plan_item *item, unsigned number);
void service_start(service *s);
void service_set_state(service *s, service_state state);
/* Sends a signal to its group, if there is one. A restart that was due is not any more. */
void service_stop(service *s, int signal);
/* Whether something of it still runs. */
bool service_runs(const service *s);
/* No more output is waited for; its handles close. */
void service_close(service *s);
const char *service_state_name(service_state state);

#endif
