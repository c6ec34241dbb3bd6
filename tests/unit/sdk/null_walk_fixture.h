/* SPDX-License-Identifier: Apache-2.0 */
/* One real object of each kind that can be made without a bus, for the calls that null_walk.py writes; and how a call that
 * crashes or hangs is told from one that returns. */
#ifndef LOOM_TESTS_NULL_WALK_FIXTURE_H
#define LOOM_TESTS_NULL_WALK_FIXTURE_H

#include <loom/http.h>
#include <loom/loom.h>
#include <loom/pipeline.h>
#include <loom/propagation.h>
#include <loom/sampler.h>
#include <loom/span.h>

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    loom_agent *agent;
    loom_envelope *envelope;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_tracer *tracer;
    loom_span *span;
    loom_logger *logger;
    loom_meter *meter;
    loom_metric *metric;
    loom_series *series;
    loom_baggage *baggage;
    loom_span_stage *stage;
    loom_child_environment *environment;
    loom_joiner *joiner;
    loom_workflow workflow;
} one;

static union { /* what an out parameter, an array or options point to */
    uint8_t bytes[65536];
    void *pointer;
    max_align_t aligned;
} room[8];

static sigjmp_buf back;
static unsigned calls, faults;

static int noop(void)
{
    return 0;
}

static void on_joined(loom_agent *agent, const loom_joined *joined, void *user)
{
    (void)agent;
    (void)joined;
    (void)user;
}

static void on_fault(int number)
{
    siglongjmp(back, number);
}

static void require(loom_status st, const char *what)
{
    if (st != LOOM_OK) {
        fprintf(stderr, "cannot make %s: %s\n", what, loom_status_name(st));
        exit(2);
    }
}

static void make_one_of_each(void)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    for (size_t i = 0; i < 4; i++) {
        sigaction((const int[]){SIGSEGV, SIGBUS, SIGABRT, SIGALRM}[i], &action, NULL);
    }
    require(loom_agent_open(&one.agent, &(loom_agent_options){.id = "walker", .poll_mode = true,
                                                              .url = "ipc:///nonexistent/loom.sock"}), "an agent");
    require(loom_envelope_create(&one.envelope, &(loom_envelope_fields){.topic = {"a.b", 3}, .sender = {"me", 2}}), "an envelope");
    require(loom_span_processor_create(&one.processor, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE}),
            "a processor");
    require(loom_tracer_provider_create(&one.provider, &(loom_tracer_provider_options){.processor = one.processor}), "a provider");
    one.tracer = loom_tracer_get(one.provider, "walk", NULL);
    one.span = loom_span_start(one.tracer, "walk", NULL);
    require(loom_logger_create(&one.logger, &(loom_logger_options){.path = "/dev/null"}), "a logger");
    require(loom_meter_create(&one.meter), "a meter");
    require(loom_metric_create(&one.metric, one.meter, &(loom_metric_options){.name = "walks"}), "a metric");
    one.series = loom_metric_series(one.metric, NULL, 0);
    require(loom_baggage_parse(&one.baggage, (loom_str){"a=b", 3}, NULL), "a baggage");
    require(loom_mask_create(&one.stage, NULL), "a stage");
    require(loom_child_environment_create(&one.environment, NULL, NULL, 0), "an environment");
    require(loom_joiner_open(&one.joiner, one.agent, &(loom_joiner_options){.rule = {.strategy = LOOM_JOIN_ANY},
                                                                           .on_joined = on_joined}), "a joiner");
    loom_workflow_begin(&one.workflow, NULL);
}

/* What no call since has overwritten. */
static const char *mark_last_error(void)
{
    static char marked[512];
    loom_status st = loom_agent_open(NULL, NULL);
    (void)st;
    snprintf(marked, sizeof marked, "%s", loom_last_error());
    return marked;
}

static void fault(const char *call, const char *what)
{
    faults++;
    printf("%s %s\n", call, what);
}

static int finish(void)
{
    loom_workflow_end(&one.workflow, LOOM_OK);
    loom_joiner_close(one.joiner);
    loom_child_environment_free(one.environment);
    loom_span_stage_unref(one.stage);
    loom_baggage_unref(one.baggage);
    loom_meter_unref(one.meter);
    loom_logger_unref(one.logger);
    loom_span_end(one.span);
    loom_tracer_provider_unref(one.provider);
    loom_span_processor_unref(one.processor);
    loom_envelope_unref(one.envelope);
    (void)loom_agent_close_within(one.agent, 1);
    printf("%u calls, %u of them wrong\n", calls, faults);
    return faults == 0 && calls > 0 ? 0 : 1;
}

/* One call: none may crash or hang, and a LOOM_EINVAL leaves a sentence. */
#define CALL(what, expression)                                      \
    do {                                                            \
        int number = sigsetjmp(back, 1);                            \
        memset(room, 0, sizeof room);                               \
        calls++;                                                    \
        alarm(20);                                                  \
        if (number == 0) {                                          \
            expression;                                             \
        } else {                                                    \
            fault(what, number == SIGALRM ? "hangs" : "crashes");   \
        }                                                           \
        alarm(0);                                                   \
    } while (0)

#define CALL_STATUS(what, expression)                                                       \
    CALL(what, {                                                                            \
        const char *marked = mark_last_error();                                             \
        loom_status st = expression;                                                        \
        if (st == LOOM_EINVAL && !IS_OPEN(what) && strcmp(marked, loom_last_error()) == 0) { \
            fault(what, "is LOOM_EINVAL without a sentence");                               \
        }                                                                                   \
    })
#define IS_OPEN(what) (strncmp(what, "loom_agent_open(", 16) == 0)

#endif
