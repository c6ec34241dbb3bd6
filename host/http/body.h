/* SPDX-License-Identifier: Apache-2.0 */
/* Where the body of a request ends: after so many bytes, or as its chunks say (RFC 9112, section 7.1). No I/O. */
#ifndef LOOM_HOST_HTTP_BODY_H
#define LOOM_HOST_HTTP_BODY_H

#include <loom/api.h>

typedef struct http_body {
    enum { BODY_DATA, BODY_SIZE, BODY_EXTENSION, BODY_SIZE_END, BODY_DATA_CR, BODY_DATA_LF, BODY_TRAILER, BODY_TRAILER_LF,
           BODY_END_LF, BODY_DONE, BODY_BAD } state;
    bool chunked;
    uint64_t left;     /* of the body, or of the chunk */
    unsigned digits;   /* of the size of a chunk */
    unsigned overhead; /* bytes of extensions and trailers */
} http_body;

/* length: of a body that is not chunked. */
void http_body_init(http_body *b, bool chunked, uint64_t length);
/* Takes the next bytes, up to the end of one piece of the body, which piece then points to; it may be empty. Returns how
 * many were used. b->state tells whether this was the end (BODY_DONE), or is no body (BODY_BAD). */
size_t http_body_read(http_body *b, loom_bytes bytes, loom_bytes *piece);

#endif
