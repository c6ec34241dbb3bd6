/* SPDX-License-Identifier: Apache-2.0 */
/* service PORT: what the harness of W3C Trace Context (github.com/w3c/trace-context, test/) calls. It takes a POST of
 * [{"url": URL, "arguments": […]}, …] and posts the arguments to each URL, as a traced service does: a SERVER span that
 * continues the request, and a CLIENT span for each call, whose context goes on. With port 0 the real one is printed.
 *
 * Threads: the loop's; the calls of a request are made on a thread of libuv's pool. */
#include <curl/curl.h>
#include <jansson.h>
#include <loom/http.h>
#include <loom/span.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/str.h"
#include "base/url.h"
#include "host/http/http_server.h"

typedef struct service {
    uv_loop_t loop;
    http_server *server;
    loom_tracer *tracer;
} service;

/* One request, while its calls are made. */
typedef struct task {
    uv_work_t work;
    service *service;
    http_request *request;
    loom_propagation from;
    loom_span *span;
    json_t *calls;
    bool failed;
} task;

/* ---- the calls ---- */

static loom_status add_header(void *user, const char *name, loom_str value)
{
    struct curl_slist **list = user;
    char line[9000];
    if (value.data != NULL) {
        snprintf(line, sizeof line, "%s: %.*s", name, (int)value.len, value.data);
        *list = curl_slist_append(*list, line);
    }
    return LOOM_OK;
}

static size_t drop(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    (void)user;
    return size * count;
}

static bool post(task *t, const char *target, const json_t *arguments)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    const loom_carrier to = {.set = add_header, .user = &headers};
    char *body = json_dumps(arguments, JSON_COMPACT);
    CURL *easy = curl_easy_init();
    long status = 0;
    loom_span *span = loom_http_client_span(t->service->tracer, "POST", target, 0);
    const loom_propagation out = {.context = *loom_span_context(span), .tracestate = loom_span_tracestate(span),
                                  .baggage = t->from.baggage};
    (void)loom_propagation_inject(&to, &out, LOOM_PROPAGATORS_DEFAULT);
    curl_easy_setopt(easy, CURLOPT_URL, target);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 10L);
    const CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    loom_http_client_status(span, (unsigned)status, code == CURLE_OK ? NULL : curl_easy_strerror(code));
    loom_span_end(span);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    free(body);
    return code == CURLE_OK;
}

static void make_calls(uv_work_t *work)
{
    task *t = work->data;
    size_t i;
    json_t *call;
    loom_span_make_current(t->span);
    json_array_foreach(t->calls, i, call) {
        const char *target = json_string_value(json_object_get(call, "url"));
        if (target == NULL || !post(t, target, json_object_get(call, "arguments"))) {
            t->failed = true;
        }
    }
    loom_span_detach(t->span);
}

/* ---- the request ---- */

static void finish(uv_work_t *work, int status)
{
    task *t = work->data;
    (void)status;
    const uint16_t answer = t->failed ? 502 : 200;
    loom_http_server_status(t->span, answer, NULL);
    loom_span_end(t->span);
    http_request_answer_text(t->request, answer, t->failed ? "a call failed" : "done");
    loom_propagation_fini(&t->from);
    json_decref(t->calls);
    free(t);
}

static size_t get_field(void *user, const char *name, loom_str *values, size_t max)
{
    return http_request_fields(user, name, values, max);
}

static void on_post(void *user, http_request *r)
{
    service *s = user;
    const loom_bytes body = http_request_body(r);
    const loom_carrier fields = {.get = get_field, .user = r};
    task *t = calloc(1, sizeof *t);
    if (t == NULL) {
        abort();
    }
    t->work.data = t;
    t->service = s;
    t->request = r;
    t->calls = json_loadb(body.len > 0 ? (const char *)body.data : "[]", body.len > 0 ? body.len : 2, 0, NULL);
    (void)loom_propagation_extract(&t->from, &fields, LOOM_PROPAGATORS_DEFAULT, NULL);
    const loom_http_request about = {.method = http_request_method(r), .route = "/test", .path = http_request_path(r),
                                     .scheme = str_of("http")};
    t->span = loom_http_server_span(s->tracer, &about, &t->from);
    t->failed = !json_is_array(t->calls);
    uv_queue_work(&s->loop, &t->work, make_calls, finish);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

static void on_closed(void *user)
{
    *(bool *)user = true;
}

static int serve(service *s, const char *port)
{
    static const http_route routes[] = {{.method = "POST", .path = "/test", .handle = on_post}};
    char text[64], why[HTTP_ERROR_SIZE];
    url u;
    uv_signal_t stop;
    bool closed = false;
    snprintf(text, sizeof text, "http://127.0.0.1:%s/", port);
    if (url_parse(&u, text, URL_HTTP, why) != LOOM_OK ||
        http_server_open(&s->server, &s->loop, &(http_server_options){0}) != LOOM_OK ||
        http_server_listen(s->server, &u, &(http_listen_options){.routes = routes, .route_count = 1, .body_max = 1 << 20, .user = s},
                           why) != LOOM_OK) {
        fprintf(stderr, "service: %s\n", why);
        return EXIT_FAILURE;
    }
    printf("http://127.0.0.1:%u/test\n", (unsigned)u.port);
    fflush(stdout);
    uv_signal_init(&s->loop, &stop);
    uv_signal_start(&stop, on_signal, SIGTERM);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&stop, NULL);
    http_server_close(s->server, on_closed, &closed);
    while (!closed || uv_loop_alive(&s->loop)) {
        uv_run(&s->loop, UV_RUN_ONCE);
    }
    return uv_loop_close(&s->loop) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
    service s = {0};
    loom_span_processor *processor = NULL;
    loom_tracer_provider *provider = NULL;
    if (argc != 2 || uv_loop_init(&s.loop) != 0) {
        fputs("usage: service PORT\n", stderr);
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (loom_span_processor_create(&processor, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE}) != LOOM_OK ||
        loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.service_name = "w3c-service",
                                                                               .processor = processor}) != LOOM_OK) {
        fputs("service: no tracing\n", stderr);
        return EXIT_FAILURE;
    }
    s.tracer = loom_tracer_get(provider, "w3c-service", "1");
    const int code = serve(&s, argv[1]);
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
    curl_global_cleanup();
    return code;
}
