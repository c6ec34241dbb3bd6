/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: nng's own run every callback here. `lock` guards the store, the counts and `handler_live`; a request is
 * decoded and stored under it, so that one writer, and the memory of one decoded request, is all there ever is.
 *
 * Bodies are read here rather than by nng's server, which answers a large one with an HTML page and "400 Bad Request":
 * OTLP clients understand 413, and read google.rpc.Status. */
#include "trace/collect/receiver.h"

#include "trace/collect/receiver_internal.h"

#include <nng/nng.h>
#include <nng/supplemental/http/http.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLOSE_TIMEOUT_S 3         /* of nng, to let go of its connections */
#define BODY_TIMEOUT_MS 30000    /* from the last header to the last byte of the body */
#define SKIP_MAX ((uint64_t)64 << 20) /* of a body that is refused, bytes read so that the client gets the answer */
#define SKIP_STEP ((size_t)64 << 10)

struct receiver {
    nng_http_server *server;
    char *address;
    uint16_t port;
    receiver_options options;
    atomic_size_t bodies; /* bytes held for requests under way */
    pthread_mutex_t lock;
    pthread_cond_t handler_gone;
    bool handler_live;      /* guard: lock */
    receiver_counts counts; /* guard: lock */
};

/* A request whose body is being read. Owned by the callback chain that reads it. */
typedef struct exchange {
    receiver *r;
    nng_aio *server_aio; /* to be finished, once, with the answer */
    nng_http_conn *conn;
    nng_aio *read_aio;
    body_type type;
    uint8_t *body;  /* of len bytes; of SKIP_STEP when skipping */
    uint64_t len;   /* of the body; what is left of it when skipping */
    uint16_t refusal; /* 0: the body is wanted */
    const char *why;  /* of a refusal; static storage */
} exchange;

/* ---- answers ---- */

static void respond(nng_aio *aio, otlp_answer *answer, bool close_connection)
{
    nng_http_res *res = NULL;
    int code = answer->body.failed ? NNG_ENOMEM : nng_http_res_alloc(&res);
    if (code == 0 && (code = nng_http_res_set_status(res, answer->status)) == 0 &&
        (code = nng_http_res_set_header(res, "Content-Type", answer->content_type)) == 0) {
        /* Also when empty: nng then says Content-Length: 0, which a kept connection needs. It cannot copy nothing. */
        code = answer->body.len > 0 ? nng_http_res_copy_data(res, answer->body.data, answer->body.len)
                                    : nng_http_res_set_data(res, "", 0);
    }
    if (code == 0 && answer->retry_later) {
        code = nng_http_res_set_header(res, "Retry-After", "1");
    }
    if (code == 0 && answer->status == 405) {
        code = nng_http_res_set_header(res, "Allow", "POST");
    }
    if (code == 0 && close_connection) {
        code = nng_http_res_set_header(res, "Connection", "close");
    }
    pb_fini(&answer->body);
    if (code != 0) {
        nng_http_res_free(res);
        nng_aio_finish(aio, code);
        return;
    }
    nng_aio_set_output(aio, 0, res);
    nng_aio_finish(aio, 0);
}

static void refuse(receiver *r, nng_aio *aio, body_type type, uint16_t status, const char *why, bool close_connection)
{
    otlp_answer answer;
    otlp_answer_error(&answer, type, status, why);
    pthread_mutex_lock(&r->lock);
    r->counts.refused++;
    pthread_mutex_unlock(&r->lock);
    respond(aio, &answer, close_connection);
}

static void export_body(const exchange *x, otlp_answer *answer)
{
    receiver *r = x->r;
    store_receipt receipt;
    char problem[STORE_PROBLEM_SIZE];
    pthread_mutex_lock(&r->lock);
    otlp_answer_export(answer, x->type, (loom_bytes){x->body, (size_t)x->len}, r->options.db, &receipt, problem);
    r->counts.requests += answer->status == 200;
    r->counts.refused += answer->status != 200;
    r->counts.spans += receipt.stored;
    if (problem[0] != '\0' && r->options.on_error != NULL) {
        r->options.on_error(r->options.user, problem);
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- bodies ---- */

static void exchange_free(exchange *x)
{
    if (x->refusal == 0) {
        atomic_fetch_sub(&x->r->bodies, (size_t)x->len);
    }
    free(x->body);
    if (x->read_aio != NULL) {
        nng_aio_reap(x->read_aio); /* free would wait for the callback that may be running this */
    }
    free(x);
}

static int read_step(exchange *x)
{
    size_t step = x->refusal != 0 && x->len > SKIP_STEP ? SKIP_STEP : (size_t)x->len;
    nng_iov iov = {.iov_buf = x->body, .iov_len = step};
    int code = nng_aio_set_iov(x->read_aio, 1, &iov);
    if (code == 0) {
        nng_http_conn_read_all(x->conn, x->read_aio);
    }
    return code;
}

/* Answers once. x goes first: with the last answer the receiver may be gone. */
static void finish_exchange(exchange *x)
{
    const exchange was = *x;
    otlp_answer answer;
    if (x->refusal == 0) {
        export_body(x, &answer);
    }
    exchange_free(x);
    if (was.refusal == 0) {
        respond(was.server_aio, &answer, false);
    } else {
        refuse(was.r, was.server_aio, was.type, was.refusal, was.why, true);
    }
}

static void abort_exchange(exchange *x, int code)
{
    nng_aio *server_aio = x->server_aio;
    exchange_free(x);
    nng_aio_finish(server_aio, code);
}

static void read_done(void *arg)
{
    exchange *x = arg;
    int code = nng_aio_result(x->read_aio);
    if (code != 0) { /* the client is gone, too slow, or we are closing */
        abort_exchange(x, code);
        return;
    }
    if (x->refusal != 0) {
        x->len -= nng_aio_count(x->read_aio);
        if (x->len > 0) {
            if ((code = read_step(x)) != 0) {
                abort_exchange(x, code);
            }
            return;
        }
    }
    finish_exchange(x);
}

/* Reads the body and then answers; or, for a refusal, reads it away first: closing a connection with unread bytes resets
 * it, and the client would see that instead of the answer. */
static void start_exchange(receiver *r, nng_aio *aio, nng_http_conn *conn, body_type type, uint64_t len, uint16_t refusal,
                           const char *why)
{
    exchange *x = calloc(1, sizeof *x);
    if (x == NULL) {
        nng_aio_finish(aio, NNG_ENOMEM);
        return;
    }
    *x = (exchange){.r = r, .server_aio = aio, .conn = conn, .type = type, .len = len, .refusal = refusal, .why = why};
    if (refusal == 0 && atomic_fetch_add(&r->bodies, (size_t)len) + len > RECEIVER_BODIES_MAX) {
        atomic_fetch_sub(&r->bodies, (size_t)len);
        x->refusal = 503;
        x->why = "too many requests at once";
    }
    if (len == 0 || (x->refusal != 0 && len > SKIP_MAX)) {
        finish_exchange(x);
        return;
    }
    x->body = malloc(x->refusal != 0 ? SKIP_STEP : (size_t)len);
    int code = x->body == NULL ? NNG_ENOMEM : nng_aio_alloc(&x->read_aio, read_done, x);
    if (code == 0) {
        nng_aio_set_timeout(x->read_aio, BODY_TIMEOUT_MS);
        code = read_step(x);
    }
    if (code != 0) {
        abort_exchange(x, code);
    }
}

/* ---- requests ---- */

static bool parse_length(const char *text, uint64_t *out)
{
    size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
    if (digits == 0 || digits > 18 || text[digits] != '\0') {
        return false;
    }
    *out = strtoull(text, NULL, 10);
    return true;
}

static bool header_is(const char *value, const char *allowed)
{
    return value == NULL || strcmp(value, allowed) == 0;
}

static void serve_traces(receiver *r, nng_aio *aio, nng_http_req *req, nng_http_conn *conn)
{
    body_type type = otlp_body_type(nng_http_req_get_header(req, "Content-Type"));
    const char *length = nng_http_req_get_header(req, "Content-Length");
    uint64_t len = 0;
    if (nng_http_req_get_header(req, "Transfer-Encoding") != NULL) {
        refuse(r, aio, type, 411, "send a Content-Length: chunked bodies are not supported", true);
    } else if (length != NULL && !parse_length(length, &len)) {
        refuse(r, aio, type, 400, "Content-Length has to be a number", true);
    } else if (strcmp(nng_http_req_get_method(req), "POST") != 0) {
        start_exchange(r, aio, conn, type, len, 405, "traces are sent here with POST");
    } else if (length == NULL) {
        refuse(r, aio, type, 411, "send a Content-Length", true);
    } else if (len > RECEIVER_BODY_MAX) {
        start_exchange(r, aio, conn, type, len, 413, "a request may have at most 16 MiB: send fewer spans at once");
    } else if (!header_is(nng_http_req_get_header(req, "Content-Encoding"), "identity")) {
        start_exchange(r, aio, conn, type, len, 415, "compressed requests are not supported: set the exporter's compression to none");
    } else if (type == BODY_UNKNOWN) {
        start_exchange(r, aio, conn, type, len, 415, "Content-Type has to be application/x-protobuf or application/json");
    } else {
        start_exchange(r, aio, conn, type, len, 0, NULL);
    }
}

static void serve_health(nng_aio *aio)
{
    otlp_answer answer = {.status = 200, .content_type = "text/plain; charset=utf-8"};
    pb_init(&answer.body, NULL, 0, 64);
    pb_raw(&answer.body, "ok\n", 3);
    respond(aio, &answer, false);
}

static bool path_is(const char *uri, const char *path)
{
    size_t len = strlen(path);
    return strncmp(uri, path, len) == 0 && (uri[len] == '\0' || uri[len] == '?');
}

static void serve(nng_aio *aio)
{
    nng_http_req *req = nng_aio_get_input(aio, 0);
    nng_http_handler *handler = nng_aio_get_input(aio, 1);
    nng_http_conn *conn = nng_aio_get_input(aio, 2);
    receiver *r = nng_http_handler_get_data(handler);
    const char *uri = nng_http_req_get_uri(req);
    const char *method = nng_http_req_get_method(req);
    if (path_is(uri, "/v1/traces")) {
        serve_traces(r, aio, req, conn);
    } else if (path_is(uri, "/health") && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)) {
        serve_health(aio);
    } else {
        uint64_t len = 0;
        parse_length(nng_http_req_get_header(req, "Content-Length"), &len);
        body_type type = otlp_body_type(nng_http_req_get_header(req, "Content-Type"));
        start_exchange(r, aio, conn, type, len, path_is(uri, "/health") ? 405 : 404,
                       path_is(uri, "/health") ? "/health is read with GET" : "traces are sent to /v1/traces");
    }
}

/* ---- life ---- */

/* nng's last use of the handler, and so of the receiver, is over. Any thread. */
static void handler_freed(void *arg)
{
    receiver *r = arg;
    pthread_mutex_lock(&r->lock);
    r->handler_live = false;
    pthread_cond_signal(&r->handler_gone);
    pthread_mutex_unlock(&r->lock);
}

static int add_handler(receiver *r)
{
    nng_http_handler *handler;
    int code = nng_http_handler_alloc(&handler, "/", serve);
    if (code != 0) {
        return code;
    }
    r->handler_live = true;
    if ((code = nng_http_handler_set_method(handler, NULL)) != 0 || (code = nng_http_handler_set_tree(handler)) != 0 ||
        (code = nng_http_handler_collect_body(handler, false, 0)) != 0 ||
        (code = nng_http_handler_set_data(handler, r, handler_freed)) != 0 ||
        (code = nng_http_server_add_handler(r->server, handler)) != 0) {
        nng_http_handler_free(handler);
        r->handler_live = false;
    }
    return code;
}

static loom_status nng_status(int code)
{
    switch (code) {
    case 0:
        return LOOM_OK;
    case NNG_ENOMEM:
        return LOOM_ENOMEM;
    case NNG_EADDRINUSE:
        return LOOM_EBUSY;
    case NNG_EINVAL:
    case NNG_EADDRINVAL:
        return LOOM_EINVAL;
    default:
        return LOOM_EIO;
    }
}

static int start_server(receiver *r, const char *listen)
{
    char *text = NULL;
    nng_url *url = NULL;
    if (asprintf(&text, "http://%s/", listen) < 0) {
        return NNG_ENOMEM;
    }
    int code = nng_url_parse(&url, text);
    free(text);
    if (code != 0) {
        return code;
    }
    if ((code = nng_http_server_hold(&r->server, url)) != 0 || (code = add_handler(r)) != 0 ||
        (code = nng_http_server_start(r->server)) != 0) {
        goto free_url;
    }
    nng_sockaddr bound;
    if ((code = nng_http_server_get_addr(r->server, &bound)) == 0) {
        uint16_t network_port = bound.s_family == NNG_AF_INET6 ? bound.s_in6.sa_port : bound.s_in.sa_port;
        r->port = (uint16_t)(network_port >> 8 | network_port << 8); /* nng keeps it in network order */
        const char *brackets = strchr(url->u_hostname, ':') != NULL ? "[]" : "";
        if (asprintf(&r->address, "%.1s%s%s:%u", brackets, url->u_hostname, brackets[0] != '\0' ? "]" : "",
                     (unsigned)r->port) < 0) {
            r->address = NULL;
            code = NNG_ENOMEM;
        }
    }
free_url:
    nng_url_free(url);
    return code;
}

loom_status receiver_open(receiver **out, const receiver_options *options, char problem[RECEIVER_PROBLEM_SIZE])
{
    *out = NULL;
    const char *colon = strrchr(options->listen, ':');
    uint64_t port;
    if (colon == NULL || colon == options->listen || strchr(options->listen, '/') != NULL || !parse_length(colon + 1, &port) ||
        port > UINT16_MAX) {
        snprintf(problem, RECEIVER_PROBLEM_SIZE, "%.100s is not HOST:PORT, such as 127.0.0.1:4318", options->listen);
        return LOOM_EINVAL;
    }
    receiver *r = calloc(1, sizeof *r);
    if (r == NULL) {
        snprintf(problem, RECEIVER_PROBLEM_SIZE, "out of memory");
        return LOOM_ENOMEM;
    }
    r->options = *options;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->handler_gone, NULL);
    int code = start_server(r, options->listen);
    if (code != 0) {
        snprintf(problem, RECEIVER_PROBLEM_SIZE, "cannot listen on %.100s: %s", options->listen, nng_strerror(code));
        receiver_close(r);
        return nng_status(code);
    }
    *out = r;
    return LOOM_OK;
}

const char *receiver_address(const receiver *r)
{
    return r->address;
}

uint16_t receiver_port(const receiver *r)
{
    return r->port;
}

receiver_counts receiver_read_counts(receiver *r)
{
    pthread_mutex_lock(&r->lock);
    receiver_counts counts = r->counts;
    pthread_mutex_unlock(&r->lock);
    return counts;
}

/* Ends the process before nng's own clean-up, which would wait for what it has lost. */
static void leave_without_nng(int status, void *unused)
{
    (void)unused;
    fflush(NULL);
    _exit(status);
}

void receiver_close(receiver *r)
{
    if (r == NULL) {
        return;
    }
    if (r->server != NULL) {
        nng_http_server_stop(r->server);
        nng_http_server_release(r->server);
    }
    /* nng takes connections apart on a thread of its own; the handler lives as long as any of them uses it. nng 1.5.2 now
     * and then loses an operation on a connection that is closing (ARCHITECTURE.md), and would wait for it for ever. */
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_TIMEOUT_S;
    pthread_mutex_lock(&r->lock);
    int waited = 0;
    while (r->handler_live && waited == 0) {
        waited = pthread_cond_timedwait(&r->handler_gone, &r->lock, &until);
    }
    bool left = r->handler_live;
    pthread_mutex_unlock(&r->lock);
    if (left) {
        (void)on_exit(leave_without_nng, NULL);
        return; /* what nng still uses stays */
    }
    pthread_cond_destroy(&r->handler_gone);
    pthread_mutex_destroy(&r->lock);
    free(r->address);
    free(r);
}
