/* SPDX-License-Identifier: Apache-2.0 */
/* Provides a capability, text.shout: any agent may call it, by this program's name for it and not by its address. */
#include <ctype.h>
#include <loom/loom.h>
#include <stdio.h>
#include <stdlib.h>

static loom_status shout(loom_agent *agent, loom_action *action, void *user)
{
    loom_bytes said = loom_action_payload(action), answer;
    uint8_t *loud = (uint8_t *)malloc(said.len + 1);
    loom_status st;
    size_t i;
    (void)agent;
    (void)user;
    if (loud == NULL) {
        return LOOM_ENOMEM; /* the caller gets it as an error of this name */
    }
    if (said.len == 0) {
        free(loud);
        return loom_action_fail(action, "nothing_to_shout", "the payload is empty");
    }
    for (i = 0; i < said.len; i++) {
        loud[i] = (uint8_t)toupper(said.data[i]);
    }
    answer.data = loud;
    answer.len = said.len;
    st = loom_action_reply(action, answer); /* copied */
    free(loud);
    return st;
}

int main(void)
{
    loom_agent *agent;
    loom_agent_options options = LOOM_INIT;
    loom_capability capability = LOOM_INIT;
    loom_status st;
    options.id = "shouter";
    capability.name = "text.shout";
    capability.kind = "tool";
    capability.description = "Says it louder";
    capability.on_action = shout;
    if (loom_agent_open(&agent, &options) != LOOM_OK) {
        fprintf(stderr, "shout: %s\n", loom_last_error());
        return 1;
    }
    st = loom_agent_provide(agent, &capability);
    if (st != LOOM_OK) {
        fprintf(stderr, "shout: %s: %s\n", loom_status_text(st), loom_last_error());
    } else {
        st = loom_agent_run_until_signal(agent);
    }
    (void)loom_agent_close(agent);
    return st == LOOM_OK ? 0 : 1;
}
