/* SPDX-License-Identifier: Apache-2.0 */
/* W3C tracestate: what tracing systems pass on next to a traceparent (https://www.w3.org/TR/trace-context-2/, 3.3).
 *
 * A list of key=value members separated by commas, the latest writer leftmost. Functions work on text and buffers of the
 * caller, keep no state, allocate nothing, and may be called from any thread. */
#ifndef LOOM_TRACESTATE_H
#define LOOM_TRACESTATE_H

#include <loom/envelope.h>

LOOM_BEGIN_DECLS

#define LOOM_TRACESTATE_MAX_MEMBERS 32 /* non-empty ones (3.3.1.1) */
#define LOOM_TRACESTATE_MAX_KEY 256    /* bytes */
#define LOOM_TRACESTATE_MAX_VALUE 256  /* bytes */
/* Bytes that hold any valid tracestate without its optional white space, no NUL. */
#define LOOM_TRACESTATE_BUFFER_SIZE \
    (LOOM_TRACESTATE_MAX_MEMBERS * (LOOM_TRACESTATE_MAX_KEY + 1 + LOOM_TRACESTATE_MAX_VALUE + 1) - 1)

typedef struct loom_tracestate_member {
    loom_str key;
    loom_str value; /* leading spaces belong to it, trailing ones do not (3.3.1.3.2) */
} loom_tracestate_member;

/* key: a lower-case letter or digit, then letters, digits and _ - * / @, so both vendor and tenant@vendor
 * (level 2, 3.3.1.3.1). value: 1 to 256 printable ASCII characters but comma and '=', the last no space. */
LOOM_API bool loom_tracestate_key_valid(loom_str key);
LOOM_API bool loom_tracestate_value_valid(loom_str value);

/* LOOM_OK, or LOOM_EMALFORMED: a member off the grammar, or more than 32 members. A list with a fault is discarded whole.
 * Of a key that comes twice the leftmost member counts, which was written last (3.3.1.4, 3.5); the functions below leave
 * the others out. Empty members are allowed and not counted. The empty text is valid. */
LOOM_API LOOM_MUST_CHECK loom_status loom_tracestate_check(loom_str text);

/* Takes the next member off the left of *rest; start with *rest being the whole text.
 * LOOM_ENOTFOUND: no more.  LOOM_EMALFORMED: the next member is off the grammar; the walk ends there. */
LOOM_API LOOM_MUST_CHECK loom_status loom_tracestate_next(loom_str *rest, loom_tracestate_member *out);

/* The value of key, a slice of text. LOOM_ENOTFOUND, or LOOM_EMALFORMED for a text loom_tracestate_check() refuses;
 * *value is empty then. */
LOOM_API LOOM_MUST_CHECK loom_status loom_tracestate_get(loom_str *value, loom_str text, loom_str key);

/* The three below write a new tracestate of *len bytes, without white space or empty members and without NUL, to out.
 * out may not overlap an input. LOOM_TRACESTATE_BUFFER_SIZE bytes are always enough. On an error *len is 0.
 * LOOM_EMALFORMED: text is not valid.  LOOM_EINVAL: key or value is not.  LOOM_ETOOBIG: over capacity. */

/* key=value leftmost, any older member of that key removed, the others in their order (3.5). When text has 32
 * members already, the rightmost goes. */
LOOM_API LOOM_MUST_CHECK loom_status loom_tracestate_set(char *out, size_t capacity, size_t *len, loom_str text,
                                                         loom_str key, loom_str value);
/* Without the member of key. LOOM_OK also when there is none. */
LOOM_API LOOM_MUST_CHECK loom_status loom_tracestate_remove(char *out, size_t capacity, size_t *len, loom_str text,
                                                            loom_str key);
/* At most max bytes, by whole members: those over 128 characters go first, from the right, then the
 * rightmost ones (3.3.1.5). max is LOOM_TRACESTATE_MAX for what goes into an envelope. */
LOOM_API LOOM_MUST_CHECK loom_status loom_tracestate_truncate(char *out, size_t capacity, size_t *len, loom_str text,
                                                              size_t max);

LOOM_END_DECLS
#endif
