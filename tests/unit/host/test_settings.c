/* SPDX-License-Identifier: Apache-2.0 */
#include "host/config/settings.h"
#include "base/url.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

#include <stdlib.h>

static const char *const every_section[] = {"broker", "bridge", "telemetry", "log", "agent", NULL};

static int setup(void **state)
{
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    settings *s = malloc(sizeof *s);
    assert_status(LOOM_OK, settings_init(s));
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    settings_fini(*state);
    free(*state);
    return 0;
}

static loom_status load(settings *s, const char *toml, problems *list)
{
    problems_init(list);
    return config_load_toml(&s->config, "loom.toml", str_of(toml), list);
}

static char *printed(const settings *s, bool as_json)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    settings_print(s, every_section, as_json, out);
    fclose(out);
    return text;
}

static void the_defaults_are_a_valid_configuration(void **state)
{
    const settings *s = *state;
    problems list;
    problems_init(&list);
    assert_status(LOOM_OK, settings_check(s, every_section, &list));
    assert_int_equal(1, s->broker.listen.count); /* tcp checks nobody: it is asked for by name */
    assert_string_equal("ipc:///run/user/7/loom/loom.sock", s->broker.listen.items[0]);
    assert_int_equal(1, s->bridge.listen.count);
    assert_string_equal("ipc:///run/user/7/loom/bridge.sock", s->bridge.listen.items[0]);
    assert_string_equal(s->broker.bus_bridge, s->bridge.bus_bridge);
    assert_string_equal(s->agent.url, s->broker.listen.items[0]);
    assert_int_equal(1024 * 1024, s->broker.max_payload);
    assert_int_equal(15000, s->broker.heartbeat_interval_ms);
    assert_int_equal(30000, s->broker.call_deadline_ms);
    assert_int_equal(60000, s->broker.call_cache_ttl_ms);
}

static void the_runtime_directory_may_be_named_in_any_value(void **state)
{
    settings *s = *state;
    problems list;
    assert_status(LOOM_OK, load(s, "[broker]\nlisten = ['ipc://{runtime}/a.sock', 'ipc:///b{runtime}{runtime}']\n"
                                   "bus_pub = ''\n[telemetry]\nspans_file = '{runtime}/spans'\n", &list));
    assert_string_equal("ipc:///run/user/7/loom/a.sock", s->broker.listen.items[0]);
    assert_string_equal("ipc:///b/run/user/7/loom/run/user/7/loom", s->broker.listen.items[1]);
    assert_string_equal("", s->broker.bus_pub);
    assert_string_equal("/run/user/7/loom/spans", s->telemetry.spans_file);
}

static void the_sockets_of_the_bus_take_ipc_and_tcp_alone(void **state)
{
    static const char *const keys[] = {"[broker]\nbus_pull", "[broker]\nbus_pub", "[broker]\nbus_control",
                                       "[broker]\nbus_bridge", "[bridge]\nbus_bridge"};
    static const char *const urls[] = {"tls+tcp://127.0.0.1:1", "ws://127.0.0.1:1/", "wss://127.0.0.1:1/"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        for (size_t k = 0; k < sizeof urls / sizeof *urls; k++) {
            char file[128];
            problems list;
            snprintf(file, sizeof file, "%s = '%s'\n", keys[i], urls[k]);
            assert_status(LOOM_EINVAL, load(*state, file, &list));
            assert_non_null(strstr(list.items[0].text, "ipc, tcp"));
        }
    }
}

static void a_size_that_does_not_fit_is_refused_and_not_cut(void **state)
{
    settings *s = *state;
    problems list;
    assert_status(LOOM_EINVAL, load(s, "[broker]\nqueue_bytes = '4GiB'\n", &list));
    assert_status(LOOM_OK, load(s, "[broker]\nbatched_deadline = '0s'\nagent_queue_bytes = '1GiB'\n", &list));
    assert_int_equal(0, s->broker.batched_deadline_ms);
    assert_true(s->broker.agent_queue_bytes == (size_t)1 << 30);
    assert_status(LOOM_OK, load(s, "[broker]\nqueue_bytes = '2GiB'\n", &list));
    assert_true(s->broker.queue_bytes == (int64_t)2 << 30);
}

static void calls_have_their_limits(void **state)
{
    settings *s = *state;
    problems list;
    assert_status(LOOM_OK, load(s, "[broker]\ncall_deadline = '90s'\nmax_pending_calls = 5\ncall_cache_entries = 7\n"
                                   "call_cache_bytes = '1MiB'\ncall_cache_ttl = '1.5s'\n", &list));
    assert_int_equal(90000, s->broker.call_deadline_ms);
    assert_int_equal(5, s->broker.max_pending_calls);
    assert_int_equal(7, s->broker.call_cache_entries);
    assert_int_equal(1024 * 1024, s->broker.call_cache_bytes);
    assert_int_equal(1500, s->broker.call_cache_ttl_ms);
    assert_status(LOOM_EINVAL, load(s, "[broker]\ncall_deadline = '0s'\n", &list)); /* 0 would be the library's own default */
    assert_status(LOOM_EINVAL, load(s, "[broker]\ncall_cache_ttl = '2h'\n", &list));
}

static void every_key_of_the_table_has_its_own_field_and_a_help_text(void **state)
{
    (void)state;
    size_t count;
    const config_key *keys = settings_keys(&count);
    for (size_t i = 0; i < count; i++) {
        assert_true(strlen(keys[i].help) > 0 && keys[i].help[strlen(keys[i].help) - 1] != '.');
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(keys[i].offset, keys[k].offset);
        }
    }
}

static void what_is_printed_reads_back_the_same(void **state)
{
    settings *s = *state;
    problems list;
    assert_status(LOOM_OK, load(s, "[broker]\nlisten = []\nallow_remote = true\nqueue_bytes = 5000\nbus_pub = \"ipc:///a\\\"b\"\n"
                                   "[telemetry]\nsampler_arg = 0.1\n[log]\nformat='json'", &list));
    char *first = printed(s, false);
    settings again;
    assert_status(LOOM_OK, settings_init(&again));
    assert_status(LOOM_OK, load(&again, first, &list));
    assert_int_equal(0, again.broker.listen.count);
    assert_true(again.broker.allow_remote && again.telemetry.sampler_arg == 0.1);
    assert_int_equal(5000, again.broker.queue_bytes);
    assert_string_equal("ipc:///a\"b", again.broker.bus_pub);
    assert_non_null(strstr(first, "queue_bytes = \"5000B\"  # loom.toml:4:1\n"));
    assert_non_null(strstr(first, "ttl = 16  # default\n"));
    free(first);
    settings_fini(&again);
}

static void listening_beyond_this_machine_has_to_be_allowed_by_name(void **state)
{
    settings *s = *state;
    problems list;
    assert_status(LOOM_OK, load(s, "[broker]\nlisten = ['tcp://0.0.0.0:7700']\nmetrics_listen = 'http://10.0.0.1:1'\n"
                                   "[bridge]\nlisten = ['ws://[::]:80/']\n", &list));
    assert_status(LOOM_EINVAL, settings_check(s, every_section, &list));
    assert_int_equal(3, list.count);
    assert_string_equal("loom.toml:2:1: [broker] listen listens on \"tcp://0.0.0.0:7700\", where other machines reach it; "
                        "if that is wanted, set allow_remote = true", list.items[0].text);
    assert_status(LOOM_OK, load(s, "broker.allow_remote = true\nbridge.allow_remote = true", &list));
    assert_status(LOOM_OK, settings_check(s, every_section, &list));
}

static void only_the_sections_in_use_are_held_to_their_rules(void **state)
{
    settings *s = *state;
    problems list;
    assert_status(LOOM_OK, load(s, "[bridge]\nlisten = []\n[broker]\nlisten = []\nbus_pull = ''\n", &list));
    assert_status(LOOM_OK, settings_check(s, (const char *[]){"agent", "log", NULL}, &list));
    assert_status(LOOM_EINVAL, settings_check(s, (const char *[]){"bridge", NULL}, &list));
    assert_status(LOOM_EINVAL, settings_check(s, (const char *[]){"broker", NULL}, &list));
    assert_non_null(strstr(list.items[1].text, "nobody could reach the broker"));
}

static void a_url_in_the_file_is_checked_where_it_stands(void **state)
{
    problems list;
    assert_status(LOOM_EINVAL, load(*state, "[broker]\n\nlisten = ['ipc:///a', 'ipc://b']\n", &list));
    assert_string_equal("loom.toml:3:1: [broker] listen \"ipc://b\": an ipc URL needs an absolute path, like "
                        "ipc:///run/loom/loom.sock (three slashes)", list.items[0].text);
}

static void the_payload_limit_goes_downwards_only(void **state)
{
    problems list;
    assert_status(LOOM_EINVAL, load(*state, "[broker]\nmax_payload = '2MiB'\n", &list));
    assert_status(LOOM_OK, load(*state, "[broker]\nmax_payload = '64KiB'\n", &list));
}

static void telemetry_reaches_the_tracing_library_unless_the_environment_has_spoken(void **state)
{
    settings *s = *state;
    problems list;
    setenv("OTEL_TRACES_EXPORTER", "console", 1);
    unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    unsetenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    unsetenv("OTEL_TRACES_SAMPLER");
    unsetenv("OTEL_TRACES_SAMPLER_ARG");
    unsetenv("LOOM_SPANS_FILE");
    assert_status(LOOM_OK, load(s, "[telemetry]\nexporter='none'\nendpoint='http://c:4317'\nsampler_arg=0.25\n", &list));
    assert_status(LOOM_OK, config_load_env(&s->config, &list));
    assert_string_equal("console", s->telemetry.exporter);
    assert_status(LOOM_OK, settings_export_telemetry(s));
    assert_string_equal("console", getenv("OTEL_TRACES_EXPORTER"));
    assert_string_equal("http://c:4317", getenv("OTEL_EXPORTER_OTLP_ENDPOINT"));
    assert_string_equal("0.25", getenv("OTEL_TRACES_SAMPLER_ARG"));
    assert_null(getenv("LOOM_SPANS_FILE"));
    assert_null(getenv("OTEL_TRACES_SAMPLER"));

    /* a flag wins over a stronger variable, which therefore goes */
    setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://env:1", 1);
    config_place flag = {.source = CONFIG_FROM_FLAG, .name = "--telemetry-endpoint"};
    loom_str given = STR("http://flag:2");
    size_t key = config_find(&s->config, STR("telemetry"), STR("endpoint"));
    assert_status(LOOM_OK, config_put_texts(&s->config, key, &given, 1, &flag, &list));
    assert_status(LOOM_OK, settings_export_telemetry(s));
    assert_string_equal("http://flag:2", getenv("OTEL_EXPORTER_OTLP_ENDPOINT"));
    assert_null(getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
    unsetenv("OTEL_TRACES_EXPORTER");
    unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    unsetenv("OTEL_TRACES_SAMPLER_ARG");
}

static bool is_told(const problems *list, const char *start)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].severity == PROBLEM_WARNING && strncmp(list->items[i].text, start, strlen(start)) == 0) {
            return true;
        }
    }
    return false;
}

static void names_of_variables_that_nobody_reads_are_told(void **state)
{
    const settings *s = *state;
    static const struct {
        const char *name, *value, *told;
        bool also_of_own; /* who has variables of his own hears of near misses alone */
    } vectors[] = {
        {"LOOM_BROKER_MAX_AGENST", "9", "LOOM_BROKER_MAX_AGENST: no such variable; did you mean LOOM_BROKER_MAX_AGENTS?", true},
        {"LOOM_COLOUR_OF_MOON", "blue", "LOOM_COLOUR_OF_MOON: no such variable, nobody reads it", false},
        {"LOOM_BROKER_MAX_AGENTS", "9", NULL, false},
        {"LOOM_BROKER_MAX_AGENTX", "", NULL, false}, /* is not set */
        {"LOOM_BROKER_PORT_7700_TCP", "9", NULL, false},
        {"LOOM_BROKER_SERVICE_HOST", "9", NULL, false},
        {"LOOM_URL", "9", NULL, false},
        {"LOOM_TRACE_MASC", "9", NULL, false}, /* by tracing */
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors * 2; i++) {
        const bool own = i % 2 == 1;
        problems list;
        problems_init(&list);
        setenv(vectors[i / 2].name, vectors[i / 2].value, 1);
        settings_check_variable_names(s, own, &list);
        unsetenv(vectors[i / 2].name);
        const bool told = vectors[i / 2].told != NULL && (!own || vectors[i / 2].also_of_own);
        if (is_told(&list, told ? vectors[i / 2].told : vectors[i / 2].name) != told) {
            fail_msg("%s is %s", vectors[i / 2].name, told ? "not told" : "told");
        }
    }
}

static void what_tracing_says_of_a_variable_names_the_setting_and_its_place(void **state)
{
    settings *s = *state;
    problems list;
    assert_status(LOOM_OK, load(s, "[telemetry]\nmask = 'fone'\n", &list));
    config_place flag = {.source = CONFIG_FROM_FLAG, .name = "--telemetry-log-spans"};
    loom_str given = STR("some");
    size_t key = config_find(&s->config, STR("telemetry"), STR("log_spans"));
    assert_status(LOOM_OK, config_put_texts(&s->config, key, &given, 1, &flag, &list));
    settings_add_variable_problem(s, "LOOM_TRACE_MASK: \"fone\" is no kind", &list);
    settings_add_variable_problem(s, "LOOM_LOG_SPANS: \"some\" is no span", &list);
    settings_add_variable_problem(s, "LOOM_SPANS_FILE: is not a setting of the file", &list);
    settings_add_variable_problem(s, "OTEL_BSP_SCHEDULE_DELAY: \"x\" is no number", &list);
    settings_add_variable_problem(s, "OTEL_TRACES_SAMPLER: \"x\" was reported by the configuration", &list);
    assert_int_equal(4, list.count);
    assert_int_equal(0, list.errors);
    assert_non_null(strstr(list.items[0].text, ":2:1: [telemetry] mask: \"fone\" is no kind"));
    assert_int_equal(2, list.items[0].line);
    assert_string_equal("--telemetry-log-spans: \"some\" is no span", list.items[1].text);
    assert_string_equal("LOOM_SPANS_FILE: is not a setting of the file", list.items[2].text);
    assert_string_equal("OTEL_BSP_SCHEDULE_DELAY: \"x\" is no number", list.items[3].text);
}

static loom_status init_once(void *user)
{
    (void)user;
    settings s;
    loom_status st = settings_init(&s);
    if (st == LOOM_OK) {
        settings_fini(&s);
    }
    return st;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(init_once, NULL) > 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_defaults_are_a_valid_configuration),
        TEST(every_key_of_the_table_has_its_own_field_and_a_help_text),
        TEST(what_is_printed_reads_back_the_same),
        TEST(listening_beyond_this_machine_has_to_be_allowed_by_name),
        TEST(only_the_sections_in_use_are_held_to_their_rules),
        TEST(a_url_in_the_file_is_checked_where_it_stands),
        TEST(the_payload_limit_goes_downwards_only),
        TEST(calls_have_their_limits),
        TEST(the_runtime_directory_may_be_named_in_any_value),
        TEST(the_sockets_of_the_bus_take_ipc_and_tcp_alone),
        TEST(a_size_that_does_not_fit_is_refused_and_not_cut),
        TEST(telemetry_reaches_the_tracing_library_unless_the_environment_has_spoken),
        TEST(names_of_variables_that_nobody_reads_are_told),
        TEST(what_tracing_says_of_a_variable_names_the_setting_and_its_place),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
