/* SPDX-License-Identifier: Apache-2.0 */
/* The known name nearest to a mistyped one, by edit distance with transpositions. */
#ifndef LOOM_BASE_SUGGEST_H
#define LOOM_BASE_SUGGEST_H

#include <loom/api.h>

LOOM_BEGIN_DECLS

#define SUGGEST_WORD_MAX 48 /* bytes; a longer word gets no suggestion */

typedef struct suggestion {
    loom_str word;    /* borrowed */
    const char *best; /* borrowed from the candidates */
    size_t distance;
} suggestion;

void suggestion_init(suggestion *s, loom_str word);
void suggestion_consider(suggestion *s, const char *candidate);
/* The best candidate when it is near enough to be worth naming, otherwise NULL. */
const char *suggestion_result(const suggestion *s);

/* Insertions, deletions, substitutions and swaps of neighbours that turn a into b; SIZE_MAX when either is too long. */
size_t suggest_distance(loom_str a, loom_str b);

LOOM_END_DECLS
#endif
