/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/sha1.h"

#include <assert.h>
#include <string.h>

enum { BLOCK = 64, LENGTH_SIZE = 8, ROUNDS = 80 };

static uint32_t rotate(uint32_t value, unsigned by)
{
    return value << by | value >> (32 - by);
}

static uint32_t read_word(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The function and the constant of a round (RFC 3174, section 5). */
static uint32_t mix(unsigned round, const uint32_t v[5])
{
    if (round < 20) {
        return ((v[1] & v[2]) | (~v[1] & v[3])) + 0x5A827999u;
    }
    if (round < 40) {
        return (v[1] ^ v[2] ^ v[3]) + 0x6ED9EBA1u;
    }
    if (round < 60) {
        return ((v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])) + 0x8F1BBCDCu;
    }
    return (v[1] ^ v[2] ^ v[3]) + 0xCA62C1D6u;
}

static void add_block(uint32_t state[5], const uint8_t block[BLOCK])
{
    uint32_t w[ROUNDS], v[5];
    for (unsigned i = 0; i < 16; i++) {
        w[i] = read_word(block + (size_t)4 * i);
    }
    for (unsigned i = 16; i < ROUNDS; i++) {
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    memcpy(v, state, sizeof v);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t next = rotate(v[0], 5) + mix(i, v) + v[4] + w[i];
        v[4] = v[3];
        v[3] = v[2];
        v[2] = rotate(v[1], 30);
        v[1] = v[0];
        v[0] = next;
    }
    for (unsigned i = 0; i < 5; i++) {
        state[i] += v[i];
    }
}

void sha1(uint8_t out[SHA1_SIZE], loom_bytes data)
{
    assert(data.len <= SHA1_INPUT_MAX);
    uint8_t padded[2 * BLOCK] = {0};
    uint32_t state[5] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u, 0xC3D2E1F0u};
    size_t blocks = data.len + 1 + LENGTH_SIZE <= BLOCK ? 1 : 2;
    if (data.len > 0) {
        memcpy(padded, data.data, data.len);
    }
    padded[data.len] = 0x80;
    padded[blocks * BLOCK - 2] = (uint8_t)(data.len * 8 >> 8);
    padded[blocks * BLOCK - 1] = (uint8_t)(data.len * 8);
    for (size_t i = 0; i < blocks; i++) {
        add_block(state, padded + i * BLOCK);
    }
    for (size_t i = 0; i < SHA1_SIZE; i++) {
        out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
    }
}
