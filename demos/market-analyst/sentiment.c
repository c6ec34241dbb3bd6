/* SPDX-License-Identifier: Apache-2.0 */
/* The sentiment analyst: reads the headlines. They are made up from symbol and tick, so that a run can be repeated. */
#include <stdint.h>
#include <stdio.h>

#include "demos/market-analyst/analyst.h"

static double judge(analyst_memory *m, const market_price *price, char why[ANALYST_WHY_SIZE])
{
    static const struct {
        const char *headline;
        double score;
    } news[] = {{"record profits expected", 0.8}, {"new product well received", 0.5}, {"nothing new", 0.0},
                {"chief executive on leave", -0.3}, {"supplier in trouble", -0.6}};
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    (void)m;
    for (const char *c = price->symbol; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 1099511628211u;
    }
    hash = (hash ^ (uint64_t)price->tick) * 1099511628211u;
    size_t which = (size_t)(hash >> 32) % (sizeof news / sizeof news[0]);
    snprintf(why, ANALYST_WHY_SIZE, "%s", news[which].headline);
    return news[which].score;
}

int main(int argc, char **argv)
{
    return analyst_main(&(analyst){"sentiment", "Emits market.partial.sentiment for each market.price.*.", judge}, argc, argv);
}
