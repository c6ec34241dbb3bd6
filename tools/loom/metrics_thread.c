/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/metrics_thread.h"

#include "base/thread.h"

#include <stdlib.h>
#include <string.h>

struct metrics_thread {
    uv_loop_t loop;
    uv_async_t stop;
    metrics_server *server;
    pthread_t thread;
    void (*write)(void *user, FILE *out);
    void *user;
};

static void on_stop(uv_async_t *handle)
{
    uv_stop(handle->loop);
}

static void *run(void *user)
{
    metrics_thread *m = user;
    (void)uv_run(&m->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* The loop is this thread's again. */
static void fini(metrics_thread *m)
{
    metrics_server_close(m->server);
    uv_close((uv_handle_t *)&m->stop, NULL);
    (void)uv_run(&m->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&m->loop);
    free(m);
}

static void write_text(void *user, FILE *out, bool openmetrics)
{
    const metrics_thread *m = user;
    (void)openmetrics;
    m->write(m->user, out);
}

static bool always_ready(void *user, const char **why)
{
    (void)user;
    *why = "ready";
    return true;
}

loom_status metrics_thread_open(metrics_thread **out, const char *url, void (*write)(void *user, FILE *out), void *user,
                                char why[METRICS_ERROR_SIZE])
{
    *out = NULL;
    metrics_thread *m = calloc(1, sizeof *m);
    if (m == NULL || uv_loop_init(&m->loop) != 0) {
        free(m);
        (void)snprintf(why, METRICS_ERROR_SIZE, "out of memory");
        return LOOM_ENOMEM;
    }
    (void)uv_async_init(&m->loop, &m->stop, on_stop);
    m->write = write;
    m->user = user;
    const metrics_source source = {.write = write_text, .ready = always_ready, .user = m};
    loom_status st = metrics_server_open(&m->server, &m->loop, NULL, url, &source, why);
    if (st == LOOM_OK && thread_start(&m->thread, NULL, run, m) != 0) {
        (void)snprintf(why, METRICS_ERROR_SIZE, "cannot start a thread");
        st = LOOM_ENOMEM;
    }
    if (st != LOOM_OK) {
        fini(m);
        return st;
    }
    *out = m;
    return LOOM_OK;
}

const char *metrics_thread_url(const metrics_thread *m)
{
    return metrics_server_url(m->server);
}

void metrics_thread_close(metrics_thread *m)
{
    if (m == NULL) {
        return;
    }
    (void)uv_async_send(&m->stop);
    (void)pthread_join(m->thread, NULL);
    fini(m);
}
