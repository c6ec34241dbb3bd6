/* SPDX-License-Identifier: Apache-2.0 */
/* A scanned envelope that somebody else's buffer holds: offsets of its fields, nothing copied, nothing owned.
 * The scan is the only gate for bytes from outside: what passed it may be read without further checks. */
#ifndef LOOM_ENVELOPE_VIEW_H
#define LOOM_ENVELOPE_VIEW_H

#include <assert.h>
#include <loom/envelope.h>

#include "base/shared_bytes.h"
#include "envelope/hop.h"

/* Positions in the array, in wire order. */
enum envelope_field {
    ENV_VERSION,
    ENV_HOP,
    ENV_TOPIC,
    ENV_ID,
    ENV_TYPE,
    ENV_SENDER,
    ENV_TIMESTAMP,
    ENV_THREAD_ID,
    ENV_CORRELATION_ID,
    ENV_REPLY_TO,
    ENV_CREATION,
    ENV_TRACESTATE,
    ENV_BAGGAGE,
    ENV_CONTENT_TYPE,
    ENV_HEADERS,
    ENV_PAYLOAD
};

typedef struct envelope_slice {
    uint32_t off; /* of the content, after the msgpack header */
    uint32_t len; /* 0: nil or empty */
} envelope_slice;

typedef struct envelope_view {
    const uint8_t *data;
    uint32_t len;            /* bytes of the whole encoded envelope */
    uint32_t headers_count;  /* pairs */
    bool hop_in_place;       /* the hop field has its fixed form; otherwise normalise before patching */
    shared_bytes *shared;    /* where data lies, and does not change after the hops have patched it; NULL: it is only lent */
    envelope_slice field[ENVELOPE_FIELDS];
} envelope_view;

/* Bytes of a large shared envelope that are copied all the same: those that hops patch. */
enum { ENVELOPE_HEAD = 128 };
static_assert(ENVELOPE_HEAD >= HOP_OFFSET + HOP_SIZE && ENVELOPE_HEAD < SHARED_BYTES_MIN, "what hops patch is in the head");

/* Limits a process may set lower than the public constants. */
typedef struct envelope_limits {
    uint32_t payload_max; /* bytes; 0: LOOM_PAYLOAD_MAX */
    bool any_context;     /* tracestate and baggage over their limits pass; envelope_mend_context() cuts them */
} envelope_limits;

/* Reads one envelope at the start of bytes; more may follow it (view->len tells where).
 * Never reads past bytes, never allocates, never recurses deeper than LOOM_DEPTH_MAX.
 * LOOM_EMALFORMED, LOOM_EVERSION, LOOM_ETOOBIG; *reason then names the field and fault (static text). */
LOOM_MUST_CHECK loom_status envelope_scan(envelope_view *view, loom_bytes bytes, const envelope_limits *limits,
                                          const char **reason);

/* Rewrites an envelope whose hop field is not in its fixed form (nil, or a traceparent as text, as other languages may
 * send) into out, which needs view->len + ENVELOPE_PREFIX_SIZE bytes. Returns the new length; *invalid tells whether a
 * context was there and refused. ttl is given to it when the field had none. */
uint32_t envelope_normalise(uint8_t *out, const envelope_view *view, uint8_t ttl, bool *invalid);

/* Whether envelope_mend_context() may find something to do. */
static inline bool envelope_context_needs_look(const envelope_view *view)
{
    return view->field[ENV_TRACESTATE].len > 0 || view->field[ENV_BAGGAGE].len > LOOM_BAGGAGE_MAX;
}

/* Takes the tracestate of a message without a context out (Trace Context, 3.3), and cuts tracestate and baggage to their
 * limits by whole members (Trace Context, 3.3.1.5; Baggage, 3.3.2), in place. The view's hop is in place. Returns the
 * new length, which is never larger; with another one than before, the envelope is to be scanned again. */
uint32_t envelope_mend_context(uint8_t *wire, const envelope_view *view);

/* The same envelope with another sender; out needs view->len + LOOM_AGENT_ID_MAX + 3 bytes. Returns the new length. */
uint32_t envelope_with_sender(uint8_t *out, const envelope_view *view, loom_str sender);

static inline loom_str envelope_view_str(const envelope_view *view, enum envelope_field field)
{
    return (loom_str){(const char *)view->data + view->field[field].off, view->field[field].len};
}

static inline loom_bytes envelope_view_bytes(const envelope_view *view, enum envelope_field field)
{
    return (loom_bytes){view->data + view->field[field].off, view->field[field].len};
}

uint64_t envelope_view_timestamp(const envelope_view *view);
loom_str envelope_view_thread_id(const envelope_view *view, char buf[LOOM_UUID_TEXT_SIZE]);
loom_str envelope_view_correlation_id(const envelope_view *view, char buf[LOOM_UUID_TEXT_SIZE]);

/* Hop context; false and zeroed when absent or invalid. Of a view whose hop is in place. */
bool envelope_view_context(const envelope_view *view, loom_trace_context *out);

/* Wraps a copy of scanned bytes as an envelope with one reference. NULL: out of memory. */
loom_envelope *envelope_from_view(const envelope_view *view);
/* The same in the memory of old, if old is not NULL, its caller holds the only reference and *capacity (bytes of wire that
 * fit) is enough; else old's reference is dropped and a new envelope made. Receivers so reuse one envelope. NULL: out of
 * memory; old is gone then too. */
loom_envelope *envelope_renew(loom_envelope *old, size_t *capacity, const envelope_view *view);
/* The view of an envelope; valid as long as the caller holds a reference. */
const envelope_view *envelope_as_view(const loom_envelope *env);

#endif
