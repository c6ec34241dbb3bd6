/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

enum { LENGTH_MAX = 4 }; /* bytes of one code point */

/* What may follow a lead byte (Unicode, table 3-7): the range of the second byte is narrower after some leads, which is
 * what keeps overlong forms, surrogates and code points above U+10FFFF out. */
typedef struct sequence {
    uint8_t len;         /* bytes in all; 0: no sequence starts like this */
    uint8_t second_low;  /* the second byte is second_low to second_high, later ones 0x80 to 0xbf */
    uint8_t second_high;
    uint8_t lead_bits;   /* of the code point in the lead byte, as a mask */
} sequence;

static sequence sequence_of(uint8_t lead)
{
    if (lead < 0x80) {
        return (sequence){1, 0, 0, 0x7f};
    }
    if (lead < 0xc2 || lead > 0xf4) {
        return (sequence){0, 0, 0, 0};
    }
    if (lead < 0xe0) {
        return (sequence){2, 0x80, 0xbf, 0x1f};
    }
    if (lead < 0xf0) {
        return (sequence){3, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf, 0x0f};
    }
    return (sequence){4, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf, 0x07};
}

size_t utf8_next(loom_str text, uint32_t *code_point)
{
    const uint8_t *bytes = (const uint8_t *)text.data;
    const sequence s = sequence_of(bytes[0]);
    *code_point = UTF8_INVALID;
    if (s.len == 0) {
        return 1;
    }
    uint32_t value = bytes[0] & s.lead_bits;
    for (size_t i = 1; i < s.len; i++) {
        const uint8_t low = i == 1 ? s.second_low : 0x80;
        const uint8_t high = i == 1 ? s.second_high : 0xbf;
        if (i == text.len || bytes[i] < low || bytes[i] > high) {
            return i;
        }
        value = value << 6 | (bytes[i] & 0x3fu);
    }
    *code_point = value;
    return s.len;
}

char *utf8_repair(loom_str text, size_t *len)
{
    char *out = malloc((sizeof REPLACEMENT - 1) * text.len + 1), *at = out;
    while (out != NULL && text.len > 0) {
        uint32_t code_point;
        const size_t taken = utf8_next(text, &code_point);
        const loom_str piece = code_point == UTF8_INVALID ? (loom_str){REPLACEMENT, sizeof REPLACEMENT - 1} : (loom_str){text.data, taken};
        memcpy(at, piece.data, piece.len);
        at += piece.len;
        text.data += taken;
        text.len -= taken;
    }
    if (out != NULL) {
        *at = '\0';
        *len = (size_t)(at - out);
    }
    return out;
}

loom_str utf8_cut(loom_str text, size_t max)
{
    if (text.len <= max) {
        return text;
    }
    text.len = max;
    for (size_t i = 1; i < LENGTH_MAX && text.len > 0 && ((uint8_t)text.data[text.len] & 0xc0) == 0x80; i++) {
        text.len--;
    }
    return text;
}

bool utf8_is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static uint64_t word_at(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint32_t half_word_at(const char *at)
{
    uint32_t half;
    memcpy(&half, at, sizeof half);
    return half;
}

/* Of less than eight bytes: first and last ones, which meet in the middle. */
static bool short_is_ascii(loom_str text)
{
    if (text.len >= sizeof(uint32_t)) {
        return ((half_word_at(text.data) | half_word_at(text.data + text.len - sizeof(uint32_t))) & 0x80808080u) == 0;
    }
    return text.len == 0 || ((text.data[0] | text.data[text.len / 2] | text.data[text.len - 1]) & 0x80) == 0;
}

/* text without ASCII it begins with, eight bytes at a step, the last of which goes back over bytes seen already: nearly
 * every text is nothing else. */
static loom_str skip_ascii(loom_str text)
{
    const uint64_t high_bits = 0x8080808080808080u;
    if (text.len < sizeof(uint64_t)) {
        return short_is_ascii(text) ? (loom_str){0} : text;
    }
    const char *at = text.data, *end = text.data + text.len, *last = end - sizeof(uint64_t);
    while (at < last && (word_at(at) & high_bits) == 0) {
        at += sizeof(uint64_t);
    }
    if (at >= last && (word_at(last) & high_bits) == 0) {
        return (loom_str){0};
    }
    return (loom_str){at, (size_t)(end - at)};
}

bool utf8_valid(loom_str text)
{
    for (text = skip_ascii(text); text.len > 0;) {
        uint32_t code_point;
        const size_t taken = utf8_next(text, &code_point);
        if (code_point == UTF8_INVALID) {
            return false;
        }
        text.data += taken;
        text.len -= taken;
    }
    return true;
}
