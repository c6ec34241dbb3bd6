/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hex.h"

#include <endian.h>
#include <string.h>

static const char digits_lower[16] = "0123456789abcdef";

/* Value + 1 of each lower-case digit; 0 for every other character. Header fields are parsed for each message, and a
 * table is several times faster than comparisons here, which go either way at random. */
static const uint8_t digit_plus_one[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* Four bytes at once: each is spread to two nibbles in their order, and those over 9 moved on to the letters. */
static void encode_four(char *out, const uint8_t *bytes)
{
    const uint64_t ones = 0x0101010101010101u;
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t x = le32toh(word);
    x = (x | x << 16) & 0x0000ffff0000ffffu;
    x = (x | x << 8) & 0x00ff00ff00ff00ffu;
    x = (x >> 4 | x << 8) & 0x0f0f0f0f0f0f0f0fu;
    const uint64_t letters = (x + 6 * ones) >> 4 & ones;
    x = htole64(x + '0' * ones + letters * ('a' - '0' - 10));
    memcpy(out, &x, sizeof x);
}

void hex_encode(char *out, const uint8_t *bytes, size_t len)
{
    for (; len >= 4; len -= 4) {
        encode_four(out, bytes);
        out += 8;
        bytes += 4;
    }
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
