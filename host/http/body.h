/* SPDX-License-Identifier: Apache-2.0 */
/* Where the body of a request ends: after so many bytes, or as its chunks say (RFC 9112, section 7.1). No I/O. */
#ifndef LOOM_HOST_HTTP_BODY_H
#define LOOM_HOST_HTTP_BODY_H

#include "host/http/head.h"

typedef struct http_body {
    enum { BODY_MORE, BODY_DONE, BODY_BAD } state;
    bool chunked;
    llhttp_t *parser;           /* the head's */
    loom_bytes piece;           /* found by the read under way */
    uint64_t announced;         /* bytes of the chunk that the read under way has come to; 0: to none */
    uint64_t overhead;          /* bytes of sizes, extensions and trailers so far */
    uint64_t allowance;         /* how many there may be: more with each chunk */
    uint8_t last;               /* byte of the read before */
} http_body;

/* Goes on where the head ended. h must have been read, and live as long as b; neither may move. */
void http_body_init(http_body *b, http_head *h);
/* Takes the next bytes, up to the end of one piece of the body, which piece then points to; it may be empty. Returns how
 * many were used. b->state tells whether this was the end (BODY_DONE), or is no body (BODY_BAD). */
size_t http_body_read(http_body *b, loom_bytes bytes, loom_bytes *piece);

#endif
