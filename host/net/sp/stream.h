/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of one SP connection, without the connection: the greeting, the length before each message, the ids before a
 * request. Pure: no I/O, no clock.
 *
 * Reading: the owner asks where the next bytes are to go (sp_stream_room), puts some there and says how many
 * (sp_stream_received), takes what they complete (sp_stream_next, until MORE), and lets the stream keep the start of a
 * message whose rest has not come (sp_stream_rest). Usually the bytes go to a buffer shared by many streams, with the kept
 * start in front; a message that is large, or that comes in small pieces, collects in memory of its own, which grows with
 * what has really come. A stream between two messages holds no memory. */
#ifndef LOOM_HOST_NET_SP_STREAM_H
#define LOOM_HOST_NET_SP_STREAM_H

#include "host/net/sp/sp.h"

enum {
    SP_GREETING_SIZE = 8, /* 00 'S' 'P' 00, the protocol as u16, 00 00 */
    SP_HEADER_MAX = 9,    /* ipc: 01; then the length as u64 */
    SP_WHY_SIZE = 128
};

/* A place for bytes. */
typedef struct sp_buffer {
    uint8_t *data;
    size_t size;
} sp_buffer;

typedef enum sp_event {
    SP_EVENT_MORE,     /* nothing whole is left */
    SP_EVENT_GREETED,  /* once, first */
    SP_EVENT_MESSAGE,
    SP_EVENT_BROKEN    /* the connection has to end */
} sp_event;

typedef struct sp_stream {
    bool ipc;                         /* each length has a byte 01 in front */
    bool greeted;
    bool apart;                       /* the message is read into partial, not into the shared buffer */
    bool kept;                        /* data begins with what was kept */
    uint16_t expected;                /* the protocol the other side has to speak */
    size_t message_max;
    uint8_t *partial;                 /* kept bytes */
    size_t partial_len, partial_cap;
    size_t need;                      /* bytes of the unfinished message in all, as far as is known */
    uint8_t *data;                    /* being taken apart, from sp_stream_received() to sp_stream_rest() */
    size_t len, used;
} sp_stream;

void sp_stream_init(sp_stream *s, bool ipc, sp_protocol own, size_t message_max);
void sp_stream_fini(sp_stream *s);
/* Where the next bytes go. data is NULL when there is no memory. */
sp_buffer sp_stream_room(sp_stream *s, sp_buffer shared);
/* len bytes are in the room. */
void sp_stream_received(sp_stream *s, sp_buffer shared, size_t len);
/* Looks again at what was kept: whole messages nobody wanted then. Instead of sp_stream_room() and _received(). */
void sp_stream_again(sp_stream *s);
/* MESSAGE: body is valid, and may be changed, until the next call. BROKEN: *status is LOOM_EPROTO or LOOM_ETOOBIG. */
sp_event sp_stream_next(sp_stream *s, sp_buffer *body, loom_status *status, char why[SP_WHY_SIZE]);
/* Bytes sp_stream_next() has not given out. */
size_t sp_stream_left(const sp_stream *s);
/* Keeps them. False: no memory. */
bool sp_stream_rest(sp_stream *s, sp_buffer shared);

/* The protocol ours speaks with; 0: ours is none. */
uint16_t sp_counterpart(sp_protocol own);
const char *sp_protocol_name(uint16_t protocol);
void sp_greeting(uint8_t out[SP_GREETING_SIZE], sp_protocol own);
/* What stands before a body of len bytes. Returns its size. */
size_t sp_header(uint8_t out[SP_HEADER_MAX], bool ipc, uint64_t len);
/* The ids before a request: *ids_len bytes of it. LOOM_EPROTO: there is no last one. LOOM_ETOOBIG: over SP_BACKTRACE_MAX,
 * which is no mistake of the peer. */
LOOM_MUST_CHECK loom_status sp_backtrace(const uint8_t *request, size_t len, size_t *ids_len);

#endif
