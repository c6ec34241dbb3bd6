/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP by libcurl: protobuf over HTTP, and gRPC, which is HTTP/2 with a five-byte frame and a status in the trailers.
 *
 * The curl handles belong to the exporter thread. Only curl_multi_wakeup() is called from elsewhere: that is how a
 * shutdown makes a transfer look at its deadline again. */
#include "trace/exporter.h"
#include "trace/otlp_response.h"
#include "trace/percent.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRPC_FRAME_HEAD 5u
#define POLL_MAX_MS 1000u
#define REQUEST_MAX (512u * 1024u * 1024u) /* bytes */

typedef struct otlp_exporter {
    exporter base;
    bool grpc;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char *url;
    char curl_error[CURL_ERROR_SIZE];
    pb_buf frame; /* gRPC: the request behind its frame head */
    otlp_response response;
} otlp_exporter;

/* ---- one transfer ---- */

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    otlp_response_header(user, (loom_str){data, size * count});
    return size * count;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    otlp_response_body(user, (loom_bytes){(const uint8_t *)data, size * count});
    return size * count;
}

static bool frame_request(otlp_exporter *e, loom_bytes request, loom_bytes *out)
{
    *out = request;
    if (!e->grpc) {
        return true;
    }
    uint8_t head[GRPC_FRAME_HEAD] = {0, (uint8_t)(request.len >> 24), (uint8_t)(request.len >> 16),
                                     (uint8_t)(request.len >> 8), (uint8_t)request.len};
    pb_rollback(&e->frame, 0);
    pb_raw(&e->frame, head, sizeof head);
    pb_raw(&e->frame, request.data, request.len);
    *out = (loom_bytes){e->frame.data, e->frame.len};
    return !e->frame.failed;
}

/* true: *code says how the transfer ended. false: the deadline came first. */
static bool run_transfer(otlp_exporter *e, export_deadline until, CURLcode *code)
{
    for (;;) {
        int running = 0;
        if (curl_multi_perform(e->multi, &running) != CURLM_OK) {
            *code = CURLE_FAILED_INIT;
            return true;
        }
        int left;
        for (CURLMsg *msg = curl_multi_info_read(e->multi, &left); msg != NULL; msg = curl_multi_info_read(e->multi, &left)) {
            if (msg->msg == CURLMSG_DONE) {
                *code = msg->data.result;
                return true;
            }
        }
        uint64_t now = exporter_clock_ns(), deadline = export_deadline_ns(until);
        if (now >= deadline) {
            return false;
        }
        uint64_t ms = (deadline - now) / 1000000u + 1;
        (void)curl_multi_poll(e->multi, NULL, 0, (int)(ms < POLL_MAX_MS ? ms : POLL_MAX_MS), NULL);
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

static void judge(otlp_exporter *e, CURLcode code, export_result *result)
{
    if (code != CURLE_OK) {
        result->outcome = outcome_of(code);
        (void)snprintf(result->message, sizeof result->message, "%.100s: %.90s", e->url,
                       e->curl_error[0] != '\0' ? e->curl_error : curl_easy_strerror(code));
        return;
    }
    long status = 0;
    curl_off_t retry_after = 0; /* seconds, also when the header was a date */
    (void)curl_easy_getinfo(e->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(e->easy, CURLINFO_RETRY_AFTER, &retry_after);
    uint64_t retry_after_ms = retry_after > 0 && retry_after < INT32_MAX ? (uint64_t)retry_after * 1000u : 0;
    (e->grpc ? otlp_judge_grpc : otlp_judge_http)(&e->response, status, retry_after_ms, result);
}

static void otlp_send(exporter *self, loom_bytes request, export_deadline until, export_result *result)
{
    otlp_exporter *e = (otlp_exporter *)self;
    loom_bytes body;
    if (!frame_request(e, request, &body)) {
        (void)snprintf(result->message, sizeof result->message, "no memory to frame a batch of spans");
        return;
    }
    otlp_response_reset(&e->response);
    e->curl_error[0] = '\0';
    (void)curl_easy_setopt(e->easy, CURLOPT_POSTFIELDS, body.data);
    (void)curl_easy_setopt(e->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    if (curl_multi_add_handle(e->multi, e->easy) != CURLM_OK) {
        (void)snprintf(result->message, sizeof result->message, "libcurl refuses the transfer");
        return;
    }
    CURLcode code = CURLE_OK;
    if (run_transfer(e, until, &code)) {
        judge(e, code, result);
    } else {
        result->outcome = EXPORT_RETRY;
        (void)snprintf(result->message, sizeof result->message, "%.100s: no answer in time", e->url);
    }
    (void)curl_multi_remove_handle(e->multi, e->easy);
}

static void otlp_interrupt(exporter *self)
{
    (void)curl_multi_wakeup(((otlp_exporter *)self)->multi);
}

/* ---- open and close ---- */

static void otlp_close(exporter *self)
{
    otlp_exporter *e = (otlp_exporter *)self;
    curl_easy_cleanup(e->easy);
    if (e->multi != NULL) {
        curl_multi_cleanup(e->multi);
    }
    curl_slist_free_all(e->headers);
    otlp_response_fini(&e->response);
    pb_fini(&e->frame);
    free(e->url);
    free(e);
    curl_global_cleanup();
}

static bool add_header(otlp_exporter *e, const char *line)
{
    struct curl_slist *longer = curl_slist_append(e->headers, line);
    if (longer != NULL) {
        e->headers = longer;
    }
    return longer != NULL;
}

typedef struct header_walk {
    otlp_exporter *exporter;
    bool failed;
} header_walk;

static bool add_user_header(void *user, const char *key, const char *value)
{
    header_walk *walk = user;
    if (strpbrk(key, "\r\n:") != NULL || strpbrk(value, "\r\n") != NULL) {
        return true; /* would be more than one header */
    }
    char *line;
    if (asprintf(&line, "%s: %s", key, value) < 0) {
        walk->failed = true;
        return false;
    }
    walk->failed = !add_header(walk->exporter, line);
    free(line);
    return !walk->failed;
}

static loom_status make_headers(otlp_exporter *e, const char *user_headers)
{
    bool ok = add_header(e, e->grpc ? "Content-Type: application/grpc" : "Content-Type: application/x-protobuf") &&
              add_header(e, "Expect:") && (!e->grpc || add_header(e, "TE: trailers"));
    header_walk walk = {.exporter = e};
    if (!ok || percent_pairs(user_headers, add_user_header, &walk) != LOOM_OK || walk.failed) {
        return LOOM_ENOMEM;
    }
    return LOOM_OK;
}

/* A proxy of the environment is for the world outside. */
static bool is_loopback(const char *url)
{
    const char *host = strstr(url, "://");
    if (host == NULL) {
        return false;
    }
    host += 3;
    return strncmp(host, "localhost", 9) == 0 || strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0;
}

/* libcurl 7.88 (Debian 12) fails the second request on a connection of HTTP/2 prior knowledge with a framing error: a
 * batch then gets a connection of its own, a round trip in five seconds. */
static bool must_not_reuse(long version)
{
    return version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE && curl_version_info(CURLVERSION_NOW)->version_num < 0x080000;
}

static loom_status set_options(otlp_exporter *e, const char *ca_file)
{
    CURL *c = e->easy;
    long version = CURL_HTTP_VERSION_1_1;
    if (e->grpc) {
        version = strncmp(e->url, "https", 5) == 0 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    }
    bool ok = curl_easy_setopt(c, CURLOPT_HTTP_VERSION, version) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_URL, e->url) == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok = ok && curl_easy_setopt(c, CURLOPT_USERAGENT, "OTel-OTLP-Exporter-Loom/" LOOM_VERSION) == CURLE_OK;
    ok = ok && (ca_file == NULL || curl_easy_setopt(c, CURLOPT_CAINFO, ca_file) == CURLE_OK);
    ok = ok && (!is_loopback(e->url) || curl_easy_setopt(c, CURLOPT_NOPROXY, "*") == CURLE_OK);
    if (!ok) {
        return LOOM_EIO;
    }
    (void)curl_easy_setopt(c, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(c, CURLOPT_FORBID_REUSE, must_not_reuse(version) ? 1L : 0L);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, e->headers);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name look-up that is cut off */
    (void)curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, e->curl_error);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header); /* trailers come this way too */
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, &e->response);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &e->response);
    return LOOM_OK;
}

loom_status otlp_exporter_open(exporter **out, const loom_span_processor_options *options)
{
    static const exporter_ops ops = {.send = otlp_send, .interrupt = otlp_interrupt, .close = otlp_close};
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return LOOM_EIO;
    }
    otlp_exporter *e = calloc(1, sizeof *e);
    if (e == NULL) {
        curl_global_cleanup();
        return LOOM_ENOMEM;
    }
    e->base.ops = &ops;
    e->grpc = options->exporter == LOOM_EXPORTER_OTLP_GRPC;
    otlp_response_init(&e->response);
    pb_init(&e->frame, NULL, 0, REQUEST_MAX);
    loom_status st = endpoint_url(&e->url, options);
    if (st == LOOM_OK) {
        e->multi = curl_multi_init();
        e->easy = curl_easy_init();
        st = e->multi != NULL && e->easy != NULL ? make_headers(e, options->headers) : LOOM_ENOMEM;
    }
    if (st == LOOM_OK) {
        st = set_options(e, options->ca_file);
    }
    if (st != LOOM_OK) {
        otlp_close(&e->base);
        return st;
    }
    *out = &e->base;
    return LOOM_OK;
}
