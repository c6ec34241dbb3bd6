/* SPDX-License-Identifier: Apache-2.0 */
/* Topics, and the filters that select them.
 *
 * A topic is 1 to LOOM_TOPIC_MAX bytes of UTF-8: segments separated by dots, none of them empty, without spaces, control
 * characters (U+0000 to U+001F, U+007F to U+009F), '*' or '>'. Such as "orders.eu.created".
 *
 * A filter is a topic in which a whole segment may be "*", for exactly one segment of any text, and the whole last
 * segment may be ">", for one or more. "orders.*.created", "orders.>", ">". A topic is a filter of itself.
 *
 * Everything here may be called from any thread, on any bytes. */
#ifndef LOOM_TOPIC_H
#define LOOM_TOPIC_H

#include <loom/envelope.h>

LOOM_BEGIN_DECLS

LOOM_API bool loom_topic_valid(loom_str topic);
LOOM_API bool loom_filter_valid(loom_str filter);

/* The same, saying what is wrong. LOOM_EINVAL, or LOOM_ETOOBIG over LOOM_TOPIC_MAX bytes; *reason is then a sentence
 * fragment such as "a segment is empty", and NULL otherwise. Static storage. reason may be NULL. */
LOOM_API LOOM_MUST_CHECK loom_status loom_topic_check(loom_str topic, const char **reason);
LOOM_API LOOM_MUST_CHECK loom_status loom_filter_check(loom_str filter, const char **reason);

/* Whether filter selects topic. Both must be valid; the answer is meaningless, but safe, when one is not. */
LOOM_API bool loom_filter_matches(loom_str filter, loom_str topic);

LOOM_END_DECLS
#endif
