/* SPDX-License-Identifier: Apache-2.0 */
/* loom ps: what `loom up` runs, and how it fares. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "tools/loom/up/state.h"
#include "tools/loom/verbs.h"
#include "trace/view/text.h"

static const option_spec specs[] = {
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print everything as one JSON object"},
    OPTION_PROJECT,
    OPTION_HELP,
};

static const command ps = {
    .manual = {.program = "loom ps",
               .synopsis = "[OPTION]…",
               .summary = "Lists the broker and the agents that `loom up` runs for this project: their state and for how long they "
                          "have been in it, process, restarts, and how they last ended.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "States:\n"
                          "  waiting   for the broker          running   and not ready yet      ready\n"
                          "  backoff   until its restart       stopping  was asked to end       ended\n"
                          "  failed    will not be started again\n\n"
                          "Examples:\n"
                          "  loom ps\n"
                          "  loom ps --json | jq -r '.services[] | select(.state == \"failed\").name'\n"},
};

static void print_service(const json_t *s)
{
    char age[TEXT_DURATION_SIZE];
    const json_t *argv = json_object_get(s, "command");
    const uint64_t now = clock_unix_ms(), since = (uint64_t)json_integer_value(json_object_get(s, "since_unix_ms"));
    const long long pid = (long long)json_integer_value(json_object_get(s, "pid"));
    text_duration(age, (now > since ? now - since : 0) * 1000000);
    printf("%-24s%-10s", json_string_value(json_object_get(s, "name")), json_string_value(json_object_get(s, "state")));
    text_put_padded(stdout, str_of(age), 10);
    if (pid > 0) {
        printf("%10lld", pid);
    } else {
        printf("%10s", "-");
    }
    printf("%10lld  %-24s", (long long)json_integer_value(json_object_get(s, "restarts")),
           json_string_value(json_object_get(s, "last_exit")));
    size_t i = json_array_size(argv) == 3 && strcmp(json_string_value(json_array_get(argv, 0)), "/bin/sh") == 0 ? 2 : 0;
    for (; i < json_array_size(argv); i++) {
        putchar(' ');
        text_put(stdout, str_of(json_string_value(json_array_get(argv, i))), 60);
    }
    putchar('\n');
}

static void print_all(const json_t *state)
{
    size_t i;
    const json_t *s;
    printf("%-24s%-10s%-10s%10s%10s  %-25s%s\n", "NAME", "STATE", "FOR", "PID", "RESTARTS", "LAST END", "COMMAND");
    json_array_foreach(json_object_get(state, "services"), i, s) {
        print_service(s);
    }
}

/* What has not ended yet has no last end. */
static void leave_out_what_is_not(const json_t *state)
{
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(state, "services"), i, s) {
        if (json_string_length(json_object_get(s, "last_exit")) == 0) {
            json_object_del(s, "last_exit");
        }
    }
}

static int show(const project *p, bool as_json)
{
    json_t *state = state_read(p);
    const process_id id = state_process(state);
    int exit_code = VERB_OK;
    if (state == NULL) {
        exit_code = command_fail(&ps, "%s is not up; start it with `loom up`", p->file);
    } else if (!process_id_runs(&id)) {
        exit_code = command_fail(&ps, "`loom up` of %s was killed; `loom down` or the next `loom up` cleans up", p->file);
    } else if (as_json) {
        leave_out_what_is_not(state);
        json_dumpf(state, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_all(state);
    }
    json_decref(state);
    return exit_code == VERB_OK ? command_finish(&ps, exit_code) : exit_code;
}

int verb_ps(int argc, char *const argv[])
{
    options o;
    project p;
    int exit_code;
    char why[PROJECT_WHY_SIZE] = "out of memory";
    if (!command_start(&ps, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    if (!project_open(&p, options_value(&o, "config"), why)) {
        exit_code = command_fail(&ps, "%s", why);
    } else {
        exit_code = show(&p, options_is_on(&o, "json"));
        project_close(&p);
    }
    options_fini(&o);
    return exit_code;
}
