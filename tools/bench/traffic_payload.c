/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tools/bench/traffic.h"

enum { WORD = sizeof(uint64_t) };

/* Depends on every bit of both, so that bytes of another message, or at another place, do not fit. */
static uint64_t word_at(uint64_t stamp, size_t at)
{
    uint64_t word = (stamp + at + 1) * 0x9e3779b97f4a7c15u; /* 2^64 divided by the golden ratio, odd */
    word ^= word >> 29;
    return word * 0xbf58476d1ce4e5b9u;
}

void traffic_fill(uint8_t *payload, size_t size, uint64_t stamp)
{
    for (size_t at = sizeof(traffic_head); at < size; at += WORD) {
        const uint64_t word = word_at(stamp, at);
        memcpy(payload + at, &word, size - at < WORD ? size - at : WORD);
    }
}

bool traffic_intact(const uint8_t *payload, size_t size, uint64_t stamp)
{
    for (size_t at = sizeof(traffic_head); at < size; at += WORD) {
        const uint64_t word = word_at(stamp, at);
        if (memcmp(payload + at, &word, size - at < WORD ? size - at : WORD) != 0) {
            return false;
        }
    }
    return true;
}
