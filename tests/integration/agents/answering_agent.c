/* SPDX-License-Identifier: Apache-2.0 */
/* answering_agent URL ID: answers what is asked on {ID}.echo with the same, on {ID}.pass.RESPONDER with what RESPONDER
 * answers to it, and on {ID}.late when somebody publishes to {ID}.now. */
#include <loom/loom.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static loom_envelope *kept[64];
static size_t kept_count;

static loom_status answer_kept(loom_agent *agent)
{
    loom_status st = LOOM_OK;
    while (kept_count > 0) {
        loom_envelope *event = kept[--kept_count];
        loom_status one = loom_agent_reply(agent, event, loom_envelope_payload(event), NULL);
        st = st == LOOM_OK ? one : st;
        loom_envelope_unref(event);
    }
    return st;
}

/* Asks inside of the handler. */
static loom_status pass(loom_agent *agent, const char *responder, loom_envelope *event)
{
    char topic[LOOM_TOPIC_MAX];
    loom_envelope *reply;
    snprintf(topic, sizeof topic, "%s.echo", responder);
    loom_status st = loom_agent_request(agent, topic, loom_envelope_payload(event), NULL, &reply);
    if (st == LOOM_OK) {
        st = loom_agent_reply(agent, event, loom_envelope_payload(reply), NULL);
    }
    loom_envelope_unref(reply);
    return st;
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)user;
    const char *what = strchr(topic, '.') + 1;
    if (strcmp(what, "echo") == 0) {
        return loom_agent_reply(agent, event, loom_envelope_payload(event), NULL);
    }
    if (strncmp(what, "pass.", 5) == 0) {
        return pass(agent, what + 5, event);
    }
    if (strcmp(what, "late") == 0 && kept_count < sizeof kept / sizeof *kept) {
        kept[kept_count++] = loom_envelope_ref(event);
        return LOOM_OK;
    }
    return answer_kept(agent);
}

int main(int argc, char *argv[])
{
    char filter[LOOM_TOPIC_MAX];
    loom_agent *agent;
    if (argc != 3) {
        return 2;
    }
    snprintf(filter, sizeof filter, "%s.>", argv[2]);
    loom_agent_options options = {
        .id = argv[2], .url = argv[1], .topics = (const char *const[]){filter, NULL}, .on_event = on_event};
    if (loom_agent_open(&agent, &options) != LOOM_OK || loom_agent_wait_connected(agent, 10000) != LOOM_OK) {
        return 1;
    }
    puts("ready");
    fflush(stdout);
    loom_status st = loom_agent_run_until_signal(agent);
    return loom_agent_close(agent) == LOOM_OK && st == LOOM_OK ? 0 : 1;
}
