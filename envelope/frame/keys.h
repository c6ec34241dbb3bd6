/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the frames that carry a map: one table a frame, read by the reader and the writer. */
#ifndef LOOM_ENVELOPE_FRAME_KEYS_H
#define LOOM_ENVELOPE_FRAME_KEYS_H

#include "envelope/frame/frame.h"

typedef enum frame_key_kind {
    KEY_UINT,
    KEY_STR,
    KEY_BIN,
    KEY_BOOL,
    KEY_TYPES, /* an array of str: those of a subscribe frame */
    KEY_TEXTS  /* a map of str to str, kept as its bytes */
} frame_key_kind;

typedef struct frame_key {
    const char *name;
    frame_key_kind kind;
    size_t offset; /* of the field in its struct */
    size_t max;    /* bytes of a string or map; 0: the frame's own bound */
} frame_key;

typedef struct frame_keys {
    const frame_key *keys; /* NULL: this type carries no map */
    size_t count;
} frame_keys;

frame_keys frame_keys_of(frame_type type);

#endif
