/* SPDX-License-Identifier: Apache-2.0 */
/* Text is searched for what both markers begin with, and handed on where it lies. What may begin a marker at the end of a feed
 * waits in `pending`, and the next bytes go there one by one until it is a marker, or cannot become one. */
#include "trace/process/collect/span_stream.h"

#include <stdlib.h>
#include <string.h>

#define CORE "__LOOM_TRACE" /* both markers begin with it */
#define CORE_LEN (sizeof CORE - 1)
#define IDLE_MAX 7u /* bytes: no program ends its output with more of a marker, and waits */

static const loom_str markers[SPAN_LINE_KINDS] = {
    [SPAN_LINE_SPAN] = {SPAN_MARKER, sizeof SPAN_MARKER - 1},
    [SPAN_LINE_ERROR] = {SPAN_ERROR_MARKER, sizeof SPAN_ERROR_MARKER - 1},
};

loom_status span_stream_init(span_stream *s, const span_stream_sink *sink)
{
    *s = (span_stream){.sink = *sink, .state = STREAM_TEXT, .at_start = true};
    s->held = malloc(SPAN_LINE_MAX);
    return s->held != NULL ? LOOM_OK : LOOM_ENOMEM;
}

void span_stream_fini(span_stream *s)
{
    free(s->held);
    s->held = NULL;
}

/* In rounds that a byte can count, so that the compiler makes vectors of it. */
static uint64_t count_line_feeds(const char *data, size_t len)
{
    uint64_t count = 0;
    while (len > 0) {
        const size_t round = len < UINT8_MAX ? len : UINT8_MAX;
        uint8_t found = 0;
        for (size_t i = 0; i < round; i++) {
            found = (uint8_t)(found + (data[i] == '\n'));
        }
        count += found;
        data += round;
        len -= round;
    }
    return count;
}

static void pass(span_stream *s, const char *data, size_t len)
{
    if (len == 0) {
        return;
    }
    s->lines += count_line_feeds(data, len);
    s->at_start = data[len - 1] == '\n';
    s->sink.text(s->sink.user, (loom_bytes){(const uint8_t *)data, len});
}

/* ---- in text ---- */

/* Whether text, all of it, begins a marker, or is one. */
static bool may_become(loom_str text, span_line_kind *kind)
{
    for (int k = 0; k < SPAN_LINE_KINDS; k++) {
        if (text.len <= markers[k].len && memcmp(text.data, markers[k].data, text.len) == 0) {
            *kind = (span_line_kind)k;
            return true;
        }
    }
    return false;
}

/* A marker is complete: what follows is a line, if it can be one. */
static void begin_line(span_stream *s, span_line_kind kind)
{
    s->kind = kind;
    s->marker_at_start = s->at_start;
    s->pending_len = 0;
    s->held_len = 0;
    s->state = STREAM_LINE;
}

/* Takes one byte that may belong to a marker, and passes on what is none. */
static void take_pending(span_stream *s, char byte)
{
    span_line_kind kind = SPAN_LINE_SPAN;
    size_t text = 0;
    s->pending[s->pending_len++] = byte;
    while (text < s->pending_len && !may_become((loom_str){s->pending + text, s->pending_len - text}, &kind)) {
        text++;
    }
    pass(s, s->pending, text);
    s->pending_len -= text;
    memmove(s->pending, s->pending + text, s->pending_len);
    if (s->pending_len == markers[kind].len) {
        begin_line(s, kind);
    }
}

/* The last feed ended in what may be a marker. Returns how many bytes it has taken of this one: none of those that may begin
 * a marker by themselves, so that a text of such beginnings is not passed on byte by byte. */
static size_t feed_pending(span_stream *s, const char *data, size_t len)
{
    for (size_t taken = 0; taken < len;) {
        take_pending(s, data[taken++]);
        if (s->pending_len <= taken) { /* a line has begun, or all that is pending is of this feed */
            const size_t ours = s->pending_len;
            s->pending_len = 0;
            return taken - ours;
        }
    }
    return len;
}

/* How many of the last bytes may begin a marker. */
static size_t marker_at_end(const char *data, size_t len)
{
    size_t most = len < CORE_LEN - 1 ? len : CORE_LEN - 1;
    while (most > 0 && memcmp(data + len - most, CORE, most) != 0) {
        most--;
    }
    return most;
}

/* Returns how many bytes it has taken; none only of what was pending before. */
static size_t feed_text(span_stream *s, const char *data, size_t len)
{
    if (s->pending_len > 0) {
        return feed_pending(s, data, len);
    }
    const char *found, *from = data, *const end = data + len;
    while ((found = memmem(from, (size_t)(end - from), CORE, CORE_LEN)) != NULL) {
        for (int kind = 0; kind < SPAN_LINE_KINDS; kind++) {
            const size_t rest = (size_t)(end - found), whole = markers[kind].len, there = rest < whole ? rest : whole;
            if (memcmp(found, markers[kind].data, there) != 0) {
                continue;
            }
            pass(s, data, (size_t)(found - data));
            if (there == whole) {
                begin_line(s, (span_line_kind)kind);
            } else {
                memcpy(s->pending, found, there);
                s->pending_len = there;
            }
            return (size_t)(found - data) + there;
        }
        from = found + CORE_LEN; /* which does not begin again in itself */
    }
    const size_t pending = marker_at_end(data, len);
    pass(s, data, len - pending);
    memcpy(s->pending, CORE, pending);
    s->pending_len = pending;
    return len;
}

/* ---- in a line ---- */

/* The marker, and what has been held behind it, was text. */
static void give_up_line(span_stream *s)
{
    const size_t held = s->held_len;
    s->state = STREAM_TEXT;
    s->held_len = 0;
    pass(s, markers[s->kind].data, markers[s->kind].len);
    pass(s, s->held, held);
}

/* The last marker in a line that turned out to be none: another writer was cut off before it. NULL: there is none. */
static const char *last_marker(const char *text, size_t len)
{
    const loom_str marker = markers[SPAN_LINE_SPAN];
    const char *found = NULL, *next = text;
    while ((next = memmem(next, len - (size_t)(next - text), marker.data, marker.len)) != NULL) {
        found = next;
        next += marker.len;
    }
    return found;
}

static bool offer_line(span_stream *s, const char *text, size_t len, bool at_start)
{
    const size_t without = len > 0 && text[len - 1] == '\r' ? len - 1 : len; /* a terminal has been in between */
    const span_line line = {s->kind, {text, without}, at_start, s->lines + 1};
    return s->sink.line(s->sink.user, &line);
}

/* A line that is none, but for what may be one at its end: in the middle of a line it was text. */
static void end_no_line(span_stream *s, const char *text, size_t len, bool line_feed)
{
    const char *again = last_marker(text, len);
    const size_t before = again != NULL ? (size_t)(again - text) : len;
    if (!s->marker_at_start) {
        pass(s, markers[s->kind].data, markers[s->kind].len);
        pass(s, text, before);
    }
    if (again != NULL) {
        const size_t skipped = before + markers[SPAN_LINE_SPAN].len;
        s->kind = SPAN_LINE_SPAN;
        if (offer_line(s, text + skipped, len - skipped, false) || s->marker_at_start) {
            s->lines += line_feed ? 1 : 0;
            s->at_start = line_feed;
            return;
        }
        pass(s, again, len - before);
    }
    if (s->marker_at_start) {
        s->lines += line_feed ? 1 : 0;
        s->at_start = line_feed;
    } else {
        pass(s, "\n", line_feed ? 1 : 0);
    }
}

static void end_line(span_stream *s, const char *text, size_t len, bool line_feed)
{
    s->state = STREAM_TEXT;
    s->held_len = 0;
    if (!offer_line(s, text, len, s->marker_at_start)) {
        end_no_line(s, text, len, line_feed);
        return;
    }
    s->lines += line_feed ? 1 : 0;
    s->at_start = line_feed;
}

/* In the middle of a line only what looks like a span's begin is one; what is too long to look at its end, if more of it does. */
static bool cannot_be_line(const span_stream *s, char first)
{
    return !s->marker_at_start && s->held_len == 0 && first != (s->kind == SPAN_LINE_SPAN ? '{' : ' ');
}

/* data: what comes behind the part that is held, more than two bytes. */
static bool begins_span(const span_stream *s, const char *data)
{
    const char first = s->held_len > 0 ? s->held[0] : data[0];
    const char second = s->held_len > 1 ? s->held[1] : data[1 - s->held_len];
    return s->kind == SPAN_LINE_SPAN && first == '{' && second == '"';
}

static size_t feed_line(span_stream *s, const char *data, size_t len)
{
    if (cannot_be_line(s, data[0])) {
        give_up_line(s);
        return 0;
    }
    const size_t most = SPAN_LINE_MAX - markers[s->kind].len; /* with the line feed */
    const char *end = memchr(data, '\n', len);
    const size_t part = end != NULL ? (size_t)(end - data) : len;
    if (s->held_len + part >= most) {
        if (!s->marker_at_start && !begins_span(s, data)) {
            give_up_line(s);
            return 0;
        }
        s->state = STREAM_SKIP;
        s->held_len = 0;
        s->sink.oversize(s->sink.user, s->lines + 1);
        return 0;
    }
    if (s->held_len == 0 && end != NULL) {
        end_line(s, data, part, true);
        return part + 1;
    }
    memcpy(s->held + s->held_len, data, part);
    s->held_len += part;
    if (end != NULL) {
        end_line(s, s->held, s->held_len, true);
        return part + 1;
    }
    return part;
}

static size_t feed_skipped(span_stream *s, const char *data, size_t len)
{
    const char *end = memchr(data, '\n', len);
    if (end == NULL) {
        return len;
    }
    s->state = STREAM_TEXT;
    s->lines++;
    s->at_start = true;
    return (size_t)(end - data) + 1;
}

/* ---- all of it ---- */

void span_stream_feed(span_stream *s, loom_bytes bytes)
{
    const char *data = (const char *)bytes.data;
    size_t left = bytes.len;
    while (left > 0) {
        const size_t taken = s->state == STREAM_TEXT   ? feed_text(s, data, left)
                             : s->state == STREAM_LINE ? feed_line(s, data, left)
                                                       : feed_skipped(s, data, left);
        data += taken;
        left -= taken;
    }
}

bool span_stream_waits(const span_stream *s)
{
    return s->state == STREAM_TEXT && s->pending_len > 0 && s->pending_len <= IDLE_MAX;
}

static void let_pending_go(span_stream *s)
{
    const size_t len = s->pending_len;
    s->pending_len = 0;
    pass(s, s->pending, len);
}

void span_stream_idle(span_stream *s)
{
    if (span_stream_waits(s)) {
        let_pending_go(s);
    }
}

void span_stream_forget(span_stream *s)
{
    s->state = STREAM_TEXT;
    s->pending_len = s->held_len = 0;
    s->at_start = true;
}

void span_stream_end(span_stream *s)
{
    if (s->state == STREAM_TEXT) {
        let_pending_go(s);
    } else if (s->state == STREAM_LINE && s->held_len == 0 && !s->marker_at_start) {
        give_up_line(s);
    } else if (s->state == STREAM_LINE) {
        end_line(s, s->held, s->held_len, false);
    }
    s->state = STREAM_TEXT;
}
