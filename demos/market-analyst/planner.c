/* SPDX-License-Identifier: Apache-2.0 */
/* The planner: joins the three opinions on each price, or what has come of them in time, and says what to do. */
#include <stdio.h>
#include <stdlib.h>

#include "demos/common/demo_agent.h"
#include "demos/market-analyst/market.h"

static const char *decide(double score)
{
    return score > 0.15 ? "buy" : score < -0.15 ? "sell" : "hold";
}

/* Inside the span agent.join, so that plan.ready is part of it. */
static void on_joined(loom_agent *agent, const loom_joined *joined, void *user)
{
    (void)user;
    market_partial last = {0};
    double sum = 0;
    char sources[128] = "", payload[384], id[LOOM_TRACE_ID_HEX_SIZE];
    size_t len = 0;
    for (size_t i = 0; i < joined->count; i++) {
        market_partial partial;
        if (market_partial_parse(&partial, loom_envelope_payload(joined->contributions[i].event)) != LOOM_OK) {
            continue; /* on_partial() has looked at it */
        }
        last = partial;
        sum += partial.score;
        len += (size_t)snprintf(sources + len, sizeof sources - len, "%s\"%s\"", len > 0 ? "," : "", partial.analyst);
    }
    double score = joined->count > 0 ? sum / (double)joined->count : 0;
    snprintf(payload, sizeof payload,
             "{\"symbol\":\"%s\",\"tick\":%lld,\"decision\":\"%s\",\"score\":%.4f,\"outcome\":\"%s\",\"sources\":[%s]}",
             last.symbol, last.tick, decide(score), score, loom_join_outcome_name(joined->outcome), sources);
    loom_trace_id_to_hex(id, loom_context_current()->trace_id);
    loom_status st = loom_agent_emit_text(agent, "plan.ready", payload,
                                          &(loom_emit_options){.type = "plan", .content_type = "application/json"});
    if (st != LOOM_OK) {
        fprintf(stderr, "planner: tick %lld: %s\n", last.tick, loom_status_text(st));
        return;
    }
    printf("plan for tick %lld: %s %s (%+.2f), %u of %u opinions, %s, trace %s\n", last.tick, decide(score), last.symbol, score,
           joined->received, joined->expected, loom_join_outcome_name(joined->outcome), id);
}

static loom_status on_partial(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    loom_joiner *joiner = *(loom_joiner **)user;
    market_partial partial;
    loom_status st = market_partial_parse(&partial, loom_envelope_payload(event));
    if (st != LOOM_OK) {
        fprintf(stderr, "planner: %s: not a partial\n", topic);
        return st;
    }
    st = loom_joiner_add(joiner, NULL, partial.analyst, event);
    if (st != LOOM_OK) {
        fprintf(stderr, "planner: tick %lld, %s: %s\n", partial.tick, partial.analyst,
                st == LOOM_EEXIST ? "too late, or twice" : loom_status_text(st));
    }
    return LOOM_OK; /* a late opinion is no fault of this handler */
}

int main(int argc, char **argv)
{
    static const char *const analysts[] = {"trend", "risk", "sentiment", NULL};
    long timeout = 3000;
    loom_joiner *joiner = NULL;
    const demo_option known[] = {{"timeout", "milliseconds to wait for the three opinions on a price", 1, 3600000, &timeout, NULL},
                                 {0}};
    const char *url;
    int status;
    if (!demo_options(argc, argv, "Emits plan.ready for each tick, from the market.partial.* of three analysts.", known, &url,
                      &status)) {
        return status;
    }
    loom_agent *agent;
    loom_status st = loom_agent_open(&agent, &(loom_agent_options){.id = "planner", .url = url, .on_event = on_partial, .user = &joiner});
    if (st != LOOM_OK) {
        fprintf(stderr, "planner: %s\n", loom_agent_open_error());
        return EXIT_FAILURE;
    }
    st = loom_joiner_open(&joiner, agent, &(loom_joiner_options){
        .rule = {.strategy = LOOM_JOIN_ALL, .sources = analysts, .deadline_ms = (uint32_t)timeout},
        .on_joined = on_joined,
    });
    st = st == LOOM_OK ? loom_agent_subscribe(agent, "market.partial.*", NULL, NULL) : st;
    st = st == LOOM_OK ? demo_ready(agent) : st;
    st = st == LOOM_OK ? loom_agent_run_until_signal(agent) : st;
    if (st != LOOM_OK) {
        fprintf(stderr, "planner: %s\n", loom_status_text(st));
    }
    loom_joiner_close(joiner);
    status = demo_close(agent);
    return st == LOOM_OK ? status : EXIT_FAILURE;
}
