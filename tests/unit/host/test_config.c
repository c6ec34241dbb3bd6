/* SPDX-License-Identifier: Apache-2.0 */
/* The loader on a small table of its own: one key of each type. */
#include "host/config/config.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct values {
    bool on;
    int64_t count;
    double share;
    char *name;
    char *mode;
    config_strings list;
    uint32_t wait_ms;
    size_t room;
} values;

static bool check_no_x(const char *text, char why[CONFIG_CHECK_SIZE])
{
    snprintf(why, CONFIG_CHECK_SIZE, "no x is wanted");
    return strchr(text, 'x') == NULL;
}

#define AT(member) offsetof(values, member)
static const config_key keys[] = {
    {.section = "one", .name = "on", .type = CONFIG_BOOL, .offset = AT(on), .fallback = "true"},
    {.section = "one", .name = "count", .type = CONFIG_INT, .offset = AT(count), .min = 1, .max = 255, .fallback = "16"},
    {.section = "one", .name = "share", .type = CONFIG_DOUBLE, .offset = AT(share), .min = 0, .max = 1, .fallback = "0.5"},
    {.section = "one", .name = "name", .type = CONFIG_STRING, .offset = AT(name), .fallback = "", .check = check_no_x},
    {.section = "one", .name = "mode", .type = CONFIG_STRING, .offset = AT(mode), .fallback = "text", .choices = "text|json"},
    {.section = "two", .name = "list", .type = CONFIG_STRINGS, .offset = AT(list), .fallback = "a, b", .check = check_no_x},
    {.section = "two", .name = "wait", .type = CONFIG_DURATION, .offset = AT(wait_ms), .min = 0, .max = 60000, .fallback = "5s"},
    {.section = "two", .name = "room", .type = CONFIG_SIZE, .offset = AT(room), .min = 1024, .max = 1 << 20, .fallback = "64KiB",
     .env = "OTEL_ROOM LOOM_ROOM"},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

typedef struct fixture {
    config c;
    values v;
    problems list;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    problems_init(&f->list);
    assert_status(LOOM_OK, config_init(&f->c, keys, KEY_COUNT, &f->v));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    config_fini(&f->c);
    assert_null(f->v.name);
    assert_null(f->v.list.items);
    free(f);
    return 0;
}

static loom_status load(fixture *f, const char *toml)
{
    return config_load_toml(&f->c, "loom.toml", str_of(toml), &f->list);
}

static void assert_problem(void **state, const char *toml, const char *expected)
{
    fixture *f = *state;
    problems_init(&f->list);
    assert_status(LOOM_EINVAL, load(f, toml));
    assert_int_equal(1, f->list.count);
    assert_string_equal(expected, f->list.items[0].text);
}

static void defaults_come_from_the_table(void **state)
{
    fixture *f = *state;
    assert_true(f->v.on);
    assert_int_equal(16, f->v.count);
    assert_true(f->v.share == 0.5);
    assert_string_equal("", f->v.name);
    assert_int_equal(2, f->v.list.count);
    assert_string_equal("b", f->v.list.items[1]);
    assert_int_equal(5000, f->v.wait_ms);
    assert_int_equal(65536, f->v.room);
}

static void every_type_is_read_from_a_file(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, load(f, "[one]\non = false\ncount = 7\nshare = 1\nname = \"n\\u00e4me\"\nmode = 'json'\n"
                                   "[two]\nlist = [\"c\"]\nwait = \"250ms\"\nroom = 2048\n"));
    assert_false(f->v.on);
    assert_int_equal(7, f->v.count);
    assert_true(f->v.share == 1.0);
    assert_string_equal("n\xc3\xa4me", f->v.name);
    assert_string_equal("json", f->v.mode);
    assert_int_equal(1, f->v.list.count);
    assert_int_equal(250, f->v.wait_ms);
    assert_int_equal(2048, f->v.room);
    char where[64];
    config_describe_place(&f->c, &f->c.places[1], where, sizeof where);
    assert_string_equal("loom.toml:3:1", where);
}

static void an_unknown_key_is_told_with_its_place_and_the_nearest_name(void **state)
{
    assert_problem(state, "[two]\n\n  lisd = []\n", "loom.toml:3:3: unknown key \"lisd\" in [two]; did you mean \"list\"?");
    assert_problem(state, "[two]\nzebra = 1\n", "loom.toml:2:1: unknown key \"zebra\" in [two]");
    assert_problem(state, "[two.sub]\na = 1\n", "loom.toml:1:6: unknown key \"sub\" in [two]");
}

static void an_unknown_section_is_told_with_the_nearest_name(void **state)
{
    assert_problem(state, "[tow]\n", "loom.toml:1:2: unknown section \"tow\"; did you mean \"two\"?");
    assert_problem(state, "[[two]]\n", "loom.toml:1:3: the section \"two\" has to be a table, written once as [section]");
}

static void a_key_without_its_section_is_told_where_it_belongs(void **state)
{
    assert_problem(state, "wait = '1s'\n",
                   "loom.toml:1:1: the key \"wait\" stands outside of a section; it belongs below [two]");
    assert_problem(state, "zebra = 1\n", "loom.toml:1:1: unknown key outside of a section \"zebra\"");
}

static void a_value_of_the_wrong_type_or_range_is_told(void **state)
{
    assert_problem(state, "[one]\non = 1\n", "loom.toml:2:1: [one] on has to be true or false, not an integer");
    assert_problem(state, "[one]\ncount = 256\n", "loom.toml:2:1: [one] count is 256, and has to be from 1 to 255");
    assert_problem(state, "[one]\ncount = 'x'\n", "loom.toml:2:1: [one] count has to be an integer, not \"x\"");
    assert_problem(state, "[one]\nshare = nan\n", "loom.toml:2:1: [one] share is nan, and has to be from 0 to 1");
    assert_problem(state, "[one]\nname = 1979-05-27\n", "loom.toml:2:1: [one] name has to be a string, not a date or time");
    assert_problem(state, "[one]\nname = \"xy\"\n", "loom.toml:2:1: [one] name \"xy\": no x is wanted");
    assert_problem(state, "[one]\nname = \"a\\u0000b\"\n", "loom.toml:2:1: [one] name holds a NUL character");
    assert_problem(state, "[one]\nmode = \"jsn\"\n",
                   "loom.toml:2:1: [one] mode is \"jsn\", and has to be one of text, json; did you mean \"json\"?");
    assert_problem(state, "[two]\nlist = [1]\n",
                   "loom.toml:2:1: [two] list has to be a list of strings, not a list with something else in it");
    assert_problem(state, "[two]\nwait = 5\n", "loom.toml:2:1: [two] wait needs a unit, such as \"5s\" or \"5ms\"");
    assert_problem(state, "[two]\nwait = \"2m\"\n", "loom.toml:2:1: [two] wait is 2m, and has to be from 0ms to 1m");
    assert_problem(state, "[two]\nroom = \"2MB\"\n",
                   "loom.toml:2:1: [two] room has to be a size such as 4096, \"64KiB\" or \"1MiB\", not \"2MB\"");
}

static void a_syntax_error_is_told_with_its_place(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_EINVAL, load(f, "[one]\ncount = \n"));
    assert_int_equal(1, f->list.count);
    assert_int_equal(0, strncmp("loom.toml:2:", f->list.items[0].text, 12));
}

static void all_mistakes_are_told_in_the_order_of_the_file(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_EINVAL, load(f, "[two]\nzz = 1\naa = 1\n[one]\ncount = 0\nname = 'kept'\n"));
    assert_int_equal(3, f->list.count);
    assert_int_equal(2, f->list.items[0].line);
    assert_int_equal(3, f->list.items[1].line);
    assert_int_equal(5, f->list.items[2].line);
    assert_string_equal("kept", f->v.name);
    assert_int_equal(16, f->v.count);
}

static void a_key_cannot_write_escape_sequences_to_the_terminal(void **state)
{
    assert_problem(state, "[one]\n\"a\\u001b[2Jb\\nc\" = 1\n", "loom.toml:2:1: unknown key \"a?[2Jb?c\" in [one]");
}

static void nesting_that_would_exhaust_the_stack_is_refused(void **state)
{
    fixture *f = *state;
    enum { DEPTH = 400000 };
    char *toml = malloc(2 * DEPTH + 8);
    for (size_t i = 0; i < DEPTH; i++) {
        memcpy(toml + 2 * i, "a.", 2);
    }
    strcpy(toml + 2 * DEPTH, "a=1\n");
    assert_status(LOOM_EINVAL, load(f, toml));
    assert_non_null(strstr(f->list.items[0].text, "dotted keys"));
    problems_init(&f->list);
    memset(toml, '[', 2 * DEPTH);
    memcpy(toml, "a=", 2);
    assert_status(LOOM_EINVAL, load(f, toml));
    assert_int_equal(1, f->list.count);
    free(toml);
}

static void dots_in_strings_and_comments_are_not_nesting(void **state)
{
    fixture *f = *state;
    char *dots = malloc(3001), *toml = malloc(16000);
    memset(dots, '.', 3000);
    dots[3000] = '\0';
    snprintf(toml, 16000, "# %s\n[one]\nname = \"\"\"%s\\\"\"\"\"\" # %s\n[two]\nlist = ['%s']\n", dots, dots, dots, dots);
    assert_status(LOOM_OK, load(f, toml));
    assert_int_equal(3002, strlen(f->v.name));
    free(toml);
    free(dots);
}

static void a_long_list_and_a_long_text_are_refused(void **state)
{
    fixture *f = *state;
    char *toml = malloc(8192);
    size_t used = (size_t)sprintf(toml, "[two]\nlist = [");
    for (size_t i = 0; i <= CONFIG_LIST_MAX; i++) {
        used += (size_t)sprintf(toml + used, "'a',");
    }
    strcpy(toml + used, "]\n");
    assert_status(LOOM_EINVAL, load(f, toml));
    assert_non_null(strstr(f->list.items[0].text, "more than 64"));
    problems_init(&f->list);
    sprintf(toml, "[one]\nname = '%0*d'\n", CONFIG_TEXT_MAX + 1, 0);
    assert_status(LOOM_EINVAL, load(f, toml));
    assert_non_null(strstr(f->list.items[0].text, "takes 4096"));
    free(toml);
}

static void a_file_that_is_none_or_too_big_is_refused(void **state)
{
    fixture *f = *state;
    char name[] = "/tmp/loom-toml-XXXXXX", fifo[64];
    int fd = mkstemp(name);
    assert_status(LOOM_OK, config_load_file(&f->c, name, &f->list));
    assert_int_equal(0, ftruncate(fd, CONFIG_FILE_MAX + 1));
    close(fd);
    snprintf(fifo, sizeof fifo, "%s.fifo", name);
    assert_int_equal(0, mkfifo(fifo, 0600));
    assert_status(LOOM_EINVAL, config_load_file(&f->c, name, &f->list));
    assert_status(LOOM_EINVAL, config_load_file(&f->c, "/tmp", &f->list));
    assert_status(LOOM_EINVAL, config_load_file(&f->c, fifo, &f->list));
    assert_status(LOOM_EINVAL, config_load_file(&f->c, "/nonexistent/loom.toml", &f->list));
    assert_int_equal(4, f->list.count);
    assert_non_null(strstr(f->list.items[0].text, "over 1 MiB"));
    assert_string_equal("/tmp: is a directory", f->list.items[1].text);
    assert_non_null(strstr(f->list.items[2].text, "not a regular file"));
    assert_string_equal("/nonexistent/loom.toml: No such file or directory", f->list.items[3].text);
    unlink(name);
    unlink(fifo);
}

static void the_environment_overwrites_and_otel_mistakes_only_warn(void **state)
{
    fixture *f = *state;
    setenv("LOOM_ONE_COUNT", "9", 1);
    setenv("LOOM_TWO_LIST", "p , q", 1);
    setenv("OTEL_ROOM", "nonsense", 1);
    setenv("LOOM_ROOM", "4KiB", 1);
    assert_status(LOOM_OK, config_load_env(&f->c, &f->list));
    assert_int_equal(9, f->v.count);
    assert_string_equal("q", f->v.list.items[1]);
    assert_int_equal(4096, f->v.room);
    assert_int_equal(1, f->list.count);
    assert_int_equal(PROBLEM_WARNING, f->list.items[0].severity);
    setenv("LOOM_ONE_COUNT", "many", 1);
    assert_status(LOOM_EINVAL, config_load_env(&f->c, &f->list));
    assert_string_equal("LOOM_ONE_COUNT has to be an integer, not \"many\"", f->list.items[1].text);
    unsetenv("LOOM_ONE_COUNT");
    unsetenv("LOOM_TWO_LIST");
    unsetenv("OTEL_ROOM");
    unsetenv("LOOM_ROOM");
}

static void an_empty_text_empties_a_list(void **state)
{
    fixture *f = *state;
    config_place place = {.source = CONFIG_FROM_FLAG, .name = "--list"};
    loom_str nothing = {"", 0};
    assert_status(LOOM_OK, config_put_texts(&f->c, 5, &nothing, 1, &place, &f->list));
    assert_int_equal(0, f->v.list.count);
}

static loom_status load_everything(void *user)
{
    (void)user;
    config c;
    values v = {0};
    problems list;
    problems_init(&list);
    loom_status st = config_init(&c, keys, KEY_COUNT, &v);
    if (st == LOOM_OK) {
        st = config_load_toml(&c, "loom.toml", STR("[one]\nname = 'n'\ncount = 3\n[two]\nlist = ['c', 'd', 'e']\n"), &list);
        config_fini(&c);
    }
    return st;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(load_everything, NULL) > 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(defaults_come_from_the_table),
        TEST(every_type_is_read_from_a_file),
        TEST(an_unknown_key_is_told_with_its_place_and_the_nearest_name),
        TEST(an_unknown_section_is_told_with_the_nearest_name),
        TEST(a_key_without_its_section_is_told_where_it_belongs),
        TEST(a_value_of_the_wrong_type_or_range_is_told),
        TEST(a_syntax_error_is_told_with_its_place),
        TEST(all_mistakes_are_told_in_the_order_of_the_file),
        TEST(a_key_cannot_write_escape_sequences_to_the_terminal),
        TEST(nesting_that_would_exhaust_the_stack_is_refused),
        TEST(dots_in_strings_and_comments_are_not_nesting),
        TEST(a_long_list_and_a_long_text_are_refused),
        TEST(a_file_that_is_none_or_too_big_is_refused),
        TEST(the_environment_overwrites_and_otel_mistakes_only_warn),
        TEST(an_empty_text_empties_a_list),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
