/* SPDX-License-Identifier: Apache-2.0 */
/* The third of three agents: prints what arrives, with the id of its trace. */
#include <stdio.h>
#include <stdlib.h>

#include "demos/common/demo_agent.h"
#include "demos/trace-test/reading.h"

typedef struct progress {
    long seen, wanted; /* wanted 0: no end */
} progress;

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    progress *p = user;
    reading r;
    char id[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_context context;
    loom_status st = reading_parse(&r, loom_envelope_payload(event), "original", "processed");
    if (st != LOOM_OK) {
        fprintf(stderr, "output: %s: not a processed reading\n", topic);
        return st;
    }
    bool traced = loom_envelope_extract(event, &context);
    loom_trace_id_to_hex(id, context.trace_id);
    printf("counter %lld original %.2f processed %.2f trace %s\n", r.counter, r.value, r.processed, traced ? id : "none");
    if (++p->seen == p->wanted) {
        loom_agent_stop(agent);
    }
    return LOOM_OK;
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"processed.data", NULL};
    progress p = {0, 0};
    const demo_option known[] = {{"count", "processed readings to print; 0: until stopped", 0, 1000000000, &p.wanted, NULL},
                                 {0}};
    const char *url;
    int status;
    if (!demo_options(argc, argv, "Prints each processed.data and its trace id.", known, &url, &status)) {
        return status;
    }
    loom_agent *agent = demo_open(
        &(loom_agent_options){.id = "output", .url = url, .topics = topics, .on_event = on_event, .user = &p});
    if (agent == NULL) {
        return EXIT_FAILURE;
    }
    loom_status st = loom_agent_run_until_signal(agent);
    status = demo_close(agent);
    return st == LOOM_OK ? status : EXIT_FAILURE;
}
