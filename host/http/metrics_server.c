/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/metrics_server.h"

#include <nng/nng.h>
#include <nng/supplemental/http/http.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WAITING_MAX = 64 };

struct metrics_server {
    nng_http_server *http;
    uv_async_t wake;
    void (*write)(void *user, FILE *out);
    void *user;
    pthread_mutex_t lock;
    nng_aio *waiting[WAITING_MAX]; /* lock */
    size_t waiting_count;          /* lock */
    bool closing;                  /* lock */
};

static void answer(nng_aio *aio, uint16_t status, const char *body, size_t len)
{
    nng_http_res *res = NULL;
    int rc = nng_http_res_alloc(&res);
    if (rc == 0 && (rc = nng_http_res_set_status(res, status)) == 0 &&
        (rc = nng_http_res_set_header(res, "Content-Type", "text/plain; version=0.0.4; charset=utf-8")) == 0) {
        rc = nng_http_res_copy_data(res, body, len);
    }
    if (rc != 0) {
        nng_http_res_free(res);
        nng_aio_finish(aio, rc);
        return;
    }
    nng_aio_set_output(aio, 0, res);
    nng_aio_finish(aio, 0);
}

/* One of nng's threads. */
static void on_request(nng_aio *aio)
{
    nng_http_handler *handler = nng_aio_get_input(aio, 1);
    metrics_server *m = nng_http_handler_get_data(handler);
    pthread_mutex_lock(&m->lock);
    bool taken = !m->closing && m->waiting_count < WAITING_MAX;
    if (taken) {
        m->waiting[m->waiting_count++] = aio;
        uv_async_send(&m->wake);
    }
    pthread_mutex_unlock(&m->lock);
    if (!taken) {
        answer(aio, 503, "busy\n", 5);
    }
}

static size_t take_waiting(metrics_server *m, nng_aio *taken[WAITING_MAX])
{
    pthread_mutex_lock(&m->lock);
    size_t count = m->waiting_count;
    memcpy(taken, m->waiting, count * sizeof *taken);
    m->waiting_count = 0;
    pthread_mutex_unlock(&m->lock);
    return count;
}

/* The loop. */
static void on_wake(uv_async_t *async)
{
    metrics_server *m = async->data;
    nng_aio *taken[WAITING_MAX];
    size_t count = take_waiting(m, taken);
    if (count == 0) {
        return;
    }
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out != NULL) {
        m->write(m->user, out);
    }
    bool written = out != NULL && fclose(out) == 0;
    for (size_t i = 0; i < count; i++) {
        answer(taken[i], written ? 200 : 503, written ? text : "out of memory\n", written ? len : 14);
    }
    free(text);
}

static int start_http(metrics_server *m, const char *text)
{
    nng_url *url = NULL;
    nng_http_handler *handler = NULL;
    int rc = nng_url_parse(&url, text);
    if (rc == 0 && (rc = nng_http_server_hold(&m->http, url)) == 0 &&
        (rc = nng_http_handler_alloc(&handler, "/metrics", on_request)) == 0) {
        nng_http_handler_set_data(handler, m, NULL);
        if ((rc = nng_http_server_add_handler(m->http, handler)) != 0) {
            nng_http_handler_free(handler);
        } else {
            rc = nng_http_server_start(m->http);
        }
    }
    if (rc != 0 && m->http != NULL) {
        nng_http_server_release(m->http);
        m->http = NULL;
    }
    if (url != NULL) {
        nng_url_free(url);
    }
    return rc;
}

static void on_wake_closed(uv_handle_t *handle)
{
    metrics_server *m = handle->data;
    pthread_mutex_destroy(&m->lock);
    free(m);
}

loom_status metrics_server_open(metrics_server **out, uv_loop_t *loop, const char *url, void (*write)(void *user, FILE *out),
                                void *user, char why[METRICS_ERROR_SIZE])
{
    *out = NULL;
    metrics_server *m = calloc(1, sizeof *m);
    if (m == NULL || uv_async_init(loop, &m->wake, on_wake) != 0) {
        free(m);
        snprintf(why, METRICS_ERROR_SIZE, "out of memory");
        return LOOM_ENOMEM;
    }
    m->wake.data = m;
    m->write = write;
    m->user = user;
    pthread_mutex_init(&m->lock, NULL);
    int rc = start_http(m, url);
    if (rc != 0) {
        snprintf(why, METRICS_ERROR_SIZE, "cannot serve metrics at %.128s: %s", url, nng_strerror(rc));
        uv_close((uv_handle_t *)&m->wake, on_wake_closed);
        return rc == NNG_EADDRINUSE ? LOOM_EBUSY : LOOM_EIO;
    }
    *out = m;
    return LOOM_OK;
}

void metrics_server_close(metrics_server *m)
{
    if (m == NULL) {
        return;
    }
    pthread_mutex_lock(&m->lock);
    m->closing = true;
    pthread_mutex_unlock(&m->lock);
    nng_aio *taken[WAITING_MAX];
    size_t count = take_waiting(m, taken);
    for (size_t i = 0; i < count; i++) {
        answer(taken[i], 503, "stopping\n", 9);
    }
    nng_http_server_stop(m->http);
    nng_http_server_release(m->http);
    uv_close((uv_handle_t *)&m->wake, on_wake_closed);
}

/* ---- the text ---- */

void metrics_describe(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_sample(FILE *out, const char *name, const char *label, loom_str label_value, uint64_t value)
{
    fputs(name, out);
    if (label != NULL) {
        fprintf(out, "{%s=\"", label);
        for (size_t i = 0; i < label_value.len; i++) {
            char c = label_value.data[i];
            if (c == '\n') {
                fputs("\\n", out);
            } else {
                if (c == '\\' || c == '"') {
                    putc('\\', out);
                }
                putc(c, out);
            }
        }
        fputs("\"}", out);
    }
    fprintf(out, " %llu\n", (unsigned long long)value);
}

static void metric(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
    metrics_describe(out, name, type, help);
    metrics_sample(out, name, NULL, (loom_str){NULL, 0}, value);
}

void metrics_counter(FILE *out, const char *name, const char *help, uint64_t value)
{
    metric(out, name, "counter", help, value);
}

void metrics_gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
    metric(out, name, "gauge", help, value);
}
