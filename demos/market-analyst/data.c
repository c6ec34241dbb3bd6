/* SPDX-License-Identifier: Apache-2.0 */
/* The data agent: a price every few seconds, each the root of a trace. */
#include <stdio.h>
#include <stdlib.h>

#include "demos/common/demo_agent.h"
#include "demos/market-analyst/price_source.h"

typedef struct plan {
    long first, ticks, interval;
} plan;

static void emit_price(loom_agent *agent, long tick, const char *symbol, double price)
{
    char topic[64], payload[128];
    loom_span *span = loom_span_start(loom_agent_tracer(agent), "market.tick", &(loom_span_options){.root = true});
    loom_span_make_current(span);
    loom_span_set_string(span, "market.symbol", symbol);
    loom_span_set_double(span, "market.price", price);
    snprintf(topic, sizeof topic, "market.price.%s", symbol);
    snprintf(payload, sizeof payload, "{\"symbol\":\"%s\",\"tick\":%ld,\"price\":%.4f}", symbol, tick, price);
    loom_status st = loom_agent_emit_text(agent, topic, payload,
                                          &(loom_emit_options){.type = "market.price", .content_type = "application/json"});
    if (st != LOOM_OK) {
        fprintf(stderr, "data: tick %ld: %s\n", tick, loom_status_text(st));
        loom_span_record_error(span, loom_status_name(st), loom_status_text(st));
    } else {
        printf("tick %ld: %s %.4f\n", tick, symbol, price);
    }
    loom_span_end(span);
}

/* The exit status so far. */
static int play(loom_agent *agent, price_source *source, const plan *p)
{
    char symbol[PRICE_SYMBOL_SIZE];
    double price;
    for (long tick = 1; p->ticks == 0 || tick < p->first + p->ticks; tick++) {
        if (tick > p->first && !demo_wait_ms(p->interval)) {
            break;
        }
        price_result result = price_source_next(source, symbol, &price);
        if (result != PRICE_OK) {
            return result == PRICE_END ? EXIT_SUCCESS : EXIT_FAILURE;
        }
        if (tick >= p->first) {
            emit_price(agent, tick, symbol, price);
        }
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    plan p = {1, 0, 3000};
    long seed = 1;
    const char *csv = NULL, *url;
    const demo_option known[] = {{"ticks", "prices to emit; 0: until stopped, or the end of the file", 0, 1000000000, &p.ticks, NULL},
                                 {"first", "number of the first one; those before it are skipped", 1, 1000000000, &p.first, NULL},
                                 {"interval", "milliseconds between two of them", 0, 86400000, &p.interval, NULL},
                                 {"seed", "of the simulated prices", 0, 1000000000, &seed, NULL},
                                 {"csv", "file of prices to play back: a line symbol,price, then one for each", 0, 0, NULL, &csv},
                                 {0}};
    int status;
    if (!demo_options(argc, argv, "Emits market.price.SYMBOL, a price every interval.", known, &url, &status)) {
        return status;
    }
    price_source source;
    if (price_source_open(&source, csv, (uint64_t)seed) != PRICE_OK) {
        return EXIT_FAILURE;
    }
    loom_agent *agent = demo_open(&(loom_agent_options){.id = "data", .url = url});
    if (agent == NULL) {
        return EXIT_FAILURE;
    }
    status = play(agent, &source, &p);
    price_source_close(&source);
    return demo_close(agent) == EXIT_SUCCESS ? status : EXIT_FAILURE;
}
