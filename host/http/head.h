/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an HTTP/1 request (RFC 9112), read strictly and without any I/O: what two implementations could read in two
 * ways is refused. llhttp takes it apart; limits, statuses, and what llhttp lets pass although the RFC does not, are ours. */
#ifndef LOOM_HOST_HTTP_HEAD_H
#define LOOM_HOST_HTTP_HEAD_H

#include <llhttp/llhttp.h>

#include <loom/api.h>

#include "host/http/status.h"

enum { HTTP_FIELDS_MAX = 64, HTTP_TARGET_MAX = 8000 /* bytes; RFC 9112, section 3 */ };

typedef struct http_field_read {
    loom_str name, value; /* value without the space around it */
} http_field_read;

typedef struct http_head {
    llhttp_t parser;        /* of this request; body.h goes on with it */
    size_t scanned, line;   /* of the search for the end: how far it got, and where the line there begins */
    uint16_t refused;       /* by one of our checks while llhttp was at work, and why */
    const char *why;
    /* What was read points into the bytes. */
    loom_str method, target, version;
    loom_str path, query;   /* query without its '?' */
    loom_str authority;     /* of a target in absolute form, which then is the value of Host; else empty */
    unsigned minor;         /* HTTP/1.minor: 0 or 1 */
    http_field_read fields[HTTP_FIELDS_MAX];
    size_t field_count;
    bool close;             /* the connection ends with this request */
    bool chunked;
    bool has_length;
    uint64_t length;        /* of the body, unless chunked */
    bool wants_continue;    /* Expect: 100-continue */
} http_head;

enum { HTTP_HEAD_DONE = 0, HTTP_HEAD_MORE = 1 };

/* Starts over, for the next request. h may not move before http_head_read() is through with it. */
void http_head_init(http_head *h);
/* Looks whether bytes, which only grow from call to call, hold a whole head, and reads it.
 * HTTP_HEAD_DONE: used is its length. HTTP_HEAD_MORE: not yet. Otherwise the status to answer with, why being a sentence
 * in static storage. max: bytes of a head, above which the answer is 431. */
uint16_t http_head_read(http_head *h, loom_str bytes, size_t max, size_t *used, const char **why);
/* The first field of that name, whatever its case. NULL: there is none. */
const loom_str *http_head_field(const http_head *h, const char *name);
/* Whether any field of the name holds the token in its comma-separated list, whatever its case; with exact: as it stands. */
bool http_head_lists(const http_head *h, const char *name, const char *token, bool exact);

#endif
