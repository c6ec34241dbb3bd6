/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/hex.h"

static const char digits_lower[16] = "0123456789abcdef";

/* Value + 1 of each lower-case digit; 0 for every other character. Header fields are parsed for each message, and a
 * table is several times faster than comparisons here, which go either way at random. */
static const uint8_t digit_plus_one[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

void hex_encode(char *out, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits_lower[bytes[i] >> 4];
        out[2 * i + 1] = digits_lower[bytes[i] & 0x0f];
    }
}

static uint8_t lower(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'F' ? c | 0x20 : c);
}

bool hex_decode(uint8_t *out, const char *digits, size_t len)
{
    bool good = true;
    for (size_t i = 0; i < len; i++) {
        const unsigned high = digit_plus_one[(uint8_t)digits[2 * i]];
        const unsigned low = digit_plus_one[(uint8_t)digits[2 * i + 1]];
        good &= high != 0 && low != 0;
        out[i] = (uint8_t)((high - 1) << 4 | ((low - 1) & 0x0f));
    }
    return good;
}

bool hex_decode_any_case(uint8_t *out, const char *digits, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char pair[2] = {(char)lower(digits[2 * i]), (char)lower(digits[2 * i + 1])};
        if (!hex_decode(out + i, pair, 1)) {
            return false;
        }
    }
    return true;
}
