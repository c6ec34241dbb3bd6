/* SPDX-License-Identifier: Apache-2.0 */
#include "demos/market-analyst/analyst.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct office {
    const analyst *analyst;
    analyst_memory memory[MARKET_SYMBOLS_MAX];
} office;

/* NULL: there are too many symbols. */
static analyst_memory *remember(office *o, const char *symbol)
{
    for (unsigned i = 0; i < MARKET_SYMBOLS_MAX; i++) {
        analyst_memory *m = &o->memory[i];
        if (m->symbol[0] == '\0') {
            snprintf(m->symbol, sizeof m->symbol, "%s", symbol);
        }
        if (strcmp(m->symbol, symbol) == 0) {
            return m;
        }
    }
    return NULL;
}

static loom_status on_price(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    office *o = user;
    market_price price;
    char why[ANALYST_WHY_SIZE], payload[256], to[64];
    loom_status st = market_price_parse(&price, loom_envelope_payload(event));
    analyst_memory *memory = st == LOOM_OK ? remember(o, price.symbol) : NULL;
    if (memory == NULL) {
        fprintf(stderr, "%s: %s: %s\n", o->analyst->name, topic, st != LOOM_OK ? "not a price" : "too many symbols");
        return st != LOOM_OK ? st : LOOM_EFULL;
    }
    double score = o->analyst->judge(memory, &price, why);
    memory->last = price.price;
    memory->seen++;
    printf("tick %lld: %s %+.2f, %s\n", price.tick, price.symbol, score, why);
    snprintf(to, sizeof to, "market.partial.%s", o->analyst->name);
    snprintf(payload, sizeof payload, "{\"symbol\":\"%s\",\"tick\":%lld,\"analyst\":\"%s\",\"score\":%.4f,\"why\":\"%s\"}",
             price.symbol, price.tick, o->analyst->name, score, why);
    return loom_agent_emit_text(agent, to, payload,
                                &(loom_emit_options){.type = "market.partial", .content_type = "application/json"});
}

int analyst_main(const analyst *a, int argc, char **argv)
{
    static const char *const topics[] = {"market.price.*", NULL};
    const demo_option known[] = {{0}};
    office o = {.analyst = a};
    const char *url;
    int status;
    if (!demo_options(argc, argv, a->what, known, &url, &status)) {
        return status;
    }
    loom_agent *agent = demo_open(
        &(loom_agent_options){.id = a->name, .url = url, .topics = topics, .on_event = on_price, .user = &o});
    if (agent == NULL) {
        return EXIT_FAILURE;
    }
    loom_status st = loom_agent_run_until_signal(agent);
    status = demo_close(agent);
    return st == LOOM_OK ? status : EXIT_FAILURE;
}
