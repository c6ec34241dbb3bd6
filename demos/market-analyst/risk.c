/* SPDX-License-Identifier: Apache-2.0 */
/* The risk analyst: how much a price jumps, as a moving variance of its returns. */
#include <math.h>
#include <stdio.h>

#include "demos/market-analyst/analyst.h"

static double judge(analyst_memory *m, const market_price *price, char why[ANALYST_WHY_SIZE])
{
    double change = m->seen == 0 ? 0 : price->price / m->last - 1;
    m->variance += (change * change - m->variance) / 8;
    double jump = sqrt(m->variance) * 100;
    snprintf(why, ANALYST_WHY_SIZE, "returns jump by %.2f percent", jump);
    return jump < 1 ? 0.5 - jump / 2 : -fmin(jump - 1, 1);
}

int main(int argc, char **argv)
{
    return analyst_main(&(analyst){"risk", "Emits market.partial.risk for each market.price.*.", judge}, argc, argv);
}
