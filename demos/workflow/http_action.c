/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a web service with libcurl. Its request carries the trace on: the server's span is below the client's. */
#include <curl/curl.h>
#include <loom/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demos/workflow/flow.h"

enum { BODY_MAX = 64 * 1024, LINE_SIZE = 9000, URL_SIZE = 2048 };

#define TIMEOUT_MS 5000L

typedef struct body {
    char data[BODY_MAX];
    size_t len;
} body;

static loom_status describe(flow *f, loom_workflow_options *work)
{
    work->kind = LOOM_WORKFLOW_ACTION;
    work->name = "http.action";
    work->component = "http_action";
    return flow_describe_node(f, work);
}

/* ---- the request ---- */

static loom_status add_header(void *user, const char *name, loom_str value)
{
    struct curl_slist **list = user;
    char line[LINE_SIZE];
    if (value.data == NULL) {
        return LOOM_OK; /* nothing to take away: the list is new */
    }
    snprintf(line, sizeof line, "%s: %.*s", name, (int)value.len, value.data);
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL) {
        return LOOM_ENOMEM;
    }
    *list = longer;
    return LOOM_OK;
}

static size_t keep(char *data, size_t size, size_t count, void *user)
{
    body *b = user;
    const size_t len = size * count;
    if (len > sizeof b->data - b->len) {
        return 0; /* ends the transfer with CURLE_WRITE_ERROR */
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return len;
}

/* The status, 0 if there was none; *why then says so. */
static long perform(const char *url, struct curl_slist *headers, body *b, const char **why)
{
    long status = 0;
    CURL *easy = curl_easy_init();
    if (easy == NULL) {
        *why = "libcurl cannot begin";
        return 0;
    }
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, b);
    const CURLcode code = curl_easy_perform(easy);
    if (code == CURLE_OK) {
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    } else {
        *why = curl_easy_strerror(code);
    }
    curl_easy_cleanup(easy);
    return status;
}

/* Inside a CLIENT span, whose context and the workflow's ids go with the request. */
static loom_status get(flow *f, const char *url, unsigned resend, body *b)
{
    struct curl_slist *headers = NULL;
    const loom_carrier request = {.set = add_header, .user = &headers};
    const char *why = NULL;
    loom_span *span = loom_http_client_span(loom_agent_tracer(f->agent), "GET", url, resend);
    const loom_propagation out = {.context = *loom_span_context(span), .tracestate = loom_span_tracestate(span),
                                  .baggage = loom_baggage_text(f->baggage)};
    if (loom_propagation_inject(&request, &out, LOOM_PROPAGATORS_DEFAULT) != LOOM_OK) {
        fputs("http: a request goes without its trace: out of memory\n", stderr);
    }
    const long status = perform(url, headers, b, &why);
    loom_http_client_status(span, (unsigned)status, why);
    loom_span_end(span);
    curl_slist_free_all(headers);
    if (status == 0) {
        return flow_fail(f, "unreachable", "GET %s: %s", url, why);
    }
    if (status != 200) {
        char code[FLOW_CODE_SIZE];
        snprintf(code, sizeof code, "http_%ld", status);
        return flow_fail(f, code, "GET %s: status %ld", url, status);
    }
    return LOOM_OK;
}

/* ---- the action ---- */

static char *escape(const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);
    char *copy = escaped != NULL ? strdup(escaped) : NULL;
    curl_free(escaped);
    return copy;
}

static loom_status run(flow *f)
{
    const char *template = flow_text(f, json_object_get(f->input, "node"), "path");
    char *path = template != NULL ? flow_expand(f, template, json_object_get(f->input, "values"), escape) : NULL;
    const json_int_t resend = json_integer_value(json_object_get(f->input, "resend"));
    char url[URL_SIZE];
    if (path == NULL) {
        return LOOM_EREMOTE;
    }
    const int len = snprintf(url, sizeof url, "%s%s", (const char *)f->of->user, path);
    free(path);
    if (len >= (int)sizeof url) {
        return flow_fail(f, "too_large", "the URL is over %d bytes", URL_SIZE - 1);
    }
    body *b = calloc(1, sizeof *b);
    loom_status st = b != NULL ? get(f, url, (unsigned)resend, b) : LOOM_ENOMEM;
    if (st == LOOM_OK) {
        f->output = json_loadb(b->data, b->len, JSON_REJECT_DUPLICATES, NULL);
        st = json_is_object(f->output) ? LOOM_OK : flow_fail(f, "bad_answer", "GET %s: the answer is no JSON object", url);
    }
    free(b);
    return st;
}

int main(int argc, char **argv)
{
    const char *base = "http://127.0.0.1:7790", *url;
    const demo_option known[] = {{.name = "base", .help = "URL of the web service", .text = &base}, {0}};
    flow_agent a = {.id = "http", .capability = "http.action", .what = "Provides http.action: asks a web service.",
                    .describe = describe, .run = run};
    int status;
    if (!demo_options(argc, argv, a.what, known, &url, &status)) {
        return status;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fputs("http: libcurl cannot begin\n", stderr);
        return EXIT_FAILURE;
    }
    a.user = base;
    status = flow_serve(&a, url);
    curl_global_cleanup();
    return status;
}
