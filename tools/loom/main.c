/* SPDX-License-Identifier: Apache-2.0 */
/* The loom command line. A new verb is a line in this table, a declaration in verbs.h and a file of its own. */
#include "tools/loom/context.h"
#include "tools/loom/verbs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const verb verbs[] = {
    {"agents", "List the agents on the bus", verb_agents},
    {"bench", "Measure what a broker carries", verb_bench},
    {"caps", "List capabilities and who provides them", verb_caps},
    {"check", "Check the bus, for a monitoring system", verb_check},
    {"completion", "Complete command lines in bash, zsh and fish", verb_completion},
    {"context", "Name sets of addresses, and choose one", verb_context},
    {"down", "Stop what `loom up` runs", verb_down},
    {"drain", "Empty a broker before it is stopped", verb_drain},
    {"exec", "Run a command as part of a trace", verb_exec},
    {"flow", "Show how messages flow between agents", verb_flow},
    {"kick", "End the session of an agent", verb_kick},
    {"invoke", "Call a capability", verb_invoke},
    {"logs", "Show what the agents of `loom up` print", verb_logs},
    {"new", "Make a project for `loom up`", verb_new},
    {"ping", "Measure round trips to the broker or to an agent", verb_ping},
    {"provide", "Provide a capability that runs a command", verb_provide},
    {"ps", "List what `loom up` runs", verb_ps},
    {"pub", "Publish a message", verb_pub},
    {"reply", "Answer the messages of a topic by a command", verb_reply},
    {"request", "Publish a message and print the first reply", verb_request},
    {"stats", "Show a broker's counters and slow subscribers", verb_stats},
    {"sub", "Subscribe to topics and print their events", verb_sub},
    {"top", "Watch a broker work, slow subscribers first", verb_top},
    {"topics", "List topics, their traffic and their subscriptions", verb_topics},
    {"trace", "Collect, list, show and check traces", verb_trace},
    {"up", "Run a broker and the agents of a loom.toml", verb_up},
    {"view", "Show the bus and its traces in a web page", verb_view},
};

/* What others call it: nats, mosquitto, kcat, redis-cli. */
static const verb_synonym synonyms[] = {
    {"call", "invoke"}, {"capabilities", "caps"}, {"channels", "topics"}, {"client", "agents"}, {"clients", "agents"},
    {"collect", "trace collect"}, {"config", "context"}, {"consume", "sub"}, {"contexts", "context"}, {"create", "new"},
    {"dashboard", "view"}, {"disconnect", "kick"}, {"doctor", "check"}, {"emit", "pub"}, {"evacuate", "drain"},
    {"get", "sub"}, {"graph", "flow"}, {"health", "check"}, {"info", "stats"}, {"init", "new"}, {"keys", "topics"},
    {"list", "agents"}, {"listen", "sub"}, {"ls", "agents"}, {"metrics", "stats"}, {"micro", "caps"}, {"monitor", "sub"},
    {"perf", "bench"}, {"produce", "pub"}, {"psubscribe", "sub"}, {"publish", "pub"}, {"pubsub", "topics"},
    {"register", "provide"}, {"rep", "reply"}, {"req", "request"}, {"respond", "reply"}, {"rtt", "ping"}, {"run", "exec"},
    {"send", "pub"}, {"serve", "provide"}, {"server", "stats"}, {"service", "provide"}, {"services", "caps"}, {"set", "pub"},
    {"show", "trace show"}, {"shutdown", "drain"}, {"start", "up"}, {"status", "stats"}, {"stop", "down"},
    {"subscribe", "sub"}, {"tail", "sub"}, {"tools", "caps"}, {"traces", "trace"}, {"ui", "view"}, {"watch", "sub"},
    {"web", "view"}, {"who", "agents"}, {NULL, NULL},
};

static const verb_word front[] = {
    {"--context", "NAME: connect where this context says; `loom context ls` lists them"},
    {"--version", "Show the version and exit"},
    {NULL, NULL},
};

static const verb_table table = {
    .program = "loom",
    .summary = "Loom is an agent message bus in which every message is a trace.",
    .verbs = verbs,
    .count = sizeof verbs / sizeof verbs[0],
    .synonyms = synonyms,
    .options = front,
    .trailer = "Examples:\n"
               "  loom new hello --lang python && cd hello && loom up   a broker and an agent of your own\n"
               "  loom-broker &                        a broker for this machine\n"
               "  loom sub 'greetings.>' &             print events as they arrive\n"
               "  loom pub greetings.all hello         publish, and print the trace id\n"
               "  loom provide text.upper -- tr a-z A-Z &   turn a command into a capability\n"
               "  loom invoke text.upper hello         call it\n"
               "  loom exec -- make test               run a command as a span of the trace\n"
               "  loom view                            watch it in a web page\n"
               "  loom trace collect &                 receive traces on 127.0.0.1:4318 and 4317\n"
               "  loom trace ls --since 10m            recent traces\n"
               "  loom trace show --last               the newest trace as a waterfall\n",
};

char *verb_words(int argc, char *const argv[])
{
    char *asked[4] = {NULL}, *text = NULL;
    size_t size;
    FILE *real = stdout, *kept = open_memstream(&text, &size);
    if (kept == NULL) {
        return NULL;
    }
    for (int i = 0; i < argc && i < 3; i++) {
        asked[i] = argv[i];
    }
    asked[argc < 3 ? argc : 3] = (char[]){VERB_WORDS};
    stdout = kept; /* the tables print where all of them print */
    const int exit_code = verb_table_run(&table, (argc < 3 ? argc : 3) + 1, asked);
    stdout = real;
    fclose(kept);
    if (exit_code != VERB_OK) {
        free(text);
        text = NULL;
    }
    return text;
}

/* The first socket or file opened would take the place of a standard stream that the caller has closed, and our output would
 * go there. Open for reading only, it still makes printing fail. */
static void hold_standard_streams(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* closed it is for a command, too */
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

/* A reader that has gone shows as EPIPE. Blocked and not ignored: a command of ours gets the disposition that we were given. */
static void block_broken_pipes(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* loom --context NAME VERB …: takes the option out. The name, or NULL; *missing: it was left out. */
static const char *take_context(int *argc, char **argv[], bool *missing)
{
    static const char option[] = "--context";
    const size_t len = sizeof option - 1;
    char **given = *argv;
    if (*argc < 2 || strncmp(given[1], option, len) != 0 || (given[1][len] != '\0' && given[1][len] != '=')) {
        return NULL;
    }
    const bool joined = given[1][len] == '=';
    const int taken = joined ? 1 : 2;
    *missing = *argc <= taken;
    if (*missing) {
        return NULL;
    }
    const char *name = joined ? given[1] + len + 1 : given[2];
    given[taken] = given[0];
    *argv = given + taken;
    *argc -= taken;
    return name;
}

/* Those that talk to no broker work whatever is chosen. */
static bool wants_context(int argc, char *const argv[])
{
    static const char *const others[] = {"completion", "context", "help", "version"};
    bool talks = argc > 1 && argv[1][0] != '-';
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        talks = talks && strcmp(argv[1], others[i]) != 0;
    }
    return talks;
}

int main(int argc, char *argv[])
{
    bool missing = false;
    hold_standard_streams();
    block_broken_pipes();
    const char *named = take_context(&argc, &argv, &missing);
    if (missing) {
        fputs("loom: --context needs a name and a verb; `loom context ls` lists what there is\n", stderr);
        return VERB_USAGE;
    }
    const int exit_code = wants_context(argc, argv) ? context_apply(named) : VERB_OK;
    return exit_code == VERB_OK ? verb_table_run(&table, argc, argv) : exit_code;
}
