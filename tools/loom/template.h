/* SPDX-License-Identifier: Apache-2.0 */
/* Text with {{words}} in it that are something else in each message: {{count}}, {{time}}, {{uuid}}, {{random 1 100}},
 * {{env "NAME"}}. Parsed once, filled in for each message. */
#ifndef LOOM_TOOLS_TEMPLATE_H
#define LOOM_TOOLS_TEMPLATE_H

#include <loom/status.h>

#define TEMPLATE_WORDS                                                                                               \
    "  {{count}}         the number of the message, from 1\n"                                                        \
    "  {{time}}          the time it is made: 2026-11-29T09:15:00.123456Z\n"                                         \
    "  {{uuid}}          an id that nothing else has\n"                                                              \
    "  {{random 1 100}}  a whole number, from the first to the second\n"                                             \
    "  {{env \"NAME\"}}    the value of an environment variable\n"                                                   \
    "  {{\"{{\"}}          two braces\n"

enum { TEMPLATE_ERROR_SIZE = 160 };

typedef struct template_part template_part;

typedef struct template {
    template_part *parts;
    size_t count;
    char *text; /* filled in last; it grows */
    size_t len, cap;
} template;

/* text has to outlive it. LOOM_EINVAL: why says what is wrong, and where. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status template_parse(template *t, loom_bytes text, char why[TEMPLATE_ERROR_SIZE]);
void template_fini(template *t);
/* The text of message number count, valid until the next. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status template_fill(template *t, uint64_t count, loom_bytes *out);

#endif
