/* SPDX-License-Identifier: Apache-2.0 */
/* What the propagators share: fields of a carrier, and how a bad one is reported. A propagator's read function says whether it
 * answered; then the context, sampling, answered and field of *out are filled, and its tracestate if it has one. */
#ifndef LOOM_TRACE_CARRIER_FIELDS_H
#define LOOM_TRACE_CARRIER_FIELDS_H

#include <loom/propagation.h>

enum { FIELD_VALUES_MAX = 64 }; /* values of one name; more of them are no request but an attack */
#define FIELD_JOINED_MAX (64u * 1024u) /* bytes of the values of one name, joined */

typedef struct field_source {
    const loom_carrier *carrier;
    const loom_propagation_report *report; /* may be NULL */
    bool environment;                      /* reported as TRACEPARENT, not as traceparent */
    bool no_memory;                        /* set when a text had to be left out */
} field_source;

#define FIELD_NAME_SIZE 32u
/* name as a variable of the environment: "x-b3-traceid" becomes X_B3_TRACEID. */
void field_variable(char out[FIELD_NAME_SIZE], const char *name);

/* "NAME: "value" FAULT; CONSEQUENCE". */
void field_tell(const field_source *from, const char *name, loom_str value, const char *fault, const char *consequence);
/* The same of a value that is ignored, for a fault such as "is shorter than 55 characters". */
static inline void field_report(const field_source *from, const char *name, loom_str value, const char *fault)
{
    field_tell(from, name, value, fault, "ignored");
}

/* The first value, trimmed, and how many there are. */
size_t field_first(const field_source *from, const char *name, loom_str *value);
/* All of them, joined by commas, on the heap; false: there are none, too many, or no memory. */
bool field_joined(field_source *from, const char *name, loom_str *out);

/* A copy on the heap, of a text without NUL, that ends with one; the empty text when there is no memory, which is noted. */
loom_str field_keep(field_source *from, loom_str text);
void field_drop(loom_str *kept);

/* ---- W3C ---- */

bool tracecontext_read(loom_propagation *out, field_source *from);
/* The same of a traceparent under another name, without a tracestate. field is what *out says. */
bool traceparent_read_as(loom_propagation *out, field_source *from, const char *name, const char *field);
/* What loom_traceparent_parse() has against text. */
const char *traceparent_fault(loom_str text);
/* Empty: nothing valid. On the heap. */
loom_str tracestate_read(field_source *from, const char *name);
loom_str baggage_read(field_source *from, const char *name);

/* This thread's current context and its tracestate, borrowed. */
loom_propagation propagation_current(void);

loom_status tracecontext_write(const loom_carrier *to, const loom_propagation *what);
loom_status baggage_write(const loom_carrier *to, loom_str baggage);

/* ---- B3 ---- */

bool b3_read(loom_propagation *out, field_source *from);
loom_status b3_write_single(const loom_carrier *to, const loom_propagation *what);
loom_status b3_write_multi(const loom_carrier *to, const loom_propagation *what);

/* ---- ids alone ---- */

/* Trace and span id, each hex or a UUID, under these names. */
bool ids_read(loom_propagation *out, field_source *from, const char *trace_name, const char *span_name, const char *field);
loom_status ids_write_uuids(const loom_carrier *to, const loom_trace_context *ctx);

/* Each of them that answers, in its order, into a zeroed *out. Baggage is read by whoever calls. */
void propagators_read(loom_propagation *out, field_source *from, unsigned propagators);

#endif
