/* SPDX-License-Identifier: Apache-2.0 */
/* Short text on its way into a buffer: looked at and copied in one pass, in words that overlap at the end, without a call. */
#ifndef LOOM_TRACE_OTLP_SHORT_TEXT_H
#define LOOM_TRACE_OTLP_SHORT_TEXT_H

#include <loom/api.h>
#include <string.h>

#define SHORT_MAX 0x7fu /* bytes: the most whose length is one byte of a varint */

/* The first and the last eight bytes, or what there is of them: tells the keys of a span apart without a loop. */
typedef struct text_ends {
    uint64_t first, last;
} text_ends;

static inline uint64_t word_at(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint32_t half_word_at(const char *at)
{
    uint32_t half;
    memcpy(&half, at, sizeof half);
    return half;
}

static inline text_ends ends_of(loom_str text)
{
    const char *data = text.data;
    const size_t len = text.len;
    if (len >= 8) {
        return (text_ends){word_at(data), word_at(data + len - 8)};
    }
    if (len >= 4) {
        return (text_ends){half_word_at(data), half_word_at(data + len - 4)};
    }
    if (len == 0) {
        return (text_ends){0};
    }
    return (text_ends){(uint8_t)data[0] | (uint64_t)(uint8_t)data[len / 2] << 8, (uint8_t)data[len - 1]};
}

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Copies text of at most SHORT_MAX bytes. false: it is not ASCII, and what is written is of no use. */
static inline bool copy_ascii(uint8_t *to, loom_str text, text_ends *ends)
{
    const size_t len = text.len;
    *ends = ends_of(text);
    if (len >= 8) {
        uint64_t seen = ends->first | ends->last;
        memcpy(to, &ends->first, 8);
        for (size_t at = 8; at + 8 < len; at += 8) {
            const uint64_t word = word_at(text.data + at);
            seen |= word;
            memcpy(to + at, &word, 8);
        }
        memcpy(to + len - 8, &ends->last, 8);
        return (seen & HIGH_BITS) == 0;
    }
    if (len >= 4) {
        const uint32_t first = (uint32_t)ends->first, last = (uint32_t)ends->last;
        memcpy(to, &first, 4);
        memcpy(to + len - 4, &last, 4);
    } else if (len > 0) {
        to[0] = (uint8_t)ends->first;
        to[len / 2] = (uint8_t)(ends->first >> 8);
        to[len - 1] = (uint8_t)ends->last;
    }
    return ((ends->first | ends->last) & HIGH_BITS) == 0;
}

#endif
