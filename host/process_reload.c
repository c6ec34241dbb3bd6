/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the settings again. All or nothing: what is wrong anywhere leaves everything as it was. */
#include <string.h>

#include "host/process.h"

/* One attempt. */
typedef struct reloading {
    process *process;
    settings fresh;
    settings file; /* what only the file says */
    unsigned changed, kept;
} reloading;

static const config *config_of(const reloading *r)
{
    return &r->process->program->settings.config;
}

static bool is_used(const reloading *r, const config_key *key)
{
    for (const char *const *section = r->process->program->spec->sections; *section != NULL; section++) {
        if (strcmp(*section, key->section) == 0) {
            return true;
        }
    }
    return false;
}

/* What the file said of tracing has been written into the environment, where it would count before the file of now. */
static const config *other_of(const reloading *r, size_t key)
{
    const config *c = config_of(r);
    const bool exported = strcmp(c->keys[key].section, "telemetry") == 0 && c->places[key].source == CONFIG_FROM_FILE;
    return exported ? &r->file.config : &r->fresh.config;
}

static void tell_change(reloading *r, size_t key)
{
    const config *fresh = other_of(r, key);
    char where[320];
    config_describe_place(fresh, &fresh->places[key], where, sizeof where);
    if (fresh->keys[key].live) {
        r->changed++;
        log_info(r->process->log, "setting changed key=%s.%s from=%s", fresh->keys[key].section, fresh->keys[key].name, where);
    } else {
        r->kept++;
        log_warn(r->process->log, "setting cannot change without a restart key=%s.%s from=%s", fresh->keys[key].section,
                 fresh->keys[key].name, where);
    }
}

static void take_over(reloading *r)
{
    config *mine = &r->process->program->settings.config;
    for (size_t i = 0; i < mine->count; i++) {
        if (is_used(r, &mine->keys[i]) && !config_same_value(mine, other_of(r, i), i)) {
            tell_change(r, i);
        }
        if (mine->keys[i].live) {
            config_swap_value(mine, &r->fresh.config, i);
        }
    }
    char *name = mine->file; /* places are in the file that was read last */
    mine->file = r->fresh.config.file;
    r->fresh.config.file = name;
}

/* What the reload itself has to say is written under either level. */
static void apply(reloading *r)
{
    process *p = r->process;
    const settings *now = &p->program->settings;
    log_level level = LOG_INFO;
    (void)log_level_parse(&level, now->log.level);
    if (!logger_enabled(p->log, level)) {
        logger_set_level(p->log, level);
    }
    if (p->control != NULL && p->control->apply != NULL) {
        p->control->apply(p->control_user, now);
    }
    log_info(p->log, "configuration reloaded file=%s changed=%u need_restart=%u", now->config.file != NULL ? now->config.file : "none",
             r->changed, r->kept);
    logger_set_level(p->log, level);
}

static void tell_problems(process *p, const problems *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const bool error = list->items[i].severity == PROBLEM_ERROR;
        log_write(p->log, error ? LOG_ERROR : LOG_WARN, "configuration %s: %s", error ? "error" : "warning", list->items[i].text);
    }
}

static bool is_usable(reloading *r)
{
    const process *p = r->process;
    char why[PROCESS_WHY_SIZE];
    if (p->control == NULL || p->control->check == NULL || p->control->check(p->control_user, &r->fresh, why) == LOOM_OK) {
        return true;
    }
    log_error(p->log, "configuration error: %s", why);
    return false;
}

void process_reload(process *p)
{
    reloading r = {.process = p};
    problems list = {.count = 0}; /* also when it is not read any more */
    bool done = false;
    log_info(p->log, "reloading the configuration");
    process_tell_reloading();
    loom_status st = p->stopping ? LOOM_ECLOSED : program_read_again(p->program, &r.fresh, &list);
    tell_problems(p, &list);
    if (st == LOOM_OK) {
        if ((st = program_read_file(p->program, &r.file)) == LOOM_OK) {
            if (is_usable(&r)) {
                take_over(&r);
                apply(&r);
                done = true;
            }
            settings_fini(&r.file);
        }
        settings_fini(&r.fresh);
    }
    if (!done) {
        log_error(p->log, "configuration not reloaded, everything stays as it was reason=%s",
                  st == LOOM_OK || st == LOOM_EINVAL ? "errors above" : loom_status_text(st));
    }
    process_tell_ready(p);
}
