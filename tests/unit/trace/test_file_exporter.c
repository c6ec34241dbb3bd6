/* SPDX-License-Identifier: Apache-2.0 */
/* The file exporter on a disk that is full for a while: a limit of the file's size stands for it. */
#include "trace/export/exporter.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/check.h"

typedef struct fixture {
    char path[32];
    exporter *exporter;
} fixture;

static int open_file(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->path, sizeof f->path, "/tmp/loom-test-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    close(fd);
    signal(SIGXFSZ, SIG_IGN);
    assert_status(LOOM_OK, file_exporter_open(&f->exporter, f->path));
    *state = f;
    return 0;
}

static int close_file(void **state)
{
    fixture *f = *state;
    exporter_close(f->exporter);
    unlink(f->path);
    free(f);
    return 0;
}

static export_outcome send_one(fixture *f)
{
    atomic_uint_fast64_t never = UINT64_MAX;
    export_result result = {.outcome = EXPORT_FAILED};
    f->exporter->ops->send(f->exporter, (loom_bytes){NULL, 0}, (export_deadline){UINT64_MAX, &never}, &result);
    return result.outcome;
}

static size_t size_of(const fixture *f)
{
    struct stat info;
    assert_int_equal(0, stat(f->path, &info));
    return (size_t)info.st_size;
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = bytes;
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
}

static void append(const fixture *f, const char *text)
{
    FILE *out = fopen(f->path, "a");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    fclose(out);
}

/* The lines of the file, without their ends. */
static size_t read_lines(const fixture *f, char lines[][256], size_t max)
{
    FILE *in = fopen(f->path, "r");
    size_t count = 0;
    assert_non_null(in);
    while (count < max && fgets(lines[count], 256, in) != NULL) {
        assert_non_null(strchr(lines[count], '\n'));
        lines[count][strcspn(lines[count], "\n")] = '\0';
        count++;
    }
    fclose(in);
    return count;
}

static void what_a_full_disk_took_of_a_line_is_taken_back(void **state)
{
    fixture *f = *state;
    assert_int_equal(EXPORT_OK, send_one(f));
    size_t line = size_of(f);
    for (size_t room = 0; room < line; room++) {
        limit_files(line + room);
        assert_int_equal(EXPORT_FAILED, send_one(f));
        assert_int_equal(line, size_of(f));
    }
    limit_files(RLIM_INFINITY);
    assert_int_equal(EXPORT_OK, send_one(f));
    assert_int_equal(2 * line, size_of(f));
}

static void a_line_does_not_begin_behind_half_a_line_of_somebody_else(void **state)
{
    fixture *f = *state;
    char lines[4][256];
    append(f, "{\"resourceSp");
    assert_int_equal(EXPORT_OK, send_one(f));
    append(f, "half");
    assert_int_equal(EXPORT_OK, send_one(f));
    assert_int_equal(4, read_lines(f, lines, 4));
    assert_string_equal("{\"resourceSp", lines[0]);
    assert_string_equal("half", lines[2]);
    assert_string_equal(lines[1], lines[3]);
    assert_int_equal('}', lines[1][strlen(lines[1]) - 1]);
}

static void a_pipe_gets_its_lines_too(void **state)
{
    fixture *f = *state;
    char got[256];
    exporter *to_pipe;
    unlink(f->path);
    assert_int_equal(0, mkfifo(f->path, 0600));
    int fd = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_status(LOOM_OK, file_exporter_open(&to_pipe, f->path));
    exporter_close(f->exporter);
    f->exporter = to_pipe;
    assert_int_equal(EXPORT_OK, send_one(f));
    ssize_t len = read(fd, got, sizeof got);
    assert_true(len > 0 && got[len - 1] == '\n');
    close(fd);
}

/* It would wait for one for as long as it takes, and the program with it. */
static void a_pipe_that_nobody_reads_is_not_opened(void **state)
{
    fixture *f = *state;
    exporter *second;
    assert_int_equal(0, unlink(f->path));
    assert_int_equal(0, mkfifo(f->path, 0600));
    assert_status(LOOM_EIO, file_exporter_open(&second, f->path));
    assert_null(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_file, close_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_full_disk_took_of_a_line_is_taken_back),
        TEST(a_line_does_not_begin_behind_half_a_line_of_somebody_else),
        TEST(a_pipe_gets_its_lines_too),
        TEST(a_pipe_that_nobody_reads_is_not_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
