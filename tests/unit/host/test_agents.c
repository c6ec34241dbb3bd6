/* SPDX-License-Identifier: Apache-2.0 */
/* [agents.NAME] of a loom.toml, as every program reads it. */
#include "host/config/settings.h"
#include "base/str.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

#include <stdlib.h>

typedef struct fixture {
    settings s;
    problems list;
} fixture;

static int setup(void **state)
{
    fixture *f = malloc(sizeof *f);
    problems_init(&f->list);
    assert_status(LOOM_OK, settings_init(&f->s));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    settings_fini(&f->s);
    free(f);
    return 0;
}

static loom_status load(fixture *f, const char *toml)
{
    return config_load_toml(&f->s.config, "loom.toml", str_of(toml), &f->list);
}

static void agents_come_in_the_order_of_the_file_with_their_defaults(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, load(f, "[agents.zoo]\ncommand = 'a'\n[agents.abc]\ncommand = ['b', 'c d']\n[agents.mid]\ncommand = 'e'\n"));
    const settings_agents *a = &f->s.agents;
    assert_int_equal(3, a->count);
    assert_string_equal("zoo", a->items[0]->name);
    assert_string_equal("abc", a->items[1]->name);
    assert_string_equal("mid", a->items[2]->name);
    assert_string_equal("on-failure", a->items[0]->restart);
    assert_string_equal("start", a->items[0]->ready);
    assert_int_equal(1, a->items[0]->replicas);
    assert_int_equal(500, a->items[0]->restart_delay_ms);
    assert_int_equal(10, a->items[0]->restart_limit);
}

static void a_text_is_a_shell_command_and_a_list_is_not(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, load(f, "[agents.a]\ncommand = 'x | y'\n[agents.b]\ncommand = ['x y']\n"));
    const config_strings *shell = &f->s.agents.items[0]->command, *plain = &f->s.agents.items[1]->command;
    assert_int_equal(3, shell->count);
    assert_string_equal("/bin/sh", shell->items[0]);
    assert_string_equal("-c", shell->items[1]);
    assert_string_equal("x | y", shell->items[2]);
    assert_int_equal(1, plain->count);
    assert_string_equal("x y", plain->items[0]);
}

static void variables_are_a_table_in_whatever_form(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, load(f, "[agents.a]\ncommand = 'x'\nenv = { A = '1', B = 'x=y' }\n[agents.b]\ncommand = 'x'\n[agents.b.env]\nC = ''\n"));
    const config_strings *a = &f->s.agents.items[0]->env, *b = &f->s.agents.items[1]->env;
    assert_int_equal(2, a->count);
    assert_string_equal("A=1", a->items[0]);
    assert_string_equal("B=x=y", a->items[1]);
    assert_int_equal(1, b->count);
    assert_string_equal("C=", b->items[0]);
}

static void mistakes_are_told_with_section_and_place(void **state)
{
    static const struct {
        const char *toml, *expected;
    } cases[] = {
        {"[agents.a]\nrestrat = 'never'\n", "loom.toml:2:1: unknown key \"restrat\" in [agents.a]; did you mean \"restart\"?"},
        {"[agents.a]\nreplicas = 0\n", "loom.toml:2:1: [agents.a] replicas is 0, and has to be from 1 to 256"},
        {"[agents.a]\ncommand = ''\n", "loom.toml:2:1: [agents.a] command is empty"},
        {"[agents.a]\ncommand = ['']\n", "loom.toml:2:1: [agents.a] command is empty"},
        {"[agents.a]\nenv = ['A=1', 2]\n", "loom.toml:2:1: [agents.a] env has to be a table of strings, such as { MODE = \"test\" }, not something else"},
        {"[agents.a]\nenv = { 'A=B' = '1' }\n", "loom.toml:2:1: [agents.a] env has to be a table of strings, such as { MODE = \"test\" }, not a table with a name that no variable can have"},
        {"[agents]\na = 1\n", "loom.toml:2:1: the section \"agents.a\" has to be a table, written as [section.name]"},
        {"agents = 1\n", "loom.toml:1:1: the section \"agents\" has to be a table, written once as [section]"},
        {"[agents.up]\n", "loom.toml:1:9: the section \"agents.up\": the name belongs to `loom up` itself; choose another"},
        {"[agnets.a]\n", "loom.toml:1:2: unknown section \"agnets\"; did you mean \"agents\"?"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        settings_fini(&f->s);
        problems_init(&f->list);
        assert_status(LOOM_OK, settings_init(&f->s));
        assert_status(LOOM_EINVAL, load(f, cases[i].toml));
        assert_int_equal(1, f->list.count);
        assert_string_equal(cases[i].expected, f->list.items[0].text);
    }
}

static void an_agent_without_a_command_is_wrong_for_every_program(void **state)
{
    static const char *const sections[] = {"bridge", NULL};
    fixture *f = *state;
    assert_status(LOOM_OK, load(f, "[agents.a]\n"));
    assert_status(LOOM_EINVAL, settings_check(&f->s, sections, &f->list));
    assert_string_equal("loom.toml:1:9: [agents.a] command is missing; it says what to run, such as command = \"./agent\"", f->list.items[0].text);
}

static void there_is_a_bound_to_their_number(void **state)
{
    fixture *f = *state;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (int i = 0; i <= SETTINGS_AGENTS_MAX; i++) {
        fprintf(out, "[agents.a%d]\ncommand = 'x'\n", i);
    }
    fclose(out);
    assert_status(LOOM_EINVAL, load(f, text));
    assert_int_equal(SETTINGS_AGENTS_MAX, f->s.agents.count);
    assert_non_null(strstr(f->list.items[0].text, "is one too many; there can be 256"));
    free(text);
}

static loom_status load_agents(void *user)
{
    settings s;
    problems list;
    (void)user;
    problems_init(&list);
    loom_status st = settings_init(&s);
    if (st == LOOM_OK) {
        st = config_load_toml(&s.config, "loom.toml", str_of("[agents.b]\ncommand = 'x'\nenv = { A = '1' }\n[agents.a]\ncommand = ['y']\n"), &list);
        settings_fini(&s);
    }
    return st;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(load_agents, NULL) > 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(agents_come_in_the_order_of_the_file_with_their_defaults),
        TEST(a_text_is_a_shell_command_and_a_list_is_not),
        TEST(variables_are_a_table_in_whatever_form),
        TEST(mistakes_are_told_with_section_and_place),
        TEST(an_agent_without_a_command_is_wrong_for_every_program),
        TEST(there_is_a_bound_to_their_number),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
