/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOM_TRACE_TEXT_H
#define LOOM_TRACE_TEXT_H

#include "envelope/utf8.h"

#include <string.h>

/* utf8_valid() with a short way for ASCII, which is nearly every string of a span: eight bytes at a step. */
static inline bool text_is_utf8(loom_str text)
{
    uint64_t word;
    while (text.len >= sizeof word) {
        memcpy(&word, text.data, sizeof word);
        if ((word & 0x8080808080808080u) != 0) {
            return utf8_valid(text);
        }
        text.data += sizeof word;
        text.len -= sizeof word;
    }
    unsigned seen = 0;
    for (size_t i = 0; i < text.len; i++) {
        seen |= (unsigned char)text.data[i];
    }
    return seen < 0x80 || utf8_valid(text);
}

#endif
