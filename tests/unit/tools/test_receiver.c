/* SPDX-License-Identifier: Apache-2.0 */
/* The receiver runs on the test's own thread while it waits; clients block in threads of theirs. */
#include "tests/support/wait_until.h"
#include "tests/unit/collect/trace_fixture.h"
#include "tools/loom/receiver.h"
#include "trace/otlp/json.h"
#include "trace/otlp/protobuf_read.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

typedef struct fixture {
    char folder[64];
    char path[128];
    store *db;
    uv_loop_t loop;
    receiver *r;
} fixture;

enum { DEADLINE_MS = 30000 };

/* Turns the loop until the condition holds. */
#define turn_until(f, condition) wait_until((uv_run(&(f)->loop, UV_RUN_NOWAIT), (condition)), DEADLINE_MS)

static int set_up(void **state)
{
    static fixture f;
    char problem[STORE_PROBLEM_SIZE];
    fixture_folder_make(f.folder);
    snprintf(f.path, sizeof f.path, "%s/traces.db", f.folder);
    assert_status(LOOM_OK, store_open_writer(&f.db, f.path, &(store_retention){0}, problem));
    const receiver_options options = {.listen = "127.0.0.1:0", .db = f.db};
    assert_int_equal(0, uv_loop_init(&f.loop));
    assert_status(LOOM_OK, receiver_open(&f.r, &f.loop, &options, problem));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    receiver_close(f->r);
    assert_int_equal(0, uv_run(&f->loop, UV_RUN_DEFAULT));
    assert_int_equal(0, uv_loop_close(&f->loop));
    store_close(f->db);
    fixture_folder_remove(f->folder);
    return 0;
}

typedef struct answer {
    long status;
    char type[64];
    uint8_t body[4096];
    size_t len;
    char grpc_status[16], grpc_message[256]; /* from trailers */
} answer;

static void keep_value(char *to, size_t room, const char *line, size_t len, const char *name)
{
    const size_t name_len = strlen(name);
    if (len > name_len + 2 && strncmp(line, name, name_len) == 0 && line[name_len] == ':') {
        snprintf(to, room, "%.*s", (int)strcspn(line + name_len + 2, "\r\n"), line + name_len + 2);
    }
}

static size_t keep_header(char *data, size_t size, size_t count, void *user)
{
    answer *a = user;
    keep_value(a->grpc_status, sizeof a->grpc_status, data, size * count, "grpc-status");
    keep_value(a->grpc_message, sizeof a->grpc_message, data, size * count, "grpc-message");
    return size * count;
}

static size_t keep_body(char *data, size_t size, size_t count, void *user)
{
    answer *a = user;
    if (a->len + size * count >= sizeof a->body) {
        return 0; /* curl takes it as a failure */
    }
    memcpy(a->body + a->len, data, size * count);
    a->len += size * count;
    return size * count;
}

/* body NULL: GET. status 0: no answer. Blocks, in a thread that is not the loop's, so nothing is asserted here. */
static answer blocking_request(const fixture *f, long version, const char *path, const char *header, const char *more,
                               const void *body, size_t len)
{
    answer a = {0};
    char url[128];
    const char *type = NULL;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:"); /* do not wait for a 100 */
    headers = header != NULL ? curl_slist_append(headers, header) : headers;
    headers = more != NULL ? curl_slist_append(headers, more) : headers;
    snprintf(url, sizeof url, "http://%s%s", receiver_address(f->r), path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, version);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, keep_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &a);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    }
    if (curl_easy_perform(curl) == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a.status);
    }
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    snprintf(a.type, sizeof a.type, "%s", type != NULL ? type : "");
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    a.body[a.len] = '\0';
    return a;
}

typedef struct asking {
    const fixture *f;
    long version;
    const char *path, *header, *more;
    const void *body;
    size_t len;
    answer answer;
    atomic_bool done;
} asking;

static void *ask(void *arg)
{
    asking *a = arg;
    a->answer = blocking_request(a->f, a->version, a->path, a->header, a->more, a->body, a->len);
    atomic_store(&a->done, true);
    return NULL;
}

/* The same while the loop turns. */
static answer request_by(fixture *f, long version, const char *path, const char *header, const char *more, const void *body,
                         size_t len)
{
    asking a = {.f = f, .version = version, .path = path, .header = header, .more = more, .body = body, .len = len};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask, &a), 0);
    turn_until(f, atomic_load(&a.done));
    pthread_join(thread, NULL);
    return a.answer;
}

static answer request(fixture *f, const char *path, const char *header, const char *more, const void *body, size_t len)
{
    return request_by(f, CURL_HTTP_VERSION_1_1, path, header, more, body, len);
}

#define PROTOBUF "Content-Type: application/x-protobuf"
#define JSON "Content-Type: application/json; charset=utf-8"

static bool count_spans(void *user, const trace_summary *summary)
{
    *(size_t *)user += summary->span_count;
    return true;
}

static size_t stored_spans(const fixture *f)
{
    store *reader;
    char problem[STORE_PROBLEM_SIZE];
    size_t count = 0;
    assert_status(LOOM_OK, store_open_reader(&reader, f->path, problem));
    assert_status(LOOM_OK, store_list(reader, &(store_filter){.limit = 1000}, count_spans, &count));
    store_close(reader);
    return count;
}

static void ladder_request(pb_buf *out, uint8_t trace)
{
    pb_init(out, NULL, 0, 1 << 20);
    fixture_request(out, trace, fixture_ladder, FIXTURE_LADDER_COUNT);
}

/* The message of a google.rpc.Status, and its code. */
static loom_str status_message(const answer *a, uint64_t *code)
{
    loom_str message = {0};
    pb_field field;
    pb_cursor cursor = pb_cursor_on((loom_bytes){a->body, a->len});
    *code = 0;
    while (pb_next(&cursor, &field)) {
        if (pb_is(&field, 1, PB_VARINT)) {
            *code = field.value;
        } else if (pb_is(&field, 2, PB_LENGTH)) {
            message = (loom_str){(const char *)field.bytes.data, field.bytes.len};
        }
    }
    assert_false(cursor.bad);
    return message;
}

static void protobuf_is_stored_when_it_is_answered(void **state)
{
    fixture *f = *state;
    pb_buf body;
    ladder_request(&body, 1);
    answer a = request(f, "/v1/traces", PROTOBUF, NULL, body.data, body.len);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.type, "application/x-protobuf");
    assert_int_equal(a.len, 0);
    assert_int_equal(stored_spans(f), FIXTURE_LADDER_COUNT);
    pb_fini(&body);
}

static void json_is_stored_and_answered_in_json(void **state)
{
    fixture *f = *state;
    pb_buf body;
    pb_buf json;
    ladder_request(&body, 1);
    pb_init(&json, NULL, 0, 1 << 20);
    assert_status(LOOM_OK, otlp_json_request(&json, (loom_bytes){body.data, body.len}));
    answer a = request(f, "/v1/traces", JSON, NULL, json.data, json.len);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.type, "application/json");
    assert_string_equal((const char *)a.body, "{}");
    assert_int_equal(stored_spans(f), FIXTURE_LADDER_COUNT);
    pb_fini(&json);
    pb_fini(&body);
}

static void redelivery_is_accepted_and_stored_once(void **state)
{
    fixture *f = *state;
    pb_buf body;
    ladder_request(&body, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(request(f, "/v1/traces", PROTOBUF, NULL, body.data, body.len).status, 200);
    }
    assert_int_equal(stored_spans(f), FIXTURE_LADDER_COUNT);
    pb_fini(&body);
}

static void spans_without_ids_are_a_partial_success(void **state)
{
    fixture *f = *state;
    static const char body[] = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}]}]}]}";
    answer a = request(f, "/v1/traces", JSON, NULL, body, sizeof body - 1);
    assert_int_equal(a.status, 200);
    assert_string_equal((const char *)a.body, "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":"
                                              "\"a span needs a trace id and a span id that are not all zero\"}}");
}

static void empty_request_is_a_success(void **state)
{
    fixture *f = *state;
    assert_int_equal(request(f, "/v1/traces", PROTOBUF, NULL, "", 0).status, 200);
}

static void malformed_protobuf_is_answered_with_a_status_message(void **state)
{
    fixture *f = *state;
    uint64_t code;
    pb_buf body;
    ladder_request(&body, 1);
    answer a = request(f, "/v1/traces", PROTOBUF, NULL, body.data, body.len - 3);
    assert_int_equal(a.status, 400);
    assert_str("the body is not an ExportTraceServiceRequest", status_message(&a, &code));
    assert_int_equal(code, 3);
    assert_int_equal(stored_spans(f), 0);
    pb_fini(&body);
}

static void malformed_json_is_answered_in_json(void **state)
{
    fixture *f = *state;
    answer a = request(f, "/v1/traces", JSON, NULL, "{\"resourceSpans\":\"x\"}", 21);
    assert_int_equal(a.status, 400);
    assert_string_equal((const char *)a.body, "{\"code\":3,\"message\":\"resourceSpans has to be an array\"}");
}

static void too_large_body_is_answered_with_413(void **state)
{
    fixture *f = *state;
    uint64_t code;
    size_t len = RECEIVER_BODY_MAX + 1;
    uint8_t *body = calloc(1, len);
    assert_non_null(body);
    answer a = request(f, "/v1/traces", PROTOBUF, NULL, body, len);
    assert_int_equal(a.status, 413);
    assert_non_null(strstr(status_message(&a, &code).data, "16 MiB"));
    assert_int_equal(code, 8);
    free(body);
}

static void largest_body_is_read(void **state)
{
    fixture *f = *state;
    uint8_t *body = calloc(1, RECEIVER_BODY_MAX);
    assert_non_null(body);
    assert_int_equal(request(f, "/v1/traces", PROTOBUF, NULL, body, RECEIVER_BODY_MAX).status, 400); /* field number 0 */
    free(body);
}

/* As `compression: gzip`, the default of every collector, sends it. */
static size_t gzip(uint8_t *out, size_t room, const void *data, size_t len)
{
    z_stream z = {0};
    assert_int_equal(Z_OK, deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY));
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(Z_STREAM_END, deflate(&z, Z_FINISH));
    assert_int_equal(Z_OK, deflateEnd(&z));
    return room - z.avail_out;
}

static void gzipped_body_is_stored(void **state)
{
    fixture *f = *state;
    static uint8_t packed[65536];
    pb_buf body;
    ladder_request(&body, 1);
    size_t len = gzip(packed, sizeof packed, body.data, body.len);
    assert_int_equal(request(f, "/v1/traces", PROTOBUF, "Content-Encoding: gzip", packed, len).status, 200);
    assert_int_equal(stored_spans(f), FIXTURE_LADDER_COUNT);
    pb_fini(&body);
    ladder_request(&body, 2); /* in two members, RFC 1952 2.2 */
    len = gzip(packed, sizeof packed, body.data, 100);
    len += gzip(packed + len, sizeof packed - len, body.data + 100, body.len - 100);
    assert_int_equal(request(f, "/v1/traces", PROTOBUF, "Content-Encoding: X-GZip", packed, len).status, 200);
    assert_int_equal(stored_spans(f), 2 * FIXTURE_LADDER_COUNT);
    answer a = request(f, "/v1/traces", PROTOBUF, "Content-Encoding: gzip", packed, len - 1); /* cut short */
    assert_int_equal(a.status, 400);
    a = request(f, "/v1/traces", PROTOBUF, "Content-Encoding: gzip", body.data, body.len);
    assert_int_equal(a.status, 400);
    pb_fini(&body);
}

static void a_body_that_unpacks_to_more_than_the_limit_is_answered_with_413(void **state)
{
    fixture *f = *state;
    uint64_t code;
    static uint8_t packed[65536];
    for (size_t over = 0; over < 2; over++) {
        uint8_t *body = calloc(1, RECEIVER_BODY_MAX + over);
        assert_non_null(body);
        size_t len = gzip(packed, sizeof packed, body, RECEIVER_BODY_MAX + over);
        answer a = request(f, "/v1/traces", PROTOBUF, "Content-Encoding: gzip", packed, len);
        assert_int_equal(a.status, over ? 413 : 400); /* 400: field number 0 */
        if (over) {
            assert_non_null(strstr(status_message(&a, &code).data, "16 MiB"));
        }
        free(body);
    }
}

static void other_compressions_are_refused_clearly(void **state)
{
    fixture *f = *state;
    answer a = request(f, "/v1/traces", JSON, "Content-Encoding: zstd", "\x28\xb5", 2);
    assert_int_equal(a.status, 415);
    assert_non_null(strstr((const char *)a.body, "gzip"));
}

static void unknown_content_type_is_refused(void **state)
{
    fixture *f = *state;
    answer a = request(f, "/v1/traces", "Content-Type: text/xml", NULL, "<a/>", 4);
    assert_int_equal(a.status, 415);
    assert_string_equal(a.type, "text/plain; charset=utf-8");
}

static void other_methods_and_paths_are_refused(void **state)
{
    fixture *f = *state;
    assert_int_equal(request(f, "/v1/traces", NULL, NULL, NULL, 0).status, 405);
    assert_int_equal(request(f, "/v1/metrics", PROTOBUF, NULL, "x", 1).status, 404);
    assert_int_equal(request(f, "/", NULL, NULL, NULL, 0).status, 404);
    assert_int_equal(request(f, "/v1/traces/more", NULL, NULL, NULL, 0).status, 404);
    assert_int_equal(request(f, "/health", PROTOBUF, NULL, "x", 1).status, 405);
}

static void health_is_answered(void **state)
{
    fixture *f = *state;
    answer a = request(f, "/health", NULL, NULL, NULL, 0);
    assert_int_equal(a.status, 200);
    assert_string_equal((const char *)a.body, "ok\n");
}

static int connect_raw(const fixture *f)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(receiver_port(f->r)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void chunks_are_put_together(void **state)
{
    fixture *f = *state;
    answer a = request(f, "/v1/traces", JSON, "Transfer-Encoding: chunked", "{}", 2);
    assert_int_equal(a.status, 200);
    assert_string_equal((const char *)a.body, "{}");
}

static void a_body_without_a_length_is_answered_with_411(void **state)
{
    fixture *f = *state;
    static const char head[] = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n";
    char heard[1024] = "";
    int fd = connect_raw(f);
    assert_int_equal(send(fd, head, sizeof head - 1, 0), sizeof head - 1);
    turn_until(f, recv(fd, heard, sizeof heard - 1, MSG_DONTWAIT) > 0);
    assert_memory_equal(heard, "HTTP/1.1 411 Length Required\r\n", 30);
    assert_non_null(strstr(heard, "{\"code\":3,\"message\":\"send a Content-Length\"}"));
    close(fd);
}

static void too_many_bodies_at_once_are_told_to_come_back(void **state)
{
    fixture *f = *state;
    enum { CLIENTS = 6 };
    static const char head[] = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16777216\r\n\r\n";
    int fds[CLIENTS];
    char *part = calloc(1, 1 << 20);
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = connect_raw(f);
        assert_int_equal(send(fds[i], head, sizeof head - 1, 0), sizeof head - 1);
        for (size_t sent = 0, tries = 0; sent < (15u << 20) && tries < 100000; tries++) {
            ssize_t rc = send(fds[i], part, 1 << 20, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent += rc > 0 ? (size_t)rc : 0;
            uv_run(&f->loop, UV_RUN_NOWAIT);
        }
    }
    char heard[1024] = "";
    turn_until(f, recv(fds[CLIENTS - 1], heard, sizeof heard - 1, MSG_DONTWAIT) > 0);
    assert_memory_equal(heard, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(heard, "Retry-After: 1\r\n"));
    for (size_t i = 0; i < CLIENTS; i++) {
        close(fds[i]);
    }
    free(part);
}

static void closing_does_not_wait_for_a_client_that_never_sends_its_body(void **state)
{
    fixture *f = *state;
    static const char head[] = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    int fd = connect_raw(f);
    assert_int_equal(send(fd, head, sizeof head - 1, 0), sizeof head - 1);
    assert_int_equal(request(f, "/health", NULL, NULL, NULL, 0).status, 200);
    uint64_t before = wait_now_ms();
    receiver_close(f->r);
    f->r = NULL;
    assert_int_equal(0, uv_run(&f->loop, UV_RUN_DEFAULT));
    assert_in_range(wait_now_ms() - before, 0, 10000);
    close(fd);
}

static void client_that_hangs_up_in_its_body_stores_nothing(void **state)
{
    fixture *f = *state;
    static const char head[] = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{";
    int fd = connect_raw(f);
    assert_int_equal(send(fd, head, sizeof head - 1, 0), sizeof head - 1);
    close(fd);
    assert_int_equal(request(f, "/v1/traces", JSON, NULL, "{}", 2).status, 200);
    assert_int_equal(stored_spans(f), 0);
}

typedef struct client {
    const fixture *f;
    long version;
    uint8_t trace;
    size_t accepted;
    atomic_bool done;
} client;

static void *send_many(void *arg)
{
    client *c = arg;
    for (uint8_t i = 0; i < 10; i++) {
        pb_buf body;
        ladder_request(&body, (uint8_t)(c->trace + i));
        c->accepted += blocking_request(c->f, c->version, "/v1/traces", PROTOBUF, NULL, body.data, body.len).status == 200;
        pb_fini(&body);
    }
    atomic_store(&c->done, true);
    return NULL;
}

static void clients_at_once_lose_nothing(void **state)
{
    fixture *f = *state;
    client clients[4];
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        clients[i] = (client){.f = f, .version = i % 2 == 0 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
                             .trace = (uint8_t)(1 + 10 * i)};
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &clients[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        turn_until(f, atomic_load(&clients[i].done));
        pthread_join(threads[i], NULL);
        assert_int_equal(clients[i].accepted, 10);
    }
    assert_int_equal(stored_spans(f), 40 * FIXTURE_LADDER_COUNT);
    assert_int_equal(receiver_read_counts(f->r).requests, 40);
}

static void address_in_use_is_reported(void **state)
{
    fixture *f = *state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    char listen_on[32];
    char problem[RECEIVER_PROBLEM_SIZE];
    receiver *r;
    snprintf(listen_on, sizeof listen_on, "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    assert_status(LOOM_EBUSY, receiver_open(&r, &f->loop, &(receiver_options){.listen = listen_on, .db = f->db}, problem));
    assert_null(r);
    assert_non_null(strstr(problem, listen_on));
    assert_status(LOOM_EINVAL, receiver_open(&r, &f->loop, &(receiver_options){.listen = "4318", .db = f->db}, problem));
    assert_status(LOOM_EINVAL, receiver_open(&r, &f->loop, &(receiver_options){.listen = "127.0.0.1:70000", .db = f->db}, problem));
    close(fd);
}

/* ---- HTTP/2 and gRPC ---- */

static answer request2(fixture *f, const char *path, const char *header, const char *more, const void *body, size_t len)
{
    return request_by(f, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE, path, header, more, body, len);
}

static void http2_is_taken_on_the_same_port(void **state)
{
    fixture *f = *state;
    uint64_t code;
    pb_buf body;
    ladder_request(&body, 1);
    answer a = request2(f, "/v1/traces?a=b", PROTOBUF, NULL, body.data, body.len);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.type, "application/x-protobuf");
    assert_int_equal(stored_spans(f), FIXTURE_LADDER_COUNT);
    a = request2(f, "/v1/traces", PROTOBUF, NULL, body.data, body.len - 3);
    assert_int_equal(a.status, 400);
    assert_str("the body is not an ExportTraceServiceRequest", status_message(&a, &code));
    assert_int_equal(request2(f, "/health", NULL, NULL, NULL, 0).status, 200);
    assert_int_equal(request2(f, "/v1/metrics", PROTOBUF, NULL, "x", 1).status, 404);
    assert_int_equal(request2(f, "/v1/traces", NULL, NULL, NULL, 0).status, 405);
    pb_fini(&body);
}

static void largest_body_is_read_over_http2_and_a_larger_one_is_answered_with_413(void **state)
{
    fixture *f = *state;
    uint8_t *body = calloc(1, RECEIVER_BODY_MAX + 1);
    assert_non_null(body);
    assert_int_equal(request2(f, "/v1/traces", PROTOBUF, NULL, body, RECEIVER_BODY_MAX).status, 400); /* field number 0 */
    assert_int_equal(request2(f, "/v1/traces", PROTOBUF, NULL, body, RECEIVER_BODY_MAX + 1).status, 413);
    free(body);
}

#define CALL "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define GRPC "Content-Type: application/grpc"

/* A message with its prefix. */
static size_t framed(uint8_t *out, bool packed, const void *data, size_t len)
{
    const uint8_t prefix[5] = {packed, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    memcpy(out, prefix, sizeof prefix);
    memcpy(out + sizeof prefix, data, len);
    return len + sizeof prefix;
}

static void call_is_stored_and_answered_with_a_message_and_a_status(void **state)
{
    fixture *f = *state;
    static uint8_t call[65536], packed[65536];
    pb_buf body;
    ladder_request(&body, 1);
    answer a = request2(f, CALL, GRPC, NULL, call, framed(call, false, body.data, body.len));
    assert_int_equal(a.status, 200);
    assert_string_equal(a.type, "application/grpc");
    assert_string_equal(a.grpc_status, "0");
    assert_int_equal(a.len, 5);
    assert_memory_equal(a.body, "\0\0\0\0\0", 5);
    pb_fini(&body);
    ladder_request(&body, 2);
    size_t len = gzip(packed, sizeof packed, body.data, body.len);
    a = request2(f, CALL, "Content-Type: application/grpc+proto", "grpc-encoding: gzip", call, framed(call, true, packed, len));
    assert_string_equal(a.grpc_status, "0");
    assert_int_equal(stored_spans(f), 2 * FIXTURE_LADDER_COUNT);
    pb_fini(&body);
}

#define LOGS_CALL "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

static uint64_t stored_logs(fixture *f)
{
    uint64_t count = 0;
    uint8_t id[LOOM_TRACE_ID_SIZE];
    memset(id, 0x11, sizeof id);
    assert_status(LOOM_OK, store_count_logs(f->db, id, &count));
    return count;
}

static void logs_are_stored_from_both_doors(void **state)
{
    fixture *f = *state;
    static const char json[] = "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"traceId\":\"11111111111111111111111111111111\",\"timeUnixNano\":\"5\"},"
                               "{\"body\":{\"stringValue\":\"of no trace\"}}]}]}]}";
    /* resource_logs { scope_logs { log_records { time_unix_nano, trace_id } } } */
    static const uint8_t record[] = {0x0a, 31, 0x12, 29, 0x12, 27, 0x09, 6, 0, 0, 0, 0, 0, 0, 0, 0x4a, 16, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                     0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11};
    uint8_t call[64];
    answer a = request(f, "/v1/logs", JSON, NULL, json, sizeof json - 1);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr((const char *)a.body, "\"rejectedLogRecords\":\"1\""));
    assert_int_equal(stored_logs(f), 1);
    a = request2(f, LOGS_CALL, GRPC, NULL, call, framed(call, false, record, sizeof record));
    assert_string_equal(a.grpc_status, "0");
    assert_int_equal(stored_logs(f), 2);
    assert_int_equal(receiver_read_counts(f->r).logs, 2);
    a = request(f, "/v1/logs", JSON, NULL, "[]", 2);
    assert_int_equal(a.status, 400);
    assert_non_null(strstr((const char *)a.body, "an ExportLogsServiceRequest is a JSON object"));
}

static void spans_of_a_call_without_ids_are_a_partial_success(void **state)
{
    fixture *f = *state;
    static const uint8_t request[] = {0x0a, 4, 0x12, 2, 0x12, 0}; /* resource_spans { scope_spans { spans {} } } */
    uint8_t call[32];
    answer a = request2(f, CALL, GRPC, NULL, call, framed(call, false, request, sizeof request));
    assert_string_equal(a.grpc_status, "0");
    assert_true(a.len > 9);
    assert_int_equal(a.body[4], a.len - 5);
    assert_int_equal(a.body[5], 0x0a); /* partial_success */
    assert_memory_equal(a.body + 7, "\x08\x01", 2);
}

static void bad_calls_are_refused_by_status(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *path, *more, *body;
        size_t len;
        const char *status, *message;
    } calls[] = {
        {CALL, NULL, "", 0, "3", "the call has no message"},
        {CALL, NULL, "\2\0\0\0\0", 5, "3", "the call has no message"},
        {CALL, NULL, "\0\0\0\0\1", 5, "3", "the call is not one message of the length it says"},
        {CALL, NULL, "\0\xff\xff\xff\xff", 5, "3", "the call is not one message of the length it says"},
        {CALL, NULL, "\0\0\0\0\1x", 6, "3", "the body is not an ExportTraceServiceRequest"},
        {CALL, "grpc-encoding: deflate", "\1\0\0\0\1x", 6, "12",
         "of compressions only gzip is supported: set the exporter's compression to gzip or none"},
        {CALL, "grpc-encoding: gzip", "\1\0\0\0\1x", 6, "3", "the body is not gzip"},
        {"/some.Service/Method", NULL, "\0\0\0\0\0", 5, "12", "of calls there are only " CALL " and " LOGS_CALL},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        answer a = request2(f, calls[i].path, GRPC, calls[i].more, calls[i].body, calls[i].len);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.grpc_message, calls[i].message);
        assert_string_equal(a.grpc_status, calls[i].status);
    }
    assert_int_equal(request2(f, CALL, PROTOBUF, NULL, "x", 1).status, 415);
    assert_int_equal(request(f, CALL, GRPC, NULL, "x", 1).status, 415); /* over HTTP/1.1 */
    assert_int_equal(stored_spans(f), 0);
}

static void too_large_call_is_exhausted(void **state)
{
    fixture *f = *state;
    uint8_t *body = calloc(1, RECEIVER_BODY_MAX + 1);
    assert_non_null(body);
    answer a = request2(f, CALL, GRPC, NULL, body, RECEIVER_BODY_MAX + 1);
    assert_string_equal(a.grpc_status, "8");
    assert_non_null(strstr(a.grpc_message, "16 MiB"));
    free(body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in the program */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        TEST(protobuf_is_stored_when_it_is_answered),
        TEST(json_is_stored_and_answered_in_json),
        TEST(redelivery_is_accepted_and_stored_once),
        TEST(spans_without_ids_are_a_partial_success),
        TEST(empty_request_is_a_success),
        TEST(malformed_protobuf_is_answered_with_a_status_message),
        TEST(malformed_json_is_answered_in_json),
        TEST(too_large_body_is_answered_with_413),
        TEST(largest_body_is_read),
        TEST(gzipped_body_is_stored),
        TEST(a_body_that_unpacks_to_more_than_the_limit_is_answered_with_413),
        TEST(other_compressions_are_refused_clearly),
        TEST(unknown_content_type_is_refused),
        TEST(other_methods_and_paths_are_refused),
        TEST(health_is_answered),
        TEST(chunks_are_put_together),
        TEST(a_body_without_a_length_is_answered_with_411),
        TEST(too_many_bodies_at_once_are_told_to_come_back),
        TEST(closing_does_not_wait_for_a_client_that_never_sends_its_body),
        TEST(client_that_hangs_up_in_its_body_stores_nothing),
        TEST(clients_at_once_lose_nothing),
        TEST(http2_is_taken_on_the_same_port),
        TEST(largest_body_is_read_over_http2_and_a_larger_one_is_answered_with_413),
        TEST(call_is_stored_and_answered_with_a_message_and_a_status),
        TEST(logs_are_stored_from_both_doors),
        TEST(spans_of_a_call_without_ids_are_a_partial_success),
        TEST(bad_calls_are_refused_by_status),
        TEST(too_large_call_is_exhausted),
        TEST(address_in_use_is_reported),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
