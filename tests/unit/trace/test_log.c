/* SPDX-License-Identifier: Apache-2.0 */
#include <loom/log.h>

#include "tests/support/alloc_fault.h"
#include "tests/support/locales.h"
#include "tests/support/wait_until.h"
#include "tests/unit/trace/recorded.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static loom_attr string_attr(const char *key, const char *value)
{
    return (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = str_of(value)};
}

/* ---- a logger on a file, and what it wrote ---- */

typedef struct logged {
    loom_logger *log;
    char path[32];
    char text[64 * 1024];
} logged;

static void logged_open(logged *l, loom_logger_options options)
{
    (void)snprintf(l->path, sizeof l->path, "/tmp/loom-log-XXXXXX");
    int fd = mkstemp(l->path);
    assert_true(fd >= 0);
    close(fd);
    options.path = l->path;
    assert_status(LOOM_OK, loom_logger_create(&l->log, &options));
}

static const char *logged_text(logged *l)
{
    int fd = open(l->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, l->text, sizeof l->text - 1);
    assert_true(n >= 0);
    l->text[n] = '\0';
    close(fd);
    return l->text;
}

/* The n-th line, from 0, as the object it has to be. */
static json_t *logged_record(logged *l, size_t n)
{
    const char *at = logged_text(l);
    while (n-- > 0) {
        at = strchr(at, '\n') + 1;
    }
    const char *end = strchr(at, '\n');
    assert_non_null(end);
    assert_true(end + 1 - at <= LOOM_LOG_LINE_MAX);
    json_error_t error;
    json_t *record = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (record == NULL) {
        print_error("not JSON: %s at %d: %s\n", error.text, error.position, at);
    }
    assert_non_null(record);
    return record;
}

static void logged_close(logged *l)
{
    loom_logger_unref(l->log);
    unlink(l->path);
}

/* ---- records ---- */

static void a_record_names_the_current_span(void **state)
{
    (void)state;
    logged l;
    recorded r;
    recorded_open(&r, NULL);
    logged_open(&l, (loom_logger_options){.service_name = "shop"});
    loom_span *span = loom_span_start(r.tracer, "work", NULL);
    loom_span_make_current(span);
    loom_log(l.log, LOOM_SEVERITY_WARN, "cache is cold", NULL, 0);
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_id, loom_span_context(span)->trace_id);
    loom_span_id_to_hex(span_id, loom_span_context(span)->span_id);
    loom_span_end(span);
    json_t *record = logged_record(&l, 0);
    assert_string_equal(trace_id, recorded_string(record, "trace_id"));
    assert_string_equal(span_id, recorded_string(record, "span_id"));
    assert_string_equal("03", recorded_string(record, "trace_flags"));
    assert_string_equal("warn", recorded_string(record, "level"));
    assert_int_equal(13, json_integer_value(json_object_get(record, "severity_number")));
    assert_string_equal("shop", recorded_string(record, "service"));
    assert_string_equal("cache is cold", recorded_string(record, "message"));
    assert_int_equal(27, strlen(recorded_string(record, "time")));
    assert_null(json_object_get(record, "attributes"));
    assert_null(json_object_get(record, "cut"));
    json_decref(record);
    logged_close(&l);
    recorded_close(&r);
}

static void a_record_takes_another_context_or_none(void **state)
{
    (void)state;
    logged l;
    logged_open(&l, (loom_logger_options){.nanoseconds = true});
    const loom_trace_context context = {.trace_id = {0xab}, .span_id = {0xcd}, .trace_flags = 0};
    loom_log_in(l.log, LOOM_SEVERITY_INFO, &context, "given", NULL, 0);
    loom_log_in(l.log, LOOM_SEVERITY_INFO, NULL, "none", NULL, 0);
    loom_log_in(l.log, LOOM_SEVERITY_INFO, &(loom_trace_context){0}, "invalid", NULL, 0);
    json_t *record = logged_record(&l, 0);
    assert_string_equal("ab000000000000000000000000000000", recorded_string(record, "trace_id"));
    assert_string_equal("00", recorded_string(record, "trace_flags"));
    assert_int_equal(30, strlen(recorded_string(record, "time")));
    assert_null(json_object_get(record, "service"));
    json_decref(record);
    for (size_t i = 1; i < 3; i++) {
        record = logged_record(&l, i);
        assert_null(json_object_get(record, "trace_id"));
        json_decref(record);
    }
    logged_close(&l);
}

static void attributes_keep_their_types(void **state)
{
    (void)state;
    logged l;
    logged_open(&l, (loom_logger_options){0});
    static const bool bools[] = {true, false};
    static const int64_t ints[] = {INT64_MIN, 7};
    static const double doubles[] = {0.1, INFINITY};
    static const loom_str strings[] = {{"a\"b", 3}, {NULL, 0}};
    const loom_attr attrs[] = {
        string_attr("s", "text"),
        {.key = "b", .type = LOOM_ATTR_BOOL, .value.boolean = true},
        {.key = "i", .type = LOOM_ATTR_INT, .value.integer = INT64_MIN},
        {.key = "d", .type = LOOM_ATTR_DOUBLE, .value.real = 45.2},
        {.key = "nan", .type = LOOM_ATTR_DOUBLE, .value.real = NAN},
        {.key = "ss", .type = LOOM_ATTR_STRINGS, .value.array = {strings, 2}},
        {.key = "bs", .type = LOOM_ATTR_BOOLS, .value.array = {bools, 2}},
        {.key = "is", .type = LOOM_ATTR_INTS, .value.array = {ints, 2}},
        {.key = "ds", .type = LOOM_ATTR_DOUBLES, .value.array = {doubles, 2}},
        {.key = "none", .type = LOOM_ATTR_INTS, .value.array = {NULL, 3}},
        {.key = "", .type = LOOM_ATTR_INT, .value.integer = 1},
        {.key = NULL, .type = LOOM_ATTR_INT, .value.integer = 1},
        {.key = "unknown", .type = (loom_attr_type)99},
    };
    loom_log(l.log, LOOM_SEVERITY_INFO, "typed", attrs, sizeof attrs / sizeof *attrs);
    assert_non_null(strstr(logged_text(&l), "\"attributes\":{\"s\":\"text\",\"b\":true,\"i\":-9223372036854775808,\"d\":45.2,"
                                            "\"nan\":\"NaN\",\"ss\":[\"a\\\"b\",\"\"],\"bs\":[true,false],"
                                            "\"is\":[-9223372036854775808,7],\"ds\":[0.1,\"Infinity\"],\"none\":[]}}\n"));
    json_decref(logged_record(&l, 0));
    logged_close(&l);
}

static void no_attribute_overwrites_a_field_of_the_record(void **state)
{
    (void)state;
    logged l;
    logged_open(&l, (loom_logger_options){.service_name = "real"});
    const loom_trace_context context = {.trace_id = {1}, .span_id = {1}};
    const loom_attr attrs[] = {string_attr("trace_id", "forged"), string_attr("level", "forged"), string_attr("time", "forged"),
                               string_attr("service", "forged"),  string_attr("twice", "first"),  string_attr("cut", "forged"),
                               string_attr("twice", "last")};
    loom_log_in(l.log, LOOM_SEVERITY_INFO, &context, "m", attrs, sizeof attrs / sizeof *attrs);
    json_t *record = logged_record(&l, 0); /* refuses keys that come twice */
    assert_string_equal("01000000000000000000000000000000", recorded_string(record, "trace_id"));
    assert_string_equal("info", recorded_string(record, "level"));
    assert_string_equal("real", recorded_string(record, "service"));
    assert_string_equal("last", recorded_string(json_object_get(record, "attributes"), "twice"));
    assert_string_equal("forged", recorded_string(json_object_get(record, "attributes"), "trace_id"));
    json_decref(record);
    logged_close(&l);
}

/* What follows the time. */
static const char *text_line(logged *l)
{
    return logged_text(l) + strlen("2026-01-02T03:04:05.678901Z ");
}

static void text_is_for_eyes_and_grep(void **state)
{
    (void)state;
    logged l;
    logged_open(&l, (loom_logger_options){.format = LOOM_LOG_TEXT, .service_name = "shop"});
    const loom_trace_context context = {.trace_id = {0xab}, .span_id = {0xcd}, .trace_flags = 1};
    const loom_attr attrs[] = {string_attr("city", "New York"), {.key = "n", .type = LOOM_ATTR_INT, .value.integer = 3}};
    loom_log_in(l.log, LOOM_SEVERITY_WARN, &context, "cache is cold", attrs, 2);
    assert_string_equal("WARN  shop: cache is cold trace_id=ab000000000000000000000000000000 span_id=cd00000000000000 "
                        "trace_flags=01 city=\"New York\" n=3\n",
                        text_line(&l));
    logged_close(&l);
}

static void no_value_forges_a_field_or_a_line_of_text(void **state)
{
    (void)state;
    logged l;
    logged_open(&l, (loom_logger_options){.format = LOOM_LOG_TEXT});
    const loom_attr attrs[] = {string_attr("a", "x trace_id=1"), string_attr("b\nc", "y\nz\033[2J"),
                               string_attr("trace_id", "forged")};
    loom_log_in(l.log, LOOM_SEVERITY_ERROR, NULL, "m trace_id=1\r\nn", attrs, 3);
    assert_string_equal("ERROR \"m trace_id=1\\r\\nn\" a=\"x trace_id=1\" \"b\\nc\"=\"y\\nz\\u001b[2J\" attributes.trace_id=forged\n",
                        text_line(&l));
    logged_close(&l);
}

static void a_long_record_is_cut_and_says_so(void **state)
{
    (void)state;
    static char large[3 * LOOM_LOG_LINE_MAX + 1];
    for (size_t i = 0; i + 2 < sizeof large; i += 2) {
        memcpy(large + i, "\xc3\xa9", 2); /* é: never half of it */
    }
    logged l;
    logged_open(&l, (loom_logger_options){.service_name = large});
    const loom_attr attrs[] = {string_attr("first", large), string_attr("second", large), string_attr(large, "v"),
                               {.key = "last", .type = LOOM_ATTR_BOOL, .value.boolean = true}};
    loom_log_in(l.log, LOOM_SEVERITY_INFO, &(loom_trace_context){{1}, {1}, 0}, large, attrs, 4);
    loom_log(l.log, LOOM_SEVERITY_INFO, large, NULL, 0);
    loom_logf(l.log, LOOM_SEVERITY_INFO, "%s", large);
    for (size_t i = 0; i < 3; i++) {
        json_t *record = logged_record(&l, i);
        assert_true(json_is_true(json_object_get(record, "cut")));
        assert_true(strlen(recorded_string(record, "message")) > 1500);
        assert_null(strstr(recorded_string(record, "message"), "\xef\xbf\xbd"));
        json_decref(record);
    }
    json_t *record = logged_record(&l, 0);
    assert_non_null(json_object_get(record, "trace_id"));
    assert_true(strlen(recorded_string(json_object_get(record, "attributes"), "first")) > 500);
    json_decref(record);
    assert_int_equal(3, loom_logger_get_counts(l.log).cut);
    logged_close(&l);
}

static void a_record_that_is_cut_anywhere_is_an_object(void **state)
{
    (void)state;
    static char value[LOOM_LOG_LINE_MAX];
    for (size_t len = LOOM_LOG_LINE_MAX - 900; len < LOOM_LOG_LINE_MAX - 100; len += 3) {
        memset(value, 'a', len);
        value[len] = '\0';
        logged l;
        logged_open(&l, (loom_logger_options){0});
        const loom_attr attrs[] = {string_attr("sql", value), string_attr("http.request.method", "GET"), string_attr("k", "v")};
        loom_log(l.log, LOOM_SEVERITY_INFO, "m", attrs, 3);
        loom_log(l.log, LOOM_SEVERITY_INFO, value, attrs + 1, 2);
        json_decref(logged_record(&l, 0));
        json_decref(logged_record(&l, 1));
        logged_close(&l);
    }
}

/* Whatever bytes: one line, which is one JSON object or has no control character. */
static void any_bytes_make_one_line(void **state)
{
    (void)state;
    logged json, text;
    uint32_t seed = 12345;
    logged_open(&json, (loom_logger_options){0});
    logged_open(&text, (loom_logger_options){.format = LOOM_LOG_TEXT});
    for (int round = 0; round < 300; round++) {
        char bytes[3][400];
        for (size_t i = 0; i < 3; i++) {
            for (size_t k = 0; k < sizeof bytes[i]; k++) {
                seed = seed * 1664525u + 1013904223u;
                bytes[i][k] = (char)(seed >> 24);
                bytes[i][k] = (char)(bytes[i][k] != '\0' ? bytes[i][k] : 1);
            }
            bytes[i][(seed >> 8) % sizeof bytes[i]] = '\0';
        }
        const loom_attr attr = string_attr(bytes[0], bytes[1]);
        assert_int_equal(0, truncate(json.path, 0));
        assert_int_equal(0, truncate(text.path, 0));
        loom_log(json.log, LOOM_SEVERITY_INFO, bytes[2], &attr, 1);
        loom_log(text.log, LOOM_SEVERITY_INFO, bytes[2], &attr, 1);
        json_decref(logged_record(&json, 0));
        const char *line = logged_text(&text);
        assert_ptr_equal(line + strlen(line) - 1, strpbrk(line, "\n\r\033\177\b"));
    }
    logged_close(&text);
    logged_close(&json);
}

static void numbers_are_the_same_in_every_locale(void **state)
{
    (void)state;
    logged l;
    bool set = locale_set(LOCALE_COMMA);
    logged_open(&l, (loom_logger_options){0});
    const loom_attr attr = {.key = "ratio", .type = LOOM_ATTR_DOUBLE, .value.real = 0.5};
    loom_logf(l.log, LOOM_SEVERITY_INFO, "took %.1f ms", 1.5);
    loom_log(l.log, LOOM_SEVERITY_INFO, "m", &attr, 1);
    locale_reset();
    json_t *record = logged_record(&l, 0);
    assert_string_equal("took 1.5 ms", recorded_string(record, "message"));
    json_decref(record);
    record = logged_record(&l, 1);
    assert_true(json_is_real(json_object_get(json_object_get(record, "attributes"), "ratio")));
    json_decref(record);
    logged_close(&l);
    if (!set) {
        skip();
    }
}

static void wide_characters_are_printed_as_the_program_has_them(void **state)
{
    (void)state;
    logged l;
    logged_open(&l, (loom_logger_options){0});
    loom_logf(l.log, LOOM_SEVERITY_INFO, "%ls", L"caf\u00e9"); /* the C locale has none: the format, then */
    bool set = setlocale(LC_CTYPE, "C.UTF-8") != NULL;
    loom_logf(l.log, LOOM_SEVERITY_INFO, "%ls", L"caf\u00e9");
    setlocale(LC_CTYPE, "C");
    json_t *first = logged_record(&l, 0), *second = logged_record(&l, 1);
    assert_string_equal("%ls", recorded_string(first, "message"));
    assert_string_equal(set ? "caf\xc3\xa9" : "%ls", recorded_string(second, "message"));
    json_decref(second);
    json_decref(first);
    logged_close(&l);
}

static void what_is_below_the_minimum_is_not_written(void **state)
{
    (void)state;
    logged l;
    setenv("OTEL_LOG_LEVEL", "Warn", 1);
    logged_open(&l, (loom_logger_options){0});
    unsetenv("OTEL_LOG_LEVEL");
    assert_false(loom_logger_enabled(l.log, LOOM_SEVERITY_INFO));
    assert_true(loom_logger_enabled(l.log, LOOM_SEVERITY_WARN));
    loom_log(l.log, LOOM_SEVERITY_INFO, "m", NULL, 0);
    loom_logf(l.log, LOOM_SEVERITY_INFO, "m");
    assert_string_equal("", logged_text(&l));
    loom_logger_set_minimum(l.log, LOOM_SEVERITY_TRACE);
    loom_log(l.log, (loom_severity)10, "m", NULL, 0);
    assert_non_null(strstr(logged_text(&l), "\"level\":\"info2\",\"severity_number\":10"));
    loom_logger_set_minimum(l.log, LOOM_SEVERITY_OFF);
    assert_false(loom_logger_enabled(l.log, LOOM_SEVERITY_FATAL));
    assert_false(loom_logger_enabled(l.log, LOOM_SEVERITY_OFF));
    logged_close(&l);
}

static void severities_have_names(void **state)
{
    (void)state;
    loom_severity s = LOOM_SEVERITY_FATAL;
    assert_true(loom_severity_parse(&s, STR("WARNING")));
    assert_int_equal(LOOM_SEVERITY_WARN, s);
    assert_true(loom_severity_parse(&s, STR("none")));
    assert_int_equal(LOOM_SEVERITY_OFF, s);
    assert_false(loom_severity_parse(&s, STR("loud")));
    assert_false(loom_severity_parse(&s, STR("")));
    assert_int_equal(LOOM_SEVERITY_OFF, s);
    assert_string_equal("trace", loom_severity_name(LOOM_SEVERITY_TRACE));
    assert_string_equal("fatal4", loom_severity_name((loom_severity)24));
    assert_string_equal("unknown", loom_severity_name(LOOM_SEVERITY_OFF));
    assert_string_equal("unknown", loom_severity_name((loom_severity)0));
    setenv("OTEL_LOG_LEVEL", "loud", 1);
    assert_int_equal(LOOM_SEVERITY_INFO, loom_severity_from_env());
    unsetenv("OTEL_LOG_LEVEL");
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    loom_logger *log;
    assert_status(LOOM_EINVAL, loom_logger_create(&log, &(loom_logger_options){.fd = 9999}));
    assert_null(log);
    assert_status(LOOM_EINVAL, loom_logger_create(&log, &(loom_logger_options){.minimum = (loom_severity)77}));
    assert_status(LOOM_EINVAL, loom_logger_create(&log, &(loom_logger_options){.format = (loom_log_format)7}));
    assert_status(LOOM_EIO, loom_logger_create(&log, &(loom_logger_options){.path = "/nonexistent/log"}));
    assert_int_equal(ENOENT, errno);
    assert_null(log);
    loom_log(NULL, LOOM_SEVERITY_INFO, "m", NULL, 0);
    loom_logf(NULL, LOOM_SEVERITY_INFO, "m");
    assert_false(loom_logger_enabled(NULL, LOOM_SEVERITY_INFO));
    loom_logger_unref(NULL);
}

/* ---- the descriptor ---- */

static void set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);
    assert_int_equal(0, fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK));
}

/* Reads what is there, and returns the number of lines; *last is the one that ended last. */
static size_t drain(int fd, char last[LOOM_LOG_LINE_MAX])
{
    static char text[256 * 1024];
    size_t used = 0, lines = 0;
    set_blocking(fd, false);
    for (ssize_t n; used < sizeof text && (n = read(fd, text + used, sizeof text - used)) > 0;) {
        used += (size_t)n;
    }
    for (size_t begin = 0, i = 0; i < used; i++) {
        if (text[i] == '\n') {
            memcpy(last, text + begin, i - begin);
            last[i - begin] = '\0';
            begin = i + 1;
            lines++;
        }
    }
    return lines;
}

static void fill_until_a_drop(loom_logger *log)
{
    static char body[1500];
    memset(body, 'b', sizeof body - 1);
    while (loom_logger_get_counts(log).dropped == 0) {
        loom_log(log, LOOM_SEVERITY_INFO, body, NULL, 0);
    }
}

static void check_full_reader(int reader, int writer)
{
    loom_logger *log;
    char last[LOOM_LOG_LINE_MAX];
    assert_status(LOOM_OK, loom_logger_create(&log, &(loom_logger_options){.fd = writer, .wait_ms = 20}));
    fill_until_a_drop(log);
    const uint64_t begin = wait_now_ms();
    for (int i = 0; i < 1000; i++) { /* 20 s, if each of them waited */
        loom_log(log, LOOM_SEVERITY_INFO, "lost", NULL, 0);
    }
    assert_true(wait_now_ms() - begin < 5000);
    loom_logger_counts full = loom_logger_get_counts(log);
    assert_true(full.dropped > 900);
    assert_true(drain(reader, last) >= full.written - 1);
    loom_log(log, LOOM_SEVERITY_INFO, "back", NULL, 0);
    static char text[4 * LOOM_LOG_LINE_MAX];
    ssize_t n = read(reader, text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    char expected[100];
    (void)snprintf(expected, sizeof expected, "\"attributes\":{\"count\":%d}}\n", (int)full.dropped);
    assert_non_null(strstr(text, "log records dropped, nobody read them"));
    assert_non_null(strstr(text, expected));
    assert_non_null(strstr(strstr(text, expected), "\"message\":\"back\""));
    assert_int_equal(full.written + 1, loom_logger_get_counts(log).written);
    assert_int_equal(full.dropped, loom_logger_get_counts(log).dropped);
    loom_logger_unref(log);
    close(reader);
    close(writer);
}

static void a_pipe_that_nobody_reads_costs_records_not_time(void **state)
{
    (void)state;
    for (int blocking = 0; blocking < 2; blocking++) {
        int ends[2];
        assert_int_equal(0, pipe2(ends, O_CLOEXEC));
        set_blocking(ends[1], blocking != 0);
        check_full_reader(ends[0], ends[1]);
    }
}

static void a_socket_that_nobody_reads_costs_records_not_time(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    check_full_reader(ends[0], ends[1]);
}

static void a_reader_that_has_gone_raises_no_signal(void **state)
{
    (void)state;
    int ends[2];
    loom_logger *log;
    assert_int_equal(0, pipe2(ends, O_CLOEXEC));
    close(ends[0]);
    assert_status(LOOM_OK, loom_logger_create(&log, &(loom_logger_options){.fd = ends[1]}));
    sigset_t sigpipe, pending;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    errno = 77;
    loom_log(log, LOOM_SEVERITY_INFO, "m", NULL, 0); /* would end the test */
    pthread_sigmask(SIG_BLOCK, &sigpipe, NULL);
    loom_log(log, LOOM_SEVERITY_INFO, "m", NULL, 0);
    assert_int_equal(77, errno);
    sigpending(&pending);
    assert_int_equal(0, sigismember(&pending, SIGPIPE));
    pthread_sigmask(SIG_UNBLOCK, &sigpipe, NULL);
    assert_int_equal(2, loom_logger_get_counts(log).dropped);
    loom_logger_unref(log);
    close(ends[1]);
}

/* ---- threads and processes ---- */

enum { WRITERS = 4, RECORDS = 400 };

static void *write_records(void *log)
{
    char body[2000];
    for (int i = 0; i < RECORDS; i++) {
        size_t len = (size_t)(i * 7 % (int)(sizeof body - 1));
        memset(body, 'a' + i % 26, len);
        body[len] = '\0';
        loom_logf(log, LOOM_SEVERITY_INFO, "%d %s", i, body);
    }
    return NULL;
}

typedef struct reading {
    FILE *from;
    size_t lines, told;
} reading;

static void *read_records(void *user)
{
    reading *r = user;
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, r->from) > 0) {
        json_error_t error;
        json_t *record = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        if (record == NULL) {
            print_error("not a record: %s\n", line);
            abort();
        }
        json_t *count = json_object_get(json_object_get(record, "attributes"), "count");
        r->told += count != NULL ? (size_t)json_integer_value(count) : 0;
        r->lines += count == NULL ? 1 : 0;
        json_decref(record);
    }
    free(line);
    return NULL;
}

/* The children fork while threads of the parent write. */
static void lines_of_threads_and_forked_children_never_mix(void **state)
{
    (void)state;
    int ends[2];
    pthread_t writers[WRITERS], reader;
    loom_logger *log;
    assert_int_equal(0, pipe2(ends, O_CLOEXEC));
    reading r = {.from = fdopen(ends[0], "r")};
    assert_status(LOOM_OK, loom_logger_create(&log, &(loom_logger_options){.fd = ends[1], .wait_ms = 5000}));
    assert_int_equal(0, pthread_create(&reader, NULL, read_records, &r));
    for (size_t i = 0; i < WRITERS; i++) {
        assert_int_equal(0, pthread_create(&writers[i], NULL, write_records, log));
    }
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            const uint64_t before = loom_logger_get_counts(log).written;
            (void)write_records(log);
            const loom_logger_counts c = loom_logger_get_counts(log);
            _exit(c.written == before + RECORDS ? 0 : 1);
        }
        int status;
        assert_int_equal(child, waitpid(child, &status, 0));
        assert_int_equal(0, status);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        pthread_join(writers[i], NULL);
    }
    close(ends[1]);
    pthread_join(reader, NULL);
    fclose(r.from);
    const loom_logger_counts c = loom_logger_get_counts(log);
    assert_int_equal(WRITERS * RECORDS, c.written + c.dropped);
    assert_int_equal((WRITERS + 3) * RECORDS, r.lines + c.dropped);
    loom_logger_unref(log);
}

static loom_status create_logger(void *path)
{
    loom_logger *log;
    loom_status st = loom_logger_create(&log, &(loom_logger_options){.path = path, .service_name = "oom"});
    if (st == LOOM_OK) {
        loom_log(log, LOOM_SEVERITY_INFO, "m", NULL, 0);
    }
    loom_logger_unref(log);
    return st;
}

static void creating_a_logger_survives_without_memory_and_logging_needs_none(void **state)
{
    (void)state;
    assert_int_equal(2, alloc_fault_each(create_logger, (void *)(uintptr_t)"/dev/null"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_names_the_current_span),
        cmocka_unit_test(a_record_takes_another_context_or_none),
        cmocka_unit_test(attributes_keep_their_types),
        cmocka_unit_test(no_attribute_overwrites_a_field_of_the_record),
        cmocka_unit_test(text_is_for_eyes_and_grep),
        cmocka_unit_test(no_value_forges_a_field_or_a_line_of_text),
        cmocka_unit_test(a_long_record_is_cut_and_says_so),
        cmocka_unit_test(a_record_that_is_cut_anywhere_is_an_object),
        cmocka_unit_test(any_bytes_make_one_line),
        cmocka_unit_test(numbers_are_the_same_in_every_locale),
        cmocka_unit_test(wide_characters_are_printed_as_the_program_has_them),
        cmocka_unit_test(what_is_below_the_minimum_is_not_written),
        cmocka_unit_test(severities_have_names),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(a_pipe_that_nobody_reads_costs_records_not_time),
        cmocka_unit_test(a_socket_that_nobody_reads_costs_records_not_time),
        cmocka_unit_test(a_reader_that_has_gone_raises_no_signal),
        cmocka_unit_test(lines_of_threads_and_forked_children_never_mix),
        cmocka_unit_test(creating_a_logger_survives_without_memory_and_logging_needs_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
