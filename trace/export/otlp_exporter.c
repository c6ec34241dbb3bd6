/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP by libcurl: protobuf or JSON over HTTP, and gRPC, which is HTTP/2 with a five-byte frame and a status in the trailers.
 *
 * The curl handles belong to the exporter thread, which makes them for its first batch. Only curl_multi_wakeup() is called
 * from elsewhere: that is how a shutdown makes a transfer look at its deadline again. */
#include "base/clock.h"
#include "base/percent.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/url.h"
#include "trace/export/curl_library.h"
#include "trace/export/probe.h"
#include "trace/export/exporter.h"
#include "trace/export/request_body.h"
#include "trace/export/response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <loom/version.h>

#define POLL_MAX_MS 1000u
/* Bytes of one write. A kernel without preemption, as servers have it, finishes a write before it lets a thread on that processor
 * handle messages: some 100 us where a batch of 512 spans leaves in one. */
#define UPLOAD_BUFFER_SIZE (64u * 1024u)

typedef struct otlp_exporter {
    exporter base;
    const curl_library *curl; /* NULL before the first batch */
    _Atomic(CURLM *) multi;   /* likewise; read by whoever interrupts */
    CURL *easy;
    struct curl_slist *headers;
    char *url;
    char shown[URL_SHOWN_SIZE]; /* the URL as messages show it */
    char *user_headers, *ca_file, *client_certificate_file, *client_key_file; /* NULL: none */
    char curl_error[CURL_ERROR_SIZE];
    request_body body;
    otlp_response response;
} otlp_exporter;

/* ---- one transfer ---- */

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    otlp_response_header(user, (loom_str){data, size * count});
    return size * count;
}

/* A body over the limit ends the transfer: nothing in it would be read any more, and it may have no end. */
static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    return otlp_response_body(user, (loom_bytes){(const uint8_t *)data, size * count}) ? size * count : 0;
}

/* true: *code says how the transfer ended. false: the deadline came first. */
static bool run_transfer(otlp_exporter *e, export_deadline until, CURLcode *code)
{
    for (;;) {
        int running = 0;
        if (e->curl->multi_perform(e->multi, &running) != CURLM_OK) {
            *code = CURLE_FAILED_INIT;
            return true;
        }
        int left;
        for (CURLMsg *msg = e->curl->multi_info_read(e->multi, &left); msg != NULL; msg = e->curl->multi_info_read(e->multi, &left)) {
            if (msg->msg == CURLMSG_DONE) {
                *code = msg->data.result;
                return true;
            }
        }
        thread_rest();
        uint64_t now = clock_monotonic_ns(), deadline = export_deadline_ns(until);
        if (now >= deadline) {
            return false;
        }
        uint64_t ms = (deadline - now) / 1000000u + 1;
        (void)e->curl->multi_poll(e->multi, NULL, 0, (int)(ms < POLL_MAX_MS ? ms : POLL_MAX_MS), NULL);
    }
}

static export_outcome outcome_of(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return EXPORT_UNREACHABLE;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_OUT_OF_MEMORY:
        return EXPORT_FAILED;
    default:
        return EXPORT_RETRY;
    }
}

/* Whether the receiver has said what becomes of the batch, however the transfer ended: servers that refuse one, for its size
 * above all, answer and reset the stream or the connection, and some never end the body of a 200. */
static bool has_verdict(const otlp_exporter *e, long status)
{
    if (status < 200) {
        return false;
    }
    return !e->body.grpc || status != 200 || e->response.grpc_status != OTLP_GRPC_STATUS_NONE;
}

/* "URL: " before what a message says. */
static void name_receiver(const otlp_exporter *e, export_result *result)
{
    char said[sizeof result->message];
    if (result->message[0] != '\0') {
        memcpy(said, result->message, sizeof said);
        (void)snprintf(result->message, sizeof result->message, "%.100s: %.150s", e->shown, said);
    }
}

static void judge(otlp_exporter *e, bool in_time, CURLcode code, export_result *result)
{
    long status = 0;
    (void)e->curl->easy_getinfo(e->easy, CURLINFO_RESPONSE_CODE, &status);
    bool complete = in_time && code == CURLE_OK;
    if (!complete && !has_verdict(e, status)) {
        bool cut = in_time && e->response.cut; /* it has taken the batch, for all we know: not again */
        const char *why = !in_time ? "no answer in time" : cut ? "an answer without end" :
            e->curl_error[0] != '\0' ? e->curl_error : e->curl->easy_strerror(code);
        result->outcome = !in_time ? EXPORT_RETRY : cut ? EXPORT_FAILED : outcome_of(code);
        (void)snprintf(result->message, sizeof result->message, "%.100s: %.150s", e->shown, why);
        return;
    }
    curl_off_t retry_after = 0; /* seconds, also when the header was a date */
    (void)e->curl->easy_getinfo(e->easy, CURLINFO_RETRY_AFTER, &retry_after);
    const curl_off_t bounded = retry_after < INT32_MAX ? retry_after : INT32_MAX;
    const uint64_t retry_after_ms = bounded > 0 ? (uint64_t)bounded * 1000u : 0;
    (e->body.grpc ? otlp_judge_grpc : otlp_judge_http)(&e->response, status, retry_after_ms, result);
    name_receiver(e, result);
}

/* ---- the handles ---- */

static bool add_header(otlp_exporter *e, const char *line)
{
    struct curl_slist *longer = e->curl->slist_append(e->headers, line);
    if (longer != NULL) {
        e->headers = longer;
    }
    return longer != NULL;
}

typedef struct header_walk {
    otlp_exporter *exporter;
    bool failed;
} header_walk;

/* What says how to read the body, or where it ends, is for the exporter to say. */
static bool is_reserved(const char *key)
{
    static const char *const names[] = {"content-type", "content-length", "content-encoding", "transfer-encoding", "connection",
                                        "host", "te", "trailer", "expect", "upgrade", "grpc-encoding", "grpc-timeout"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_is_any_case(str_of(key), names[i])) {
            return true;
        }
    }
    return false;
}

/* The name is a token (RFC 9110, 5.6.2), the value has no control characters: else it would be more than one header. */
bool otlp_header_valid(const char *key, const char *value)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (key[0] == '\0' || key[strspn(key, token)] != '\0' || is_reserved(key)) {
        return false;
    }
    for (; *value != '\0'; value++) {
        if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool add_user_header(void *user, const char *key, const char *value)
{
    header_walk *walk = user;
    if (!otlp_header_valid(key, value)) {
        return true;
    }
    char *line; /* "key:" would take a header away, "key;" is one without a value */
    if (asprintf(&line, value[0] != '\0' ? "%s: %s" : "%s;%s", key, value) < 0) {
        walk->failed = true;
        return false;
    }
    walk->failed = !add_header(walk->exporter, line);
    free(line);
    return !walk->failed;
}

static loom_status make_headers(otlp_exporter *e)
{
    bool ok = add_header(e, e->body.grpc ? "Content-Type: application/grpc" : e->body.json ?
                                "Content-Type: application/json" : "Content-Type: application/x-protobuf") &&
              add_header(e, "Expect:") && (!e->body.grpc || add_header(e, "TE: trailers"));
    if (e->body.zlib != NULL) {
        ok = ok && add_header(e, e->body.grpc ? "grpc-encoding: gzip" : "Content-Encoding: gzip");
    }
    header_walk walk = {.exporter = e};
    if (!ok || percent_pairs(e->user_headers, add_user_header, &walk) != LOOM_OK || walk.failed) {
        return LOOM_ENOMEM;
    }
    return LOOM_OK;
}

/* libcurl 7.88 (Debian 12) fails the second request on a connection of HTTP/2 prior knowledge with a framing error: a
 * batch then gets a connection of its own, a round trip in five seconds. */
static bool must_not_reuse(const otlp_exporter *e, long version)
{
    return version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE && e->curl->version_info(CURLVERSION_NOW)->version_num < 0x080000;
}

static loom_status set_options(otlp_exporter *e)
{
    CURL *c = e->easy;
    long version = CURL_HTTP_VERSION_1_1;
    if (e->body.grpc) {
        version = strncmp(e->url, "https", 5) == 0 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    }
    bool ok = e->curl->easy_setopt(c, CURLOPT_HTTP_VERSION, version) == CURLE_OK;
    ok = ok && e->curl->easy_setopt(c, CURLOPT_URL, e->url) == CURLE_OK;
    ok = ok && e->curl->easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok = ok && e->curl->easy_setopt(c, CURLOPT_USERAGENT, "OTel-OTLP-Exporter-Loom/" LOOM_VERSION) == CURLE_OK;
    ok = ok && (e->ca_file == NULL || e->curl->easy_setopt(c, CURLOPT_CAINFO, e->ca_file) == CURLE_OK);
    ok = ok && (e->client_certificate_file == NULL ||
                e->curl->easy_setopt(c, CURLOPT_SSLCERT, e->client_certificate_file) == CURLE_OK);
    ok = ok && (e->client_key_file == NULL || e->curl->easy_setopt(c, CURLOPT_SSLKEY, e->client_key_file) == CURLE_OK);
    /* a proxy of the environment is for the world outside */
    ok = ok && (!endpoint_is_loopback(e->url) || e->curl->easy_setopt(c, CURLOPT_NOPROXY, "*") == CURLE_OK);
    if (!ok) {
        return LOOM_EIO;
    }
    (void)e->curl->easy_setopt(c, CURLOPT_POST, 1L);
    (void)e->curl->easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_SIZE);
    (void)e->curl->easy_setopt(c, CURLOPT_FORBID_REUSE, must_not_reuse(e, version) ? 1L : 0L);
    (void)e->curl->easy_setopt(c, CURLOPT_HTTPHEADER, e->headers);
    (void)e->curl->easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)e->curl->easy_setopt(c, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name look-up that is cut off */
    (void)e->curl->easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)e->curl->easy_setopt(c, CURLOPT_ERRORBUFFER, e->curl_error);
    (void)e->curl->easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header); /* trailers come this way too */
    (void)e->curl->easy_setopt(c, CURLOPT_HEADERDATA, &e->response);
    (void)e->curl->easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)e->curl->easy_setopt(c, CURLOPT_WRITEDATA, &e->response);
    return LOOM_OK;
}

static void drop_handles(otlp_exporter *e, CURLM *multi)
{
    e->curl->easy_cleanup(e->easy);
    if (multi != NULL) {
        e->curl->multi_cleanup(multi);
    }
    e->curl->slist_free_all(e->headers);
    e->curl->global_cleanup();
    e->easy = NULL;
    e->headers = NULL;
}

/* Once. False: result says why not; the next batch tries again. */
static bool make_handles(otlp_exporter *e, export_result *result)
{
    if (atomic_load_explicit(&e->multi, memory_order_relaxed) != NULL) {
        return true;
    }
    if (probe_is_refused(e->url)) {
        result->outcome = EXPORT_UNREACHABLE;
        (void)snprintf(result->message, sizeof result->message, "%.100s: connection refused", e->shown);
        return false;
    }
    e->curl = curl_library_get();
    if (e->curl == NULL) {
        (void)snprintf(result->message, sizeof result->message, "%s", curl_library_problem());
        return false;
    }
    if (e->curl->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)snprintf(result->message, sizeof result->message, "libcurl cannot be used");
        return false;
    }
    CURLM *multi = e->curl->multi_init();
    e->easy = e->curl->easy_init();
    loom_status st = multi != NULL && e->easy != NULL ? make_headers(e) : LOOM_ENOMEM;
    if (st == LOOM_OK) {
        st = set_options(e);
    }
    if (st == LOOM_OK) {
        atomic_store(&e->multi, multi);
        return true;
    }
    (void)snprintf(result->message, sizeof result->message, "%s", st == LOOM_EIO
        ? "libcurl has no HTTP/2, or does not take the options of this exporter" : "no memory for a transfer");
    drop_handles(e, multi);
    return false;
}

static void otlp_send(exporter *self, loom_bytes request, export_deadline until, export_result *result)
{
    otlp_exporter *e = (otlp_exporter *)self;
    loom_bytes body;
    if (!make_handles(e, result)) {
        return;
    }
    if (!request_body_make(&e->body, request, &body)) {
        (void)snprintf(result->message, sizeof result->message, "no memory to encode a batch of spans");
        return;
    }
    otlp_response_reset(&e->response);
    e->curl_error[0] = '\0';
    (void)e->curl->easy_setopt(e->easy, CURLOPT_POSTFIELDS, body.data);
    (void)e->curl->easy_setopt(e->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    if (e->curl->multi_add_handle(e->multi, e->easy) != CURLM_OK) {
        (void)snprintf(result->message, sizeof result->message, "libcurl refuses the transfer");
        return;
    }
    CURLcode code = CURLE_OK;
    bool in_time = run_transfer(e, until, &code);
    judge(e, in_time, code, result);
    (void)e->curl->multi_remove_handle(e->multi, e->easy);
    request_body_sent(&e->body);
}

/* Loading libcurl and what it needs takes some ten milliseconds. What fails now fails again, and is told then. */
static void otlp_prepare(exporter *self)
{
    export_result result = {.outcome = EXPORT_FAILED};
    (void)make_handles((otlp_exporter *)self, &result);
}

static void otlp_interrupt(exporter *self)
{
    otlp_exporter *e = (otlp_exporter *)self;
    CURLM *multi = atomic_load(&e->multi);
    if (multi != NULL) {
        (void)e->curl->multi_wakeup(multi);
    }
}

/* ---- open and close ---- */

static void otlp_close(exporter *self)
{
    otlp_exporter *e = (otlp_exporter *)self;
    if (atomic_load(&e->multi) != NULL) {
        drop_handles(e, atomic_load(&e->multi));
    }
    otlp_response_fini(&e->response);
    request_body_fini(&e->body);
    free(e->url);
    free(e->user_headers);
    free(e->ca_file);
    free(e->client_certificate_file);
    free(e->client_key_file);
    free(e);
}

static bool copy(char **out, const char *text)
{
    *out = text != NULL ? strdup(text) : NULL;
    return text == NULL || *out != NULL;
}

static bool copy_texts(otlp_exporter *e, const loom_span_processor_options *options)
{
    return copy(&e->user_headers, options->headers) && copy(&e->ca_file, options->ca_file) &&
           copy(&e->client_certificate_file, options->client_certificate_file) &&
           copy(&e->client_key_file, options->client_key_file);
}

loom_status otlp_exporter_open(exporter **out, const loom_span_processor_options *options)
{
    static const exporter_ops ops = {.send = otlp_send, .prepare = otlp_prepare, .interrupt = otlp_interrupt, .close = otlp_close};
    *out = NULL;
    otlp_exporter *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return LOOM_ENOMEM;
    }
    e->base.ops = &ops;
    otlp_response_init(&e->response);
    request_body_init(&e->body, options->exporter, options->gzip ? zlib_library_get() : NULL);
    loom_status st = endpoint_url(&e->url, options);
    if (st == LOOM_OK) {
        url_show(e->shown, e->url);
    }
    if (st == LOOM_OK && !copy_texts(e, options)) {
        st = LOOM_ENOMEM;
    }
    if (st != LOOM_OK) {
        otlp_close(&e->base);
        return st;
    }
    *out = &e->base;
    return LOOM_OK;
}
