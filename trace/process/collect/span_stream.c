/* SPDX-License-Identifier: Apache-2.0 */
/* Text is searched for what both markers begin with, and handed on where it lies. From such a place on, bytes go one by one into
 * `pending` until they are a marker, or cannot become one. */
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

static bool may_become(const span_stream *s, span_line_kind kind)
{
    return s->pending_len <= markers[kind].len && memcmp(s->pending, markers[kind].data, s->pending_len) == 0;
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

/* Takes one byte that may belong to a marker. */
static void take_pending(span_stream *s, char byte)
{
    s->pending[s->pending_len++] = byte;
    while (s->pending_len > 0) {
        for (int kind = 0; kind < SPAN_LINE_KINDS; kind++) {
            if (may_become(s, (span_line_kind)kind)) {
                if (s->pending_len == markers[kind].len) {
                    begin_line(s, (span_line_kind)kind);
                }
                return;
            }
        }
        pass(s, s->pending, 1);
        memmove(s->pending, s->pending + 1, --s->pending_len);
    }
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

/* Returns how many bytes it has taken: at least one. */
static size_t feed_text(span_stream *s, const char *data, size_t len)
{
    if (s->pending_len > 0) {
        take_pending(s, data[0]);
        return 1;
    }
    const char *found = memmem(data, len, CORE, CORE_LEN);
    const size_t pending = found != NULL ? CORE_LEN : marker_at_end(data, len);
    const size_t before = found != NULL ? (size_t)(found - data) : len - pending;
    pass(s, data, before);
    memcpy(s->pending, CORE, pending);
    s->pending_len = pending;
    return before + pending;
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

/* In the middle of a line only what looks like a span's begin is one. */
static bool cannot_be_line(const span_stream *s, char first)
{
    return !s->marker_at_start && s->held_len == 0 && first != (s->kind == SPAN_LINE_SPAN ? '{' : ' ');
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
        if (!s->marker_at_start) {
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
