/* SPDX-License-Identifier: Apache-2.0 */
/* loom down: stops what `loom up` runs, and waits until nothing of it does. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "host/config/units.h"
#include "tools/loom/up/state.h"
#include "tools/loom/verbs.h"

enum { WAIT_MS = 60000, LOST_MS = 1000 };

static const option_spec specs[] = {
    {.name = "now", .kind = OPTION_FLAG, .group = "Stopping", .help = "Kill everything at once"},
    {.name = "timeout", .letter = 't', .kind = OPTION_VALUE, .value = "TIME", .fallback = "60s", .group = "Stopping",
     .help = "How long to wait for the end"},
    OPTION_PROJECT,
    OPTION_HELP,
};

static const command down = {
    .manual = {.program = "loom down",
               .synopsis = "[OPTION]…",
               .summary = "Stops the broker and the agents that `loom up` runs for this project, and waits until they have ended. "
                          "They get the time that [up] stop_timeout allows.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom down\n"
                          "  loom down --now\n"},
};

/* The lock is free when the supervisor and its guardian have gone. */
static int wait_for_end(project *p, unsigned wait_ms)
{
    if (project_lock(p, wait_ms) != PROJECT_LOCKED) {
        return command_fail(&down, "still stopping; wait longer with --timeout, or kill everything with --now");
    }
    return VERB_OK;
}

static int stop(project *p, bool now, unsigned wait_ms)
{
    json_t *state = state_read(p);
    const process_id id = state_process(state);
    const bool known = state != NULL, runs = known && process_id_runs(&id);
    json_decref(state);
    if (runs && kill(id.pid, now ? SIGQUIT : SIGTERM) != 0 && errno != ESRCH) {
        return command_fail(&down, "cannot stop process %d: %s", (int)id.pid, strerror(errno));
    }
    if (runs || project_is_up(p)) {
        return wait_for_end(p, wait_ms);
    }
    if (!known) {
        return command_fail(&down, "%s is not up", p->file);
    }
    if (project_lock(p, LOST_MS) == PROJECT_LOCKED) {
        fprintf(stderr, "loom down: `loom up` was killed; ended %zu processes that it had left running\n", state_clean(p, wait_ms));
    }
    return VERB_OK;
}

int verb_down(int argc, char *const argv[])
{
    options o;
    project p;
    int exit_code;
    int64_t wait_ms = WAIT_MS;
    char why[PROJECT_WHY_SIZE] = "out of memory";
    if (!command_start(&down, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    const char *timeout = options_value(&o, "timeout");
    if (timeout != NULL && (!config_parse_duration(&wait_ms, (loom_str){timeout, strlen(timeout)}) || wait_ms > INT32_MAX)) {
        exit_code = command_misuse(&down, "--timeout must be a duration such as 500ms, 30s or 5m, not \"%s\"", timeout);
    } else if (!project_open(&p, options_value(&o, "config"), why)) {
        exit_code = command_fail(&down, "%s", why);
    } else {
        exit_code = stop(&p, options_is_on(&o, "now"), (unsigned)wait_ms);
        project_close(&p);
    }
    options_fini(&o);
    return exit_code;
}
