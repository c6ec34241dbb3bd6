/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads of this demo, JSON objects:
 *   market.price.SYMBOL      {"symbol", "tick", "price"}
 *   market.partial.ANALYST   {"symbol", "tick", "analyst", "score", "why"}    score from -1 (sell) to 1 (buy)
 *   plan.ready               {"symbol", "tick", "decision", "score", "outcome", "sources"} */
#ifndef MARKET_ANALYST_MARKET_H
#define MARKET_ANALYST_MARKET_H

#include <loom/loom.h>

enum { MARKET_SYMBOL_SIZE = 16, MARKET_SYMBOLS_MAX = 64 };

typedef struct market_price {
    char symbol[MARKET_SYMBOL_SIZE];
    long long tick;
    double price;
} market_price;

typedef struct market_partial {
    char symbol[MARKET_SYMBOL_SIZE];
    long long tick;
    char analyst[32];
    double score;
} market_partial;

/* LOOM_EMALFORMED: not such an object. */
LOOM_MUST_CHECK loom_status market_price_parse(market_price *out, loom_bytes json);
LOOM_MUST_CHECK loom_status market_partial_parse(market_partial *out, loom_bytes json);

#endif
