/* SPDX-License-Identifier: Apache-2.0 */
#include "base/suggest.h"

#include <string.h>

#include "base/str.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: the usual table, of which a swap needs the last three rows. */
size_t suggest_distance(loom_str a, loom_str b)
{
    if (a.len > SUGGEST_WORD_MAX || b.len > SUGGEST_WORD_MAX) {
        return SIZE_MAX;
    }
    size_t rows[3][SUGGEST_WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t cost = a.data[i - 1] == b.data[j - 1] ? 0 : 1;
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.len];
}

void suggestion_init(suggestion *s, loom_str word)
{
    *s = (suggestion){.word = word, .distance = SIZE_MAX};
}

void suggestion_consider(suggestion *s, const char *candidate)
{
    size_t distance = suggest_distance(s->word, str_of(candidate));
    if (distance < s->distance) {
        s->distance = distance;
        s->best = candidate;
    }
}

const char *suggestion_result(const suggestion *s)
{
    size_t tolerated = s->word.len < 4 ? 1 : 2 + s->word.len / 8;
    return s->distance <= tolerated && s->distance < s->word.len ? s->best : NULL;
}
