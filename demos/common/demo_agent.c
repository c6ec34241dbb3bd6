/* SPDX-License-Identifier: Apache-2.0 */
#include "demos/common/demo_agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECT_TIMEOUT_MS = 30000 };

static void usage(const char *program, const char *what, const demo_option *known)
{
    printf("Usage: %s [OPTION]...\n\n%s\n\n", program, what);
    printf("  %-16s %s\n", "--url URL", "where the broker or a bridge listens (LOOM_URL, else the local broker)");
    for (; known->name != NULL; known++) {
        char option[32];
        snprintf(option, sizeof option, "--%s %s", known->name, known->text != NULL ? "TEXT" : "N");
        if (known->text != NULL) {
            printf("  %-16s %s\n", option, known->help);
        } else {
            printf("  %-16s %s (%ld)\n", option, known->help, *known->value);
        }
    }
    printf("  %-16s %s\n", "--help", "this text");
}

static bool bad_usage(const char *program, const char *problem, const char *argument)
{
    fprintf(stderr, "%s: %s \"%s\"; try --help\n", program, problem, argument);
    return false;
}

static bool read_number(const char *program, const demo_option *number, const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < number->min || value > number->max) {
        fprintf(stderr, "%s: --%s takes a whole number from %ld to %ld, not \"%s\"\n", program, number->name, number->min,
                number->max, text);
        return false;
    }
    *number->value = value;
    return true;
}

bool demo_options(int argc, char **argv, const char *what, const demo_option *options, const char **url, int *exit_status)
{
    const char *program = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
    *url = NULL;
    *exit_status = DEMO_EXIT_USAGE;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
            usage(program, what, options);
            *exit_status = EXIT_SUCCESS;
            return false;
        }
        const demo_option *known = options;
        while (known->name != NULL && (strncmp(name, "--", 2) != 0 || strcmp(name + 2, known->name) != 0)) {
            known++;
        }
        bool is_url = strcmp(name, "--url") == 0;
        if (!is_url && known->name == NULL) {
            return bad_usage(program, "unknown option", name);
        }
        if (++i == argc) {
            return bad_usage(program, "a value is missing after", name);
        }
        if (is_url) {
            *url = argv[i];
        } else if (known->text != NULL) {
            *known->text = argv[i];
        } else if (!read_number(program, known, argv[i])) {
            return false;
        }
    }
    return true;
}

static sigset_t stopping(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

static void hold_signals(void)
{
    sigset_t set = stopping();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

bool demo_wait_ms(long ms)
{
    sigset_t set = stopping();
    struct timespec until = {ms / 1000, ms % 1000 * 1000000};
    int got;
    do {
        got = sigtimedwait(&set, NULL, &until);
    } while (got < 0 && errno == EINTR);
    return got < 0;
}

loom_status demo_ready(loom_agent *agent)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* line by line into a pipe, too */
    loom_status st = loom_agent_wait_connected(agent, CONNECT_TIMEOUT_MS);
    if (st == LOOM_OK) {
        hold_signals(); /* before anybody can think that they are taken */
        puts("ready");
    }
    return st;
}

loom_agent *demo_open(const loom_agent_options *options)
{
    loom_agent *agent;
    loom_status st = loom_agent_open(&agent, options);
    if (st != LOOM_OK) {
        fprintf(stderr, "%s: %s\n", options->id != NULL ? options->id : "agent", loom_agent_open_error());
        return NULL;
    }
    if ((st = demo_ready(agent)) != LOOM_OK) {
        fprintf(stderr, "%s: not connected: %s\n", options->id, loom_status_text(st));
        loom_agent_close_within(agent, 0);
        return NULL;
    }
    return agent;
}

int demo_close(loom_agent *agent)
{
    return loom_agent_close(agent) == LOOM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
