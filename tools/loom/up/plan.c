/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/up/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "tools/loom/program_folder.h"
#include "tools/loom/verbs.h"

enum { BROKER_RESTARTS = 10, BROKER_DELAY_MS = 500 };

static char **copy_arguments(const char *const *list, size_t count)
{
    char **argv = calloc(count + 1, sizeof *argv);
    for (size_t i = 0; argv != NULL && i < count; i++) {
        if ((argv[i] = strdup(list[i])) == NULL) {
            while (i-- > 0) {
                free(argv[i]);
            }
            free(argv);
            return NULL;
        }
    }
    return argv;
}

/* NULL: no memory, or no room; the count tells. */
static plan_item *add(plan *p, plan_kind kind, const char *name, const char *const *argv, size_t argc, const char *cwd)
{
    plan_item *items = realloc(p->items, (p->count + 1) * sizeof *items);
    if (items == NULL) {
        return NULL;
    }
    p->items = items;
    plan_item *item = &items[p->count];
    *item = (plan_item){.kind = kind, .argv = copy_arguments(argv, argc), .cwd = strdup(cwd), .restart = PLAN_ALWAYS,
                        .restart_limit = BROKER_RESTARTS, .restart_delay_ms = BROKER_DELAY_MS};
    snprintf(item->name, sizeof item->name, "%s", name);
    p->count++; /* what it has so far is freed with the plan */
    return item->argv != NULL && item->cwd != NULL ? item : NULL;
}

static loom_status add_broker(plan *p, const project *of)
{
    char *beside;
    if (asprintf(&beside, "%s/loom-broker", p->program_folder) < 0) {
        return LOOM_ENOMEM;
    }
    const char *const argv[] = {access(beside, X_OK) == 0 ? beside : "loom-broker", "--config", of->file, "--ready-file",
                                p->broker_ready};
    const plan_item *item = add(p, PLAN_BROKER, "broker", argv, 5, of->folder);
    free(beside);
    return item != NULL ? LOOM_OK : LOOM_ENOMEM;
}

static loom_status add_view(plan *p, const project *of)
{
    char *self;
    if (asprintf(&self, "%s/loom", p->program_folder) < 0) {
        return LOOM_ENOMEM;
    }
    const char *const argv[] = {self, "view", "--no-open", "--url-file", p->view_url};
    const plan_item *item = add(p, PLAN_VIEW, "view", argv, 5, of->folder);
    free(self);
    return item != NULL ? LOOM_OK : LOOM_ENOMEM;
}

/* ---- agents ---- */

/* The value that the agent's own table has for it; NULL: none. */
static const char *own_variable(const settings_agent *a, const char *name)
{
    const size_t len = strlen(name);
    for (size_t i = 0; i < a->env.count; i++) {
        if (strncmp(a->env.items[i], name, len) == 0 && a->env.items[i][len] == '=') {
            return a->env.items[i] + len + 1;
        }
    }
    return NULL;
}

/* A file can be run, not only entered. base: of a relative path. */
static bool is_program(const char *base, const char *folder, int folder_len, const char *name)
{
    char *path;
    struct stat info;
    const bool absolute = folder_len > 0 ? folder[0] == '/' : name[0] == '/';
    if (asprintf(&path, "%s%s%.*s%s%s", absolute ? "" : base, absolute ? "" : "/", folder_len, folder, folder_len > 0 ? "/" : "", name) < 0) {
        return true;
    }
    const bool found = access(path, X_OK) == 0 && stat(path, &info) == 0 && S_ISREG(info.st_mode);
    free(path);
    return found;
}

static bool find_program(const plan *p, const settings_agent *a, const char *cwd, const char *name)
{
    const char *path = own_variable(a, "PATH");
    path = path != NULL ? path : getenv("PATH");
    if (strchr(name, '/') != NULL) {
        return is_program(cwd, "", 0, name);
    }
    loom_str rest = str_of(path != NULL ? path : "/usr/local/bin:/usr/bin:/bin"), folder;
    while (str_next_item(&rest, ':', &folder)) {
        if (is_program(cwd, folder.data, (int)folder.len, name)) {
            return true;
        }
    }
    return is_program(cwd, p->program_folder, (int)strlen(p->program_folder), name);
}

static loom_status check_agent(const plan *p, const settings_agent *a, const char *cwd, problems *list)
{
    struct stat info;
    if (stat(cwd, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return settings_agent_complain(a, "cwd", list, "\"%.128s\": %s", cwd, errno != 0 ? strerror(errno) : "not a directory");
    }
    if (!find_program(p, a, cwd, a->command.items[0])) {
        const char *name = a->command.items[0], *where = name[0] == '/' ? "" : strchr(name, '/') != NULL ? cwd : "PATH";
        return settings_agent_complain(a, "command", list, "\"%.128s\": there is no such program%s%.128s", name, where[0] != '\0' ? " in " : "", where);
    }
    return LOOM_OK;
}

static plan_restart restart_of(const settings_agent *a)
{
    return strcmp(a->restart, "always") == 0 ? PLAN_ALWAYS : strcmp(a->restart, "never") == 0 ? PLAN_NEVER : PLAN_ON_FAILURE;
}

static loom_status add_replica(plan *p, const settings_agent *a, const char *cwd, int64_t number)
{
    char name[PLAN_NAME_SIZE];
    if (p->count == PLAN_ITEMS_MAX) {
        return LOOM_ETOOBIG;
    }
    snprintf(name, sizeof name, a->replicas > 1 ? "%s-%d" : "%s", a->name, (int)number);
    plan_item *item = add(p, PLAN_AGENT, name, (const char *const *)a->command.items, a->command.count, cwd);
    if (item == NULL) {
        return LOOM_ENOMEM;
    }
    item->env = &a->env;
    item->restart = restart_of(a);
    item->restart_delay_ms = a->restart_delay_ms;
    item->restart_limit = a->restart_limit;
    item->ready_on_bus = strcmp(a->ready, "bus") == 0;
    return LOOM_OK;
}

static loom_status add_agent(plan *p, const project *of, const settings_agent *a, problems *list)
{
    char *cwd;
    if (asprintf(&cwd, "%s%s%s", a->cwd[0] == '/' ? "" : of->folder, a->cwd[0] == '/' || a->cwd[0] == '\0' ? "" : "/", a->cwd) < 0) {
        return LOOM_ENOMEM;
    }
    errno = 0;
    loom_status st = check_agent(p, a, cwd, list);
    for (int64_t i = 1; i <= a->replicas && st == LOOM_OK; i++) {
        st = add_replica(p, a, cwd, i);
    }
    free(cwd);
    return st;
}

/* "web-1" may be an agent, and the first of two called "web". */
static loom_status check_names(const plan *p, problems *list)
{
    for (size_t i = 0; i < p->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(p->items[i].name, p->items[k].name) == 0) {
                problems_add(list, PROBLEM_ERROR, "there are two agents called %s, one of them a replica; rename the other", p->items[i].name);
                return LOOM_EINVAL;
            }
        }
    }
    return LOOM_OK;
}

static loom_status fill(plan *out, const project *p, const settings *s, bool view, problems *list)
{
    loom_status st = s->up.broker ? add_broker(out, p) : LOOM_OK;
    if (st == LOOM_OK && view) {
        st = add_view(out, p);
    }
    for (size_t i = 0; i < s->agents.count && st != LOOM_ENOMEM && st != LOOM_ETOOBIG; i++) {
        loom_status added = add_agent(out, p, s->agents.items[i], list);
        st = added != LOOM_OK ? added : st;
    }
    if (st == LOOM_ETOOBIG) {
        problems_add(list, PROBLEM_ERROR, "more than %d processes; lower `replicas`", PLAN_ITEMS_MAX);
        st = LOOM_EINVAL;
    }
    return st == LOOM_OK ? check_names(out, list) : st;
}

loom_status plan_make(plan *out, const project *p, const settings *s, bool view, problems *list)
{
    *out = (plan){.program_folder = program_folder(), .broker_ready = project_path(p, "broker.ready"),
                  .view_url = project_path(p, "view.url")};
    loom_status st = LOOM_ENOMEM;
    if (out->program_folder != NULL && out->broker_ready != NULL && out->view_url != NULL) {
        st = fill(out, p, s, view, list);
    }
    if (st != LOOM_OK) {
        plan_fini(out);
    }
    return st;
}

void plan_fini(plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        for (char **argument = p->items[i].argv; argument != NULL && *argument != NULL; argument++) {
            free(*argument);
        }
        free(p->items[i].argv);
        free(p->items[i].cwd);
    }
    free(p->items);
    free(p->program_folder);
    free(p->broker_ready);
    free(p->view_url);
    *p = (plan){0};
}
