/* SPDX-License-Identifier: Apache-2.0 */
/* A web service that is no agent: prices and rates, on libevent, with spans of <loom/http.h>. Honey is answered 503 the first
 * time it is asked for, and 200 the next; ice is always answered 503. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <loom/http.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demos/common/demo_agent.h"

enum { FLUSH_MS = 5000 };

typedef struct item {
    const char *path, *json;
    uint32_t busy; /* so many requests are answered 503 before one is answered 200; UINT32_MAX: all are */
    uint32_t asked;
} item;

typedef struct stock {
    loom_tracer *tracer;
    item items[5];
} stock;

/* ---- a request ---- */

static size_t get_field(void *user, const char *name, loom_str *values, size_t max)
{
    const char *value = evhttp_find_header(user, name);
    if (value == NULL) {
        return 0;
    }
    if (max > 0) {
        values[0] = (loom_str){value, strlen(value)};
    }
    return 1;
}

static item *find(stock *s, const char *path)
{
    for (size_t i = 0; i < sizeof s->items / sizeof *s->items; i++) {
        if (strcmp(s->items[i].path, path) == 0) {
            return &s->items[i];
        }
    }
    return NULL;
}

/* The status, and *json. */
static int look_up(stock *s, const char *path, const char **json)
{
    item *found = find(s, path);
    if (found == NULL) {
        *json = "{\"error\":\"there is no such thing\"}";
        return 404;
    }
    if (found->asked < found->busy) {
        found->asked += found->busy < UINT32_MAX;
        *json = "{\"error\":\"busy\"}";
        return 503;
    }
    found->asked = 0;
    *json = found->json;
    return 200;
}

static const char *route_of(const char *path)
{
    if (strncmp(path, "/prices/", 8) == 0) {
        return "/prices/{item}";
    }
    return strncmp(path, "/rates/", 7) == 0 ? "/rates/{country}" : NULL;
}

static void answer(struct evhttp_request *request, int status, const char *json)
{
    struct evbuffer *body = evbuffer_new();
    if (body != NULL) {
        evbuffer_add(body, json, strlen(json));
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "application/json");
    }
    evhttp_send_reply(request, status, NULL, body);
    if (body != NULL) {
        evbuffer_free(body);
    }
}

static void on_request(struct evhttp_request *request, void *user)
{
    stock *s = user;
    const loom_carrier fields = {.get = get_field, .user = evhttp_request_get_input_headers(request)};
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request)), *json;
    loom_propagation from;
    loom_status st = loom_propagation_extract(&from, &fields, LOOM_PROPAGATORS_DEFAULT, NULL);
    if (st != LOOM_OK) {
        fputs("stock: the baggage of a request is left out: out of memory\n", stderr);
    }
    const loom_http_request about = {.method = {"GET", 3}, .route = route_of(path), .path = {path, strlen(path)},
                                     .scheme = {"http", 4}, .protocol_version = {"1.1", 3}};
    loom_span *span = loom_http_server_span(s->tracer, &about, &from);
    const int status = look_up(s, path, &json);
    loom_http_server_status(span, (unsigned)status, NULL);
    loom_span_end(span);
    loom_propagation_fini(&from);
    printf("GET %s: %d\n", path, status);
    answer(request, status, json);
}

/* ---- the program ---- */

static void on_signal(evutil_socket_t number, short events, void *user)
{
    (void)number;
    (void)events;
    event_base_loopbreak(user);
}

static bool say_where(struct evhttp_bound_socket *bound)
{
    struct sockaddr_in address = {0};
    socklen_t len = sizeof address;
    if (getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &len) != 0) {
        return false;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready http://127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    return true;
}

static bool serve(stock *s, uint16_t port)
{
    struct event_base *base = event_base_new();
    struct evhttp *server = base != NULL ? evhttp_new(base) : NULL;
    struct event *term = base != NULL ? evsignal_new(base, SIGTERM, on_signal, base) : NULL;
    struct event *interrupt = base != NULL ? evsignal_new(base, SIGINT, on_signal, base) : NULL;
    bool fine = server != NULL && term != NULL && interrupt != NULL;
    fine = fine && event_add(term, NULL) == 0 && event_add(interrupt, NULL) == 0;
    if (fine) {
        evhttp_set_allowed_methods(server, EVHTTP_REQ_GET);
        evhttp_set_gencb(server, on_request, s);
        struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(server, "127.0.0.1", port);
        fine = bound != NULL && say_where(bound) && event_base_dispatch(base) == 0;
    }
    if (interrupt != NULL) {
        event_free(interrupt);
    }
    if (term != NULL) {
        event_free(term);
    }
    if (server != NULL) {
        evhttp_free(server);
    }
    if (base != NULL) {
        event_base_free(base);
    }
    return fine;
}

static bool run(uint16_t port)
{
    loom_span_processor *spans;
    loom_tracer_provider *provider;
    if (loom_span_processor_create(&spans, NULL) != LOOM_OK) {
        return false;
    }
    bool fine = loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.default_service_name = "stock",
                                                                                       .processor = spans}) == LOOM_OK;
    if (fine) {
        stock s = {.tracer = loom_tracer_get(provider, "stock", NULL),
                   .items = {{"/prices/tea", "{\"price_cents\":350}", 0, 0},
                             {"/prices/honey", "{\"price_cents\":720}", 1, 0},
                             {"/prices/ice", "{\"price_cents\":90}", UINT32_MAX, 0},
                             {"/rates/DE", "{\"rate_cents\":490}", 0, 0},
                             {"/rates/JP", "{\"rate_cents\":1900}", 0, 0}}};
        fine = serve(&s, port);
        loom_tracer_provider_unref(provider);
    }
    fine = loom_span_processor_shutdown(spans, FLUSH_MS) == LOOM_OK && fine;
    loom_span_processor_unref(spans);
    return fine;
}

static void usage(void)
{
    puts("Usage: workflow-stock [PORT]\n\n"
         "A web service for the workflows of this demo: GET /prices/tea, honey or ice, /rates/DE or JP.\n"
         "It listens on 127.0.0.1, port 7790. With port 0 the system chooses one. The URL is printed.");
}

int main(int argc, char **argv)
{
    char *end = "";
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage();
        return EXIT_SUCCESS;
    }
    const unsigned long port = argc == 2 ? strtoul(argv[1], &end, 10) : 7790;
    if (argc > 2 || port > UINT16_MAX || *end != '\0' || (argc == 2 && end == argv[1])) {
        fputs("workflow-stock: takes a port from 0 to 65535; try --help\n", stderr);
        return DEMO_EXIT_USAGE;
    }
    if (!run((uint16_t)port)) {
        fprintf(stderr, "workflow-stock: cannot serve on 127.0.0.1:%lu\n", port);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
