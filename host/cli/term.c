/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool term_color_parse(term_color *out, const char *text)
{
    if (strcmp(text, "auto") == 0) {
        *out = TERM_COLOR_AUTO;
    } else if (strcmp(text, "always") == 0) {
        *out = TERM_COLOR_ALWAYS;
    } else if (strcmp(text, "never") == 0) {
        *out = TERM_COLOR_NEVER;
    } else {
        return false;
    }
    return true;
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

static bool is(const char *name, const char *expected)
{
    const char *value = getenv(name);
    return value != NULL && strcmp(value, expected) == 0;
}

bool term_wants_color(term_color choice, int fd)
{
    if (choice != TERM_COLOR_AUTO) {
        return choice == TERM_COLOR_ALWAYS;
    }
    if (is_set("NO_COLOR")) {
        return false;
    }
    if (is_set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0")) {
        return true;
    }
    if (is("CLICOLOR", "0") || is("TERM", "dumb")) {
        return false;
    }
    return isatty(fd) == 1;
}

size_t term_width(int fd)
{
    struct winsize size = {0};
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return 80;
    }
    return size.ws_col < 40 ? 40 : size.ws_col > 120 ? 120 : size.ws_col;
}
