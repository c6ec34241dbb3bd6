/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

void interrupt_begin(interrupt *i)
{
    struct sigaction hangup;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) {
        sigaddset(&set, SIGHUP);
    }
    *i = (interrupt){.output = -1, .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (i->fd >= 0) {
        pthread_sigmask(SIG_BLOCK, &set, &i->before);
    }
}

void interrupt_end(interrupt *i)
{
    if (i->fd >= 0) {
        (void)interrupt_is_there(i); /* a second one is meant for what has ended already */
        close(i->fd);
        i->fd = -1;
        pthread_sigmask(SIG_SETMASK, &i->before, NULL);
    }
}

bool interrupt_is_there(interrupt *i)
{
    struct signalfd_siginfo info;
    while (i->fd >= 0 && read(i->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        i->number = i->number != 0 ? i->number : (int)info.ssi_signo;
    }
    return i->number != 0;
}

interrupt_news interrupt_wait(interrupt *i, int fd, uint64_t deadline_ns)
{
    struct pollfd fds[] = {{.fd = i->fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}, {.fd = i->output}};
    for (;;) {
        const uint64_t now = clock_monotonic_ns(), left = deadline_ns > now ? deadline_ns - now : 0;
        const struct timespec at_most = {.tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
        const int ready = ppoll(fds, 3, deadline_ns == UINT64_MAX ? NULL : &at_most, NULL);
        if (interrupt_is_there(i)) {
            return INTERRUPT_SIGNAL;
        }
        if (ready > 0 && fds[2].revents != 0) {
            return INTERRUPT_READER_GONE;
        }
        if (ready > 0 && fds[1].revents != 0) {
            return INTERRUPT_READABLE;
        }
        if (ready == 0 || (ready < 0 && errno != EINTR)) {
            return INTERRUPT_TIME;
        }
    }
}
