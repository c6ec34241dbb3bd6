/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/up/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "host/end_signals.h"
#include "tools/loom/up/supervisor_internal.h"

void supervisor_say(supervisor *s, const char *format, ...)
{
    char text[SERVICE_TEXT_SIZE + URL_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    journal_put(&s->journal, "up", str_of(text));
    console_put(&s->console, "up", 0, str_of(text));
}

/* ---- what services tell ---- */

static void on_say(void *user, const char *text)
{
    supervisor_say(user, "%s", text);
}

static void on_line(void *user, service *v, loom_str line)
{
    supervisor *s = user;
    journal_put(&s->journal, v->item->name, line);
    console_put(&s->console, v->item->name, v->number, line);
}

static void on_changed(void *user, service *v)
{
    supervisor *s = user;
    const plan *p = s->options->plan;
    if (v->state != SERVICE_RUNNING && v->state != SERVICE_READY && v->item->kind != PLAN_AGENT) {
        (void)unlink(v->item->kind == PLAN_BROKER ? p->broker_ready : p->view_url); /* not true any more */
    }
    surroundings_write_state(s);
}

/* ---- what the loop calls ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    phases_stop(handle->data, number == SIGQUIT);
}

static void on_tick(uv_timer_t *timer)
{
    phases_tick(timer->data);
}

static bool open_loop(supervisor *s)
{
    static const int numbers[SUPERVISOR_SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    if (uv_loop_init(&s->loop) != 0) {
        return false;
    }
    s->loop.data = s;
    uv_timer_init(&s->loop, &s->tick);
    s->tick.data = s;
    uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    end_signals_watch(&s->loop, s->signals, numbers, SUPERVISOR_SIGNALS, on_signal, s);
    return true;
}

static void close_handle(uv_handle_t *handle, void *user)
{
    (void)user;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void close_loop(supervisor *s)
{
    for (size_t i = 0; i < s->count; i++) {
        service_close(&s->services[i]);
    }
    while (s->host.runs > 0 && uv_run(&s->loop, UV_RUN_NOWAIT) != 0) {
    }
    uv_walk(&s->loop, close_handle, NULL);
    while (uv_run(&s->loop, UV_RUN_DEFAULT) != 0) {
    }
    (void)uv_loop_close(&s->loop);
}

/* ---- start and end ---- */

static int width_of(const plan *p)
{
    size_t width = 2;
    for (size_t i = 0; i < p->count; i++) {
        const size_t len = strlen(p->items[i].name);
        width = len > width ? len : width;
    }
    return (int)width;
}

static bool open_services(supervisor *s)
{
    const plan *p = s->options->plan;
    s->host = (service_host){.loop = &s->loop, .read_buffer = malloc(SERVICE_READ_SIZE), .environment = surroundings_of,
                             .line = on_line, .say = on_say, .changed = on_changed, .user = s};
    s->services = calloc(p->count + 1, sizeof *s->services);
    if (s->services == NULL || s->host.read_buffer == NULL) {
        return false;
    }
    for (size_t i = 0; i < p->count; i++) {
        service_init(&s->services[s->count++], &s->host, &p->items[i], (unsigned)i + 1);
    }
    return true;
}

/* What was on before may be there still, when somebody has killed an `up` together with its guardian. */
static void clean_up(supervisor *s)
{
    const plan *p = s->options->plan;
    json_t *old = state_read(s->options->project);
    if (old != NULL) {
        json_decref(old);
        const size_t count = state_clean(s->options->project, s->options->settings->up.stop_timeout_ms);
        supervisor_say(s, "the last `loom up` was killed; ended %zu processes that it had left running", count);
    }
    (void)unlink(p->broker_ready);
    (void)unlink(p->view_url);
}

static void find_control(supervisor *s)
{
    const char *given = getenv("LOOM_CONTROL");
    const settings *of = s->options->settings;
    const bool elsewhere = !of->up.broker && given != NULL && given[0] != '\0';
    snprintf(s->question.control, URL_SIZE, "%s", elsewhere ? given : of->broker.bus_control);
    if (!of->up.broker) {
        snprintf(s->url, URL_SIZE, "%s", of->agent.url);
    }
}

static int fail_to_open(supervisor *s, const char *what)
{
    fprintf(stderr, "loom up: %s: %s\n", what, strerror(errno));
    journal_close(&s->journal);
    return VERB_FAILED;
}

static void run(supervisor *s)
{
    phases_begin(s);
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    close_loop(s);
    supervisor_say(s, "stopped");
    state_remove(s->options->project);
    guardian_dismiss(&s->guardian);
}

int supervisor_run(const supervisor_options *how)
{
    supervisor *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return VERB_FAILED;
    }
    *s = (supervisor){.options = how, .report = how->report};
    console_init(&s->console, STDOUT_FILENO, how->colour, width_of(how->plan));
    int code = VERB_FAILED;
    if (!journal_open(&s->journal, how->project)) {
        code = fail_to_open(s, how->project->dir);
    } else {
        clean_up(s);
        find_control(s);
        if (!guardian_start(&s->guardian, how->project, how->settings->up.stop_timeout_ms)) {
            code = fail_to_open(s, "cannot start the process that cleans up");
        } else if (open_loop(s) && open_services(s)) {
            run(s);
            code = s->exit_code;
        } else {
            guardian_dismiss(&s->guardian);
            code = fail_to_open(s, "cannot start");
        }
    }
    loom_child_environment_free(s->environment);
    journal_close(&s->journal);
    console_fini(&s->console);
    free(s->host.read_buffer);
    free(s->services);
    free(s);
    return code;
}
