/* The agent @NAME@: greets whoever is named in an event on @NAME@.said, and whoever calls the capability @NAME@.greet. */
#include <loom/action.h>
#include <loom/loom.h>
#include <stdio.h>

enum { GREETING_SIZE = 256 };

static loom_bytes greet(char out[GREETING_SIZE], loom_bytes name)
{
    int len = snprintf(out, GREETING_SIZE, "Hello, %.*s!", (int)(name.len < 200 ? name.len : 200), (const char *)name.data);
    return (loom_bytes){(const uint8_t *)out, (size_t)len};
}

/* What is emitted here belongs to the event's trace. */
static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    char text[GREETING_SIZE];
    loom_bytes greeting = greet(text, loom_envelope_payload(event));
    (void)user;
    printf("%s: %.*s\n", topic, (int)greeting.len, text);
    return loom_agent_emit(agent, "@NAME@.greeted", greeting, NULL);
}

static loom_status on_greet(loom_agent *agent, loom_action *action, void *user)
{
    char text[GREETING_SIZE];
    (void)agent;
    (void)user;
    return loom_action_reply(action, greet(text, loom_action_payload(action)));
}

int main(void)
{
    loom_agent *agent;
    loom_agent_options options = {
        .id = "@NAME@", .topics = (const char *[]){"@NAME@.said", NULL}, .on_event = on_event};
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines reach the log as they are printed */
    if (loom_agent_open(&agent, &options) != LOOM_OK) {
        fprintf(stderr, "%s\n", loom_agent_open_error());
        return 1;
    }
    loom_status status = loom_agent_provide(agent, &(loom_capability){.name = "@NAME@.greet", .kind = "tool",
                                                                     .description = "Greets who is named in the payload",
                                                                     .on_action = on_greet});
    status = status == LOOM_OK ? loom_agent_run_until_signal(agent) : status;
    (void)loom_agent_close(agent);
    return status != LOOM_OK;
}
