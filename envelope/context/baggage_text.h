/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of a baggage field (W3C Baggage, 3.3.1): members and properties as slices of the text, percent-encoding. */
#ifndef LOOM_ENVELOPE_CONTEXT_BAGGAGE_TEXT_H
#define LOOM_ENVELOPE_CONTEXT_BAGGAGE_TEXT_H

#include <loom/baggage.h>

/* list-member = key OWS "=" OWS value *( OWS ";" OWS property ); slices of the text, white space trimmed. */
typedef struct baggage_text_member {
    loom_str key;
    loom_str value;      /* still percent-encoded */
    loom_str properties; /* what follows the first ';'; data is NULL when there is none */
    size_t property_count; /* of the valid ones */
    size_t size; /* bytes of the member written without white space */
} baggage_text_member;

/* Takes the next non-empty member off *rest; false when there is none left. *valid: its key and value keep to the
 * grammar; properties that do not are no part of it. */
bool baggage_text_next(loom_str *rest, baggage_text_member *out, bool *valid);
/* Takes the next property that keeps to the grammar off *rest, and those before it that do not; false when there is none left. */
bool baggage_text_next_property(loom_str *rest, loom_baggage_property *out);

bool baggage_key_valid(loom_str key);           /* token (RFC 7230, 3.2.6) */
bool baggage_octets_valid(loom_str value);      /* *baggage-octet */

/* Bytes value takes percent-encoded: every byte that is no baggage-octet, and '%'. */
size_t baggage_encoded_size(loom_str value);
char *baggage_encode(char *out, loom_str value); /* returns the end of what it wrote */

/* Whether decoding changes value at all. */
bool baggage_is_encoded(loom_str value);
/* Percent-decodes value; ill-formed UTF-8 becomes U+FFFD. "%" without two hex digits stays as it is.
 * out has room for value.len bytes, and value is at most LOOM_BAGGAGE_MAX; returns the bytes written. */
size_t baggage_decode(char *out, loom_str value);

#endif
