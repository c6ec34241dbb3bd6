/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/metrics_server.h"

#include "base/descriptors.h"
#include "base/url.h"

#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS_MAX = 64, CLOSE_MS = 200 };

struct metrics_server {
    uv_loop_t *loop;
    http_server *http;
    bool closed;
    metrics_source source;
    char url[URL_MAX];
};

static void on_request(void *user, http_request *r)
{
    metrics_server *m = user;
    char *text = NULL;
    size_t len = 0;
    const loom_str *accept = http_request_field(r, "accept");
    const bool open = m->source.openmetrics && accept != NULL && memmem(accept->data, accept->len, "application/openmetrics-text", 28) != NULL;
    FILE *out = open_memstream(&text, &len);
    if (out != NULL) {
        m->source.write(m->source.user, out, open);
    }
    if (out != NULL && fclose(out) == 0) {
        http_request_answer(r, &(http_answer){.status = 200,
                                              .content_type = open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                                                   : "text/plain; version=0.0.4; charset=utf-8",
                                              .body = {(const uint8_t *)text, len}});
    } else {
        http_request_answer_text(r, 503, "out of memory");
    }
    free(text);
}

#define PATH "/metrics"

static void on_health(void *user, http_request *r)
{
    (void)user;
    http_request_answer_text(r, 200, "ok");
}

static void on_ready(void *user, http_request *r)
{
    const metrics_server *m = user;
    const char *why;
    const bool ready = m->source.ready(m->source.user, &why);
    http_request_answer_text(r, ready ? 200 : 503, why);
}

static const http_route routes[] = {
    {.method = "GET", .path = PATH, .handle = on_request},
    {.method = "GET", .path = "/healthz", .handle = on_health},
    {.method = "GET", .path = "/readyz", .handle = on_ready},
};

static void on_closed(void *user)
{
    metrics_server *m = user;
    m->closed = true;
}

loom_status metrics_server_open(metrics_server **out, uv_loop_t *loop, logger *log, const char *text,
                                const metrics_source *source, char why[METRICS_ERROR_SIZE])
{
    *out = NULL;
    url u;
    char fault[HTTP_ERROR_SIZE] = "out of memory";
    metrics_server *m = calloc(1, sizeof *m);
    const http_server_options options = {.log = log, .close_ms = CLOSE_MS,
                                         .descriptor_limit = descriptors_limit(DESCRIPTORS_METRICS)};
    loom_status st = m == NULL ? LOOM_ENOMEM : http_server_open(&m->http, loop, &options);
    if (st != LOOM_OK) {
        snprintf(why, METRICS_ERROR_SIZE, "cannot serve metrics at %.128s: %s", text, fault);
        free(m);
        return st;
    }
    m->loop = loop;
    m->source = *source;
    const http_listen_options listen = {.routes = routes, .route_count = sizeof routes / sizeof routes[0],
                                        .max_connections = CONNECTIONS_MAX, .user = m};
    if ((st = url_parse(&u, text, URL_HTTP, fault)) == LOOM_OK) {
        st = http_server_listen(m->http, &u, &listen, fault);
    }
    if (st == LOOM_OK) {
        snprintf(u.path, sizeof u.path, PATH);
        st = url_format(m->url, sizeof m->url, &u);
    }
    if (st != LOOM_OK) {
        snprintf(why, METRICS_ERROR_SIZE, "cannot serve metrics at %.128s: %.340s", text, fault);
        metrics_server_close(m);
        return st;
    }
    *out = m;
    return LOOM_OK;
}

const char *metrics_server_url(const metrics_server *m)
{
    return m->url;
}

http_server_counts metrics_server_get_counts(const metrics_server *m)
{
    return http_server_get_counts(m->http);
}

void metrics_server_close(metrics_server *m)
{
    if (m == NULL) {
        return;
    }
    http_server_close(m->http, on_closed, m);
    while (!m->closed) {
        uv_run(m->loop, UV_RUN_ONCE);
    }
    free(m);
}
