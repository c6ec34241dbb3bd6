/* SPDX-License-Identifier: Apache-2.0 */
/* A row of a table: what comes in as header fields, and what one hop makes of it. The hop starts a span under what was
 * extracted and injects that, with the baggage, into a new request. */
#ifndef LOOM_TESTS_CONFORMANCE_PROPAGATION_H
#define LOOM_TESTS_CONFORMANCE_PROPAGATION_H

#include <loom/propagation.h>

#include "tests/support/check.h"

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID "00f067aa0ba902b7"

/* in: lines "name: value". out: the same of what is sent; TRACE is any trace id but the one that came, SPAN any span id but
 * the one that came. */
typedef struct hop_vector {
    const char *clause, *in, *out;
} hop_vector;

/* Fails with clause and text. */
void check_hops(const hop_vector *vectors, size_t count, unsigned propagators);

enum { HEADERS_MAX = 80 };
/* Cuts lines; the strings are in's. Returns how many. */
size_t read_headers(loom_header headers[HEADERS_MAX], const char *in);

#endif
