/* SPDX-License-Identifier: Apache-2.0 */
/* Removes span lines from a stream of bytes (trace/process/libraries/FORMAT.md); every other byte is passed on, unchanged and in
 * order. It finds where such a line begins and ends, and does not interpret its contents.
 *
 * Threads: one at a time. It makes no system call. */
#ifndef LOOM_TRACE_PROCESS_COLLECT_SPAN_STREAM_H
#define LOOM_TRACE_PROCESS_COLLECT_SPAN_STREAM_H

#include <loom/api.h>
#include <loom/status.h>

#define SPAN_MARKER "__LOOM_TRACE__:"
#define SPAN_ERROR_MARKER "__LOOM_TRACE_ERROR__:"
#define SPAN_LINE_MAX (256u * 1024u) /* bytes, marker and line feed included */

typedef enum span_line_kind { SPAN_LINE_SPAN, SPAN_LINE_ERROR, SPAN_LINE_KINDS } span_line_kind;

/* A line without its marker and line feed, valid during the call. */
typedef struct span_line {
    span_line_kind kind;
    loom_str text;
    bool at_start;   /* the marker was at the start of the line; else after text without a line feed */
    uint64_t number; /* of the line in the stream, from 1 on */
} span_line;

typedef struct span_stream_sink {
    void (*text)(void *user, loom_bytes text); /* never empty */
    /* false: not a valid line. It is then passed on as text if it followed text without a line feed; at the start of a line it is
     * removed all the same. */
    bool (*line)(void *user, const span_line *line);
    /* A line over the limit begins here and is removed. */
    void (*oversize)(void *user, uint64_t number);
    void *user;
} span_stream_sink;

typedef struct span_stream {
    span_stream_sink sink;
    enum { STREAM_TEXT, STREAM_LINE, STREAM_SKIP } state;
    span_line_kind kind;  /* STREAM_LINE: of it */
    bool marker_at_start; /* STREAM_LINE */
    bool at_start;        /* nothing has come since the last line feed */
    uint64_t lines;       /* line feeds so far */
    size_t pending_len;
    char pending[sizeof SPAN_ERROR_MARKER]; /* what may become a marker */
    size_t held_len;
    char *held; /* SPAN_LINE_MAX bytes: the line so far */
} span_stream;

/* LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status span_stream_init(span_stream *s, const span_stream_sink *sink);
void span_stream_fini(span_stream *s);
void span_stream_feed(span_stream *s, loom_bytes bytes);
/* No input for a while: releases bytes held back as the possible start of a marker, such as the underscore of a prompt. */
void span_stream_idle(span_stream *s);
/* Whether span_stream_idle() would let something go. */
bool span_stream_waits(const span_stream *s);
/* What has come of an unfinished line is somebody else's to pass on: goes on as at the start of a line. */
void span_stream_forget(span_stream *s);
/* The stream has ended, maybe in the middle of a line. */
void span_stream_end(span_stream *s);

#endif
