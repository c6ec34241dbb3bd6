/* SPDX-License-Identifier: Apache-2.0 */
/* Topics by their segments, for the modules that route. The grammar is in <loom/topic.h>. */
#ifndef LOOM_ENVELOPE_TOPIC_H
#define LOOM_ENVELOPE_TOPIC_H

#include <loom/topic.h>

/* Segments of one topic at most: one byte each, and the dots between. */
#define TOPIC_SEGMENTS_MAX ((LOOM_TOPIC_MAX + 1) / 2)

/* Takes the next segment off *rest; start with the whole topic. False when there is none left. */
bool topic_next_segment(loom_str *rest, loom_str *segment);

/* Whether name is what agents and groups may be called: one segment of at most LOOM_AGENT_ID_MAX bytes. LOOM_EINVAL; *reason
 * then says why, as in loom_topic_check(). */
LOOM_MUST_CHECK loom_status topic_name_check(loom_str name, const char **reason);

static inline bool topic_segment_is_star(loom_str segment)
{
    return segment.len == 1 && segment.data[0] == '*';
}

static inline bool topic_segment_is_tail(loom_str segment)
{
    return segment.len == 1 && segment.data[0] == '>';
}

#endif
