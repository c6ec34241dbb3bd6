/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's parts: supervisor.c (from start to end), phases.c (what is started and stopped when), on_bus.c (who is on the
 * bus), surroundings.c (environment, state.json). */
#ifndef LOOM_TOOLS_UP_SUPERVISOR_INTERNAL_H
#define LOOM_TOOLS_UP_SUPERVISOR_INTERNAL_H

#include <loom/propagation.h>

#include "tools/loom/up/console.h"
#include "tools/loom/up/journal.h"
#include "tools/loom/up/guardian.h"
#include "tools/loom/up/service.h"
#include "tools/loom/up/state.h"
#include "tools/loom/up/supervisor.h"

enum { SUPERVISOR_SIGNALS = 4, TICK_MS = 20, IDLE_TICK_MS = 200, URL_SIZE = 512 };

typedef enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING, PHASE_ENDING } phase;

/* The one question to the broker that is on its way. */
typedef struct bus_question {
    uv_work_t work;
    bool pending;
    char control[URL_SIZE];
    json_t *agents; /* of the answer; NULL: none came */
} bus_question;

typedef struct supervisor {
    const supervisor_options *options;
    uv_loop_t loop;
    uv_signal_t signals[SUPERVISOR_SIGNALS];
    uv_timer_t tick;
    uint64_t ticks;
    service_host host;
    service *services;
    size_t count;
    phase phase;
    int at;               /* the plan_kind that is being started or stopped */
    uint64_t deadline_ms; /* of what the phase waits for, by the loop's clock */
    bool killed;          /* the deadline has passed, and SIGKILL was sent */
    bool hurried;         /* a second signal has come */
    int exit_code;
    char url[URL_SIZE];   /* of the broker; "": not known */
    bus_question question;
    loom_child_environment *environment; /* of the service that is being started */
    journal journal;
    console console;
    guardian guardian;
    int report;           /* -1: said, or nobody asks */
} supervisor;

void supervisor_say(supervisor *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* phases.c */
void phases_begin(supervisor *s);
void phases_tick(supervisor *s);  /* every TICK_MS, and every IDLE_TICK_MS while there is nothing to wait for */
void phases_stop(supervisor *s, bool hurry);

/* on_bus.c: asks, and makes services ready that have been found. */
void on_bus_ask(supervisor *s);

/* surroundings.c */
char *const *surroundings_of(void *user, const service *s);
void surroundings_write_state(const supervisor *s);
/* The URL that the broker's ready file names for agents. False: there is no such file yet. */
bool surroundings_read_broker(supervisor *s);
bool surroundings_read_view(const supervisor *s, char url[URL_SIZE]);

#endif
