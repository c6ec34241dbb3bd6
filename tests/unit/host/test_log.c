/* SPDX-License-Identifier: Apache-2.0 */
#include "host/log/log.h"
#include "host/log/line.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"
#include "tests/support/wait_until.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char line[LOG_LINE_MAX + 1];

__attribute__((format(printf, 2, 3))) static const char *formatted(const log_style *style, const char *format, ...)
{
    static const struct timespec when = {.tv_sec = 1767323045, .tv_nsec = 678000000};
    va_list args;
    va_start(args, format);
    size_t length = log_line_format(line, style, LOG_INFO, &when, format, args);
    va_end(args);
    line[length] = '\0';
    assert_int_equal('\n', line[length - 1]);
    line[length - 1] = '\0';
    return line;
}

static const log_style text = {.service = "loom-broker"}, json = {.json = true, .service = "loom-broker"};
#define HEAD "2026-01-02T03:04:05.678Z INFO  loom-broker: "

static void words_with_an_equals_sign_become_fields(void **state)
{
    (void)state;
    assert_string_equal(HEAD "agent connected agent=sensor url=tcp://127.0.0.1:7700",
                        formatted(&text, "agent connected agent=%s url=tcp://%s:%d", "sensor", "127.0.0.1", 7700));
    assert_string_equal("{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"service\":\"loom-broker\","
                        "\"message\":\"agent connected\",\"agent\":\"sensor\",\"url\":\"tcp://127.0.0.1:7700\"}",
                        formatted(&json, "agent connected agent=%s url=tcp://%s:%d", "sensor", "127.0.0.1", 7700));
}

static void a_number_alone_stays_a_number_in_json(void **state)
{
    (void)state;
    const char *got = formatted(&json, "m a=%d b=%zu c=%lld d=%.2f e=%x f=%dms g=%+d h=%03u i=%5d j=%f", -1, (size_t)7,
                                -5000000000ll, 0.25, 255u, 3, 4, 7u, 12, (double)(1.0f / 0.0f));
    assert_non_null(strstr(got, "\"a\":-1,\"b\":7,\"c\":-5000000000,\"d\":0.25,\"e\":\"ff\",\"f\":\"3ms\",\"g\":\"+4\","
                                "\"h\":\"007\",\"i\":12,\"j\":\"inf\"}"));
}

static void every_length_of_integer_is_read(void **state)
{
    (void)state;
    assert_string_equal(HEAD "x a=-1 b=255 c=-2 d=65535 e=-3 f=4 g=5 h=-6 i=7 j=100% k=c",
                        formatted(&text, "x a=%hhd b=%hhu c=%hd d=%hu e=%ld f=%lu g=%ju h=%td i=%llu j=100%% k=%c",
                                  (signed char)-1, (unsigned char)255, (short)-2, (unsigned short)65535, -3l, 4ul,
                                  (uintmax_t)5, (ptrdiff_t)-6, 7ull, 'c'));
}

static void a_star_precision_bounds_the_text_it_reads(void **state)
{
    (void)state;
    char *unterminated = malloc(3); /* the sanitizer watches the fourth byte */
    memcpy(unterminated, "abc", 3);
    assert_string_equal(HEAD "x topic=abc", formatted(&text, "x topic=%.*s", 3, unterminated));
    assert_string_equal(HEAD "x topic=\"                    ab\"", formatted(&text, "x topic=%*.*s", 22, 2, unterminated));
    free(unterminated);
}

static void no_value_forges_a_line_or_a_field(void **state)
{
    (void)state;
    assert_string_equal(HEAD "bad\\nline \"x\" agent=\"a b=c\\n\\\"\" empty=\"\" none=(null)",
                        formatted(&text, "bad%sline \"x\" agent=%s empty=%s none=%s", "\n", "a b=c\n\"", "", (char *)NULL));
    assert_string_equal(HEAD "\\u202eback agent=\"a\\u202eb\" peer=\"\\u2066\"",
                        formatted(&text, "%sback agent=%s peer=%s", "\xe2\x80\xae", "a\xe2\x80\xae" "b", "\xe2\x81\xa6"));
}

static void a_long_line_is_cut_and_stays_valid(void **state)
{
    (void)state;
    char big[3 * LOG_LINE_MAX];
    json_error_t error;
    static const int lengths[] = {1800, 1900, 1940, 1960, 1980, 2000, 2020, 2040, 3000, 6000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(big, i % 2 ? '"' : 'x', sizeof big);
        const char *got = formatted(&json, "m a=%.*s b=%d c=%s", lengths[i], big, 5, "z");
        json_t *parsed = json_loads(got, 0, &error);
        assert_non_null(parsed);
        assert_true(json_is_string(json_object_get(parsed, "message")));
        assert_true(lengths[i] < 2000 || json_is_true(json_object_get(parsed, "cut")));
        json_decref(parsed);
        assert_true(strlen(formatted(&text, "%.*s", lengths[i], big)) < LOG_LINE_MAX);
    }
    assert_string_equal("...", line + strlen(line) - 3);
}

static void under_a_journal_a_line_has_its_priority_and_no_time(void **state)
{
    static const log_style priority = {.priority = true, .service = "loom-broker"}, both = {.priority = true, .json = true};
    (void)state;
    assert_string_equal("<6>agent connected agent=sensor", formatted(&priority, "agent connected agent=%s", "sensor"));
    assert_memory_equal("<6>{\"time\":", formatted(&both, "x"), 11);
}

static void a_record_of_the_journal_has_each_field_beside_the_message(void **state)
{
    static const log_style journal = {.journal = true, .service = "loom-broker"};
    (void)state;
    assert_string_equal("PRIORITY=6\x1eSYSLOG_IDENTIFIER=loom-broker\x1eMESSAGE=agent connected agent=sensor n=7 note=\"a b\\n\""
                        "\x1eLOOM_AGENT=sensor\x1eLOOM_N=7\x1eLOOM_NOTE=a b\\n",
                        formatted(&journal, "agent connected agent=%s n=%d note=%s", "sensor", 7, "a b\n"));
    char big[LOG_LINE_MAX];
    memset(big, 'x', sizeof big);
    const char *got = formatted(&journal, "m a=%.*s b=%s c=%.*s", 900, big, "\x1e", 900, big); /* no value ends a field */
    assert_non_null(strstr(got, "b=\"\\u001e\""));
    assert_true(strlen(got) < LOG_LINE_MAX);
    assert_null(strstr(got, "\x1eLOOM_C="));
}

/* ---- the writer ---- */

static logger *open_on(int fd, size_t ring_bytes)
{
    logger *l;
    logger_options options = {.fd = fd, .level = LOG_INFO, .ring_bytes = ring_bytes};
    assert_status(LOOM_OK, logger_open(&l, &options));
    return l;
}

static size_t read_available(int fd, char *out, size_t size)
{
    size_t length = 0;
    ssize_t got;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (length < size && (got = read(fd, out + length, size - length)) > 0) {
        length += (size_t)got;
    }
    return length;
}

static void lines_arrive_in_order_and_below_the_level_none(void **state)
{
    (void)state;
    int fds[2];
    char got[4096];
    assert_int_equal(0, pipe(fds));
    logger *l = open_on(fds[1], 0);
    log_info(l, "one n=%d", 1);
    log_debug(l, "hidden");
    assert_false(logger_enabled(l, LOG_DEBUG));
    logger_set_level(l, LOG_DEBUG);
    log_debug(l, "two");
    assert_status(LOOM_OK, logger_flush(l, 5000));
    size_t length = read_available(fds[0], got, sizeof got - 1);
    got[length] = '\0';
    assert_non_null(strstr(got, "INFO  one n=1\n"));
    assert_non_null(strstr(strstr(got, "one"), "DEBUG two\n"));
    assert_null(strstr(got, "hidden"));
    assert_int_equal(0, logger_close(l, 5000));
    close(fds[0]);
    close(fds[1]);
}

static void a_pipe_that_nobody_reads_stalls_no_caller_and_close_keeps_its_deadline(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(0, pipe(fds));
    logger *l = open_on(fds[1], 16384);
    uint64_t start = wait_now_ms();
    for (int i = 0; i < 20000; i++) {
        log_info(l, "nobody reads this n=%d", i);
    }
    assert_true(wait_now_ms() - start < 5000);
    assert_true(logger_dropped(l) > 0);
    assert_status(LOOM_ETIMEDOUT, logger_flush(l, 50));
    start = wait_now_ms();
    uint64_t lost = logger_close(l, 100);
    assert_true(wait_now_ms() - start < 3000);

    /* every line was read or is counted as lost */
    static char got[200000];
    uint64_t arrived = 0;
    size_t filled = read_available(fds[0], got, sizeof got - 1);
    got[filled] = '\0';
    for (char *at = got, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        arrived += strstr(at, "nobody reads this") != NULL; /* and not the lines that tell of drops */
    }
    assert_true(arrived > 0);
    /* a notice of drops that was lost itself is counted with the lines; there are few of them */
    assert_in_range(arrived + lost, 20000, 20010);
    close(fds[0]);
    close(fds[1]);
}

static void drops_are_told_when_lines_flow_again(void **state)
{
    (void)state;
    int fds[2];
    static char got[400000];
    assert_int_equal(0, pipe(fds));
    logger *l = open_on(fds[1], 4096);
    while (logger_dropped(l) < 3) {
        log_info(l, "fill the pipe and the ring");
    }
    size_t length = 0;
    bool told = false;
    uint64_t deadline = wait_now_ms() + 5000;
    while (!told && wait_now_ms() < deadline) {
        length += read_available(fds[0], got + length, sizeof got - 1 - length);
        got[length] = '\0';
        told = strstr(got, "WARN  log lines dropped, nobody read them count=") != NULL;
        wait_pause();
    }
    assert_true(told);
    log_info(l, "after");
    assert_status(LOOM_OK, logger_flush(l, 5000));
    length += read_available(fds[0], got + length, sizeof got - 1 - length);
    got[length] = '\0';
    assert_non_null(strstr(strstr(got, "dropped"), "after"));
    logger_close(l, 1000);
    close(fds[0]);
    close(fds[1]);
}

static void a_closed_reader_costs_lines_not_the_process(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(0, pipe(fds));
    close(fds[0]);
    logger *l = open_on(fds[1], 0);
    log_info(l, "into the void");
    assert_status(LOOM_OK, logger_flush(l, 5000));
    wait_until(logger_dropped(l) == 1, 5000);
    assert_int_equal(1, logger_close(l, 1000));
    close(fds[1]);
}

static void after_half_a_line_on_a_full_disk_the_next_begins_anew(void **state)
{
    (void)state;
    struct rlimit limit;
    char path[] = "/tmp/loom-test-XXXXXX", all[512] = "";
    int fd = mkstemp(path);
    logger *l = open_on(fd, 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &limit));
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 10;
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
    log_info(l, "does not fit");
    assert_status(LOOM_OK, logger_flush(l, 10000));
    limit.rlim_cur = before;
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
    log_info(l, "fits");
    assert_int_equal(1, logger_close(l, 10000));
    assert_true(pread(fd, all, sizeof all - 1, 0) > 0);
    assert_int_equal('\n', all[10]);
    assert_non_null(strstr(all, "fits\n"));
    close(fd);
    unlink(path);
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 500; i++) {
        log_info(arg, "from a thread n=%d", i);
    }
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
    (void)state;
    char name[] = "/tmp/loom-log-XXXXXX";
    int fd = mkstemp(name);
    pthread_t threads[4];
    logger *l = open_on(fd, 1 << 20);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, log_many, l));
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(0, logger_close(l, 10000));
    FILE *in = fopen(name, "r");
    char got[256];
    size_t lines = 0;
    while (fgets(got, sizeof got, in) != NULL) {
        lines++;
        assert_non_null(strstr(got, "INFO  from a thread n="));
    }
    assert_int_equal(2000, lines);
    fclose(in);
    close(fd);
    unlink(name);
}

static void a_journal_gets_records_and_without_one_lines_go_to_the_descriptor(void **state)
{
    char folder[] = "/tmp/loom-log-XXXXXX", path[64], got[LOG_LINE_MAX];
    int ends[2];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/journal", folder);
    const int journal = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    assert_int_equal(0, bind(journal, (const struct sockaddr *)&addr, sizeof addr));
    assert_int_equal(0, pipe(ends));
    logger *l;
    assert_status(LOOM_OK, logger_open(&l, &(logger_options){.fd = ends[1], .level = LOG_INFO, .priority = true, .journal = path, .service = "x"}));
    log_warn(l, "hello n=%d", 1);
    const ssize_t length = recv(journal, got, sizeof got - 1, 0);
    assert_true(length > 0);
    got[length] = '\0';
    assert_string_equal("PRIORITY=4\nSYSLOG_IDENTIFIER=x\nMESSAGE=hello n=1\nLOOM_N=1\n", got);
    close(journal);
    unlink(path);
    log_warn(l, "nobody is there n=%d", 2);
    assert_status(LOOM_OK, logger_flush(l, 5000));
    assert_int_equal(strlen("<4>nobody is there n=2\n"), read(ends[0], got, sizeof got));
    assert_memory_equal("<4>nobody is there n=2\n", got, strlen("<4>nobody is there n=2\n"));
    assert_int_equal(0, logger_close(l, 1000));
    close(ends[0]);
    close(ends[1]);
    rmdir(folder);
}

static void a_file_that_was_moved_away_is_made_anew(void **state)
{
    char folder[] = "/tmp/loom-log-XXXXXX", path[64], moved[64], got[LOG_LINE_MAX];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(moved, sizeof moved, "%s/moved", folder);
    logger *l;
    assert_status(LOOM_OK, logger_open(&l, &(logger_options){.fd = -1, .level = LOG_INFO, .path = path}));
    log_info(l, "one");
    assert_status(LOOM_OK, logger_flush(l, 5000));
    assert_int_equal(0, rename(path, moved));
    assert_true(logger_reopen(l));
    wait_until(access(path, F_OK) == 0, 5000);
    log_info(l, "two");
    assert_int_equal(0, logger_close(l, 5000));
    const int fd = open(path, O_RDONLY);
    const ssize_t length = read(fd, got, sizeof got - 1);
    close(fd);
    got[length > 0 ? length : 0] = '\0';
    assert_non_null(strstr(got, "two"));
    assert_null(strstr(got, "one"));
    unlink(path);
    unlink(moved);
    rmdir(folder);
    assert_status(LOOM_ENOTFOUND, logger_open(&l, &(logger_options){.fd = -1, .path = path})); /* there is no folder */
    assert_int_equal(ENOENT, errno);
}

static loom_status open_and_close(void *user)
{
    (void)user;
    logger *l;
    logger_options options = {.fd = STDERR_FILENO, .service = "x"};
    loom_status st = logger_open(&l, &options);
    if (st != LOOM_OK) {
        assert_null(l);
    }
    logger_close(l, 1000);
    return st;
}

static void opening_reports_every_failed_allocation(void **state)
{
    (void)state;
    assert_int_equal(3, alloc_fault_each(open_and_close, NULL));
}

static void a_null_logger_writes_nothing(void **state)
{
    (void)state;
    log_info(NULL, "nothing");
    assert_false(logger_enabled(NULL, LOG_ERROR));
    assert_status(LOOM_OK, logger_flush(NULL, 0));
    assert_int_equal(0, logger_close(NULL, 0));
}

static void a_level_has_a_name_and_back(void **state)
{
    (void)state;
    log_level level;
    assert_true(log_level_parse(&level, "warn"));
    assert_int_equal(LOG_WARN, level);
    assert_false(log_level_parse(&level, "WARN"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_half_a_line_on_a_full_disk_the_next_begins_anew),
        cmocka_unit_test(words_with_an_equals_sign_become_fields),
        cmocka_unit_test(a_number_alone_stays_a_number_in_json),
        cmocka_unit_test(every_length_of_integer_is_read),
        cmocka_unit_test(a_star_precision_bounds_the_text_it_reads),
        cmocka_unit_test(no_value_forges_a_line_or_a_field),
        cmocka_unit_test(a_long_line_is_cut_and_stays_valid),
        cmocka_unit_test(lines_arrive_in_order_and_below_the_level_none),
        cmocka_unit_test(a_pipe_that_nobody_reads_stalls_no_caller_and_close_keeps_its_deadline),
        cmocka_unit_test(drops_are_told_when_lines_flow_again),
        cmocka_unit_test(a_closed_reader_costs_lines_not_the_process),
        cmocka_unit_test(threads_do_not_mix_their_lines),
        cmocka_unit_test(under_a_journal_a_line_has_its_priority_and_no_time),
        cmocka_unit_test(a_record_of_the_journal_has_each_field_beside_the_message),
        cmocka_unit_test(a_journal_gets_records_and_without_one_lines_go_to_the_descriptor),
        cmocka_unit_test(a_file_that_was_moved_away_is_made_anew),
        cmocka_unit_test(opening_reports_every_failed_allocation),
        cmocka_unit_test(a_null_logger_writes_nothing),
        cmocka_unit_test(a_level_has_a_name_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
