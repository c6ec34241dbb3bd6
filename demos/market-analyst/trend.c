/* SPDX-License-Identifier: Apache-2.0 */
/* The trend analyst: a fast and a slow moving average, and which of them is above. */
#include <stdio.h>

#include "demos/market-analyst/analyst.h"

static double clamp(double value)
{
    return value > 1 ? 1 : value < -1 ? -1 : value;
}

static double judge(analyst_memory *m, const market_price *price, char why[ANALYST_WHY_SIZE])
{
    m->fast = m->seen == 0 ? price->price : m->fast + (price->price - m->fast) / 3;
    m->slow = m->seen == 0 ? price->price : m->slow + (price->price - m->slow) / 10;
    double above = (m->fast - m->slow) / m->slow;
    snprintf(why, ANALYST_WHY_SIZE, "fast average %+.2f percent from the slow one", above * 100);
    return clamp(above * 100);
}

int main(int argc, char **argv)
{
    return analyst_main(&(analyst){"trend", "Emits market.partial.trend for each market.price.*.", judge}, argc, argv);
}
