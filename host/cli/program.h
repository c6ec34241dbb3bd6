/* SPDX-License-Identifier: Apache-2.0 */
/* What every Loom program does before its own work: the command line, loom.toml, the environment, --help, --version,
 * --check-config, and the log. A program says who it is; a setting of its own section is a flag by its bare name
 * (--listen), one of another section by both names (--log-level). */
#ifndef LOOM_HOST_CLI_PROGRAM_H
#define LOOM_HOST_CLI_PROGRAM_H

#include "host/log/log.h"
#include "host/cli/options.h"
#include "host/config/settings.h"
#include "host/cli/term.h"

#define PROGRAM_SECTIONS_MAX 5

typedef struct program_spec {
    const char *name;     /* "loom-broker" */
    const char *version;
    const char *summary;
    const char *synopsis; /* "[OPTION]..." */
    const char *sections[PROGRAM_SECTIONS_MAX + 1]; /* whose settings it uses, its own first; NULL at the end */
    const option_spec *extra; /* options that are no settings */
    size_t extra_count;
    bool takes_operands;
    /* Tells of variables whose value makes no sense, and which are no settings, for --check-config; NULL: there are none.
     * loom_telemetry_check_env(), whose library is above this folder. */
    bool has_link; /* to a broker: OTEL_TRACES_EXPORTER=loom makes sense */
    void (*check_variables)(void (*tell)(void *user, const char *text), void *user);
    const char *examples; /* printed by --help, with its heading; may be NULL */
} program_spec;

/* Hangs from main; does not move once started. */
typedef struct program {
    const program_spec *spec;
    settings settings;
    options options;
    option_spec *specs; /* the whole table: settings, extra, common */
    size_t spec_count;
    char *names;        /* storage of the flags' names */
    term_color color;
    problems problems;
} program;

/* LOOM_OK: run with p->settings and p->options, and call program_fini() at the end.
 * Anything else: *exit_code says how to end (0 after --help, --version or a good --check-config; 2 for a wrong command
 * line; 1 for a wrong configuration), what there is to say was written to out or err, and nothing is held. */
LOOM_MUST_CHECK loom_status program_start(program *p, const program_spec *spec, int argc, char *const argv[], FILE *out,
                                          FILE *err, int *exit_code);
void program_fini(program *p);

/* Reads file, environment and command line again, into settings of the caller's, who frees them. LOOM_EINVAL: something is
 * wrong, which list says, and nothing is held. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status program_read_again(program *p, settings *to, problems *list);
/* Only the file. */
LOOM_MUST_CHECK loom_status program_read_file(program *p, settings *to);

/* The log as [log] and --color say; close it with logger_close(). LOOM_ENOTFOUND: its file cannot be opened, errno says why. */
LOOM_MUST_CHECK loom_status program_open_log(const program *p, logger **out);

#endif
