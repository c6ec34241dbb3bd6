/* SPDX-License-Identifier: Apache-2.0 */
/* Where prices come from: a simulation that a seed decides, or a CSV file that is played back. */
#ifndef MARKET_ANALYST_PRICE_SOURCE_H
#define MARKET_ANALYST_PRICE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PRICE_SYMBOL_SIZE = 16, PRICE_LINE_SIZE = 256, PRICE_SYMBOLS = 3 };

typedef struct price_source {
    FILE *csv; /* NULL: simulated */
    const char *path;
    unsigned long line;
    uint64_t random;
    unsigned next;
    double prices[PRICE_SYMBOLS];
} price_source;

typedef enum price_result { PRICE_OK, PRICE_END, PRICE_BAD } price_result; /* BAD: standard error says what and where */

/* path NULL: simulated. */
price_result price_source_open(price_source *s, const char *path, uint64_t seed);
price_result price_source_next(price_source *s, char symbol[PRICE_SYMBOL_SIZE], double *price);
void price_source_close(price_source *s);

#endif
