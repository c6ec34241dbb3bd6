/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/program.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const program_spec broker = {
    .name = "loom-broker",
    .version = "0.1.0",
    .summary = "The bus.",
    .synopsis = "[OPTION]...",
    .sections = {"broker", "telemetry", "log"},
    .examples = "Examples:\n  loom-broker\n",
};

typedef struct fixture {
    char dir[32];
    char file[64];
    program p;
    bool running;
    char *out, *err;
    int exit_code;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/loom-prog-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->file, sizeof f->file, "%s/loom.toml", f->dir);
    /* the search for a file ends in an empty directory, whatever machine this is */
    unsetenv("LOOM_TESTS"); /* of the build, and no variable that a program reads */
    unsetenv("LOOM_TEST_SKIP");
    unsetenv("LOOM_BUILD_DIR");
    setenv("XDG_CONFIG_HOME", f->dir, 1);
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    *state = f;
    return 0;
}

static void forget(fixture *f)
{
    if (f->running) {
        program_fini(&f->p);
    }
    f->running = false;
    free(f->out);
    free(f->err);
    f->out = f->err = NULL;
}

static int teardown(void **state)
{
    fixture *f = *state;
    forget(f);
    unlink(f->file);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void write_file(const fixture *f, const char *text)
{
    FILE *out = fopen(f->file, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

#define START(f, ...) start((f), (char *[]){"loom-broker", __VA_ARGS__, NULL})
static loom_status start(fixture *f, char *argv[])
{
    size_t size;
    int argc = 0;
    while (argv[argc] != NULL) {
        argc++;
    }
    forget(f);
    FILE *out = open_memstream(&f->out, &size), *err = open_memstream(&f->err, &size);
    loom_status st = program_start(&f->p, &broker, argc, argv, out, err, &f->exit_code);
    f->running = st == LOOM_OK;
    fclose(out);
    fclose(err);
    return st;
}

static void flag_wins_over_environment_over_file_over_default(void **state)
{
    fixture *f = *state;
    write_file(f, "[broker]\nttl = 2\nmax_agents = 20\nqueue_messages = 200\n");
    setenv("LOOM_BROKER_MAX_AGENTS", "30", 1);
    setenv("LOOM_BROKER_QUEUE_MESSAGES", "300", 1);
    assert_status(LOOM_OK, START(f, "--config", f->file, "--queue-messages=400"));
    assert_int_equal(5000, f->p.settings.broker.drain_timeout_ms);
    assert_int_equal(2, f->p.settings.broker.ttl);
    assert_int_equal(30, f->p.settings.broker.max_agents);
    assert_int_equal(400, f->p.settings.broker.queue_messages);
    assert_string_equal("", f->err);
    unsetenv("LOOM_BROKER_MAX_AGENTS");
    unsetenv("LOOM_BROKER_QUEUE_MESSAGES");
}

static void a_repeated_flag_makes_a_list(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, START(f, "--listen", "ipc:///a", "--listen", "tcp://127.0.0.1:0", "--log-level=debug", "--allow-remote"));
    assert_int_equal(2, f->p.settings.broker.listen.count);
    assert_string_equal("tcp://127.0.0.1:0", f->p.settings.broker.listen.items[1]);
    assert_string_equal("debug", f->p.settings.log.level);
    assert_true(f->p.settings.broker.allow_remote);
}

static void without_a_file_named_the_configuration_directory_is_searched(void **state)
{
    fixture *f = *state;
    char dir[64], file[80];
    snprintf(dir, sizeof dir, "%s/loom", f->dir);
    snprintf(file, sizeof file, "%s/loom.toml", dir);
    assert_int_equal(0, mkdir(dir, 0700));
    FILE *out = fopen(file, "w");
    fputs("[broker]\nttl = 3\n", out);
    fclose(out);
    assert_status(LOOM_OK, start(f, (char *[]){"loom-broker", NULL}));
    assert_int_equal(3, f->p.settings.broker.ttl);
    assert_string_equal(file, f->p.settings.config.file);
    unlink(file);
    rmdir(dir);
}

static void a_named_file_that_is_missing_is_an_error(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_EINVAL, START(f, "--config", f->file));
    assert_int_equal(1, f->exit_code);
    assert_non_null(strstr(f->err, "No such file"));
}

static void a_wrong_command_line_ends_with_2_and_a_wrong_file_with_1(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_EINVAL, START(f, "--lisen", "x"));
    assert_int_equal(2, f->exit_code);
    assert_string_equal("loom-broker: unknown option \"--lisen\"; did you mean \"--listen\"?\n"
                        "loom-broker: unexpected argument \"x\"\n"
                        "Try \"loom-broker --help\".\n", f->err);
    assert_status(LOOM_EINVAL, START(f, "--ttl", "0"));
    assert_int_equal(2, f->exit_code);
    assert_non_null(strstr(f->err, "--ttl is 0, and has to be from 1 to 255"));
    assert_status(LOOM_EINVAL, START(f, "--color=blue"));
    assert_int_equal(2, f->exit_code);
    write_file(f, "[broker]\nlisen = []\n[telemety]\n");
    assert_status(LOOM_EINVAL, START(f, "--config", f->file));
    assert_int_equal(1, f->exit_code);
    assert_non_null(strstr(f->err, "loom.toml:2:1: unknown key \"lisen\" in [broker]; did you mean \"listen\"?\n"));
    assert_non_null(strstr(f->err, "loom.toml:3:2: unknown section \"telemety\"; did you mean \"telemetry\"?\n"));
}

static void help_teaches_even_when_the_rest_is_wrong(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_ECLOSED, START(f, "--nonsense", "--help"));
    assert_int_equal(0, f->exit_code);
    assert_string_equal("", f->err);
    static const char *const parts[] = {"Usage: loom-broker [OPTION]...", "--listen URL", "(may be repeated)", "--log-level NAME",
                                        "error, warn, info, debug [info]", "Environment:", "Exit status:", "Examples:", "[broker]", "--check-config"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(f->out, parts[i]) == NULL) {
            fail_msg("help lacks \"%s\":\n%s", parts[i], f->out);
        }
    }
    assert_null(strstr(f->out, "--bus-push"));
}

static void version_is_one_line(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_ECLOSED, START(f, "-V"));
    assert_string_equal("loom-broker 0.1.0\n", f->out);
}

static void check_config_prints_what_holds_and_why(void **state)
{
    fixture *f = *state;
    write_file(f, "[broker]\nttl = 2\n");
    assert_status(LOOM_ECLOSED, START(f, "--check-config", "--config", f->file, "--max-agents", "7"));
    assert_int_equal(0, f->exit_code);
    assert_int_equal(0, strncmp("configuration is valid\n", f->out, 23));
    assert_non_null(strstr(f->out, "max_agents = 7  # --max-agents\n"));
    assert_non_null(strstr(f->out, "ttl = 2  # /tmp/loom-prog-"));
    assert_non_null(strstr(f->out, "drain_timeout = \"5s\"  # default\n"));
}

static void check_config_speaks_json(void **state)
{
    fixture *f = *state;
    json_error_t error;
    assert_status(LOOM_ECLOSED, START(f, "--check-config", "--json"));
    json_t *root = json_loads(f->out, 0, &error);
    assert_non_null(root);
    assert_true(json_is_true(json_object_get(root, "valid")));
    json_t *ttl = json_object_get(json_object_get(json_object_get(root, "settings"), "broker"), "ttl");
    assert_int_equal(16, json_integer_value(json_object_get(ttl, "value")));
    assert_string_equal("default", json_string_value(json_object_get(ttl, "from")));
    json_decref(root);

    write_file(f, "[broker]\nttl = 0\n\"\\\"\" = 1\n");
    assert_status(LOOM_ECLOSED, START(f, "--check-config", "--json", "-c", f->file));
    assert_int_equal(1, f->exit_code);
    root = json_loads(f->out, 0, &error);
    assert_non_null(root);
    assert_true(json_is_false(json_object_get(root, "valid")));
    assert_int_equal(2, json_array_size(json_object_get(root, "problems")));
    assert_int_equal(2, json_integer_value(json_object_get(json_array_get(json_object_get(root, "problems"), 0), "line")));
    json_decref(root);
}

static void the_log_opens_as_the_settings_say(void **state)
{
    fixture *f = *state;
    logger *l;
    assert_status(LOOM_OK, START(f, "--log-level=error", "--log-format=json"));
    assert_status(LOOM_OK, program_open_log(&f->p, &l));
    assert_true(logger_enabled(l, LOG_ERROR));
    assert_false(logger_enabled(l, LOG_WARN));
    assert_int_equal(0, logger_close(l, 1000));
}

static loom_status start_once(void *user)
{
    const fixture *f = user;
    program p;
    int exit_code;
    FILE *null = fopen("/dev/null", "w");
    char *argv[] = {"loom-broker", "--config", (char *)f->file, "--listen=ipc:///a", "--ttl", "4", NULL};
    loom_status st = program_start(&p, &broker, 6, argv, null, null, &exit_code);
    if (st == LOOM_OK) {
        program_fini(&p);
    } else {
        assert_int_equal(1, exit_code);
    }
    fclose(null);
    return st;
}

static void every_failed_allocation_is_reported(void **state)
{
    fixture *f = *state;
    write_file(f, "[broker]\nttl = 2\n");
    assert_true(alloc_fault_each(start_once, f) > 30);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(flag_wins_over_environment_over_file_over_default),
        TEST(a_repeated_flag_makes_a_list),
        TEST(without_a_file_named_the_configuration_directory_is_searched),
        TEST(a_named_file_that_is_missing_is_an_error),
        TEST(a_wrong_command_line_ends_with_2_and_a_wrong_file_with_1),
        TEST(help_teaches_even_when_the_rest_is_wrong),
        TEST(version_is_one_line),
        TEST(check_config_prints_what_holds_and_why),
        TEST(check_config_speaks_json),
        TEST(the_log_opens_as_the_settings_say),
        TEST(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
