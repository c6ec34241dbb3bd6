/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/topic.h"

#include "base/str.h"
#include "base/utf8.h"

bool topic_next_segment(loom_str *rest, loom_str *segment)
{
    return str_next_item(rest, '.', segment);
}

/* What a code point no topic may hold is called; NULL for the others. */
static const char *refused_character(uint32_t code_point)
{
    if (code_point == UTF8_INVALID) {
        return "it is not valid UTF-8";
    }
    if (code_point == ' ') {
        return "it contains a space";
    }
    if (code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f)) {
        return "it contains a control character";
    }
    return NULL;
}

/* What is wrong with one segment as plain text; NULL: nothing. */
static const char *segment_fault(loom_str segment, bool wildcards)
{
    if (segment.len == 0) {
        return "a segment is empty";
    }
    while (segment.len > 0) {
        uint32_t code_point;
        const size_t taken = utf8_next(segment, &code_point);
        const char *fault = refused_character(code_point);
        if (fault != NULL) {
            return fault;
        }
        if (code_point == '*' || code_point == '>') {
            return wildcards ? "a wildcard is not a whole segment" : "it contains a wildcard (* or >)";
        }
        segment.data += taken;
        segment.len -= taken;
    }
    return NULL;
}

static const char *fault_of(loom_str text, bool wildcards)
{
    loom_str rest = text;
    for (loom_str segment; topic_next_segment(&rest, &segment);) {
        if (wildcards && topic_segment_is_star(segment)) {
            continue;
        }
        if (wildcards && topic_segment_is_tail(segment)) {
            if (rest.data != NULL) {
                return "> is not the last segment";
            }
            continue;
        }
        const char *fault = segment_fault(segment, wildcards);
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

static loom_status check(loom_str text, bool wildcards, const char **reason)
{
    loom_status status = LOOM_EINVAL;
    const char *fault;
    if (text.len == 0) {
        fault = "it is empty";
    } else if (text.len > LOOM_TOPIC_MAX) {
        fault = "it is over 256 bytes";
        status = LOOM_ETOOBIG;
    } else {
        fault = fault_of(text, wildcards);
    }
    if (reason != NULL) {
        *reason = fault;
    }
    return fault == NULL ? LOOM_OK : status;
}

loom_status loom_topic_check(loom_str topic, const char **reason)
{
    return check(topic, false, reason);
}

loom_status loom_filter_check(loom_str filter, const char **reason)
{
    return check(filter, true, reason);
}

loom_status topic_name_check(loom_str name, const char **reason)
{
    const char *fault = name.len == 0                                  ? "it is empty"
                        : name.len > LOOM_AGENT_ID_MAX                 ? "it is over 128 bytes"
                        : memchr(name.data, '.', name.len) != NULL     ? "it contains a dot, and has to be one segment of a topic"
                                                                       : NULL;
    if (fault == NULL) {
        return loom_topic_check(name, reason);
    }
    if (reason != NULL) {
        *reason = fault;
    }
    return LOOM_EINVAL;
}

bool loom_topic_valid(loom_str topic)
{
    return check(topic, false, NULL) == LOOM_OK;
}

bool loom_filter_valid(loom_str filter)
{
    return check(filter, true, NULL) == LOOM_OK;
}

bool loom_filter_matches(loom_str filter, loom_str topic)
{
    loom_str wanted;
    loom_str segment;
    while (topic_next_segment(&filter, &wanted)) {
        if (!topic_next_segment(&topic, &segment)) {
            return false;
        }
        if (topic_segment_is_tail(wanted)) {
            return true;
        }
        if (!topic_segment_is_star(wanted) && !str_equal(wanted, segment)) {
            return false;
        }
    }
    return topic.data == NULL;
}
