/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/output_watch.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/thread.h"

static void *watch(void *user)
{
    const output_watch *w = user;
    struct pollfd fds[] = {{.fd = STDOUT_FILENO}, {.fd = w->end_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    if (fds[0].revents != 0) {
        loom_agent_stop(w->agent);
    }
    return NULL;
}

void output_watch_start(output_watch *w, loom_agent *agent)
{
    *w = (output_watch){.agent = agent, .end_fd = eventfd(0, EFD_CLOEXEC)};
    w->running = w->end_fd >= 0 && thread_start(&w->thread, NULL, watch, w) == 0;
}

void output_watch_end(output_watch *w)
{
    if (w->running) {
        while (eventfd_write(w->end_fd, 1) != 0 && errno == EINTR) {
        }
        pthread_join(w->thread, NULL);
    }
    if (w->end_fd >= 0) {
        close(w->end_fd);
    }
}
