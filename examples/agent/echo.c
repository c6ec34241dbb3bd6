/* SPDX-License-Identifier: Apache-2.0 */
/* Prints greetings, and says them again. The whole is one trace: what a handler emits is a child of what it handles. */
#include <loom/loom.h>
#include <stdio.h>

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    loom_bytes payload = loom_envelope_payload(event);
    (void)user;
    printf("%s: %.*s\n", topic, (int)payload.len, (const char *)payload.data);
    fflush(stdout);
    return loom_agent_emit(agent, "echo.said", payload, NULL);
}

int main(void)
{
    const char *const topics[] = {"greetings.>", NULL};
    loom_agent *agent;
    loom_agent_options options = LOOM_INIT;
    options.id = "echo";
    options.topics = topics;
    options.on_event = on_event;
    if (loom_agent_open(&agent, &options) != LOOM_OK) {
        fprintf(stderr, "echo: %s\n", loom_last_error());
        return 1;
    }
    return loom_agent_run_until_signal(agent) || loom_agent_close(agent);
}
