/* SPDX-License-Identifier: Apache-2.0 */
/* Reads JSON in place (RFC 8259): values are slices of the text, and nothing is allocated. jansson builds a tree, which
 * takes some eight times as long as reading and checking a span here.
 *
 * A cursor stands before a value. What is ill-formed makes a function return false; where the cursor then stands is
 * unspecified. Invalid UTF-8 is passed through; the writer of the text handles it. */
#ifndef LOOM_TRACE_PROCESS_COLLECT_JSON_SCAN_H
#define LOOM_TRACE_PROCESS_COLLECT_JSON_SCAN_H

#include <loom/api.h>

#define JSON_DEPTH_MAX 32u /* arrays and objects in one another */

typedef enum scan_type { SCAN_STRING, SCAN_INTEGER, SCAN_FRACTION, SCAN_TRUE, SCAN_FALSE, SCAN_NULL, SCAN_ARRAY, SCAN_OBJECT } scan_type;

/* text: of a string what is between the quotes, escapes as they stand there; of an array or object all of it; of a number its
 * characters. */
typedef struct json_value {
    scan_type type;
    loom_str text;
    bool escaped; /* a string with escapes in it */
} json_value;

typedef struct json_cursor {
    const char *at, *end;
} json_cursor;

/* Reads one value that fills the text but for white space, and validates all of it. */
bool json_read(loom_str text, json_value *out);

/* Iterates over a value that json_read() has validated; false: no more members. key still has its escapes. */
json_cursor json_members(const json_value *array_or_object);
bool json_next_item(json_cursor *c, json_value *out);
bool json_next_member(json_cursor *c, json_value *key, json_value *out);

/* Writes a string without its escapes to out, which has room for as many bytes as it has; a lone surrogate becomes U+FFFD.
 * Returns the length. */
size_t json_unescape(const json_value *string, char *out);

#endif
