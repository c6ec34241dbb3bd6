/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the program itself. */
#include "tests/support/wait_until.h"
#include "tests/unit/collect/trace_fixture.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct result {
    int code;
    char text[16384]; /* of both streams */
} result;

static result run(const char *arguments)
{
    result r = {0};
    char line[1024];
    snprintf(line, sizeof line, "%s %s 2>&1", LOOM_PROGRAM, arguments);
    FILE *out = popen(line, "r");
    assert_non_null(out);
    r.text[fread(r.text, 1, sizeof r.text - 1, out)] = '\0';
    int status = pclose(out);
    assert_true(WIFEXITED(status));
    r.code = WEXITSTATUS(status);
    return r;
}

static void assert_says(result r, int code, const char *text)
{
    if (r.code != code || strstr(r.text, text) == NULL) {
        print_error("exit %d, said:\n%s", r.code, r.text);
    }
    assert_int_equal(r.code, code);
    assert_non_null(strstr(r.text, text));
}

static void every_level_has_help_with_examples(void **state)
{
    (void)state;
    static const char *const asking[] = {"--help", "help", "trace --help", "trace help ls", "trace collect --help",
                                         "trace ls -h", "trace show --help", "trace check --help"};
    for (size_t i = 0; i < sizeof asking / sizeof asking[0]; i++) {
        result r = run(asking[i]);
        assert_says(r, 0, "Usage: loom");
        assert_says(r, 0, "Examples:");
    }
    assert_says(run("--version"), 0, "loom ");
}

static void a_verb_of_the_bus_tells_in_its_help_where_spans_go(void **state)
{
    (void)state;
    static const char *const asking[] = {"pub --help", "request --help", "invoke --help", "sub --help", "provide --help"};
    for (size_t i = 0; i < sizeof asking / sizeof asking[0]; i++) {
        result r = run(asking[i]);
        assert_says(r, 0, "OTEL_TRACES_EXPORTER      where spans go");
        assert_says(r, 0, "docs/OPENTELEMETRY.md");
        assert_says(r, 0, "--no-trace-when-unsampled");
    }
}

static void unknown_verb_names_the_nearest(void **state)
{
    (void)state;
    assert_says(run("trase"), 2, "did you mean \"trace\"?");
    assert_says(run("trace shwo"), 2, "did you mean \"show\"?");
    assert_says(run("trace check --last --ladder trace-tset --file /dev/null"), 2, "did you mean trace-test");
    assert_says(run(""), 2, "Usage: loom");
}

static void wrong_command_lines_end_with_two(void **state)
{
    (void)state;
    assert_says(run("trace ls --attr topic"), 2, "KEY=VALUE");
    assert_says(run("trace ls --since soon"), 2, "--since");
    assert_says(run("trace ls --limit -1"), 2, "--limit");
    assert_says(run("trace ls --nonsense"), 2, "nonsense");
    assert_says(run("trace show"), 2, "missing trace");
    assert_says(run("trace show ab --last --file /dev/null"), 2, "not both");
    assert_says(run("trace show zz --file /dev/null"), 2, "hex digits");
    assert_says(run("trace show --last --color pink --file /dev/null"), 2, "--color");
    assert_says(run("trace collect --listen nowhere --db /tmp/loom-test-unused.db"), 2, "HOST:PORT");
    unlink("/tmp/loom-test-unused.db");
}

static void failures_end_with_what_kind_they_are(void **state)
{
    (void)state;
    assert_says(run("trace ls --db /nowhere/t.db"), 1, "there is no trace database /nowhere/t.db");
    assert_says(run("trace show --last --file /nowhere/t.jsonl"), 1, "cannot read");
    assert_says(run("trace show ab --file /dev/null"), 5, "no trace begins with ab");
    assert_says(run("trace check ab --file /dev/null"), 5, "no trace begins with ab");
    assert_says(run("trace check --all --file /dev/null"), 1, "no traces found");
    assert_says(run("trace ls --file /dev/null"), 0, "no traces in /dev/null\n");
    assert_says(run("trace ls --service x --file /dev/null"), 0, "no traces in /dev/null are as asked for");
}

static size_t ignore_body(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    (void)user;
    return size * count;
}

static long post(unsigned port, const pb_buf *body)
{
    char url[64];
    long status = 0;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/x-protobuf");
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/traces", port);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body->len);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore_body);
    curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return status;
}

static bool read_port(const char *path, unsigned *port)
{
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        return false;
    }
    bool found = fscanf(in, "%u", port) == 1;
    fclose(in);
    return found;
}

static void collected_trace_is_listed_shown_and_checked(void **state)
{
    (void)state;
    char folder[64];
    char db[128];
    char port_file[128];
    char line[512];
    unsigned port = 0;
    fixture_folder_make(folder);
    snprintf(db, sizeof db, "%s/new/folder/t.db", folder);
    snprintf(port_file, sizeof port_file, "%s/port", folder);
    pid_t collector = fork();
    assert_true(collector >= 0);
    if (collector == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed assertion must not leave it behind */
        execl(LOOM_PROGRAM, "loom", "trace", "collect", "--listen", "127.0.0.1:0", "--db", db, "--port-file", port_file, "--quiet", (char *)NULL);
        _exit(127);
    }
    wait_until(read_port(port_file, &port), 20000);
    pb_buf body;
    pb_init(&body, NULL, 0, 1 << 20);
    fixture_request(&body, 0xab, fixture_ladder, FIXTURE_LADDER_COUNT);
    assert_int_equal(post(port, &body), 200);
    pb_fini(&body);

    snprintf(line, sizeof line, "trace ls --db %s --service agent-output", db);
    assert_says(run(line), 0, "sensor.emit_data");
    snprintf(line, sizeof line, "trace ls --db %s --json", db);
    assert_says(run(line), 0, "\"trace_id\":\"abababababababababababababababab\"");
    snprintf(line, sizeof line, "trace show ABAB --db %s", db);
    assert_says(run(line), 0, "└ agent.on_event");
    snprintf(line, sizeof line, "trace check --all --count 1 --ladder trace-test --db %s", db);
    assert_says(run(line), 0, "right, 11 spans");
    snprintf(line, sizeof line, "trace check --all --count 2 --db %s", db);
    assert_says(run(line), 1, "expected 2 traces, found 1");
    snprintf(line, sizeof line, "trace show --last --json --db %s | %s trace check --last --ladder trace-test --file -", db, LOOM_PROGRAM);
    assert_says(run(line), 0, "right, 11 spans");

    int status;
    assert_int_equal(kill(collector, SIGTERM), 0);
    assert_int_equal(waitpid(collector, &status, 0), collector);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_says(run(line), 0, "right, 11 spans"); /* also when nobody writes any more */
    fixture_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_has_help_with_examples),
        cmocka_unit_test(a_verb_of_the_bus_tells_in_its_help_where_spans_go),
        cmocka_unit_test(unknown_verb_names_the_nearest),
        cmocka_unit_test(wrong_command_lines_end_with_two),
        cmocka_unit_test(failures_end_with_what_kind_they_are),
        cmocka_unit_test(collected_trace_is_listed_shown_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
