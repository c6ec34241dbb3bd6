/* SPDX-License-Identifier: Apache-2.0 */
/* What the analysts have in common: each looks at every price and emits one partial opinion about it. */
#ifndef MARKET_ANALYST_ANALYST_H
#define MARKET_ANALYST_ANALYST_H

#include "demos/common/demo_agent.h"
#include "demos/market-analyst/market.h"

enum { ANALYST_WHY_SIZE = 64 };

/* What an analyst remembers of one symbol; zero at first. */
typedef struct analyst_memory {
    char symbol[MARKET_SYMBOL_SIZE];
    unsigned seen;
    double last, fast, slow, variance;
} analyst_memory;

typedef struct analyst {
    const char *name; /* the agent's id, and the last segment of its topic */
    const char *what; /* for --help */
    /* -1 (sell) to 1 (buy), and why in a few plain words. */
    double (*judge)(analyst_memory *memory, const market_price *price, char why[ANALYST_WHY_SIZE]);
} analyst;

/* The whole program. */
int analyst_main(const analyst *a, int argc, char **argv);

#endif
