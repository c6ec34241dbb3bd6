/* SPDX-License-Identifier: Apache-2.0 */
/* Uses a little of everything, and has names of its own that libloom uses inside. */
#include <loom/loom.h>

#include <stdio.h>
#include <string.h>

int session_start(void);
int send_queue_init(void);

int session_start(void)
{
    return 1;
}

int send_queue_init(void)
{
    return 2;
}

int main(void)
{
    loom_agent *agent;
    loom_agent_options options = {.id = "not.one.segment"};
    if (loom_agent_open(&agent, &options) != LOOM_EINVAL || strstr(loom_agent_open_error(), "dot") == NULL) {
        return 1;
    }
    options.id = "consumer";
    options.url = "ipc:///nonexistent/loom.sock";
    options.poll_mode = true;
    if (loom_agent_open(&agent, &options) != LOOM_OK) {
        return 2;
    }
    loom_status st = loom_agent_emit_text(agent, "a.b", "hello", NULL);
    loom_agent_close_within(agent, 1);
    printf("%s %d\n", loom_status_text(st), session_start() + send_queue_init());
    return st == LOOM_OK ? 0 : 3;
}
