/* SPDX-License-Identifier: Apache-2.0 */
/* Propagation: how a trace enters and leaves a process, in HTTP headers, gRPC metadata, the environment, or wherever else a
 * field with a name can travel.
 *
 * A carrier is where fields are read and written: three functions. Propagators know the fields: W3C trace context and
 * baggage, B3, X-Trace-ID. Extracting reads a context and baggage out of a carrier, injecting writes them into one.
 *
 *     loom_propagation in;
 *     (void)loom_propagation_extract(&in, &request, loom_propagators_from_env(), NULL);
 *     loom_span_options with = loom_propagation_span_options(&in, LOOM_SPAN_SERVER);
 *     loom_span *span = loom_span_start(tracer, "GET /", &with);
 *     loom_propagation_fini(&in);
 *
 * What is read comes from outside: whatever is not valid counts as absent, and nothing that is not valid is ever written,
 * so that no value can smuggle a line break into a request.
 *
 * Threads: everything may be called from any thread; one carrier, list or environment is used by one thread at a time.
 * Nothing blocks. docs/PROPAGATION.md has examples. */
#ifndef LOOM_PROPAGATION_H
#define LOOM_PROPAGATION_H

#include <loom/envelope.h>
#include <loom/trace.h>

LOOM_BEGIN_DECLS

/* ---- carriers ---- */

/* Names are NUL-terminated and lower case ("traceparent", "x-b3-traceid"), which is what HTTP/2 and gRPC metadata need; a
 * carrier whose names may have any case, as those of HTTP/1.1 do, compares them so. A function nobody calls may be NULL. */
typedef struct loom_carrier {
    /* Puts the values of name, in their order, into values, at most max of them; returns how many there are. They stay valid
     * until the call that asked for them returns. */
    size_t (*get)(void *user, const char *name, loom_str *values, size_t max);
    /* Makes value, which is copied, the only one of name. With value.data NULL it takes the field away; a carrier that is
     * empty to begin with may ignore that. */
    loom_status (*set)(void *user, const char *name, loom_str value);
    /* Visits the name of each field until visit returns false. Loom's propagators know their fields and do not ask. */
    void (*keys)(void *user, bool (*visit)(void *to, loom_str name), void *to);
    void *user;
} loom_carrier;

/* A list of headers, or of gRPC metadata. Names compare in any case.
 * {.items = array, .count = n} reads an array of the caller's; the first set replaces it by a copy and leaves the array
 * alone. {0} is the empty list. What is written has NUL-terminated keys and values and belongs to the list. */
typedef struct loom_headers {
    const loom_header *items;
    size_t count;
    size_t capacity; /* 0: items is the caller's */
} loom_headers;

/* Valid while list is at its place. set: LOOM_ENOMEM. */
LOOM_API loom_carrier loom_headers_carrier(loom_headers *list);
LOOM_API void loom_headers_fini(loom_headers *list); /* leaves the empty list */

/* The headers of a message; they cannot be set (its creator passes loom_headers.items to loom_envelope_create()). The caller
 * keeps its reference while it uses the carrier. Loom's own context is no header: loom_envelope_extract() reads that. */
LOOM_API loom_carrier loom_envelope_carrier(const loom_envelope *env);

/* This process's environment; it cannot be set, since no other thread could read it safely then. Names in capitals, and "_"
 * for what is neither letter nor digit: TRACEPARENT, X_B3_TRACEID (OpenTelemetry, "Environment Variables as Context
 * Propagation Carriers"). White space around a value is dropped, and an empty variable is not set. */
LOOM_API loom_carrier loom_environment_carrier(void);

/* ---- propagators ---- */

/* Bits of a set. They are asked in this order, and the first that has a context answers. */
typedef enum loom_propagator {
    LOOM_PROPAGATOR_TRACECONTEXT = 1 << 0, /* traceparent, tracestate: W3C Trace Context level 2 */
    LOOM_PROPAGATOR_BAGGAGE = 1 << 1,      /* baggage: W3C Baggage; has no context */
    LOOM_PROPAGATOR_B3 = 1 << 2,           /* b3. Either of the two reads both forms, the single header first (B3, "Http */
    LOOM_PROPAGATOR_B3MULTI = 1 << 3,      /* Encodings"; OpenTelemetry, "B3 Requirements"); x-b3-traceid and the others */
    LOOM_PROPAGATOR_X_TRACE_ID = 1 << 4    /* x-trace-id, x-span-id: UUIDs. A span's is its id and sixteen more digits */
} loom_propagator;

#define LOOM_PROPAGATORS_DEFAULT ((unsigned)LOOM_PROPAGATOR_TRACECONTEXT | (unsigned)LOOM_PROPAGATOR_BAGGAGE)

/* OTEL_PROPAGATORS: tracecontext, baggage, b3, b3multi, x-trace-id in any case, or none; tracecontext,baggage when it is not
 * set. loom_telemetry_check_env() tells of names that are unknown. Read it once. */
LOOM_API unsigned loom_propagators_from_env(void);

/* What the fields say about sampling, in B3's words. */
typedef enum loom_sampling {
    LOOM_SAMPLING_DEFERRED = 0, /* nothing; the context is flagged as sampled, so that the receiver decides */
    LOOM_SAMPLING_DENIED,
    LOOM_SAMPLING_ACCEPTED,
    LOOM_SAMPLING_DEBUG         /* accepted; goes on to other B3 headers by the member loom=b3:debug of the tracestate */
} loom_sampling;

typedef struct loom_propagation {
    /* The parent. All zero: there is none. With a trace id and no span id (X-Trace-ID came alone) it is not valid as a parent,
     * but a span started with it is the root of that trace. For "b3: 0" it is a fresh one that is not sampled. */
    loom_trace_context context;
    loom_str tracestate;      /* valid, duplicates and white space left out; may be empty, with data NULL; ends with a NUL */
    loom_str baggage;         /* as loom_baggage_text() has it; may be empty, as above */
    loom_propagator answered; /* who had the context, or the bare decision; 0: nobody. LOOM_TRACE_ID is X_TRACE_ID */
    const char *field;        /* where it was: "traceparent", "OTEL_TRACEPARENT", "--trace-parent"; static; NULL: nowhere */
    loom_sampling sampling;
} loom_propagation;

/* Hears of each value that is not valid: its name, the value, printable and cut, and what is wrong with it. A server does not
 * want that for each of its requests. */
typedef struct loom_propagation_report {
    void (*tell)(void *user, const char *text);
    void *user;
} loom_propagation_report;

/* Reads what came with a request or a message. propagators: a set. report may be NULL.
 * Several traceparent fields count as none, several tracestate and baggage fields are joined (Trace Context 3.2, 3.3.1;
 * RFC 9110 5.3); a tracestate comes with its traceparent or not at all. Of other fields the first counts, and several
 * x-trace-id as none. *out is always filled and is released by loom_propagation_fini().
 * LOOM_ENOMEM: tracestate or baggage had to be left out. */
LOOM_API loom_status loom_propagation_extract(loom_propagation *out, const loom_carrier *from, unsigned propagators,
                                              const loom_propagation_report *report);

/* What a command line said; NULL: nothing. */
typedef struct loom_propagation_arguments {
    const char *trace_parent; /* --trace-parent */
    const char *trace_state;  /* --trace-state; belongs to trace_parent and counts with it alone */
    const char *baggage;      /* --baggage */
} loom_propagation_arguments;

/* What this process was started with. The context is the first valid one of
 *     --trace-parent; TRACEPARENT with TRACESTATE; B3, X_B3_*, X_TRACE_ID with X_SPAN_ID; OTEL_TRACEPARENT;
 *     LOOM_TRACE_ID with LOOM_SPAN_ID (hex or UUIDs)
 * and the baggage the first of --baggage, BAGGAGE, LOOM_TRACE_BAGGAGE that has a valid member. A variable counts if its
 * propagator is in the set, and Loom's own unless the set is empty. What is not valid is reported, and the next is asked.
 * arguments and report may be NULL. Not while another thread changes the environment. As loom_propagation_extract(). */
LOOM_API loom_status loom_propagation_from_environment(loom_propagation *out, const loom_propagation_arguments *arguments,
                                                       unsigned propagators, const loom_propagation_report *report);

/* Releases the texts of one that was extracted, and zeroes it. */
LOOM_API void loom_propagation_fini(loom_propagation *p);

/* Options of a span under p, which has to live until loom_span_start() returns. */
LOOM_API loom_span_options loom_propagation_span_options(const loom_propagation *p, loom_span_kind kind);

/* Writes what, or with NULL this thread's current context, for whom the carrier goes to. Of what only context, tracestate
 * and baggage count. Fields of the set that have no value now are taken away. Without a valid context those of the context
 * stay as they are, and with what NULL those of baggage, too.
 * An invalid tracestate, and invalid members of baggage, are left out.
 * LOOM_ENOMEM, or the first error of set; what could be written has been. LOOM_EINVAL: the carrier has no set. */
LOOM_API loom_status loom_propagation_inject(const loom_carrier *to, const loom_propagation *what, unsigned propagators);

/* Answers a request: X-Trace-ID and X-Span-ID, as UUIDs, for a caller that wants to know where to look.
 * context: the span that answers; an invalid one writes nothing. As loom_propagation_inject(). */
LOOM_API loom_status loom_propagation_echo(const loom_carrier *response, const loom_trace_context *context);

/* ---- the environment of a child ---- */

typedef struct loom_child_environment loom_child_environment; /* for posix_spawn() and execve() */

/* A copy of base (NULL: this process's environment) for a child that works under what (NULL: this thread's current span).
 * None of the variables above is inherited, from whatever propagator; those of the set are written, and for a sampled context
 * LOOM_TRACE_ID and LOOM_SPAN_ID, for baggage LOOM_TRACE_BAGGAGE, unless the set is empty. LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_child_environment_create(loom_child_environment **out, char *const *base,
                                                                   const loom_propagation *what, unsigned propagators);
/* Sets one variable more, or another value. LOOM_EINVAL: name is empty or has a '=', value a NUL.  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_child_environment_set(loom_child_environment *env, const char *name, loom_str value);
/* Valid until the next set; ends with NULL. */
LOOM_API char *const *loom_child_environment_list(const loom_child_environment *env);
LOOM_API void loom_child_environment_free(loom_child_environment *env); /* NULL is allowed */

LOOM_END_DECLS
#endif
