/* SPDX-License-Identifier: Apache-2.0 */
/* Reads workflow.finished as a worker reads a queue: each message is handled inside a span of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "demos/common/demo_agent.h"

static loom_status print(loom_workflow *message, void *user)
{
    const loom_bytes payload = loom_envelope_payload(user);
    char id[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_id_to_hex(id, loom_span_context(loom_workflow_span(message))->trace_id);
    printf("finished: %.*s, trace %s\n", (int)payload.len, (const char *)payload.data, id);
    return LOOM_OK;
}

static loom_status on_finished(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    char id[LOOM_UUID_TEXT_SIZE];
    loom_baggage *baggage;
    (void)user;
    loom_status st = loom_baggage_parse(&baggage, loom_envelope_baggage(event), NULL);
    if (st != LOOM_OK) {
        return st;
    }
    loom_envelope_id_text(event, id);
    st = loom_workflow_run(&(loom_workflow_options){.kind = LOOM_WORKFLOW_MESSAGE, .tracer = loom_agent_tracer(agent),
                                                    .baggage = baggage, .queue_name = topic, .message_id = id},
                           print, event);
    loom_baggage_unref(baggage);
    return st;
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"workflow.finished", NULL};
    const demo_option none[] = {{0}};
    const char *url;
    int status;
    if (!demo_options(argc, argv, "Prints each workflow.finished.", none, &url, &status)) {
        return status;
    }
    loom_agent *agent = demo_open(&(loom_agent_options){.id = "audit", .url = url, .topics = topics, .on_event = on_finished});
    if (agent == NULL) {
        return EXIT_FAILURE;
    }
    loom_status st = loom_agent_run_until_signal(agent);
    status = demo_close(agent);
    return st == LOOM_OK ? status : EXIT_FAILURE;
}
