/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/container/engine.h"

#include "base/clock.h"
#include "base/printable.h"
#include "base/str.h"
#include "trace/process/container/signal_script.h"
#include "trace/process/container/variables.h"
#include "trace/process/run/piped.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_MS 20000u             /* an engine that says nothing for so long is not asked on */
#define ANSWER_MAX (256u * 1024u) /* bytes */
#define FOLDER "/tmp/.loom-libraries"

/* Whatever tells a process which trace it works for; trace/carrier/child_environment.c writes them. */
static const char *const variables[] = {"TRACEPARENT",  "TRACESTATE",   "BAGGAGE",        "B3",         "X_B3_TRACEID",
                                        "X_B3_SPANID",  "X_B3_SAMPLED", "X_B3_FLAGS",     "X_TRACE_ID", "X_SPAN_ID",
                                        "LOOM_TRACE_ID", "LOOM_SPAN_ID", "LOOM_TRACE_BAGGAGE", "LOOM_TRACE", "LOOM_TRACE_SAMPLE"};

/* Search paths that the folder is appended to. */
static const struct search_path {
    const char *variable, *folder;
} search_paths[] = {{"PYTHONPATH", FOLDER "/python"}, {"NODE_PATH", FOLDER "/node"}, {"RUBYLIB", FOLDER "/ruby"}};
enum { SEARCH_PATHS = sizeof search_paths / sizeof search_paths[0] };

/* NULL-terminated texts on the heap. Without memory it has failed, and stays so. */
typedef struct text_list {
    char **items;
    size_t count, capacity;
    bool failed;
} text_list;

struct engine {
    const engine_options *options; /* while it opens */
    const char *name;
    text_list argv, environment;
    text_list signalling; /* sends a signal into the container; empty: it cannot */
    pthread_mutex_t id_lock;
    char id[CONTAINER_ID_SIZE]; /* once it is known it stays as it is */
    char folder[sizeof "/tmp/loom-exec-XXXXXX"]; /* empty: none */
    char *id_file;
};

/* ---- lists ---- */

static void take_text(text_list *list, char *text)
{
    if (text != NULL && list->count + 1 >= list->capacity) {
        const size_t capacity = list->capacity * 2 + 32;
        char **items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL) {
            free(text);
            text = NULL;
        } else {
            list->items = items;
            list->capacity = capacity;
        }
    }
    if (text == NULL) {
        list->failed = true;
        return;
    }
    list->items[list->count++] = text;
    list->items[list->count] = NULL;
}

static void add_text(text_list *list, const char *text)
{
    take_text(list, strdup(text));
}

static void add_pair(text_list *list, const char *option, const char *value)
{
    add_text(list, option);
    add_text(list, value);
}

static void list_fini(text_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
}

/* ---- asking the engine ---- */

static void add_engine(text_list *argv, const engine_options *o)
{
    add_text(argv, o->engine);
    for (size_t i = 0; i < o->engine_arg_count; i++) {
        add_text(argv, o->engine_args[i].data);
    }
}

typedef struct question {
    uint64_t until_ms;
} question;

static bool is_late(void *user)
{
    return clock_monotonic_ms() > ((const question *)user)->until_ms;
}

/* Runs the engine with arguments of its own; *answer, NUL-terminated, is the caller's to free. */
static loom_status ask(const engine *e, const char *const *arguments, char **answer, char problem[CONTAINER_PROBLEM_SIZE])
{
    const engine_options *o = e->options;
    text_list argv = {.items = NULL};
    question q = {clock_monotonic_ms() + ASK_MS};
    piped_end end;
    *answer = NULL;
    add_engine(&argv, o);
    for (; *arguments != NULL; arguments++) {
        add_text(&argv, *arguments);
    }
    if (argv.failed) {
        list_fini(&argv);
        return LOOM_ENOMEM;
    }
    piped_run_to_end(&(piped_run){.argv = argv.items, .environment = o->environment, .output_max = ANSWER_MAX,
                                  .give_up = is_late, .user = &q}, &end);
    loom_status st = end.how == PIPED_EXITED && end.number == 0 ? LOOM_OK : LOOM_ENOTFOUND;
    if (st == LOOM_OK) {
        *answer = strndup(end.output != NULL ? (const char *)end.output : "", end.output_len);
        st = *answer != NULL ? LOOM_OK : LOOM_ENOMEM;
    } else if (end.how == PIPED_NOT_STARTED) {
        (void)snprintf(problem, CONTAINER_PROBLEM_SIZE, "cannot run %s: %s", o->engine, strerror(end.number));
    } else {
        char said[300];
        loom_str complaint = str_of(end.complaint);
        while (complaint.len > 0 && (complaint.data[complaint.len - 1] == '\n' || complaint.data[complaint.len - 1] == '\r')) {
            complaint.len--;
        }
        printable_copy(said, sizeof said, complaint);
        (void)snprintf(problem, CONTAINER_PROBLEM_SIZE, "%s %s: %s", o->engine, argv.items[1 + o->engine_arg_count],
                       end.how == PIPED_GIVEN_UP ? "does not answer" : said);
    }
    free(end.output);
    list_fini(&argv);
    return st;
}

/* The id in the first line of what inspect says, the environment in the others. */
static loom_status inspect(engine *e, char **answer, char problem[CONTAINER_PROBLEM_SIZE])
{
    static const char format[] = "{{.Id}}{{range .Config.Env}}{{\"\\n\"}}{{.}}{{end}}";
    const engine_options *o = e->options;
    const char *const of_container[] = {"container", "inspect", "--format", format, o->container, NULL};
    const char *const of_image[] = {"image", "inspect", "--format", format, o->image, NULL};
    const loom_status st = ask(e, o->container != NULL ? of_container : of_image, answer, problem);
    if (st == LOOM_OK && o->container != NULL) {
        (void)snprintf(e->id, sizeof e->id, "%.*s", (int)strcspn(*answer, "\n"), *answer);
    }
    return st;
}

/* ---- the command line ---- */

static void add_variables(engine *e)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        if (variable_value(e->options->environment, variables[i]) != NULL) {
            add_pair(&e->argv, "--env", variables[i]);
        }
    }
}

/* The folder behind what is there, so that nothing is hidden. Last, or an argument of the caller's would hide the folder. */
static void add_search_paths(engine *e, const char *known)
{
    for (size_t i = 0; i < SEARCH_PATHS; i++) {
        const loom_str before = variable_in_container(e->options, known, search_paths[i].variable);
        char *text;
        if (asprintf(&text, "%s=%.*s%s%s", search_paths[i].variable, (int)before.len, before.len > 0 ? before.data : "",
                     before.len > 0 ? ":" : "", search_paths[i].folder) < 0) {
            text = NULL;
        }
        add_text(&e->argv, "--env");
        take_text(&e->argv, text);
    }
}

/* Into a container that runs they are copied, and stay: nobody can mount anything there. */
static loom_status bring_libraries(engine *e, char problem[CONTAINER_PROBLEM_SIZE])
{
    const engine_options *o = e->options;
    char *text, *ignored;
    loom_status st = LOOM_OK;
    if (o->container != NULL) {
        char from[4096], to[512];
        (void)snprintf(from, sizeof from, "%s/.", o->libraries);
        (void)snprintf(to, sizeof to, "%s:" FOLDER, o->container);
        const char *const copy[] = {"cp", from, to, NULL};
        st = ask(e, copy, &ignored, problem);
        free(ignored);
    } else if (asprintf(&text, "%s:" FOLDER ":ro", o->libraries) >= 0) {
        add_text(&e->argv, "--volume");
        take_text(&e->argv, text);
    } else {
        st = LOOM_ENOMEM;
    }
    return st;
}

/* A new container's id is in a file as soon as it is made. */
static loom_status make_id_file(engine *e, char problem[CONTAINER_PROBLEM_SIZE])
{
    char template[] = "/tmp/loom-exec-XXXXXX";
    if (mkdtemp(template) == NULL) {
        (void)snprintf(problem, CONTAINER_PROBLEM_SIZE, "cannot make a folder in /tmp: %s", strerror(errno));
        return LOOM_EIO;
    }
    memcpy(e->folder, template, sizeof template);
    if (asprintf(&e->id_file, "%s/id", e->folder) < 0) {
        e->id_file = NULL;
        return LOOM_ENOMEM;
    }
    add_pair(&e->argv, "--cidfile", e->id_file);
    return LOOM_OK;
}

/* The last arguments are known later. A client of `exec` passes no signals on, and one of `run` only once it has attached; both
 * leave the command behind when they are killed. */
static void make_signalling(engine *e)
{
    const engine_options *o = e->options;
    const char *id = variable_value(o->environment, "LOOM_SPAN_ID");
    if (o->container == NULL) {
        add_engine(&e->signalling, o);
        add_pair(&e->signalling, "kill", "--signal");
        add_pair(&e->signalling, "", ""); /* the signal and the container */
    } else if (id != NULL) {
        add_engine(&e->signalling, o);
        add_pair(&e->signalling, "exec", o->container);
        add_pair(&e->signalling, "/bin/sh", "-c");
        add_pair(&e->signalling, signal_script, "sh");
        add_pair(&e->signalling, id, ""); /* the signal */
    }
}

static loom_status make_command_line(engine *e, const char *known, char problem[CONTAINER_PROBLEM_SIZE])
{
    const engine_options *o = e->options;
    loom_status st = LOOM_OK;
    add_engine(&e->argv, o);
    add_text(&e->argv, o->container != NULL ? "exec" : "run");
    add_text(&e->argv, "--interactive");
    if (o->container == NULL) {
        add_text(&e->argv, "--rm");
        st = make_id_file(e, problem);
    }
    add_variables(e);
    if (st == LOOM_OK && o->libraries != NULL) {
        st = bring_libraries(e, problem);
    }
    for (size_t i = 0; i < o->run_arg_count; i++) {
        add_text(&e->argv, o->run_args[i].data);
    }
    if (o->libraries != NULL) {
        add_search_paths(e, known);
    }
    add_text(&e->argv, o->container != NULL ? o->container : o->image);
    for (char *const *argument = o->argv; *argument != NULL; argument++) {
        add_text(&e->argv, *argument);
    }
    for (char *const *variable = o->environment; *variable != NULL; variable++) {
        add_text(&e->environment, *variable);
    }
    make_signalling(e);
    return st != LOOM_OK ? st : e->argv.failed || e->environment.failed || e->signalling.failed ? LOOM_ENOMEM : LOOM_OK;
}

/* ---- from open to close ---- */

static bool is_in_path(const char *name, const char *path)
{
    loom_str rest = str_of(path), folder;
    while (str_next_item(&rest, ':', &folder)) {
        char file[4096];
        (void)snprintf(file, sizeof file, "%.*s/%s", (int)folder.len, folder.data, name);
        if (access(file, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

static const char *find_engine(char *const *environment)
{
    static const char *const engines[] = {"podman", "docker"};
    const char *path = variable_value(environment, "PATH");
    for (size_t i = 0; path != NULL && i < sizeof engines / sizeof engines[0]; i++) {
        if (is_in_path(engines[i], path)) {
            return engines[i];
        }
    }
    return NULL;
}

static loom_status open_with(engine *e, const engine_options *o, char problem[CONTAINER_PROBLEM_SIZE])
{
    char *known = NULL;
    const char *slash = strrchr(o->engine, '/');
    e->options = o;
    e->name = slash != NULL ? slash + 1 : o->engine;
    loom_status st = o->container != NULL || o->libraries != NULL ? inspect(e, &known, problem) : LOOM_OK;
    if (st == LOOM_ENOTFOUND && o->container == NULL) {
        st = LOOM_OK; /* the image is not here yet: the engine will get it */
    }
    if (st == LOOM_OK) {
        st = make_command_line(e, known != NULL ? known : "", problem);
    }
    e->options = NULL;
    free(known);
    return st;
}

loom_status engine_open(engine **out, const engine_options *options, char problem[CONTAINER_PROBLEM_SIZE])
{
    engine_options with = *options;
    *out = NULL;
    problem[0] = '\0';
    if ((with.container != NULL) == (with.image != NULL)) {
        (void)snprintf(problem, CONTAINER_PROBLEM_SIZE, "give either a container or an image, not both");
        return LOOM_EINVAL;
    }
    with.engine = with.engine != NULL ? with.engine : find_engine(with.environment);
    if (with.engine == NULL) {
        (void)snprintf(problem, CONTAINER_PROBLEM_SIZE, "no container engine: neither podman nor docker is in PATH");
        return LOOM_ENOTFOUND;
    }
    engine *e = calloc(1, sizeof *e);
    if (e != NULL) {
        (void)pthread_mutex_init(&e->id_lock, NULL);
    }
    loom_status st = e != NULL ? open_with(e, &with, problem) : LOOM_ENOMEM;
    if (st != LOOM_OK) {
        engine_close(e);
        return st;
    }
    *out = e;
    return LOOM_OK;
}

void engine_close(engine *e)
{
    if (e == NULL) {
        return;
    }
    if (e->id_file != NULL) {
        (void)unlink(e->id_file);
        free(e->id_file);
    }
    if (e->folder[0] != '\0') {
        (void)rmdir(e->folder);
    }
    list_fini(&e->argv);
    list_fini(&e->environment);
    list_fini(&e->signalling);
    (void)pthread_mutex_destroy(&e->id_lock);
    free(e);
}

char *const *engine_argv(const engine *e)
{
    return e->argv.items;
}

char *const *engine_environment(const engine *e)
{
    return e->environment.items;
}

const char *engine_name(const engine *e)
{
    return e->name;
}

static void read_id(engine *e)
{
    FILE *in = fopen(e->id_file, "re");
    if (in != NULL) {
        const size_t len = fread(e->id, 1, sizeof e->id - 1, in);
        e->id[len] = '\0';
        e->id[strcspn(e->id, "\r\n")] = '\0';
        fclose(in);
    }
}

const char *engine_container_id(engine *e)
{
    (void)pthread_mutex_lock(&e->id_lock);
    if (e->id[0] == '\0' && e->id_file != NULL) {
        read_id(e);
    }
    const char *id = e->id[0] != '\0' ? e->id : NULL;
    (void)pthread_mutex_unlock(&e->id_lock);
    return id;
}

static bool set_argument(text_list *argv, size_t from_end, const char *text)
{
    char **place = &argv->items[argv->count - 1 - from_end];
    char *copy = strdup(text);
    if (copy == NULL) {
        return false;
    }
    free(*place);
    *place = copy;
    return true;
}

/* to_container: what a new one is sent. NULL: it is not known yet, or there is no memory. */
static char *const *signalling_with(engine *e, const char *to_command, const char *to_container)
{
    const bool is_new = e->id_file != NULL;
    const char *id = is_new ? engine_container_id(e) : "";
    if (e->signalling.count == 0 || id == NULL ||
        !set_argument(&e->signalling, is_new ? 1 : 0, is_new ? to_container : to_command) ||
        (is_new && !set_argument(&e->signalling, 0, id))) {
        return NULL;
    }
    return e->signalling.items;
}

char *const *engine_signal_argv(engine *e, int signal)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", signal);
    return signalling_with(e, number, number);
}

char *const *engine_end_argv(engine *e)
{
    return signalling_with(e, SIGNAL_SCRIPT_END, "KILL");
}
