/* SPDX-License-Identifier: Apache-2.0 */
/* loom logs: what the processes of an `up` have printed, from the journal that it keeps. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/suggest.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/up/console.h"
#include "tools/loom/up/journal.h"
#include "tools/loom/up/state.h"
#include "tools/loom/verbs.h"

enum { LOOK_MS = 100, FILES = 2, NAME_SIZE = 64, WIDTH = 8 };

static const option_spec specs[] = {
    {.name = "follow", .letter = 'f', .kind = OPTION_FLAG, .group = "Output", .help = "Go on with what comes, until `loom up` ends"},
    {.name = "lines", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .group = "Output", .help = "Only the last N lines"},
    {.name = "time", .letter = 't', .kind = OPTION_FLAG, .group = "Output", .help = "Show when each line was printed"},
    OPTION_COLOR,
    OPTION_PROJECT,
    OPTION_HELP,
};

static const command logs = {
    .manual = {.program = "loom logs",
               .synopsis = "[OPTION]… [NAME]",
               .summary = "Prints what the processes of `loom up` have printed: all of them, or the agent NAME with all its replicas. "
                          "`loom up` keeps the last 4 to 8 MiB, also after it has ended, until the next one.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom logs\n"
                          "  loom logs worker -n 20\n"
                          "  loom logs -f\n"},
    .operands_max = 1,
};

typedef struct reading {
    const project *project;
    json_t *state;     /* NULL: it is not up */
    const char *only;  /* NULL: all names */
    bool times, colour;
    int width;
    FILE *files[FILES]; /* the older one first; NULL: not there */
    char *line;
    size_t line_room;
} reading;

/* "web" is also "web-1", "web-2" … */
static bool is_wanted(const reading *r, loom_str name)
{
    const size_t len = r->only != NULL ? strlen(r->only) : 0;
    if (r->only == NULL || str_is(name, r->only)) {
        return true;
    }
    if (name.len <= len + 1 || strncmp(name.data, r->only, len) != 0 || name.data[len] != '-') {
        return false;
    }
    for (size_t i = len + 1; i < name.len; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') {
            return false;
        }
    }
    return true;
}

static unsigned number_of(const reading *r, const char *name)
{
    const json_t *s;
    size_t i;
    json_array_foreach(json_object_get(r->state, "services"), i, s) {
        if (strcmp(json_string_value(json_object_get(s, "name")), name) == 0) {
            return (unsigned)i + 1;
        }
    }
    unsigned sum = 0; /* "up", and names of an `up` that has ended */
    for (; *name != '\0' && strcmp(name, "up") != 0; name++) {
        sum += (unsigned char)*name;
    }
    return sum;
}

static void print(const reading *r, loom_str time, loom_str name, loom_str text)
{
    char head[128], shown[NAME_SIZE];
    snprintf(shown, sizeof shown, "%.*s", (int)name.len, name.data);
    const size_t len = console_head(head, sizeof head, r->colour, r->width, shown, number_of(r, shown));
    if (r->times) {
        printf("%.*s ", (int)time.len, time.data);
    }
    (void)fwrite(head, 1, len, stdout);
    (void)fwrite(text.data, 1, text.len, stdout);
    putchar('\n');
}

/* The next line that is wanted, of those that are whole. */
static bool next(reading *r, FILE *file, loom_str *time, loom_str *name, loom_str *text)
{
    for (;;) {
        const long at = ftell(file);
        const ssize_t n = getline(&r->line, &r->line_room, file);
        if (n <= 0) {
            clearerr(file);
            return false;
        }
        if (r->line[n - 1] != '\n') {
            (void)fseek(file, at, SEEK_SET); /* it is being written */
            return false;
        }
        if (journal_parse((loom_str){r->line, (size_t)n - 1}, time, name, text) && is_wanted(r, *name)) {
            return true;
        }
    }
}

static void open_files(reading *r)
{
    static const char *const names[FILES] = {"log.1", "log"};
    for (size_t i = 0; i < FILES; i++) {
        char *path = project_path(r->project, names[i]);
        r->files[i] = path != NULL ? fopen(path, "re") : NULL;
        free(path);
    }
}

static uint64_t print_from(reading *r, uint64_t first, bool show)
{
    loom_str time, name, text;
    uint64_t count = 0;
    for (size_t i = 0; i < FILES; i++) {
        while (r->files[i] != NULL && next(r, r->files[i], &time, &name, &text)) {
            if (count++ >= first && show) {
                print(r, time, name, text);
            }
        }
    }
    return count;
}

/* How many lines there are of what is wanted, printed or not. */
static uint64_t print_last(reading *r, uint64_t most)
{
    const uint64_t count = most != UINT64_MAX ? print_from(r, 0, false) : 0;
    for (size_t i = 0; i < FILES && most != UINT64_MAX; i++) {
        if (r->files[i] != NULL) {
            rewind(r->files[i]);
        }
    }
    return print_from(r, count > most && most != UINT64_MAX ? count - most : 0, true);
}

/* ---- follow ---- */

/* The file was renamed, and another one has its place. */
static bool has_turned(const reading *r, FILE *file)
{
    struct stat now, ours;
    char *path = project_path(r->project, "log");
    const bool turned = path != NULL && stat(path, &now) == 0 && fstat(fileno(file), &ours) == 0 && now.st_ino != ours.st_ino;
    free(path);
    return turned;
}

static void follow(reading *r)
{
    for (;;) {
        loom_str time, name, text;
        FILE **file = &r->files[FILES - 1];
        const bool up = project_is_up(r->project); /* before the last look */
        const bool turned = *file == NULL || has_turned(r, *file);
        while (*file != NULL && next(r, *file, &time, &name, &text)) {
            print(r, time, name, text);
        }
        struct pollfd reader = {STDOUT_FILENO, 0, 0};
        if (fflush(stdout) != 0 || (!up && !turned)) {
            return;
        }
        if (turned) {
            char *path = project_path(r->project, "log");
            FILE *fresh = path != NULL ? fopen(path, "re") : NULL;
            free(path);
            if (*file != NULL && fresh != NULL) {
                (void)fclose(*file);
            }
            *file = fresh != NULL ? fresh : *file;
        }
        if (poll(&reader, 1, LOOK_MS) > 0 && (reader.revents & (POLLERR | POLLHUP)) != 0) {
            return;
        }
    }
}

/* ---- the verb ---- */

/* Whose lines there are, of those that `only` might mean. "": none is near. */
static void nearest_printed(reading *r, char out[NAME_SIZE])
{
    loom_str time, name, text;
    char buffer[NAME_SIZE];
    suggestion near;
    suggestion_init(&near, str_of(r->only));
    out[0] = '\0';
    for (size_t i = 0; i < FILES; i++) {
        if (r->files[i] != NULL) {
            rewind(r->files[i]);
        }
        while (r->files[i] != NULL && getline(&r->line, &r->line_room, r->files[i]) > 0) {
            if (journal_parse((loom_str){r->line, strcspn(r->line, "\n")}, &time, &name, &text)) {
                snprintf(buffer, sizeof buffer, "%.*s", (int)name.len, name.data);
                const size_t before = near.distance;
                suggestion_consider(&near, buffer);
                if (near.distance < before) {
                    near.best = memcpy(out, buffer, sizeof buffer);
                }
            }
        }
    }
    if (suggestion_result(&near) == NULL) {
        out[0] = '\0';
    }
}

static int fail_unknown(reading *r)
{
    char near[NAME_SIZE];
    nearest_printed(r, near);
    return command_fail_with(&logs, LOOM_ENORESPONDERS, "the log of %s has nothing of \"%s\"%s%s%s", r->project->file, r->only,
                             near[0] != '\0' ? "; did you mean \"" : "", near, near[0] != '\0' ? "\"?" : "; `loom logs` shows all of it");
}

/* False: there is no such process. */
static bool check_name(reading *r, int *exit_code)
{
    suggestion near;
    size_t i;
    const json_t *s;
    if (r->only == NULL || r->state == NULL || strcmp(r->only, "up") == 0) {
        return true;
    }
    suggestion_init(&near, str_of(r->only));
    json_array_foreach(json_object_get(r->state, "services"), i, s) {
        const char *name = json_string_value(json_object_get(s, "name"));
        if (is_wanted(r, str_of(name))) {
            return true;
        }
        suggestion_consider(&near, name);
    }
    const char *guess = suggestion_result(&near);
    *exit_code = command_fail_with(&logs, LOOM_ENORESPONDERS, "%s has no agent \"%s\"%s%s%s", r->project->file, r->only, guess != NULL ? "; did you mean \"" : "",
                              guess != NULL ? guess : "", guess != NULL ? "\"?" : "; `loom ps` lists them");
    return false;
}

static void find_width(reading *r)
{
    size_t i;
    const json_t *s;
    r->width = r->state == NULL ? WIDTH : 2;
    json_array_foreach(json_object_get(r->state, "services"), i, s) {
        const int len = (int)strlen(json_string_value(json_object_get(s, "name")));
        r->width = len > r->width ? len : r->width;
    }
}

static int read_and_print(reading *r, const options *o)
{
    uint64_t most;
    int exit_code = VERB_OK;
    if (!trace_options_number(&logs, o, "lines", UINT64_MAX, &most, &exit_code) ||
        !trace_options_color(&logs, o, &r->colour, &exit_code) || !check_name(r, &exit_code)) {
        return exit_code;
    }
    find_width(r);
    open_files(r);
    if (r->files[FILES - 1] == NULL) {
        return command_fail(&logs, "%s has no log; start it with `loom up`", r->project->file);
    }
    if (print_last(r, most) == 0 && r->only != NULL && r->state == NULL) { /* which of the agents have only ended, nobody knows */
        return fail_unknown(r);
    }
    if (options_is_on(o, "follow")) {
        follow(r);
    }
    return command_finish(&logs, VERB_OK);
}

int verb_logs(int argc, char *const argv[])
{
    options o;
    project p;
    int exit_code;
    char why[PROJECT_WHY_SIZE] = "out of memory";
    if (!command_start(&logs, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    if (!project_open(&p, options_value(&o, "config"), why)) {
        exit_code = command_fail(&logs, "%s", why);
        options_fini(&o);
        return exit_code;
    }
    reading r = {.project = &p, .state = state_read(&p), .only = o.operand_count > 0 ? o.operands[0] : NULL,
                 .times = options_is_on(&o, "time")};
    exit_code = read_and_print(&r, &o);
    for (size_t i = 0; i < FILES; i++) {
        if (r.files[i] != NULL) {
            (void)fclose(r.files[i]);
        }
    }
    free(r.line);
    json_decref(r.state);
    project_close(&p);
    options_fini(&o);
    return exit_code;
}
