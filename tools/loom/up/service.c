/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/up/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "tools/loom/up/lines.h"

enum { STABLE_MS = 10000, DELAY_MAX_MS = 30000 };

/* A process and its output. Apart from the service, since output can go on after the end, until the next run takes its place. */
typedef struct service_run {
    uv_process_t process;
    uv_pipe_t out;
    service *of;
    unsigned open; /* handles */
    line_splitter lines;
} service_run;

const char *service_state_name(service_state state)
{
    static const char *const names[] = {"waiting", "running", "ready", "backoff", "stopping", "ended", "failed"};
    return names[state];
}

__attribute__((format(printf, 2, 3))) static void say(const service *s, const char *format, ...)
{
    char text[SERVICE_TEXT_SIZE];
    const int len = snprintf(text, sizeof text, "%s ", s->item->name);
    va_list args;
    va_start(args, format);
    vsnprintf(text + len, sizeof text - (size_t)len, format, args);
    va_end(args);
    s->host->say(s->host->user, text);
}

void service_set_state(service *s, service_state state)
{
    s->state = state;
    s->since_unix_ms = clock_unix_ms();
    s->host->changed(s->host->user, s);
}

void service_init(service *s, service_host *host, const plan_item *item, unsigned number)
{
    *s = (service){.item = item, .host = host, .number = number, .since_unix_ms = clock_unix_ms()};
    uv_timer_init(host->loop, &s->restart);
    s->restart.data = s;
}

/* ---- output ---- */

static void say_suppressed(service *s, uint64_t count)
{
    if (count > 0) {
        say(s, "wrote more than %d lines in a second: %llu lines left out", SERVICE_LINES_MAX, (unsigned long long)count);
        s->host->changed(s->host->user, s);
    }
}

static void take_line(void *user, loom_str line)
{
    service *s = user;
    uint64_t suppressed = 0;
    if (!rate_limit_pass(&s->flood, uv_now(s->host->loop), 1000, SERVICE_LINES_MAX, &suppressed)) {
        s->suppressed++;
        return;
    }
    say_suppressed(s, suppressed);
    s->host->line(s->host->user, s, line);
}

static void on_closed(uv_handle_t *handle)
{
    service_run *run = handle->data;
    if (--run->open == 0) {
        run->of->host->runs--;
        if (run->of->run == run) {
            run->of->run = NULL;
        }
        free(run);
    }
}

static void close_output(service_run *run)
{
    if (!uv_is_closing((uv_handle_t *)&run->out)) {
        service *s = run->of;
        lines_finish(&run->lines, take_line, s);
        say_suppressed(s, s->flood.suppressed);
        s->flood.suppressed = 0;
        uv_close((uv_handle_t *)&run->out, on_closed);
    }
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    const service_run *run = handle->data;
    (void)wanted;
    *out = uv_buf_init(run->of->host->read_buffer, SERVICE_READ_SIZE);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    service_run *run = stream->data;
    if (n > 0) {
        lines_feed(&run->lines, (loom_str){buffer->base, (size_t)n}, take_line, run->of);
    } else if (n < 0) {
        close_output(run);
    }
}

/* ---- the end of a process ---- */

static void on_restart(uv_timer_t *timer)
{
    service *s = timer->data;
    if (!s->host->stopping) {
        s->restarts++;
        service_start(s);
    }
}

static void give_up(service *s)
{
    if (s->item->restart == PLAN_NEVER) {
        say(s, "failed: %s; its restart policy is \"never\"", s->last_exit);
    } else {
        say(s, "failed: %s, after %u restarts in a row; it is not started again", s->last_exit, s->in_a_row);
    }
    service_set_state(s, SERVICE_FAILED);
}

static void restart_later(service *s)
{
    const uint64_t lived = uv_now(s->host->loop) - s->started_ms;
    s->in_a_row = lived >= STABLE_MS ? 0 : s->in_a_row;
    if (s->item->restart_limit > 0 && s->in_a_row >= s->item->restart_limit) {
        give_up(s);
        return;
    }
    const uint64_t most = s->item->restart_delay_ms > DELAY_MAX_MS ? s->item->restart_delay_ms : DELAY_MAX_MS;
    const uint64_t delay = backoff_delay(s->item->restart_delay_ms, most, s->in_a_row);
    s->in_a_row++;
    char limit[24] = "";
    if (s->item->restart_limit > 0) {
        snprintf(limit, sizeof limit, " of %lld", (long long)s->item->restart_limit);
    }
    say(s, "ended: %s; restart %u%s in %llu ms", s->last_exit, s->in_a_row, limit, (unsigned long long)delay);
    uv_timer_start(&s->restart, on_restart, delay, 0);
    service_set_state(s, SERVICE_BACKOFF);
}

static void after_end(service *s, bool failed)
{
    if (s->host->stopping) {
        service_set_state(s, SERVICE_ENDED);
    } else if (s->item->restart == PLAN_ALWAYS || (failed && s->item->restart == PLAN_ON_FAILURE)) {
        restart_later(s);
    } else if (failed) {
        give_up(s);
    } else {
        say(s, "ended: %s", s->last_exit);
        service_set_state(s, SERVICE_ENDED);
    }
}

static void on_exit_of(uv_process_t *process, int64_t code, int signal)
{
    service_run *run = process->data;
    service *s = run->of;
    if (signal != 0) {
        snprintf(s->last_exit, sizeof s->last_exit, "signal %d (%s)", signal, strsignal(signal));
    } else {
        snprintf(s->last_exit, sizeof s->last_exit, "code %d", (int)code);
    }
    if (s->host->stopping) {
        s->left_behind = s->id.pid; /* what it has started may be busy ending */
    } else {
        (void)kill(-s->id.pid, SIGKILL); /* it would be in the way of the next run */
    }
    s->id = (process_id){0};
    uv_close((uv_handle_t *)process, on_closed);
    after_end(s, code != 0 || signal != 0);
}

/* ---- start ---- */

static int spawn(service *s, service_run *run, char *const *environment, int output)
{
    uv_stdio_container_t streams[] = {{.flags = UV_IGNORE},
                                      {.flags = UV_INHERIT_FD, .data.fd = output},
                                      {.flags = UV_INHERIT_FD, .data.fd = output}};
    const uv_process_options_t how = {.exit_cb = on_exit_of, .file = s->item->argv[0], .args = s->item->argv,
                                      .cwd = s->item->cwd, .env = (char **)(uintptr_t)environment,
                                      .flags = UV_PROCESS_DETACHED, /* a session, and so a group, of its own */
                                      .stdio = streams, .stdio_count = 3};
    return uv_spawn(s->host->loop, &run->process, &how);
}

static void fail_to_start(service *s, int error)
{
    snprintf(s->last_exit, sizeof s->last_exit, "%s", uv_strerror(error));
    say(s, "cannot be started: %s: %s", s->item->argv[0], uv_strerror(error));
    service_set_state(s, SERVICE_FAILED);
}

static int start_run(service *s, service_run *run, char *const *environment)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return uv_translate_sys_error(errno);
    }
    const int error = spawn(s, run, environment, ends[1]);
    close(ends[1]);
    if (error != 0 || uv_pipe_open(&run->out, ends[0]) != 0) {
        close(ends[0]);
    }
    return error;
}

static service_run *make_run(service *s)
{
    service_run *run = calloc(1, sizeof *run);
    if (run != NULL) {
        run->of = s;
        run->open = 2;
        run->process.data = run->out.data = run;
        uv_pipe_init(s->host->loop, &run->out, 0);
        s->host->runs++;
    }
    return run;
}

void service_start(service *s)
{
    if (s->run != NULL) {
        close_output(s->run); /* somebody still holds the last run's */
        s->run = NULL;
    }
    char *const *environment = s->host->environment(s->host->user, s);
    service_run *run = environment != NULL ? make_run(s) : NULL;
    if (run == NULL) {
        fail_to_start(s, UV_ENOMEM);
        return;
    }
    const int error = start_run(s, run, environment);
    if (error != 0) {
        if (run->process.type == UV_PROCESS) {
            uv_close((uv_handle_t *)&run->process, on_closed);
        } else {
            run->open--; /* it was never a handle */
        }
        uv_close((uv_handle_t *)&run->out, on_closed);
        fail_to_start(s, error);
        return;
    }
    s->run = run;
    s->started_ms = uv_now(s->host->loop);
    if (!process_id_of(&s->id, run->process.pid)) {
        s->id = (process_id){run->process.pid, 0};
    }
    (void)uv_read_start((uv_stream_t *)&run->out, on_room, on_output);
    service_set_state(s, SERVICE_RUNNING);
}

void service_stop(service *s, int signal)
{
    uv_timer_stop(&s->restart);
    const pid_t group = s->id.pid > 0 ? s->id.pid : s->left_behind;
    if (group > 0) {
        (void)kill(-group, signal);
    }
    if (s->id.pid > 0) {
        service_set_state(s, SERVICE_STOPPING);
    } else if (s->state == SERVICE_BACKOFF || s->state == SERVICE_WAITING) {
        service_set_state(s, SERVICE_ENDED);
    }
}

bool service_runs(const service *s)
{
    return s->id.pid > 0 || (s->left_behind > 0 && group_runs(s->left_behind));
}

void service_close(service *s)
{
    if (s->run != NULL) {
        close_output(s->run);
    }
    if (!uv_is_closing((uv_handle_t *)&s->restart)) {
        uv_close((uv_handle_t *)&s->restart, NULL);
    }
}
