/* SPDX-License-Identifier: Apache-2.0 */
/* The loom command line. A new verb is a line in this table, a declaration in verbs.h and a file of its own. */
#include "tools/loom/verbs.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static const verb verbs[] = {
    {"agents", "Who is on the bus", verb_agents},
    {"caps", "What there is to call, and who provides it", verb_caps},
    {"invoke", "Call a capability", verb_invoke},
    {"provide", "Provide a capability made of a command", verb_provide},
    {"pub", "Publish a message", verb_pub},
    {"request", "Publish a message and print the first answer", verb_request},
    {"stats", "What a broker counts, and who was slow", verb_stats},
    {"sub", "Print the events that filters select", verb_sub},
    {"topics", "What is published, and who listens", verb_topics},
    {"trace", "Collect, list, show and check traces", verb_trace},
};

static const verb_table table = {
    .program = "loom",
    .summary = "Loom is an agent message bus in which every message is a trace.",
    .verbs = verbs,
    .count = sizeof verbs / sizeof verbs[0],
    .trailer = "Examples:\n"
               "  loom-broker &                        a broker for this machine\n"
               "  loom sub 'greetings.>' &             print what comes\n"
               "  loom pub greetings.all hello         publish, and print the trace id\n"
               "  loom provide text.upper -- tr a-z A-Z &   a capability out of a command\n"
               "  loom invoke text.upper hello         call it\n"
               "  loom trace collect &                 receive traces on 127.0.0.1:4318\n"
               "  loom trace ls --since 10m            what happened lately\n"
               "  loom trace show --last               the newest trace as a waterfall\n",
};

/* A descriptor that the caller closed would go to the first socket or file opened, and what is printed into that. Opened for
 * reading only, it makes printing fail as it did before. */
static void hold_standard_streams(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

int main(int argc, char *argv[])
{
    hold_standard_streams();
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away shows as EPIPE */
    return verb_table_run(&table, argc, argv);
}
