/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the agent link (WIRE.md section 4): u32 big-endian length, then a msgpack array [type, …].
 * The same bytes on every carrier: ipc, tcp, tls, WebSocket.
 *
 * Rare frames are [type, map]: unknown keys are ignored, missing ones have defaults. The others (publish, deliver,
 * credit, ping, pong, spans, and all about a call) are positional. Reading allocates nothing: strings are slices of the frame. */
#ifndef LOOM_ENVELOPE_FRAME_FRAME_H
#define LOOM_ENVELOPE_FRAME_FRAME_H

#include <loom/envelope.h>
#include <loom/qos.h>

enum {
    LINK_PROTOCOL = 1,
    FRAME_HEADER_SIZE = 4,
    FRAME_MAX = LOOM_ENVELOPE_MAX + 64 * 1024, /* bytes after the header */
    FRAME_BATCH_TARGET = 32 * 1024,            /* a batch frame is closed when it is larger */
    FRAME_REASON_SIZE = 160,
    FRAME_TYPES_MAX = 16,                      /* event types of one subscription */
    FRAME_CALL_ID_MAX = 64,                    /* bytes */
    FRAME_CAPABILITY_MAX = 256,                /* bytes of its name */
    FRAME_VERSION_MAX = 64,
    FRAME_DESCRIPTION_MAX = 4096,
    FRAME_SCHEMA_MAX = 16 * 1024,
    FRAME_TEXT_MAX = 1024,                     /* of any text for people, and of a result's code */
    FRAME_METADATA_MAX = 32,                   /* entries of a capability's metadata; LOOM_HEADERS_MAX bytes in all */
    FRAME_SERVICE_MAX = 255,                   /* bytes of what hello says of an agent's spans */
    FRAME_SPANS_MAX = 64 * 1024,               /* bytes of the spans of one frame; its reader may refuse more */
    FRAME_KEEP_REASON_MAX = 23,                /* bytes */
    FRAME_PARTIES_MAX = 16,                    /* agents of a trace */
};

typedef enum frame_type {
    FRAME_HELLO = 1,        /* agent → bridge, first */
    FRAME_WELCOME = 2,      /* bridge → agent, answers hello */
    FRAME_SUBSCRIBE = 3,    /* agent → bridge; answered by ack */
    FRAME_UNSUBSCRIBE = 4,  /* agent → bridge; answered by ack */
    FRAME_PUBLISH = 5,      /* agent → bridge: [5, [envelope, …]] */
    FRAME_DELIVER = 6,      /* bridge → agent: [6, [subscription, envelope, …]] */
    FRAME_CREDIT = 7,       /* both ways: [7, messages, bytes], totals since the session began */
    FRAME_CALL = 8,         /* both ways: [8, call id, capability, version, deadline ms, idle ms, flags, envelope] */
    FRAME_RESULT = 9,       /* both ways: [9, call id, outcome, code, text, payload] */
    FRAME_CANCEL = 10,      /* both ways: [10, call id, reason] */
    FRAME_PROVIDE = 11,     /* agent → bridge; answered by ack */
    FRAME_PING = 12,        /* both ways: [12, number] */
    FRAME_PONG = 13,        /* both ways: [13, number] */
    FRAME_ERROR = 14,       /* both ways: the session ends, and why */
    FRAME_BYE = 15,         /* both ways: the session ends as wanted */
    FRAME_ACK = 16,         /* bridge → agent: the outcome of a request */
    FRAME_NOTICE = 17,      /* bridge → agent: one message was refused; the session goes on */
    FRAME_REPORT = 18,      /* both ways: [18, call id, kind, number, payload]: progress, or a chunk of the result */
    FRAME_CALL_CREDIT = 19, /* both ways: [19, call id, chunks, bytes], totals since the call began */
    FRAME_SPANS = 20,       /* agent → bridge: [20, spans, OTLP ExportTraceServiceRequest] */
    FRAME_SPAN_CREDIT = 21, /* bridge → agent: [21, bytes, spans, refused], totals since the session began */
    FRAME_ASK = 22,         /* agent → bridge: [22, number, message id, how], before the message is published */
    FRAME_MATCHED = 23,     /* bridge → agent: [23, number, subscriptions], the answer */
    FRAME_KEEP = 24,        /* both ways: [24, trace id, reason]: what flight recorders hold of this trace is to be exported */
    FRAME_MOVE = 25,        /* bridge → agent: [25, ms]: connect elsewhere, within so long; to those whose hello has moves */
    FRAME_RECORDED = 26,    /* agent → bridge: [26, spans, OTLP ExportTraceServiceRequest, left]: what one that leaves has recorded */
    FRAME_KEEP_LAST = 27,   /* bridge → agent: [27, most]: of the traces that were too many of late, keep so many; to those whose hello says so */
    FRAME_HELD = 28,        /* bridge → broker: [28, trace id, spans, cut, [agent, here, …]]: answers a keep that asks */
    FRAME_KEY_FIRST = 32,   /* 32–47: key exchange, before hello */
    FRAME_KEY_LAST = 47,
    FRAME_DURABLE_FIRST = 48, /* 48–63: durable publishes, acks and fetches */
    FRAME_DURABLE_LAST = 63
} frame_type;

typedef struct frame_hello {
    uint64_t protocol;         /* LINK_PROTOCOL */
    loom_str agent;            /* agent id, 1 to LOOM_AGENT_ID_MAX bytes */
    loom_str software;         /* such as "libloom/0.1.0" */
    loom_bytes instance;       /* 16 random bytes per process start of the agent; may be empty */
    uint64_t credit_messages;  /* what the agent grants at once */
    uint64_t credit_bytes;
    uint64_t max_payload;      /* largest payload the agent accepts; 0: LOOM_PAYLOAD_MAX */
    uint64_t heartbeat_ms;     /* asked for; 0: the bridge's choice */
    loom_str service;          /* an agent that wants to send spans: their service.name, */
    loom_str service_instance; /* their service.instance.id, */
    loom_str tenant;           /* and the tenant they are of; empty: none */
    uint64_t recorder;         /* 1: it has a flight recorder, and wants to hear of traces to be kept; 2: and takes keep_last */
    uint64_t quiet;            /* 1: it stays for a moment only: its coming and going is no news */
    uint64_t moves;            /* 1: it has another address, and takes move */
} frame_hello;

typedef struct frame_welcome {
    uint64_t protocol;
    uint64_t session;
    loom_str bridge;           /* bridge id */
    loom_str software;         /* such as "loom-broker/0.1.0" */
    uint64_t credit_bytes;     /* publish credit granted at once */
    uint64_t max_payload;
    uint64_t heartbeat_ms;     /* interval of pings; three missed ones end the session */
    uint64_t span_credit;      /* bytes of spans granted at once; 0: this bridge takes none of this agent */
    bool asks;                 /* the bridge takes ask frames */
    uint64_t recorder;         /* 1: it passes on which traces are to be kept; 2: and takes what a leaving agent has recorded */
} frame_welcome;

typedef struct frame_subscribe {
    uint64_t request;          /* echoed in the ack */
    uint64_t subscription;     /* chosen by the agent, unique in its session */
    loom_str filter;
    loom_str group;            /* whose members share what the filter selects; empty: none */
    loom_str types[FRAME_TYPES_MAX]; /* none: every type */
    uint32_t type_count;
    uint64_t qos;              /* loom_qos */
    uint64_t queue_messages;   /* 0: the broker's default */
    uint64_t queue_bytes;
    uint64_t deadline_ms;      /* how long batched pushes back; 0: the default */
} frame_subscribe;

typedef struct frame_unsubscribe {
    uint64_t request;
    uint64_t subscription;
} frame_unsubscribe;

typedef struct frame_provide {
    uint64_t request;
    loom_str name;
    loom_str version;
    loom_str description;
    loom_str kind;             /* "tool", "agent" or "plain" */
    loom_str input_schema;     /* JSON text */
    loom_str output_schema;
    loom_bytes metadata;       /* a msgpack map of strings, checked; empty: none. See frame_metadata_read() */
    bool withdraw;
} frame_provide;

/* How a call ended; on the wire in result. */
typedef enum frame_call_outcome {
    FRAME_CALL_OK = 0,
    FRAME_CALL_ERROR = 1,
    FRAME_CALL_TIMEOUT = 2,
    FRAME_CALL_NO_RESPONDERS = 3,
    FRAME_CALL_DENIED = 4,
    FRAME_CALL_CANCELLED = 5,
    FRAME_CALL_TOO_LARGE = 6
} frame_call_outcome;

/* error, bye, ack and notice carry an outcome. */
typedef struct frame_outcome {
    uint64_t request;          /* ack */
    uint64_t status;           /* loom_status */
    loom_str text;             /* for people */
    loom_bytes message_id;     /* notice: the envelope's id */
    uint64_t messages;         /* error and bye of a bridge: envelopes it has read in this session; 0: it does not say */
} frame_outcome;

enum {
    FRAME_CALL_IDEMPOTENT = 1, /* may be tried again on another provider when one dies */
    FRAME_CALL_STREAMS = 2     /* the caller takes chunks, as far as its call credit says: none at first */
}; /* flags of a call; others are ignored */

/* Up: an agent invokes, under an id of its choice (empty: the broker gives it one, which comes with the result).
 * Down: a provider is asked to work; the id is the broker's, of this attempt. */
typedef struct frame_call {
    loom_bytes call_id;        /* up to FRAME_CALL_ID_MAX bytes */
    loom_str capability;
    loom_str version;          /* up: empty for the highest; down: the provider's own */
    uint64_t deadline_ms;      /* what is left; up: 0 for the broker's default */
    uint64_t idle_ms;          /* the longest silence of the provider; 0: only the deadline counts */
    uint64_t flags;            /* FRAME_CALL_* */
    loom_bytes envelope;       /* scan before use */
} frame_call;

typedef enum frame_report_kind { FRAME_PROGRESS = 0, FRAME_CHUNK = 1 } frame_report_kind;

/* Up from the provider, down to the caller. */
typedef struct frame_report {
    loom_bytes call_id;
    uint64_t kind;             /* frame_report_kind */
    uint64_t number;           /* of chunks, from 0; of progress, too */
    loom_bytes payload;
} frame_report;

typedef struct frame_result {
    loom_bytes call_id;
    uint64_t outcome;          /* frame_call_outcome */
    loom_str code;
    loom_str text;
    loom_bytes payload;
} frame_result;

/* How many subscriptions a message that is about to be published matches. */
typedef struct frame_ask {
    uint64_t number;           /* the asker's, comes with the answer */
    loom_bytes message_id;     /* LOOM_UUID_SIZE bytes */
    uint64_t how;              /* frame_ask_how */
} frame_ask;

typedef enum frame_ask_how {
    FRAME_ASK_IF_NONE = 0,     /* the answer comes only if there is none */
    FRAME_ASK_ALWAYS = 1
} frame_ask_how;

typedef struct frame_matched {
    uint64_t number;
    uint64_t subscriptions;
} frame_matched;

/* Finished spans, at most FRAME_SPANS_MAX bytes of them. */
typedef struct frame_spans {
    uint64_t spans;            /* how many they are, as their sender says */
    loom_bytes request;        /* check before use */
    uint64_t left;             /* of recorded: how many more there were, that stay behind */
} frame_spans;

/* The answer to them. */
typedef struct frame_span_credit {
    uint64_t bytes;            /* of requests, that may be sent */
    uint64_t spans;            /* read, as their frames said */
    uint64_t refused;          /* of those, that will not be exported */
} frame_span_credit;

/* A trace that somebody wants kept. */
typedef struct frame_keep {
    const uint8_t *trace_id; /* LOOM_TRACE_ID_SIZE bytes, not all zero; of keep_last: NULL */
    loom_str reason;         /* up to FRAME_KEEP_REASON_MAX bytes of UTF-8; of keep_last: empty */
    uint64_t last;           /* of keep_last: how many; of keep: 0 */
    bool asks;               /* of keep, down to a bridge: it is answered by held */
} frame_keep;

/* What a bridge's flight recorder has of a trace. */
typedef struct frame_held {
    const uint8_t *trace_id; /* LOOM_TRACE_ID_SIZE bytes */
    uint64_t spans;
    uint64_t cut;            /* 1: a part has been overwritten */
    struct {
        loom_str agent;      /* that the spans name, up to LOOM_AGENT_ID_MAX bytes */
        uint64_t here;       /* 1: it has handed over its own part */
        uint64_t start_unix_ns; /* of the first span that names it; 0: not said, as by an earlier bridge */
    } parties[FRAME_PARTIES_MAX];
    uint32_t party_count;
    uint64_t off;            /* 1: it has no flight recorder */
} frame_held;

/* The items of a publish or deliver frame, still to be scanned. */
typedef struct frame_batch {
    uint32_t count; /* envelopes */
    loom_bytes items;
} frame_batch;

typedef struct frame {
    frame_type type;
    union {
        frame_hello hello;
        frame_welcome welcome;
        frame_subscribe subscribe;
        frame_unsubscribe unsubscribe;
        frame_provide provide;
        frame_outcome outcome; /* error, bye, ack, notice */
        frame_call call;
        frame_result result;
        frame_batch batch;     /* publish, deliver */
        struct {
            uint64_t messages, bytes;
        } credit;
        frame_report report;
        frame_ask ask;
        frame_matched matched;
        struct {
            loom_bytes call_id;
            loom_str reason;
        } cancel;
        struct {
            loom_bytes call_id;
            uint64_t chunks, bytes;
        } call_credit;
        frame_spans spans;     /* spans, recorded */
        frame_span_credit span_credit;
        frame_keep keep;       /* keep, keep_last */
        frame_held held;
        uint64_t number;       /* ping, pong, move */
    } u;
} frame;

typedef enum frame_piece {
    FRAME_WHOLE,     /* *body is the frame's bytes after the header */
    FRAME_PARTIAL,   /* more bytes have to come */
    FRAME_BAD_LENGTH /* over FRAME_MAX, or zero */
} frame_piece;

/* What the start of a stream is. *need: how many bytes the frame has in all, header and body, as far as known; unchanged when
 * its length is bad. */
LOOM_MUST_CHECK frame_piece frame_split(loom_bytes stream, loom_bytes *body, size_t *need);

/* Parses the body of one frame. LOOM_EMALFORMED, LOOM_ETOOBIG; reason says what was wrong and where.
 * A type in a reserved range, or unknown, is LOOM_EVERSION. Only the member of u that belongs to the type is set. */
LOOM_MUST_CHECK loom_status frame_decode(frame *out, loom_bytes body, char reason[FRAME_REASON_SIZE]);

/* The metadata of a provide frame. The strings are slices of it. LOOM_EMALFORMED, LOOM_ETOOBIG: more than max. */
LOOM_MUST_CHECK loom_status frame_metadata_read(loom_bytes metadata, loom_header *out, size_t max, size_t *count);
/* Writes such a map. LOOM_ETOOBIG: over FRAME_METADATA_MAX entries, LOOM_HEADERS_MAX bytes, or size. */
LOOM_MUST_CHECK loom_status frame_metadata_write(uint8_t *out, size_t size, const loom_header *entries, size_t count, size_t *len);

const char *frame_type_name(frame_type type); /* "hello"; "?" */

/* ---- writing ---- */

/* Bytes on their way to a peer: whole frames, of which the last may be an open batch. The caller serialises access. */
typedef struct frame_writer {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t batch_at;      /* where the open batch frame begins */
    uint32_t batch_count; /* msgpack values in it */
    frame_type batch_type; /* 0: none is open */
} frame_writer;

void frame_writer_init(frame_writer *w);
void frame_writer_fini(frame_writer *w);
/* Room for more bytes after len. False: out of memory, and nothing has changed. */
bool frame_writer_reserve(frame_writer *w, size_t more);
/* Closes an open batch, so that the bytes are whole frames. */
void frame_writer_seal(frame_writer *w);
/* Empties it and keeps its memory. */
void frame_writer_clear(frame_writer *w);

/* Room for one envelope of at most size bytes in a publish batch, or NULL: out of memory. The batch goes on, or begins. */
uint8_t *frame_publish_begin(frame_writer *w, size_t size);
/* The same in a deliver batch, after the subscription's number. */
uint8_t *frame_deliver_begin(frame_writer *w, uint64_t subscription, size_t size);
/* A deliver frame of one envelope of size bytes, of which only the head is written: the rest is to be sent next. Returns
 * where the head lies. NULL: out of memory. */
uint8_t *frame_deliver_head(frame_writer *w, uint64_t subscription, loom_bytes head, size_t size);
/* Adds the bytes that were written to that room. */
void frame_batch_commit(frame_writer *w, size_t size);

/* A call frame whose envelope is written, or copied and patched, in its place: begin() writes everything before the
 * envelope (f->envelope is not looked at) and returns room for at most envelope_size bytes of it, or NULL: out of memory,
 * or a field or the envelope is over its limit. An open batch is closed. commit() adds the frame, with the envelope's size
 * as it is. Between the two nothing else may be written; a call that is not committed leaves nothing behind, whatever is
 * written next. The room moves with the next write, so patch before that. */
uint8_t *frame_call_begin(frame_writer *w, const frame_call *f, size_t envelope_size);
void frame_call_commit(frame_writer *w, size_t envelope_size);

/* Each appends one frame. LOOM_ENOMEM, or LOOM_ETOOBIG: over FRAME_MAX, or a field of call, result, report, cancel,
 * call_credit or spans is over its limit; then nothing was appended. Who fills in a frame with keys keeps their limits. */
LOOM_MUST_CHECK loom_status frame_put_hello(frame_writer *w, const frame_hello *f);
LOOM_MUST_CHECK loom_status frame_put_welcome(frame_writer *w, const frame_welcome *f);
LOOM_MUST_CHECK loom_status frame_put_subscribe(frame_writer *w, const frame_subscribe *f);
LOOM_MUST_CHECK loom_status frame_put_unsubscribe(frame_writer *w, const frame_unsubscribe *f);
LOOM_MUST_CHECK loom_status frame_put_provide(frame_writer *w, const frame_provide *f);
/* type: error, bye, ack or notice. */
LOOM_MUST_CHECK loom_status frame_put_outcome(frame_writer *w, frame_type type, const frame_outcome *f);
LOOM_MUST_CHECK loom_status frame_put_credit(frame_writer *w, uint64_t messages, uint64_t bytes);
LOOM_MUST_CHECK loom_status frame_put_number(frame_writer *w, frame_type type, uint64_t number);
LOOM_MUST_CHECK loom_status frame_put_call(frame_writer *w, const frame_call *f);
LOOM_MUST_CHECK loom_status frame_put_result(frame_writer *w, const frame_result *f);
LOOM_MUST_CHECK loom_status frame_put_report(frame_writer *w, const frame_report *f);
LOOM_MUST_CHECK loom_status frame_put_cancel(frame_writer *w, loom_bytes call_id, loom_str reason);
LOOM_MUST_CHECK loom_status frame_put_call_credit(frame_writer *w, loom_bytes call_id, uint64_t chunks, uint64_t bytes);
LOOM_MUST_CHECK loom_status frame_put_spans(frame_writer *w, const frame_spans *f); /* left is not looked at */
LOOM_MUST_CHECK loom_status frame_put_recorded(frame_writer *w, const frame_spans *f);
LOOM_MUST_CHECK loom_status frame_put_span_credit(frame_writer *w, const frame_span_credit *f);
LOOM_MUST_CHECK loom_status frame_put_ask(frame_writer *w, const frame_ask *f); /* LOOM_ETOOBIG: the id has another length */
LOOM_MUST_CHECK loom_status frame_put_matched(frame_writer *w, const frame_matched *f);
LOOM_MUST_CHECK loom_status frame_put_keep(frame_writer *w, const frame_keep *f); /* keep_last, when last is not 0 */
LOOM_MUST_CHECK loom_status frame_put_held(frame_writer *w, const frame_held *f);

#endif
