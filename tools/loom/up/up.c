/* SPDX-License-Identifier: Apache-2.0 */
/* loom up: reads the project, checks what it would run, and runs it, here or in the background. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/loom/trace_options.h"
#include "tools/loom/up/state.h"
#include "tools/loom/up/supervisor.h"
#include "tools/loom/verbs.h"

enum { CLEANING_MS = 2000, LOCK_SLICE_MS = 500 };

static const option_spec specs[] = {
    {.name = "detach", .letter = 'd', .kind = OPTION_FLAG, .group = "Running",
     .help = "Return once everything is ready, and go on in the background"},
    {.name = "view", .kind = OPTION_FLAG, .group = "Running", .help = "Start the web view, too"},
    {.name = "check", .kind = OPTION_FLAG, .group = "Running", .help = "Check the configuration and the commands, and exit"},
    OPTION_COLOR,
    OPTION_HELP,
};

static const command up = {
    .manual = {.program = "loom up",
               .synopsis = "[OPTION]… [FILE]",
               .summary = "Starts a broker and the agents of a loom.toml (./loom.toml by default), shows what they print, and "
                          "starts again what fails. Ctrl-C stops the agents and then the broker, a second one kills them at once. "
                          "Agents find LOOM_URL, LOOM_CONTROL and OTEL_SERVICE_NAME in their environment.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "In loom.toml, beside the settings of loom-broker:\n"
                          "  [agents.NAME]\n"
                          "  command = \"./agent --fast\"     a line for /bin/sh, or a list: [\"python3\", \"agent.py\"]\n"
                          "  cwd = \"agents\"                 working directory, relative to the file\n"
                          "  env = { MODE = \"test\" }        variables\n"
                          "  replicas = 2                   run it twice, as NAME-1 and NAME-2\n"
                          "  restart = \"on-failure\"         or \"always\", \"never\"\n"
                          "  restart_delay = \"500ms\"        doubled each time, up to 30s\n"
                          "  restart_limit = 10             in a row; 0 is no limit\n"
                          "  ready = \"start\"                or \"bus\": once it is in the broker's directory\n"
                          "  [up]\n"
                          "  broker = true                  false: use the broker that [agent] url names\n"
                          "  view = false                   true: start `loom view`, too\n"
                          "  stop_timeout = \"10s\"           then SIGKILL\n"
                          "  ready_timeout = \"30s\"\n\n"
                          "Exit status:\n"
                          "  0  stopped when asked to; with --detach, everything is ready\n"
                          "  1  a failure, a wrong configuration, or this project is up already    2  a wrong command line\n\n"
                          "Examples:\n"
                          "  loom new hello --lang python && cd hello && loom up\n"
                          "  loom up -d && loom ps\n"
                          "  loom logs -f\n"
                          "  loom down\n"},
    .operands_max = 1,
};

typedef struct starting {
    project project;
    settings settings;
    problems problems;
    plan plan;
    bool view;
} starting;

static loom_status read_settings(starting *s)
{
    static const char *const sections[] = {"broker", NULL};
    loom_status file = config_load_file(&s->settings.config, s->project.file, &s->problems);
    loom_status env = file != LOOM_ENOMEM ? config_load_env(&s->settings.config, &s->problems) : file;
    settings_check_variable_names(&s->settings, true, &s->problems);
    if (file != LOOM_OK || env != LOOM_OK) {
        return file == LOOM_ENOMEM || env == LOOM_ENOMEM ? LOOM_ENOMEM : LOOM_EINVAL;
    }
    return settings_check(&s->settings, sections, &s->problems);
}

/* What needs the broker's directory can have it. */
static loom_status check_bus(starting *s)
{
    loom_status st = LOOM_OK;
    for (size_t i = 0; i < s->settings.agents.count; i++) {
        const settings_agent *a = s->settings.agents.items[i];
        if (strcmp(a->ready, "bus") == 0 && s->settings.up.broker && s->settings.broker.bus_control[0] == '\0') {
            st = settings_agent_complain(a, "ready", &s->problems, "is \"bus\", which needs a [broker] bus_control");
        }
    }
    return st;
}

static loom_status make_plan(starting *s)
{
    loom_status st = read_settings(s);
    s->view = s->view || s->settings.up.view;
    st = st == LOOM_OK ? check_bus(s) : st;
    st = st == LOOM_OK ? plan_make(&s->plan, &s->project, &s->settings, s->view, &s->problems) : st;
    return st == LOOM_OK ? settings_export_telemetry(&s->settings) : st;
}

/* ---- running ---- */

static bool is_running(const project *p)
{
    json_t *state = state_read(p);
    const process_id id = state_process(state);
    const bool runs = state != NULL && process_id_runs(&id);
    json_decref(state);
    if (runs && project_is_up(p)) {
        (void)command_fail(&up, "%s is up already, as process %d; see `loom ps`, or stop it with `loom down`", p->file, (int)id.pid);
        return true;
    }
    return false;
}

/* The lock is held while another `up` runs, and while its guardian cleans up. False: it has been said. */
static bool take_lock(starting *s)
{
    unsigned left = s->settings.up.stop_timeout_ms + CLEANING_MS;
    for (bool said = false;; said = true) {
        const unsigned slice = left < LOCK_SLICE_MS ? left : LOCK_SLICE_MS;
        const project_lock_result result = project_lock(&s->project, slice);
        if (result == PROJECT_LOCKED) {
            return true;
        }
        if (result == PROJECT_FAILED) {
            (void)command_fail(&up, "%s/lock: %s", s->project.dir, strerror(errno));
            return false;
        }
        if (is_running(&s->project)) {
            return false;
        }
        if ((left -= slice) == 0) {
            (void)command_fail(&up, "the last `loom up` of %s is still being cleaned up; try again", s->project.file);
            return false;
        }
        if (!said) {
            fprintf(stderr, "loom up: waiting for what the last `loom up` has started to end\n");
        }
    }
}

static int run_here(starting *s, bool colour, int report)
{
    if (!take_lock(s)) {
        return VERB_FAILED;
    }
    return supervisor_run(&(supervisor_options){.project = &s->project, .settings = &s->settings, .plan = &s->plan,
                                                .colour = colour, .report = report});
}

/* In the child: away from the terminal, but with its output for as long as things start. */
static _Noreturn void run_behind(starting *s, bool colour, int report)
{
    (void)setsid();
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing >= 0) {
        (void)dup2(nothing, STDIN_FILENO);
    }
    const int code = run_here(s, colour, report);
    (void)fflush(NULL);
    _exit(code);
}

static int detach(starting *s, bool colour)
{
    int ends[2];
    unsigned char late = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return command_fail(&up, "cannot make a pipe: %s", strerror(errno));
    }
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        run_behind(s, colour, ends[1]);
    }
    close(ends[1]);
    ssize_t n;
    while (pid > 0 && (n = read(ends[0], &late, 1)) < 0 && errno == EINTR) {
    }
    close(ends[0]);
    if (pid < 0) {
        return command_fail(&up, "cannot fork: %s", strerror(errno));
    }
    if (n == 1) {
        printf("running in the background; `loom ps`, `loom logs -f` and `loom down` from here on\n");
        return command_finish(&up, late != 0 ? VERB_FAILED : VERB_OK);
    }
    (void)waitpid(pid, NULL, 0); /* it has said what was wrong */
    return VERB_FAILED;
}

static int run(starting *s, const options *o)
{
    bool colour;
    int exit_code = VERB_OK;
    if (!trace_options_color(&up, o, &colour, &exit_code)) {
        return exit_code;
    }
    const loom_status st = make_plan(s);
    if (st == LOOM_ENOMEM) {
        return command_fail(&up, "out of memory");
    }
    problems_sort(&s->problems);
    problems_print(&s->problems, stderr, up.manual.program);
    if (st != LOOM_OK) {
        return VERB_FAILED;
    }
    if (options_is_on(o, "check")) {
        printf("%s is valid: %zu process%s\n", s->project.file, s->plan.count, s->plan.count == 1 ? "" : "es");
        exit_code = command_finish(&up, VERB_OK);
    } else if (is_running(&s->project)) {
        exit_code = VERB_FAILED;
    } else {
        exit_code = options_is_on(o, "detach") ? detach(s, colour) : run_here(s, colour, -1);
    }
    plan_fini(&s->plan);
    return exit_code;
}

int verb_up(int argc, char *const argv[])
{
    options o;
    int exit_code;
    char why[PROJECT_WHY_SIZE] = "out of memory";
    if (!command_start(&up, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    starting s = {.view = options_is_on(&o, "view")};
    problems_init(&s.problems);
    if (!project_open(&s.project, o.operand_count > 0 ? o.operands[0] : NULL, why)) {
        exit_code = command_fail(&up, "%s", why);
    } else if (settings_init(&s.settings) != LOOM_OK) {
        exit_code = command_fail(&up, "out of memory");
    } else {
        exit_code = run(&s, &o);
        settings_fini(&s.settings);
    }
    project_close(&s.project);
    options_fini(&o);
    return exit_code;
}
