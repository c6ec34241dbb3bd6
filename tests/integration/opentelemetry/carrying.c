/* SPDX-License-Identifier: Apache-2.0 */
/* A program that knows nothing of the bus, and traces over HTTP as docs/PROPAGATION.md shows it.
 *   carrying get URL    a client: a span of its own, and its context in the request; prints what the server answers
 *   carrying serve      a server's side: takes header lines from standard input up to an empty one, and prints as such lines
 *                       those of a request it makes itself, an empty line, and those of its response
 *   carrying run COMMAND [ARGUMENT]…    a span around a command, which gets it in its environment
 * LOOM_SPANS_FILE keeps the spans. OTEL_PROPAGATORS chooses the headers. */
#include <curl/curl.h>
#include <errno.h>
#include <loom/propagation.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* docs/PROPAGATION.md, "Headers out" */
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

static CURLcode get_traced(CURL *easy, loom_tracer *tracer, unsigned propagators)
{
    struct curl_slist *headers = NULL;
    const loom_carrier request = {.set = add_header, .user = &headers};
    loom_span *span = loom_span_start(tracer, "GET", &(loom_span_options){.kind = LOOM_SPAN_CLIENT});
    const loom_propagation out = {.context = *loom_span_context(span),
                                  .tracestate = loom_span_tracestate(span),
                                  .baggage = {"user=7", 6}};
    (void)loom_propagation_inject(&request, &out, propagators);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(easy);
    if (code != CURLE_OK) {
        loom_span_record_error(span, "curl", curl_easy_strerror(code));
    }
    loom_span_end(span);
    curl_slist_free_all(headers);
    return code;
}

/* docs/PROPAGATION.md, "Headers in" */
static size_t get_header(void *user, const char *name, loom_str *values, size_t max)
{
    struct curl_header *header;
    size_t count = 0;
    while (curl_easy_header(user, name, count, CURLH_HEADER, -1, &header) == CURLHE_OK) {
        if (count < max) {
            values[count] = (loom_str){header->value, strlen(header->value)};
        }
        count++;
    }
    return count;
}

static void print_where_it_was_answered(CURL *easy)
{
    const loom_carrier response = {.get = get_header, .user = easy};
    char trace_id[LOOM_TRACE_ID_HEX_SIZE];
    loom_propagation in;
    (void)loom_propagation_extract(&in, &response, LOOM_PROPAGATOR_X_TRACE_ID, NULL);
    if (in.answered != 0) {
        loom_trace_id_to_hex(trace_id, in.context.trace_id);
        printf("answered in trace %s\n", trace_id);
    }
    loom_propagation_fini(&in);
}

/* docs/PROPAGATION.md, "A server" */
static void serve(loom_tracer *tracer, unsigned propagators, loom_headers *request, loom_headers *next, loom_headers *response)
{
    const loom_carrier from = loom_headers_carrier(request), to = loom_headers_carrier(next), back = loom_headers_carrier(response);
    loom_propagation in;
    (void)loom_propagation_extract(&in, &from, propagators, NULL);
    const loom_span_options with = loom_propagation_span_options(&in, LOOM_SPAN_SERVER);
    loom_span *span = loom_span_start(tracer, "serve", &with);

    const loom_propagation out = {.context = *loom_span_context(span),
                                  .tracestate = loom_span_tracestate(span),
                                  .baggage = in.baggage};
    (void)loom_propagation_inject(&to, &out, propagators);
    (void)loom_propagation_echo(&back, loom_span_context(span));
    loom_span_end(span);
    loom_propagation_fini(&in);
}

/* docs/PROPAGATION.md, "Commands and their environment" */
static int start(char *const argv[])
{
    pid_t pid;
    int status, error = ENOMEM;
    loom_child_environment *env;
    if (loom_child_environment_create(&env, NULL, NULL, loom_propagators_from_env()) == LOOM_OK) {
        error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, loom_child_environment_list(env));
        loom_child_environment_free(env);
    }
    if (error != 0 || waitpid(pid, &status, 0) != pid) {
        fprintf(stderr, "carrying: %s: %s\n", argv[0], strerror(error));
        return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* ---- the rest of the program ---- */

enum { LINES_MAX = 32, LINE_SIZE = 9000 };

static size_t read_lines(char lines[LINES_MAX][LINE_SIZE], loom_header headers[LINES_MAX])
{
    size_t count = 0;
    while (count < LINES_MAX && fgets(lines[count], LINE_SIZE, stdin) != NULL) {
        char *line = lines[count], *colon = strchr(line, ':');
        line[strcspn(line, "\r\n")] = '\0';
        if (colon == NULL) {
            break;
        }
        size_t name = (size_t)(colon - line);
        headers[count++] = (loom_header){{line, name}, {colon + 1, strlen(colon + 1)}};
    }
    return count;
}

static void print_lines(const loom_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        printf("%s: %s\n", headers->items[i].key.data, headers->items[i].value.data);
    }
}

static int run_serve(loom_tracer *tracer)
{
    static char lines[LINES_MAX][LINE_SIZE];
    loom_header headers[LINES_MAX];
    loom_headers request = {.items = headers, .count = read_lines(lines, headers)}, next = {0}, response = {0};
    serve(tracer, loom_propagators_from_env(), &request, &next, &response);
    print_lines(&next);
    puts("");
    print_lines(&response);
    loom_headers_fini(&next);
    loom_headers_fini(&response);
    return 0;
}

/* A command within what this one was started in. */
static int run_command(loom_tracer *tracer, char *const argv[])
{
    loom_propagation in;
    (void)loom_propagation_from_environment(&in, NULL, loom_propagators_from_env(), NULL);
    const loom_span_options with = loom_propagation_span_options(&in, LOOM_SPAN_INTERNAL);
    loom_span *span = loom_span_start(tracer, argv[0], &with);
    loom_propagation_fini(&in);
    loom_span_make_current(span);
    int code = start(argv);
    loom_span_end(span);
    return code;
}

static int run_get(loom_tracer *tracer, const char *url)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL) {
        return 1;
    }
    curl_easy_setopt(easy, CURLOPT_URL, url);
    CURLcode code = get_traced(easy, tracer, loom_propagators_from_env());
    if (code != CURLE_OK) {
        fprintf(stderr, "carrying: %s: %s\n", url, curl_easy_strerror(code));
    } else {
        print_where_it_was_answered(easy);
    }
    curl_easy_cleanup(easy);
    return code == CURLE_OK ? 0 : 1;
}

int main(int argc, char *argv[])
{
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    if (loom_span_processor_create(&processor, NULL) != LOOM_OK ||
        loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.default_service_name = "carrying",
                                                                               .processor = processor}) != LOOM_OK) {
        return 1;
    }
    loom_tracer *tracer = loom_tracer_get(provider, "carrying", NULL);
    int code = argc == 3 && strcmp(argv[1], "get") == 0    ? run_get(tracer, argv[2])
               : argc > 2 && strcmp(argv[1], "run") == 0   ? run_command(tracer, argv + 2)
               : argc == 2 && strcmp(argv[1], "serve") == 0 ? run_serve(tracer)
                                                            : 2;
    loom_tracer_provider_unref(provider);
    (void)loom_span_processor_shutdown(processor, 5000);
    loom_span_processor_unref(processor);
    return code;
}
