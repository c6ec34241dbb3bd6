/* SPDX-License-Identifier: Apache-2.0 */
/* What an event says, as attributes of a span. */
#ifndef LOOM_TRACE_PROCESS_DECODE_H
#define LOOM_TRACE_PROCESS_DECODE_H

#include <loom/trace.h>

#include "trace/process/syscalls/event.h"

enum { DECODED_ATTRS_MAX = 32, DECODED_STRINGS_MAX = 64, DECODED_TEXT_MAX = 12 * 1024 };

/* Attributes with what they point to, besides the event. */
typedef struct decoded {
    loom_attr attrs[DECODED_ATTRS_MAX + 1]; /* the last one takes what is too much */
    size_t count;
    loom_str strings[DECODED_STRINGS_MAX];
    char text[DECODED_TEXT_MAX];
    size_t used; /* of text */
} decoded;

/* Fills out from a call of spec. The attributes are valid while both live. */
void decode_call(decoded *out, const event *e, const syscall_spec *spec);
/* Of EVENT_EXEC: executable, arguments, directory. */
void decode_program(decoded *out, const event *e);

void decoded_int(decoded *out, const char *key, int64_t value);
void decoded_str(decoded *out, const char *key, loom_str value); /* an empty one makes no attribute */

/* The last part of a path. */
loom_str decode_basename(loom_str path);

#endif
