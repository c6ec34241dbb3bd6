/* SPDX-License-Identifier: Apache-2.0 */
/* Is colour wanted? (https://no-color.org, https://bixense.com/clicolors) */
#ifndef LOOM_HOST_CLI_TERM_H
#define LOOM_HOST_CLI_TERM_H

#include <loom/api.h>

typedef enum term_color { TERM_COLOR_AUTO, TERM_COLOR_ALWAYS, TERM_COLOR_NEVER } term_color;

#define TERM_COLOR_CHOICES "auto|always|never"

/* False, and *out unchanged, when text is none of TERM_COLOR_CHOICES. */
bool term_color_parse(term_color *out, const char *text);
/* always and never decide. Otherwise NO_COLOR (not empty) forbids it, CLICOLOR_FORCE (not empty, not 0) forces it,
 * CLICOLOR=0 and TERM=dumb forbid it, and at last fd has to be a terminal. */
bool term_wants_color(term_color choice, int fd);
/* Columns of the terminal at fd, from 40 to 120; 80 when it is none. */
size_t term_width(int fd);

#endif
