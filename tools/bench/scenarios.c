/* SPDX-License-Identifier: Apache-2.0 */
/* The table of scenarios. */
#include "tools/bench/scenario.h"

#include <string.h>

const bench_scenario *const *bench_scenarios(void)
{
    static const bench_scenario *const scenarios[] = {&bench_scenario_pubsub, NULL};
    return scenarios;
}

const bench_scenario *bench_scenario_find(const char *name)
{
    for (const bench_scenario *const *s = bench_scenarios(); *s != NULL; s++) {
        if (strcmp((*s)->name, name) == 0) {
            return *s;
        }
    }
    return NULL;
}
