/* SPDX-License-Identifier: Apache-2.0 */
/* get URL…: asks for each with libcurl, in one trace. The trace that this program was started in goes on (TRACEPARENT), and
 * that of each request goes on in whoever answers it. Where the spans go is the environment's business; see README.md. */
#include <curl/curl.h>
#include <loom/http.h>
#include <loom/span.h>
#include <stdio.h>
#include <stdlib.h>

static loom_status add_header(void *user, const char *name, loom_str value)
{
    struct curl_slist **list = user;
    char line[9000];
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

static bool get(loom_tracer *tracer, CURL *easy, const char *url, unsigned propagators)
{
    struct curl_slist *headers = NULL;
    const loom_carrier request = {.set = add_header, .user = &headers};
    long status = 0;
    loom_span *span = loom_http_client_span(tracer, "GET", url, 0);
    const loom_propagation out = {.context = *loom_span_context(span), .tracestate = loom_span_tracestate(span)};
    loom_status injected = loom_propagation_inject(&request, &out, propagators); /* without memory: an untraced request */
    (void)injected;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    loom_http_client_status(span, (unsigned)status, code == CURLE_OK ? NULL : curl_easy_strerror(code));
    loom_span_end(span);
    curl_slist_free_all(headers);
    return code == CURLE_OK && status < 400;
}

static bool get_all(loom_tracer *tracer, char *const *urls)
{
    CURL *easy = curl_easy_init();
    loom_propagation from;
    bool fine = easy != NULL;
    const unsigned propagators = loom_propagators_from_env();
    loom_status extracted = loom_propagation_from_environment(&from, NULL, propagators, NULL);
    (void)extracted; /* without memory: no more than the ids */
    loom_span_options options = loom_propagation_span_options(&from, LOOM_SPAN_INTERNAL);
    loom_span *span = loom_span_begin(tracer, "get all", &options);
    for (; easy != NULL && *urls != NULL; urls++) {
        fine = get(tracer, easy, *urls, propagators) && fine;
    }
    loom_span_end(span);
    loom_propagation_fini(&from);
    curl_easy_cleanup(easy);
    return fine;
}

int main(int argc, char *argv[])
{
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    if (argc < 2) {
        fputs("usage: get URL...\n", stderr);
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (loom_span_processor_create(&processor, NULL) != LOOM_OK) { /* NULL: configured by the OTEL_… variables */
        fputs("get: no processor\n", stderr);
        return EXIT_FAILURE;
    }
    bool fine = false;
    loom_status st = loom_tracer_provider_create(
        &provider, &(loom_tracer_provider_options){.default_service_name = "get", .processor = processor});
    if (st == LOOM_OK) {
        fine = get_all(loom_tracer_get(provider, "get", "1.0"), argv + 1);
        st = loom_span_processor_shutdown(processor, 5000);
        loom_tracer_provider_unref(provider);
    }
    loom_span_processor_unref(processor);
    if (st != LOOM_OK) {
        fprintf(stderr, "get: %s\n", loom_status_text(st));
    }
    return fine && st == LOOM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
