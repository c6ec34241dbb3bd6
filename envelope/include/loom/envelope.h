/* SPDX-License-Identifier: Apache-2.0 */
/* One message on the bus: addressing, trace context, payload. envelope/WIRE.md specifies its bytes.
 *
 * An envelope never changes after it is built, so any number of threads may read one. Each holder keeps it alive with
 * one reference and drops that with loom_envelope_unref(). Getters borrow: valid while the caller holds a reference. */
#ifndef LOOM_ENVELOPE_H
#define LOOM_ENVELOPE_H

#include <loom/context.h>

LOOM_BEGIN_DECLS

/* Limits, in bytes. A broker may be configured downwards, never upwards. */
#define LOOM_PAYLOAD_MAX (1024u * 1024u)
#define LOOM_TOPIC_MAX 256u
#define LOOM_TYPE_MAX 128u
#define LOOM_AGENT_ID_MAX 128u
#define LOOM_THREAD_ID_MAX 128u /* thread_id and correlation_id */
#define LOOM_TRACESTATE_MAX 512u
#define LOOM_BAGGAGE_MAX 8192u
#define LOOM_CONTENT_TYPE_MAX 128u
#define LOOM_HEADERS_MAX (16u * 1024u) /* the encoded map */
#define LOOM_DEPTH_MAX 32u             /* nesting of unknown trailing fields */
#define LOOM_ENVELOPE_MAX (LOOM_PAYLOAD_MAX + 64u * 1024u) /* one encoded envelope */

#define LOOM_TTL_DEFAULT 16u  /* hops */
#define LOOM_UUID_SIZE 16      /* bytes */
#define LOOM_UUID_TEXT_SIZE 37 /* "0192f0a1-…" and NUL */
#define LOOM_REPLY_TO_SIZE (sizeof "thread..reply" + LOOM_THREAD_ID_MAX)

typedef struct loom_envelope loom_envelope; /* opaque, reference counted */

typedef struct loom_header {
    loom_str key;
    loom_str value;
} loom_header;

/* What an envelope is built from. All pointers are borrowed for the call; empty means absent, or the default. */
typedef struct loom_envelope_fields {
    loom_str topic;                  /* required */
    loom_bytes payload;              /* may be empty */
    loom_str type;                   /* such as "sensor.reading" */
    loom_str sender;                 /* agent id; a bridge stamps it when empty */
    loom_str thread_id;              /* default: the envelope's own id */
    loom_str correlation_id;         /* default: thread_id */
    loom_str reply_to;               /* a topic; default: thread.{thread_id}.reply */
    loom_str content_type;           /* a media type */
    loom_str tracestate;             /* W3C tracestate, at most 512 characters */
    loom_str baggage;                /* W3C baggage, at most 8192 bytes */
    const loom_header *headers;
    size_t header_count;
    uint8_t id[LOOM_UUID_SIZE];      /* all zero: a new UUIDv7 */
    uint64_t timestamp_unix_ns;      /* 0: now */
    uint8_t ttl;                     /* hops left; 0: LOOM_TTL_DEFAULT */
    loom_trace_context context;      /* hop context; invalid: none */
    uint8_t creation_span_id[LOOM_SPAN_ID_SIZE]; /* the producer's span; zero: none */
} loom_envelope_fields;

/* LOOM_EINVAL: no topic.  LOOM_ETOOBIG: a field over its limit.  LOOM_ENOMEM.  On any error *out is NULL. */
LOOM_API LOOM_MUST_CHECK loom_status loom_envelope_create(loom_envelope **out, const loom_envelope_fields *fields);
/* Parses untrusted bytes; wire may be freed on return.
 * LOOM_EMALFORMED: not exactly one well-formed envelope.  LOOM_EVERSION: a later major version.
 * LOOM_ETOOBIG: over a limit above.  LOOM_ENOMEM.  On any error *out is NULL. */
LOOM_API LOOM_MUST_CHECK loom_status loom_envelope_decode(loom_envelope **out, loom_bytes wire);
LOOM_API loom_envelope *loom_envelope_ref(loom_envelope *env); /* returns env */
LOOM_API void loom_envelope_unref(loom_envelope *env);         /* NULL is allowed */

LOOM_API loom_bytes loom_envelope_wire(const loom_envelope *env); /* the encoded bytes */
LOOM_API loom_str loom_envelope_topic(const loom_envelope *env);
LOOM_API loom_bytes loom_envelope_payload(const loom_envelope *env);
LOOM_API loom_str loom_envelope_type(const loom_envelope *env);
LOOM_API loom_str loom_envelope_sender(const loom_envelope *env);
LOOM_API loom_str loom_envelope_content_type(const loom_envelope *env);
LOOM_API loom_str loom_envelope_tracestate(const loom_envelope *env);
LOOM_API loom_str loom_envelope_baggage(const loom_envelope *env);
LOOM_API const uint8_t *loom_envelope_id(const loom_envelope *env); /* LOOM_UUID_SIZE bytes */
LOOM_API void loom_envelope_id_text(const loom_envelope *env, char out[LOOM_UUID_TEXT_SIZE]);
LOOM_API uint64_t loom_envelope_timestamp_unix_ns(const loom_envelope *env);
LOOM_API uint8_t loom_envelope_ttl(const loom_envelope *env);
/* With their defaults applied; the text is in the envelope, or in buf when it had to be made. */
LOOM_API loom_str loom_envelope_thread_id(const loom_envelope *env, char buf[LOOM_UUID_TEXT_SIZE]);
LOOM_API loom_str loom_envelope_correlation_id(const loom_envelope *env, char buf[LOOM_UUID_TEXT_SIZE]);
LOOM_API loom_str loom_envelope_reply_to(const loom_envelope *env, char buf[LOOM_REPLY_TO_SIZE]);
/* LOOM_ENOTFOUND when there is no such header; *value is then empty. */
LOOM_API loom_status loom_envelope_header(const loom_envelope *env, const char *key, loom_str *value);
/* Visits headers in their order until visit returns false. */
LOOM_API void loom_envelope_headers(const loom_envelope *env, bool (*visit)(void *user, loom_header header), void *user);

/* Whether a valid hop context came with the envelope; *out is zeroed when not. */
LOOM_API bool loom_envelope_extract(const loom_envelope *env, loom_trace_context *out);
/* The producer's own span, which consumers link to: hop trace id and creation span id. */
LOOM_API bool loom_envelope_creation_context(const loom_envelope *env, loom_trace_context *out);
/* Writes ctx into fields as hop context and creation span; leaves fields alone when ctx is NULL or invalid. */
LOOM_API void loom_envelope_inject(loom_envelope_fields *fields, const loom_trace_context *ctx);

LOOM_END_DECLS
#endif
