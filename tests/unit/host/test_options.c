/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/options.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

#include <stdlib.h>

static const option_spec specs[] = {
    {.name = "listen", .letter = 'l', .kind = OPTION_VALUE, .repeatable = true, .value = "URL", .fallback = "ipc:///x",
     .group = "Link", .help = "Where agents connect, in a sentence that is much too long to stand in one line of a terminal"},
    {.name = "allow-remote", .kind = OPTION_SWITCH, .group = "Link", .help = "Let others in"},
    {.name = "verbose", .letter = 'v', .kind = OPTION_FLAG, .group = "General", .help = "Say more"},
    {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .group = "General", .help = "Print this text"},
};

static options parsed;
static problems list;

#define PARSE(...) parse((char *[]){"prog", __VA_ARGS__, NULL}, false)
static loom_status parse(char *argv[], bool stop)
{
    int argc = 0;
    while (argv[argc] != NULL) {
        argc++;
    }
    options_fini(&parsed);
    problems_init(&list);
    return options_parse(&parsed, specs, 4, argc, argv, stop, &list);
}

static int teardown(void **state)
{
    (void)state;
    options_fini(&parsed);
    return 0;
}

static void a_value_is_given_in_four_ways(void **state)
{
    (void)state;
    loom_str got[5];
    assert_status(LOOM_OK, PARSE("--listen", "a", "--listen=b", "-l", "c", "-ld"));
    assert_int_equal(4, options_values(&parsed, "listen", got, 5));
    assert_str("a", got[0]);
    assert_str("d", got[3]);
    assert_string_equal("d", options_value(&parsed, "listen"));
    assert_int_equal(4, options_values(&parsed, "listen", got, 1));
    assert_status(LOOM_OK, PARSE("--listen="));
    assert_string_equal("", options_value(&parsed, "listen"));
}

static void a_switch_is_turned_on_and_off(void **state)
{
    (void)state;
    assert_status(LOOM_OK, PARSE("--allow-remote"));
    assert_true(options_is_on(&parsed, "allow-remote"));
    assert_status(LOOM_OK, PARSE("--allow-remote", "--no-allow-remote"));
    assert_false(options_is_on(&parsed, "allow-remote"));
    assert_status(LOOM_OK, PARSE("--allow-remote=yes"));
    assert_true(options_is_on(&parsed, "allow-remote"));
    assert_status(LOOM_EINVAL, PARSE("--allow-remote=perhaps"));
    assert_false(options_has(&parsed, "allow-remote"));
}

static void letters_stand_together(void **state)
{
    (void)state;
    assert_status(LOOM_OK, PARSE("-vhl", "x"));
    assert_true(options_is_on(&parsed, "verbose") && options_is_on(&parsed, "help"));
    assert_string_equal("x", options_value(&parsed, "listen"));
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    assert_status(LOOM_OK, PARSE("one", "-", "-v", "--", "--listen"));
    assert_int_equal(3, parsed.operand_count);
    assert_string_equal("-", parsed.operands[1]);
    assert_string_equal("--listen", parsed.operands[2]);
}

static void a_command_keeps_its_own_options(void **state)
{
    (void)state;
    assert_status(LOOM_OK, parse((char *[]){"prog", "-v", "trace", "--any", "-x", NULL}, true));
    assert_int_equal(3, parsed.operand_count);
    assert_string_equal("--any", parsed.operands[1]);
}

static void every_mistake_is_told(void **state)
{
    (void)state;
    assert_status(LOOM_EINVAL, PARSE("--lisen=x", "--zebra", "-x", "--verbose=1", "--no-verbose", "--no-alow-remote", "--listen", "--help", "--listen"));
    assert_int_equal(8, list.count);
    assert_string_equal("unknown option \"--lisen\"; did you mean \"--listen\"?", list.items[0].text);
    assert_string_equal("unknown option \"--zebra\"", list.items[1].text);
    assert_string_equal("unknown option \"-x\"", list.items[2].text);
    assert_string_equal("--verbose takes no value", list.items[3].text);
    assert_string_equal("unknown option \"--no-verbose\"; did you mean \"--verbose\"?", list.items[4].text);
    assert_string_equal("unknown option \"--no-alow-remote\"; did you mean \"--no-allow-remote\"?", list.items[5].text);
    assert_string_equal("--listen needs a value: --listen URL", list.items[6].text);
    assert_true(options_is_on(&parsed, "help"));
}

static void an_empty_command_line_is_fine(void **state)
{
    (void)state;
    options_fini(&parsed);
    assert_status(LOOM_OK, options_parse(&parsed, specs, 4, 0, NULL, false, &list));
    assert_null(options_value(&parsed, "listen"));
}

static void help_wraps_and_shows_groups_values_and_defaults(void **state)
{
    (void)state;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    options_manual manual = {.program = "prog", .summary = "Does it.", .synopsis = "[OPTION]...", .specs = specs,
                             .spec_count = 4, .trailer = "Examples:\n  prog\n"};
    options_print_help(&manual, out, 80);
    fclose(out);
    assert_string_equal("Usage: prog [OPTION]...\n\nDoes it.\n\nLink:\n"
                        "  -l, --listen URL              Where agents connect, in a sentence that is much\n"
                        "                                too long to stand in one line of a terminal (may\n"
                        "                                be repeated) [ipc:///x]\n"
                        "      --allow-remote            Let others in\n"
                        "\nGeneral:\n"
                        "  -v, --verbose                 Say more\n"
                        "  -h, --help                    Print this text\n"
                        "\nExamples:\n  prog\n",
                        text);
    free(text);
}

static loom_status parse_once(void *user)
{
    (void)user;
    options o;
    loom_status st = options_parse(&o, specs, 4, 3, (char *[]){"prog", "-v", "x", NULL}, false, &list);
    options_fini(&o);
    return st;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_int_equal(2, alloc_fault_each(parse_once, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_value_is_given_in_four_ways, teardown),
        cmocka_unit_test_teardown(a_switch_is_turned_on_and_off, teardown),
        cmocka_unit_test_teardown(letters_stand_together, teardown),
        cmocka_unit_test_teardown(two_dashes_end_the_options, teardown),
        cmocka_unit_test_teardown(a_command_keeps_its_own_options, teardown),
        cmocka_unit_test_teardown(every_mistake_is_told, teardown),
        cmocka_unit_test_teardown(an_empty_command_line_is_fine, teardown),
        cmocka_unit_test(help_wraps_and_shows_groups_values_and_defaults),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
