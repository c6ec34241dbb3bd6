/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "host/json_text.h"
#include "tools/loom/up/supervisor_internal.h"

/* ---- the environment of a service ---- */

static loom_status put(loom_child_environment *env, const char *name, const char *value)
{
    return loom_child_environment_set(env, name, str_of(value));
}

/* At the end: what the user has installed comes first. */
static loom_status put_path(loom_child_environment *env, const char *folder)
{
    const char *path = getenv("PATH");
    char *longer;
    if (asprintf(&longer, "%s:%s", path != NULL ? path : "/usr/local/bin:/usr/bin:/bin", folder) < 0) {
        return LOOM_ENOMEM;
    }
    const loom_status st = put(env, "PATH", longer);
    free(longer);
    return st;
}

static loom_status put_own(loom_child_environment *env, const config_strings *own)
{
    loom_status st = LOOM_OK;
    for (size_t i = 0; own != NULL && i < own->count && st == LOOM_OK; i++) {
        char *name = strdup(own->items[i]);
        char *value = name != NULL ? strchr(name, '=') : NULL;
        st = LOOM_ENOMEM;
        if (value != NULL) {
            *value++ = '\0';
            st = put(env, name, value);
        }
        free(name);
    }
    return st;
}

static loom_status put_all(const supervisor *s, loom_child_environment *env, const plan_item *item)
{
    const char *service_name = getenv("OTEL_SERVICE_NAME");
    loom_status st = put_path(env, s->options->plan->program_folder);
    if (st == LOOM_OK && item->kind != PLAN_BROKER && s->url[0] != '\0') {
        st = put(env, "LOOM_URL", s->url);
    }
    if (st == LOOM_OK && item->kind != PLAN_BROKER && s->question.control[0] != '\0') {
        st = put(env, "LOOM_CONTROL", s->question.control);
    }
    if (st == LOOM_OK && item->kind == PLAN_AGENT && (service_name == NULL || service_name[0] == '\0')) {
        st = put(env, "OTEL_SERVICE_NAME", item->name);
    }
    return st == LOOM_OK ? put_own(env, item->env) : st;
}

char *const *surroundings_of(void *user, const service *of)
{
    supervisor *s = user;
    loom_child_environment_free(s->environment);
    s->environment = NULL;
    if (loom_child_environment_create(&s->environment, NULL, NULL, 0) != LOOM_OK ||
        put_all(s, s->environment, of->item) != LOOM_OK) {
        return NULL;
    }
    return loom_child_environment_list(s->environment);
}

/* ---- files by which services tell that they are ready ---- */

bool surroundings_read_broker(supervisor *s)
{
    json_t *ready = json_load_file(s->options->plan->broker_ready, 0, NULL), *url;
    size_t i;
    const bool found = ready != NULL;
    json_array_foreach(json_object_get(ready, "listen"), i, url) {
        const char *text = json_string_value(url);
        if (text != NULL && strncmp(text, "http", 4) != 0) { /* the gateway's are not for agents */
            snprintf(s->url, sizeof s->url, "%s", text);
            break;
        }
    }
    json_decref(ready);
    return found;
}

bool surroundings_read_view(const supervisor *s, char url[URL_SIZE])
{
    FILE *file = fopen(s->options->plan->view_url, "re");
    if (file == NULL) {
        return false;
    }
    const bool found = fgets(url, URL_SIZE, file) != NULL;
    fclose(file);
    if (found) {
        url[strcspn(url, "\r\n")] = '\0';
    }
    return found;
}

/* ---- state.json ---- */

static json_t *describe(const service *s)
{
    static const char *const kinds[] = {"broker", "view", "agent"};
    json_t *argv = json_array();
    for (char *const *argument = s->item->argv; *argument != NULL; argument++) {
        json_array_append_new(argv, json_text(str_of(*argument)));
    }
    return json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:s, s:o}", "name", s->item->name, "kind", kinds[s->item->kind],
                     "state", service_state_name(s->state), "pid", (int)s->id.pid, "start", (json_int_t)s->id.start, "restarts",
                     (json_int_t)s->restarts, "since_unix_ms", (json_int_t)s->since_unix_ms, "suppressed_lines",
                     (json_int_t)s->suppressed, "last_exit", s->last_exit, "command", argv);
}

void surroundings_write_state(const supervisor *s)
{
    static const char *const phases[] = {"starting", "running", "stopping", "stopping"};
    process_id self = {getpid(), 0};
    (void)process_id_of(&self, getpid());
    json_t *services = json_array();
    for (size_t i = 0; i < s->count; i++) {
        json_array_append_new(services, describe(&s->services[i]));
    }
    json_t *state = json_pack("{s:i, s:I, s:o, s:s, s:o, s:I, s:o}", "pid", (int)self.pid, "start", (json_int_t)self.start, "file",
                              json_text(str_of(s->options->project->file)), "phase", phases[s->phase], "url", json_text(str_of(s->url)), "unlogged_lines",
                              (json_int_t)s->journal.lost, "services", services);
    if (state != NULL) {
        (void)state_write(s->options->project, state); /* a full disk: the next change tries again */
    }
    json_decref(state);
}
