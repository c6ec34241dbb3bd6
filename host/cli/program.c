/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/program.h"

#include "base/str.h"
#include "host/config/units.h"
#include "base/runtime_dir.h"
#include "host/cli/program_options.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_CONFIGURATION 1

/* Where the words of one start go, and how it ends. */
typedef struct starting {
    program *p;
    FILE *out, *err;
    int exit_code;
} starting;

static loom_status read_command_line(starting *s, int argc, char *const argv[])
{
    program *p = s->p;
    loom_status st = options_parse(&p->options, p->specs, p->spec_count, argc, argv, false, &p->problems);
    if (st == LOOM_ENOMEM) {
        return st;
    }
    /* help is for those whose command line is wrong, too */
    if (options_has(&p->options, "help")) {
        return LOOM_OK;
    }
    if (!p->spec->takes_operands && p->options.operand_count > 0) {
        const char *first = p->options.operands[0];
        const bool is_option = strcmp(first, "help") == 0 || strcmp(first, "version") == 0;
        problems_add(&p->problems, PROBLEM_ERROR, "unexpected argument \"%.64s\"%s%s%s", first,
                     is_option ? "; did you mean \"--" : "", is_option ? first : "", is_option ? "\"?" : "");
        st = LOOM_EINVAL;
    }
    const char *color = options_value(&p->options, "color");
    if (color != NULL && !term_color_parse(&p->color, color)) {
        problems_add(&p->problems, PROBLEM_ERROR, "--color is auto, always or never, not \"%.64s\"", color);
        st = LOOM_EINVAL;
    }
    s->exit_code = st == LOOM_OK ? 0 : OPTIONS_EXIT_USAGE;
    return st;
}

static loom_status read_file(program *p, settings *to, problems *list)
{
    const char *named = options_value(&p->options, "config");
    if (named != NULL) {
        return config_load_file(&to->config, named, list);
    }
    char *found;
    loom_status st = paths_find_config(&found);
    if (st == LOOM_OK && found != NULL) {
        st = config_load_file(&to->config, found, list);
        free(found);
    }
    return st;
}

/* Each source is read even if one before it was wrong: the reader wants all mistakes in one go. *flags: what was wrong with
 * the command line. */
static loom_status read_settings(program *p, settings *to, problems *list, loom_status *flags)
{
    *flags = LOOM_OK;
    if (settings_load_otel_log_level(to, list) != LOOM_OK) {
        return LOOM_ENOMEM;
    }
    loom_status file = read_file(p, to, list);
    if (file == LOOM_ENOMEM) {
        return file;
    }
    loom_status env = config_load_env(&to->config, list);
    if (env == LOOM_ENOMEM) {
        return env;
    }
    settings_check_variable_names(to, false, list);
    if ((*flags = program_apply_flags(p, to, list)) == LOOM_ENOMEM) {
        return LOOM_ENOMEM;
    }
    if (file != LOOM_OK || env != LOOM_OK || *flags != LOOM_OK) {
        return LOOM_EINVAL;
    }
    return settings_check(to, p->spec->sections, list);
}

loom_status program_read_again(program *p, settings *to, problems *list)
{
    loom_status flags, st = settings_init(to);
    problems_init(list);
    if (st == LOOM_OK && (st = read_settings(p, to, list, &flags)) != LOOM_OK) {
        settings_fini(to);
    }
    problems_sort(list);
    return st;
}

loom_status program_read_file(program *p, settings *to)
{
    problems unused;
    loom_status st = settings_init(to);
    problems_init(&unused);
    if (st == LOOM_OK && (st = read_file(p, to, &unused)) != LOOM_OK) {
        settings_fini(to);
    }
    return st;
}

static void print_problems_json(const starting *s)
{
    const problems *list = &s->p->problems;
    fputs("\"problems\":[", s->out);
    for (size_t i = 0; i < list->count; i++) {
        fprintf(s->out, "%s{\"severity\":\"%s\",\"line\":%u,\"column\":%u,\"text\":", i > 0 ? "," : "",
                list->items[i].severity == PROBLEM_WARNING ? "warning" : "error", list->items[i].line,
                list->items[i].column);
        config_print_quoted(s->out, str_of(list->items[i].text));
        fputc('}', s->out);
    }
    fputc(']', s->out);
}

static void report_check(const starting *s, bool valid)
{
    const program *p = s->p;
    const char *file = p->settings.config.file;
    if (!options_is_on(&p->options, "json")) {
        problems_print(&p->problems, s->err, p->spec->name);
        if (valid) {
            fprintf(s->out, "configuration is valid\n");
            fprintf(s->out, "# file: %s\n", file != NULL ? file : "none");
            settings_print(&p->settings, p->spec->sections, false, s->out);
        }
        return;
    }
    fprintf(s->out, "{\"valid\":%s,\"file\":", valid ? "true" : "false");
    if (file != NULL) {
        config_print_quoted(s->out, str_of(file));
    } else {
        fputs("null", s->out);
    }
    fputc(',', s->out);
    print_problems_json(s);
    fputs(",\"settings\":", s->out);
    settings_print(&p->settings, p->spec->sections, true, s->out);
    fputs("}\n", s->out);
}

static void on_variable(void *user, const char *text)
{
    program *p = user;
    settings_add_variable_problem(&p->settings, text, &p->problems);
}

/* What a running program would log at its start. Nothing runs after it, so the environment may be written. */
static loom_status check_variables(program *p)
{
    loom_status st = settings_export_telemetry(&p->settings);
    if (st == LOOM_OK && p->spec->check_variables != NULL) {
        p->spec->check_variables(on_variable, p);
        problems_sort(&p->problems);
    }
    return st;
}

/* What was asked for has to arrive; a reader that has gone does not mind. */
static void finish_output(starting *s)
{
    if (fflush(s->out) != 0 && errno != EPIPE) {
        fprintf(s->err, "%s: cannot write: %s\n", s->p->spec->name, strerror(errno));
        s->exit_code = EXIT_CONFIGURATION;
    }
}

/* LOOM_ECLOSED: done, nothing to run. */
static loom_status start(starting *s, int argc, char *const argv[])
{
    program *p = s->p;
    loom_status st = read_command_line(s, argc, argv);
    if (st != LOOM_OK) {
        return st;
    }
    if (options_has(&p->options, "help")) {
        problems_init(&p->problems);
        program_print_help(p, s->out);
        return LOOM_ECLOSED;
    }
    if (options_has(&p->options, "version")) {
        fprintf(s->out, "%s %s\n", p->spec->name, p->spec->version);
        return LOOM_ECLOSED;
    }
    loom_status flags;
    st = read_settings(p, &p->settings, &p->problems, &flags);
    s->exit_code = flags != LOOM_OK ? OPTIONS_EXIT_USAGE : EXIT_CONFIGURATION;
    if (st != LOOM_ENOMEM && options_has(&p->options, "check-config")) {
        if (check_variables(p) != LOOM_OK) {
            return LOOM_ENOMEM;
        }
        report_check(s, st == LOOM_OK);
        problems_init(&p->problems);
        s->exit_code = st == LOOM_OK ? 0 : s->exit_code;
        return LOOM_ECLOSED;
    }
    return st;
}

loom_status program_start(program *p, const program_spec *spec, int argc, char *const argv[], FILE *out, FILE *err,
                          int *exit_code)
{
    starting s = {.p = p, .out = out, .err = err};
    memset(p, 0, sizeof *p);
    p->spec = spec;
    problems_init(&p->problems);
    loom_status st = settings_init(&p->settings);
    if (st == LOOM_OK) {
        st = program_build_options(p);
    }
    if (st == LOOM_OK) {
        st = start(&s, argc, argv);
    }
    if (st == LOOM_ECLOSED) {
        finish_output(&s);
    }
    if (st == LOOM_ENOMEM) {
        s.exit_code = EXIT_CONFIGURATION;
        problems_add(&p->problems, PROBLEM_ERROR, "%s", loom_status_text(st));
    }
    problems_print(&p->problems, err, spec->name);
    if (st != LOOM_OK && s.exit_code == OPTIONS_EXIT_USAGE) {
        fprintf(err, "Try \"%s --help\".\n", spec->name);
    }
    *exit_code = st == LOOM_OK ? 0 : s.exit_code;
    if (st != LOOM_OK) {
        program_fini(p);
    }
    return st;
}

void program_fini(program *p)
{
    options_fini(&p->options);
    program_free_options(p);
    settings_fini(&p->settings);
}

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* JOURNAL_STREAM has the device and inode of the stream that the service manager connected to the journal, sd-daemon(3). */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat info;
    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &info) == 0 &&
           info.st_dev == (dev_t)device && info.st_ino == (ino_t)inode;
}

loom_status program_open_log(const program *p, logger **out)
{
    logger_options how = {
        .fd = STDERR_FILENO,
        .level = LOG_INFO,
        .json = strcmp(p->settings.log.format, "json") == 0,
        .color = term_wants_color(p->color, STDERR_FILENO),
        .service = p->spec->name,
        .path = p->settings.log.file[0] != '\0' ? p->settings.log.file : NULL,
    };
    how.color = how.color && how.path == NULL;
    how.priority = how.path == NULL && is_journal(STDERR_FILENO);
    how.journal = how.priority && access(JOURNAL_SOCKET, W_OK) == 0 ? JOURNAL_SOCKET : NULL;
    bool known = log_level_parse(&how.level, p->settings.log.level);
    assert(known);
    (void)known;
    return logger_open(out, &how);
}
