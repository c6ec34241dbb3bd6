/* SPDX-License-Identifier: Apache-2.0 */
/* W3C Baggage: key-value pairs of the application that travel with a trace (https://www.w3.org/TR/baggage/).
 *
 * A baggage never changes once made: set and remove make a new one. Any number of threads may read one; each holder keeps
 * it alive with one reference. NULL stands for the empty baggage wherever one is read. */
#ifndef LOOM_BAGGAGE_H
#define LOOM_BAGGAGE_H

#include <loom/envelope.h>

LOOM_BEGIN_DECLS

#define LOOM_BAGGAGE_MAX_MEMBERS 64 /* the text is at most LOOM_BAGGAGE_MAX bytes (3.3.2) */

typedef struct loom_baggage loom_baggage; /* opaque, reference counted */

/* Metadata of one member. The specification gives it no meaning. */
typedef struct loom_baggage_property {
    loom_str key;   /* an RFC 7230 token */
    loom_str value; /* as it stands in the text: baggage octets, percent-encoding left alone */
    bool has_value; /* "key=value", and not just "key" */
} loom_baggage_property;

typedef struct loom_baggage_member {
    loom_str key;   /* an RFC 7230 token; case matters */
    loom_str value; /* UTF-8, percent-decoded; may hold any byte that UTF-8 allows, NUL too; may be empty */
    const loom_baggage_property *properties;
    size_t property_count;
} loom_baggage_member;

/* Reads a baggage field, which may be joined from several by commas. White space around keys, values and properties is
 * dropped, percent-encoding in values is decoded, and what is not UTF-8 then reads as U+FFFD. Keys that come twice are kept,
 * in their order. A member whose key or value is off the grammar, and each that would go beyond 64 members or 8192 bytes, is
 * left out whole; *dropped counts those (NULL: not wanted). A property off the grammar is left out alone, since it says
 * something of the value and is no part of it: "tenant=acme;DROP TABLE x" is the tenant acme. All else stays as it was sent,
 * byte for byte, in the text.
 * LOOM_ENOMEM is the only error; *out is NULL then. On LOOM_OK the caller owns one reference in *out. */
LOOM_API LOOM_MUST_CHECK loom_status loom_baggage_parse(loom_baggage **out, loom_str text, size_t *dropped);

LOOM_API loom_baggage *loom_baggage_ref(loom_baggage *baggage); /* returns baggage; NULL is allowed */
LOOM_API void loom_baggage_unref(loom_baggage *baggage);        /* NULL is allowed */

/* What is returned below is valid while the caller holds a reference. */
LOOM_API size_t loom_baggage_count(const loom_baggage *baggage);
/* NULL: index is not below the count. */
LOOM_API const loom_baggage_member *loom_baggage_at(const loom_baggage *baggage, size_t index);
/* The member of that key, the last one when it came twice; NULL when there is none. */
LOOM_API const loom_baggage_member *loom_baggage_find(const loom_baggage *baggage, loom_str key);
/* The field's text: no white space, members joined by commas; ends with a NUL, so that it can be a message's baggage as it
 * is. NULL has an empty text, with data NULL. */
LOOM_API loom_str loom_baggage_text(const loom_baggage *baggage);

/* *out is base with member in it: in the place of the first one of that key, all of which go, or else at the end. The value
 * is percent-encoded in the text. member is copied.
 * LOOM_EINVAL: a key is no token, the value is not UTF-8, or a property's value holds something else than baggage octets.
 * LOOM_ETOOBIG: the result would go beyond 64 members or 8192 bytes.  LOOM_ENOMEM.  On any error *out is NULL. */
LOOM_API LOOM_MUST_CHECK loom_status loom_baggage_set(loom_baggage **out, const loom_baggage *base,
                                                      const loom_baggage_member *member);
/* *out is base without the members of key, of which there may be none. LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_baggage_remove(loom_baggage **out, const loom_baggage *base, loom_str key);

LOOM_END_DECLS
#endif
