/* SPDX-License-Identifier: Apache-2.0 */
/* The query of a request, read strictly: what two readers could take for two different things is refused. */
#ifndef LOOM_HOST_HTTP_QUERY_H
#define LOOM_HOST_HTTP_QUERY_H

#include <loom/api.h>

/* One parameter as it stands in the query, with its escapes. */
typedef struct http_parameter {
    loom_str name, value;
    bool has_value; /* there is a '=' */
} http_parameter;

/* Takes the next parameter off the front of rest; empty ones ("&&") are skipped. False: that was all. */
bool http_query_next(loom_str *rest, http_parameter *out);
/* Whether exactly one parameter has this name, as it stands; its value. */
bool http_query_only(loom_str query, const char *name, loom_str *value);
/* Decodes escapes (RFC 3986, 2.1; with plus, the forms of HTML for a space) into out of size bytes, NUL-terminated. False:
 * a broken escape, no room, no UTF-8, or a control character, NUL among them; *why goes on from the text's name: "is too long". */
bool http_decode_text(char *out, size_t size, loom_str text, bool plus, const char **why);
/* A whole number, decimal digits alone, from min to max. text is decoded already. */
bool http_decode_number(uint64_t *out, loom_str text, uint64_t min, uint64_t max);

#endif
