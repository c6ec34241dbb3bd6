/* SPDX-License-Identifier: Apache-2.0 */
/* An agent without threads, in a poll() loop of the program's own: publishes the lines of standard input as chat.said, and
 * prints what others say there. */
#include <loom/loom.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    loom_bytes payload = loom_envelope_payload(event);
    loom_str sender = loom_envelope_sender(event);
    const char *self = loom_agent_id(agent);
    (void)topic;
    (void)user;
    if (sender.len != strlen(self) || memcmp(sender.data, self, sender.len) != 0) {
        printf("%.*s: %.*s\n", (int)sender.len, sender.data, (int)payload.len, (const char *)payload.data);
        fflush(stdout);
    }
    return LOOM_OK;
}

/* False: there are no more. */
static bool send_line(loom_agent *agent)
{
    char line[1024];
    if (fgets(line, sizeof line, stdin) == NULL) {
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    if (loom_agent_emit_text(agent, "chat.said", line, NULL) != LOOM_OK) {
        fprintf(stderr, "poll: a line was not sent: %s\n", loom_last_error());
    }
    return true;
}

static int run(loom_agent *agent)
{
    struct pollfd fds[2];
    fds[0].fd = loom_agent_fd(agent);
    fds[1].fd = 0;
    fds[0].events = fds[1].events = POLLIN;
    setvbuf(stdin, NULL, _IONBF, 0); /* else poll() does not know of lines that stdio has read ahead */
    while (poll(fds, 2, -1) >= 0) {
        loom_status st = fds[0].revents != 0 ? loom_agent_poll(agent, 0) : LOOM_OK; /* handlers run in here */
        if (st != LOOM_OK) {
            fprintf(stderr, "poll: %s\n", loom_status_text(st));
            return 1;
        }
        if (fds[1].revents != 0 && !send_line(agent)) {
            return 0;
        }
    }
    return 1;
}

int main(void)
{
    const char *const topics[] = {"chat.said", NULL};
    loom_agent *agent;
    loom_agent_options options = LOOM_INIT;
    int code;
    options.id = "poller";
    options.topics = topics;
    options.on_event = on_event;
    options.poll_mode = true;
    if (loom_agent_open(&agent, &options) != LOOM_OK) {
        fprintf(stderr, "poll: %s\n", loom_last_error());
        return 1;
    }
    code = run(agent);
    return loom_agent_close(agent) == LOOM_OK ? code : 1;
}
