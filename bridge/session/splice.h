/* SPDX-License-Identifier: Apache-2.0 */
/* Large deliveries in outgoing bytes: the frame's head is among them, the rest of the envelope stays where it is, shared, and
 * is sent in between. So a message of a megabyte takes no time in the round in which it is delivered, to however many. */
#ifndef LOOM_BRIDGE_SESSION_SPLICE_H
#define LOOM_BRIDGE_SESSION_SPLICE_H

#include "base/shared_bytes.h"
#include "envelope/frame/frame.h"

typedef struct splice_part {
    struct splice_part *next;
    size_t at;            /* of the bytes it is spliced into: it comes before that one */
    shared_bytes *block;
    loom_bytes bytes;     /* of the block */
} splice_part;

/* In the order of their places. All zero: none. */
typedef struct splices {
    splice_part *first, *last;
    size_t bytes;
} splices;

/* False: out of memory. */
bool splices_add(splices *s, size_t at, shared_bytes *block, loom_bytes bytes);
void splices_clear(splices *s);
/* Copies them to their places in w, which is sealed: there are none then. False: out of memory, and nothing has changed. */
bool splices_merge(splices *s, frame_writer *w);

#endif
