/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/term.h"
#include "tests/support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int clean_environment(void **state)
{
    (void)state;
    unsetenv("NO_COLOR");
    unsetenv("CLICOLOR_FORCE");
    unsetenv("CLICOLOR");
    setenv("TERM", "xterm", 1);
    return 0;
}

/* A terminal of our own: the tests run without one. */
static int open_terminal(int *controller)
{
    *controller = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(*controller >= 0);
    assert_int_equal(0, grantpt(*controller));
    assert_int_equal(0, unlockpt(*controller));
    int fd = open(ptsname(*controller), O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    return fd;
}

static void a_choice_is_one_of_three_words(void **state)
{
    (void)state;
    term_color color = TERM_COLOR_NEVER;
    assert_true(term_color_parse(&color, "always"));
    assert_int_equal(TERM_COLOR_ALWAYS, color);
    assert_false(term_color_parse(&color, "yes"));
    assert_int_equal(TERM_COLOR_ALWAYS, color);
    assert_true(term_color_parse(&color, "auto") && term_color_parse(&color, "never"));
}

static void a_choice_wins_over_the_environment(void **state)
{
    (void)state;
    setenv("NO_COLOR", "1", 1);
    assert_true(term_wants_color(TERM_COLOR_ALWAYS, STDERR_FILENO));
    unsetenv("NO_COLOR");
    setenv("CLICOLOR_FORCE", "1", 1);
    assert_false(term_wants_color(TERM_COLOR_NEVER, STDERR_FILENO));
}

static void a_pipe_gets_no_colour_unless_it_is_forced(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(0, pipe(fds));
    assert_false(term_wants_color(TERM_COLOR_AUTO, fds[1]));
    setenv("CLICOLOR_FORCE", "0", 1);
    assert_false(term_wants_color(TERM_COLOR_AUTO, fds[1]));
    setenv("CLICOLOR_FORCE", "1", 1);
    assert_true(term_wants_color(TERM_COLOR_AUTO, fds[1]));
    setenv("NO_COLOR", "1", 1);
    assert_false(term_wants_color(TERM_COLOR_AUTO, fds[1]));
    assert_int_equal(80, term_width(fds[1]));
    close(fds[0]);
    close(fds[1]);
}

static void a_terminal_gets_colour_unless_it_says_no(void **state)
{
    (void)state;
    int controller, fd = open_terminal(&controller);
    assert_true(term_wants_color(TERM_COLOR_AUTO, fd));
    setenv("NO_COLOR", "", 1);
    assert_true(term_wants_color(TERM_COLOR_AUTO, fd));
    setenv("CLICOLOR", "0", 1);
    assert_false(term_wants_color(TERM_COLOR_AUTO, fd));
    unsetenv("CLICOLOR");
    setenv("TERM", "dumb", 1);
    assert_false(term_wants_color(TERM_COLOR_AUTO, fd));
    close(fd);
    close(controller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_choice_is_one_of_three_words, clean_environment),
        cmocka_unit_test_setup(a_choice_wins_over_the_environment, clean_environment),
        cmocka_unit_test_setup(a_pipe_gets_no_colour_unless_it_is_forced, clean_environment),
        cmocka_unit_test_setup(a_terminal_gets_colour_unless_it_says_no, clean_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
