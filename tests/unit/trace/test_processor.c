/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/check.h"
#include "tests/support/wait_until.h"
#include "tests/unit/trace/http_stub.h"
#include "trace/export/processor.h"
#include "trace/otlp/read.h"

#include <loom/trace.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef struct fixture {
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_tracer *tracer;
    atomic_int errors, absences;
} fixture;

static void count_error(void *user, const char *message)
{
    assert_true(message[0] != '\0');
    atomic_fetch_add(&((fixture *)user)->errors, 1);
}

static void open_with(fixture *f, loom_span_processor_options options)
{
    loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    memset(f, 0, sizeof *f);
    options.on_error = count_error;
    options.user = f;
    assert_status(LOOM_OK, loom_span_processor_create(&f->processor, &options));
    assert_status(LOOM_OK, loom_tracer_provider_create(&f->provider, &(loom_tracer_provider_options){
                                                                         .service_name = "test", .sampler = &always,
                                                                         .processor = f->processor}));
    f->tracer = loom_tracer_get(f->provider, "tests", NULL);
}

static void close_fixture(fixture *f)
{
    loom_tracer_provider_unref(f->provider);
    loom_span_processor_unref(f->processor);
}

static void make_spans(fixture *f, int n)
{
    for (int i = 0; i < n; i++) {
        loom_span *span = loom_span_start(f->tracer, "work", NULL);
        loom_span_set_string(span, "k", "v");
        loom_span_end(span);
    }
}

static loom_span_counts counts(const fixture *f)
{
    return loom_span_processor_counts(f->processor);
}

static void assert_all_accounted(const fixture *f)
{
    loom_span_counts c = counts(f);
    assert_int_equal(c.ended, c.exported + c.dropped_full + c.dropped_failed + c.dropped_shutdown);
}

static bool count_span(void *user, const otlp_span *span)
{
    assert_str("work", span->name);
    assert_str("test", otlp_resource_string(span->resource, "service.name"));
    assert_str("v", otlp_span_string(span->span, "k"));
    ++*(size_t *)user;
    return true;
}

static void otlp_http_posts_protobuf_to_v1_traces(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("200 OK", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url,
                                                .headers = "x-tenant=a%20b,bad%0d%0ainjected=1"});
    make_spans(&f, 3);
    assert_status(LOOM_OK, loom_span_processor_flush(f.processor, 5000));
    assert_int_equal(3, counts(&f).exported);
    close_fixture(&f);
    http_stub_stop(&stub);
    assert_int_equal(0, strncmp(stub.last_head, "POST /v1/traces HTTP/1.1\r\n", 26));
    assert_non_null(strstr(stub.last_head, "Content-Type: application/x-protobuf\r\n"));
    assert_non_null(strstr(stub.last_head, "x-tenant: a b\r\n"));
    assert_null(strstr(stub.last_head, "injected"));
    size_t spans = 0;
    assert_status(LOOM_OK, otlp_read_request((loom_bytes){stub.last_body, stub.last_len}, count_span, &spans));
    assert_int_equal(3, spans);
}

static void a_503_is_tried_again_and_counted_once(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("503 Busy", "0"), HTTP_ANSWER("200 OK", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url});
    make_spans(&f, 5);
    assert_status(LOOM_OK, loom_span_processor_flush(f.processor, 10000));
    assert_int_equal(5, counts(&f).exported);
    assert_int_equal(2, atomic_load(&stub.requests));
    assert_int_equal(1, atomic_load(&f.errors));
    assert_all_accounted(&f);
    close_fixture(&f);
    http_stub_stop(&stub);
}

static void a_flush_cuts_the_sleep_before_a_retry_short(void **state)
{
    (void)state;
    const char *answers[] = {"HTTP/1.1 503 Busy\r\nRetry-After: 20\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                             HTTP_ANSWER("200 OK", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url, .schedule_delay_ms = 1});
    make_spans(&f, 1);
    wait_until(atomic_load(&f.errors) == 1, 5000); /* the first answer is in */
    uint64_t start = wait_now_ms();
    assert_status(LOOM_OK, loom_span_processor_flush(f.processor, 15000));
    assert_in_range(wait_now_ms() - start, 0, 10000); /* half of what the receiver asked for */
    assert_int_equal(1, counts(&f).exported);
    close_fixture(&f);
    http_stub_stop(&stub);
}

static void a_400_is_final(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("400 Bad Request", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url});
    make_spans(&f, 2);
    assert_status(LOOM_EIO, loom_span_processor_flush(f.processor, 5000));
    assert_int_equal(2, counts(&f).dropped_failed);
    assert_int_equal(1, atomic_load(&stub.requests));
    assert_all_accounted(&f);
    close_fixture(&f);
    http_stub_stop(&stub);
}

/* RFC 9110, 15.5.14: the receiver takes less at once. */
static void a_413_sends_the_batch_again_in_halves(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("413 Content Too Large", "0"), HTTP_ANSWER("413 Content Too Large", "0"),
                             HTTP_ANSWER("200 OK", "0"), HTTP_ANSWER("400 Bad Request", "0"), HTTP_ANSWER("200 OK", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url});
    make_spans(&f, 7); /* 7, 4, 2, 2 which fail, 2, 1 */
    assert_status(LOOM_EIO, loom_span_processor_flush(f.processor, 5000));
    assert_int_equal(5, counts(&f).exported);
    assert_int_equal(2, counts(&f).dropped_failed);
    assert_int_equal(6, atomic_load(&stub.requests));
    assert_all_accounted(&f);
    size_t spans = 0;
    assert_status(LOOM_OK, otlp_read_request((loom_bytes){stub.last_body, stub.last_len}, count_span, &spans));
    assert_int_equal(1, spans);
    close_fixture(&f);
    http_stub_stop(&stub);
}

static void a_span_too_large_on_its_own_is_given_up_at_once(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("413 Content Too Large", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url});
    make_spans(&f, 4);
    assert_status(LOOM_EIO, loom_span_processor_flush(f.processor, 5000));
    assert_int_equal(4, counts(&f).dropped_failed);
    assert_int_equal(6, atomic_load(&stub.requests)); /* 4, 2, and each alone */
    close_fixture(&f);
    http_stub_stop(&stub);
}

/* The halves of a batch are no loss; the one span that nobody takes is. */
static void a_span_too_large_on_its_own_is_told_as_a_loss(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("413 Content Too Large", "0"), HTTP_ANSWER("200 OK", "0"), HTTP_ANSWER("413 Content Too Large", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){
                      .exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url, .complaints = LOOM_COMPLAINTS_LOSSES});
    make_spans(&f, 1);
    assert_status(LOOM_EIO, loom_span_processor_flush(f.processor, 5000));
    assert_int_equal(1, atomic_load(&f.errors));
    close_fixture(&f);
    http_stub_stop(&stub);
    http_stub_start(&stub, answers, 2);
    open_with(&f, (loom_span_processor_options){
                      .exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url, .complaints = LOOM_COMPLAINTS_LOSSES});
    make_spans(&f, 2);
    assert_status(LOOM_OK, loom_span_processor_flush(f.processor, 5000));
    assert_int_equal(0, atomic_load(&f.errors));
    close_fixture(&f);
    http_stub_stop(&stub);
}

/* The status has come: that the body never ends, or has more than an answer may have, changes nothing. */
static void a_200_is_a_200_however_its_body_ends(void **state)
{
    (void)state;
    static char endless[200000];
    size_t head = (size_t)snprintf(endless, sizeof endless, "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n");
    memset(endless + head, 'x', sizeof endless - 1 - head);
    const char *bodies[] = {HTTP_ANSWER("200 OK", "1000"), endless};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        http_stub stub;
        http_stub_start(&stub, &bodies[i], 1);
        fixture f;
        open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url});
        make_spans(&f, 3);
        assert_status(LOOM_OK, loom_span_processor_flush(f.processor, 5000));
        assert_int_equal(3, counts(&f).exported);
        assert_int_equal(1, atomic_load(&stub.requests));
        close_fixture(&f);
        http_stub_stop(&stub);
    }
}

/* gRPC servers take 4 MiB at once by default. */
static void a_batch_is_cut_by_bytes(void **state)
{
    (void)state;
    static char large[200 * 1024];
    memset(large, 'l', sizeof large);
    fixture f;
    char path[] = "/tmp/loom-test-XXXXXX";
    close(mkstemp(path));
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_FILE, .endpoint = path});
    for (int i = 0; i < 40; i++) {
        loom_span *span = loom_span_start(f.tracer, "work", NULL);
        loom_span_set_str(span, "large", (loom_str){large, sizeof large});
        loom_span_end(span);
    }
    assert_status(LOOM_OK, loom_span_processor_flush(f.processor, 10000));
    assert_int_equal(40, counts(&f).exported);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t cap = 0, lines = 0;
    for (ssize_t n; (n = getline(&line, &cap, file)) > 0; lines++) {
        assert_true(n < 4 * 1024 * 1024);
    }
    assert_true(lines >= 3);
    free(line);
    fclose(file);
    close_fixture(&f);
    unlink(path);
}

static void spans_rejected_by_partial_success_are_counted(void **state)
{
    (void)state;
    /* ExportTraceServiceResponse{partial_success{rejected_spans: 2, error_message: "no"}} */
    const char *answers[] = {HTTP_ANSWER("200 OK", "8") "\x0a\x06\x08\x02\x12\x02no"};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url});
    make_spans(&f, 5);
    assert_status(LOOM_EIO, loom_span_processor_flush(f.processor, 5000));
    assert_int_equal(3, counts(&f).exported);
    assert_int_equal(2, counts(&f).dropped_failed);
    assert_all_accounted(&f);
    close_fixture(&f);
    http_stub_stop(&stub);
}

static void flush_and_shutdown_keep_their_deadline_when_nobody_answers(void **state)
{
    (void)state;
    const char *answers[] = {NULL};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url});
    make_spans(&f, 4);
    uint64_t start = wait_now_ms();
    assert_status(LOOM_ETIMEDOUT, loom_span_processor_flush(f.processor, 100));
    assert_in_range(wait_now_ms() - start, 100, 1500);
    make_spans(&f, 3);
    start = wait_now_ms();
    assert_status(LOOM_ETIMEDOUT, loom_span_processor_shutdown(f.processor, 200));
    assert_in_range(wait_now_ms() - start, 200, 1500);
    assert_int_equal(7, counts(&f).dropped_shutdown);
    assert_all_accounted(&f);
    close_fixture(&f);
    http_stub_stop(&stub);
}

static void refused_connections_end_a_shutdown_at_once(void **state)
{
    (void)state;
    const loom_exporter_kind kinds[] = {LOOM_EXPORTER_OTLP_HTTP, LOOM_EXPORTER_OTLP_GRPC};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        char url[64];
        http_stub_dead_url(url, sizeof url);
        fixture f;
        open_with(&f, (loom_span_processor_options){.exporter = kinds[i], .endpoint = url, .max_export_batch_size = 2});
        make_spans(&f, 5);
        uint64_t start = wait_now_ms();
        assert_status(LOOM_EIO, loom_span_processor_shutdown(f.processor, 10000));
        assert_in_range(wait_now_ms() - start, 0, 5000);
        assert_int_equal(5, counts(&f).dropped_failed);
        assert_true(atomic_load(&f.errors) >= 1);
        assert_all_accounted(&f);
        close_fixture(&f);
    }
}

static void count_absence(void *user, const char *message)
{
    fixture *f = user;
    assert_non_null(strstr(message, "OTEL_TRACES_EXPORTER=none"));
    atomic_fetch_add(&f->absences, 1);
}

static void a_receiver_that_nobody_named_is_missed_once(void **state)
{
    (void)state;
    char url[64];
    http_stub_dead_url(url, sizeof url);
    fixture f;
    open_with(&f, (loom_span_processor_options){
                      .exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = url, .guessed = true, .on_absent = count_absence});
    for (int i = 0; i < 3; i++) {
        make_spans(&f, 2);
        assert_status(LOOM_ETIMEDOUT, loom_span_processor_flush(f.processor, 20)); /* it tries again */
    }
    assert_status(LOOM_EIO, loom_span_processor_shutdown(f.processor, 5000));
    assert_true(processor_is_unheard(f.processor));
    assert_int_equal(1, atomic_load(&f.absences));
    assert_int_equal(0, atomic_load(&f.errors));
    assert_all_accounted(&f);
    close_fixture(&f);
}

static void a_receiver_that_was_there_is_missed_as_any_other(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("200 OK", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){
                      .exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url, .guessed = true, .on_absent = count_absence});
    make_spans(&f, 1);
    assert_status(LOOM_OK, loom_span_processor_flush(f.processor, 5000));
    assert_false(processor_is_unheard(f.processor));
    http_stub_stop(&stub);
    make_spans(&f, 1);
    assert_status(LOOM_EIO, loom_span_processor_shutdown(f.processor, 100));
    assert_int_equal(0, atomic_load(&f.absences));
    assert_true(atomic_load(&f.errors) >= 1);
    close_fixture(&f);
}

static void an_answer_that_is_not_http2_fails_grpc_without_losing_count(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("200 OK", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_GRPC, .endpoint = stub.url});
    make_spans(&f, 2);
    (void)loom_span_processor_shutdown(f.processor, 700);
    assert_int_equal(0, counts(&f).exported);
    assert_all_accounted(&f);
    close_fixture(&f);
    http_stub_stop(&stub);
}

static void a_full_queue_drops_the_newest_and_counts(void **state)
{
    (void)state;
    const char *answers[] = {NULL};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url,
                                                .max_queue_size = 10, .max_export_batch_size = 4});
    make_spans(&f, 4);
    wait_until(atomic_load(&stub.requests) == 1, 5000); /* four are on their way and left the queue */
    make_spans(&f, 15);
    assert_int_equal(19, counts(&f).ended);
    assert_int_equal(5, counts(&f).dropped_full);
    (void)loom_span_processor_shutdown(f.processor, 50);
    assert_int_equal(14, counts(&f).dropped_shutdown);
    assert_all_accounted(&f);
    close_fixture(&f);
    http_stub_stop(&stub);
}

static void a_full_batch_leaves_without_waiting_for_the_delay(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("200 OK", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url,
                                                .max_export_batch_size = 8, .schedule_delay_ms = 600000});
    make_spans(&f, 17);
    wait_until(counts(&f).exported == 16, 5000);
    close_fixture(&f);
    http_stub_stop(&stub);
}

static void less_than_a_batch_leaves_after_the_delay(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("200 OK", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url, .schedule_delay_ms = 20});
    make_spans(&f, 1);
    wait_until(counts(&f).exported == 1, 5000);
    close_fixture(&f);
    http_stub_stop(&stub);
}

static void after_shutdown_spans_are_dropped_and_counted(void **state)
{
    (void)state;
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE});
    make_spans(&f, 2);
    assert_status(LOOM_OK, loom_span_processor_flush(f.processor, 0));
    assert_int_equal(2, counts(&f).exported);
    assert_status(LOOM_OK, loom_span_processor_shutdown(f.processor, 1000));
    assert_status(LOOM_OK, loom_span_processor_shutdown(f.processor, 1000));
    assert_status(LOOM_ECLOSED, loom_span_processor_flush(f.processor, 1000));
    make_spans(&f, 3);
    assert_int_equal(3, counts(&f).dropped_shutdown);
    assert_all_accounted(&f);
    close_fixture(&f);
}

static void the_last_unref_delivers_what_is_queued(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("200 OK", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url});
    make_spans(&f, 3);
    loom_span_processor_unref(f.processor); /* the provider still has its own */
    loom_tracer_provider_unref(f.provider);
    assert_int_equal(1, atomic_load(&stub.requests));
    http_stub_stop(&stub);
}

static void a_forked_child_drops_its_spans_and_returns_at_once(void **state)
{
    (void)state;
    const char *answers[] = {HTTP_ANSWER("200 OK", "0")};
    http_stub stub;
    http_stub_start(&stub, answers, COUNT(answers));
    fixture f;
    open_with(&f, (loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url});
    make_spans(&f, 2);
    pid_t child = fork();
    if (child == 0) {
        alarm(20); /* a child that hangs must not hang the tests */
        make_spans(&f, 3);
        bool ok = loom_span_processor_flush(f.processor, 5000) == LOOM_ECLOSED && counts(&f).ended == 3 &&
                  counts(&f).dropped_shutdown == 3;
        close_fixture(&f);
        _exit(ok ? 0 : 1);
    }
    int result = -1;
    assert_int_equal(child, waitpid(child, &result, 0));
    assert_int_equal(0, result);
    assert_status(LOOM_OK, loom_span_processor_flush(f.processor, 5000));
    assert_int_equal(2, counts(&f).exported);
    close_fixture(&f);
    http_stub_stop(&stub);
}

static void what_cannot_be_opened_is_refused(void **state)
{
    (void)state;
    loom_span_processor *p;
    const char *bad[] = {"not a url", "ftp://host/", "http://"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        loom_span_processor_options options = {.exporter = LOOM_EXPORTER_OTLP_GRPC, .endpoint = bad[i]};
        assert_status(LOOM_EINVAL, loom_span_processor_create(&p, &options));
        assert_null(p);
    }
    loom_span_processor_options file = {.exporter = LOOM_EXPORTER_FILE, .endpoint = "/no/such/folder/spans"};
    assert_status(LOOM_EIO, loom_span_processor_create(&p, &file));
    loom_span_processor_options also = {.exporter = LOOM_EXPORTER_CONSOLE, .also_file = "/no/such/folder/spans"};
    assert_status(LOOM_EIO, loom_span_processor_create(&p, &also));
    loom_span_processor_options own = {.exporter = LOOM_EXPORTER_CALLBACK};
    assert_status(LOOM_EINVAL, loom_span_processor_create(&p, &own));
    loom_span_processor_options kind = {.exporter = (loom_exporter_kind)77};
    assert_status(LOOM_EINVAL, loom_span_processor_create(&p, &kind));
}

typedef struct own_exporter {
    atomic_int batches, spans;
    bool answer;
} own_exporter;

static bool count_one(void *user, const otlp_span *span)
{
    (void)span;
    atomic_fetch_add(&((own_exporter *)user)->spans, 1);
    return true;
}

static bool take_batch(void *user, loom_bytes request)
{
    own_exporter *own = user;
    atomic_fetch_add(&own->batches, 1);
    return otlp_read_request(request, count_one, own) == LOOM_OK && own->answer;
}

/* Ends three spans with batches of two; the status of the flush. */
static loom_status export_three(own_exporter *own, loom_span_counts *out)
{
    loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    fixture f = {0};
    loom_span_processor_options options = {
        .exporter = LOOM_EXPORTER_CALLBACK, .export_batch = take_batch, .user = own, .max_export_batch_size = 2};
    assert_status(LOOM_OK, loom_span_processor_create(&f.processor, &options));
    assert_status(LOOM_OK, loom_tracer_provider_create(
                               &f.provider, &(loom_tracer_provider_options){.sampler = &always, .processor = f.processor}));
    f.tracer = loom_tracer_get(f.provider, "tests", NULL);
    make_spans(&f, 3);
    loom_status st = loom_span_processor_flush(f.processor, 5000);
    *out = counts(&f);
    close_fixture(&f);
    return st;
}

static void a_programs_own_exporter_gets_otlp_batches(void **state)
{
    (void)state;
    own_exporter own = {.answer = true};
    loom_span_counts c;
    assert_status(LOOM_OK, export_three(&own, &c));
    assert_int_equal(2, atomic_load(&own.batches));
    assert_int_equal(3, atomic_load(&own.spans));
    assert_int_equal(3, c.exported);
}

static void what_a_programs_own_exporter_refuses_is_counted_and_not_sent_again(void **state)
{
    (void)state;
    own_exporter own = {.answer = false};
    loom_span_counts c;
    assert_status(LOOM_EIO, export_three(&own, &c));
    assert_int_equal(2, atomic_load(&own.batches));
    assert_int_equal(3, c.dropped_failed);
    assert_int_equal(0, c.exported);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_programs_own_exporter_gets_otlp_batches),
        cmocka_unit_test(what_a_programs_own_exporter_refuses_is_counted_and_not_sent_again),
        cmocka_unit_test(otlp_http_posts_protobuf_to_v1_traces),
        cmocka_unit_test(a_503_is_tried_again_and_counted_once),
        cmocka_unit_test(a_flush_cuts_the_sleep_before_a_retry_short),
        cmocka_unit_test(a_400_is_final),
        cmocka_unit_test(a_span_too_large_on_its_own_is_told_as_a_loss),
        cmocka_unit_test(a_413_sends_the_batch_again_in_halves),
        cmocka_unit_test(a_span_too_large_on_its_own_is_given_up_at_once),
        cmocka_unit_test(a_200_is_a_200_however_its_body_ends),
        cmocka_unit_test(a_batch_is_cut_by_bytes),
        cmocka_unit_test(spans_rejected_by_partial_success_are_counted),
        cmocka_unit_test(flush_and_shutdown_keep_their_deadline_when_nobody_answers),
        cmocka_unit_test(refused_connections_end_a_shutdown_at_once),
        cmocka_unit_test(a_receiver_that_nobody_named_is_missed_once),
        cmocka_unit_test(a_receiver_that_was_there_is_missed_as_any_other),
        cmocka_unit_test(an_answer_that_is_not_http2_fails_grpc_without_losing_count),
        cmocka_unit_test(a_full_queue_drops_the_newest_and_counts),
        cmocka_unit_test(a_full_batch_leaves_without_waiting_for_the_delay),
        cmocka_unit_test(less_than_a_batch_leaves_after_the_delay),
        cmocka_unit_test(after_shutdown_spans_are_dropped_and_counted),
        cmocka_unit_test(the_last_unref_delivers_what_is_queued),
        cmocka_unit_test(a_forked_child_drops_its_spans_and_returns_at_once),
        cmocka_unit_test(what_cannot_be_opened_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
