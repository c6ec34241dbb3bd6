/* SPDX-License-Identifier: Apache-2.0 */
/* The second of three agents: turns each reading into a processed one. There is nothing about traces in it. */
#include <stdio.h>
#include <stdlib.h>

#include "demos/common/demo_agent.h"
#include "demos/trace-test/reading.h"

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)user;
    reading r;
    char payload[128];
    loom_status st = reading_parse(&r, loom_envelope_payload(event), "value", NULL);
    if (st != LOOM_OK) {
        fprintf(stderr, "processor: %s: not a reading\n", topic);
        return st;
    }
    snprintf(payload, sizeof payload, "{\"counter\":%lld,\"original\":%.2f,\"processed\":%.2f}", r.counter, r.value,
             r.value * 1.5);
    printf("reading %lld: %.2f becomes %.2f\n", r.counter, r.value, r.value * 1.5);
    return loom_agent_emit_text(agent, "processed.data", payload,
                                &(loom_emit_options){.type = "processed.reading", .content_type = "application/json"});
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"sensor.data", NULL};
    const demo_option known[] = {{0}};
    const char *url;
    int status;
    if (!demo_options(argc, argv, "Emits processed.data for each sensor.data.", known, &url, &status)) {
        return status;
    }
    loom_agent *agent =
        demo_open(&(loom_agent_options){.id = "processor", .url = url, .topics = topics, .on_event = on_event});
    if (agent == NULL) {
        return EXIT_FAILURE;
    }
    loom_status st = loom_agent_run_until_signal(agent);
    status = demo_close(agent);
    return st == LOOM_OK ? status : EXIT_FAILURE;
}
