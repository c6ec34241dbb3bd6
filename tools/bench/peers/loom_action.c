/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as actions: loom_agent_invoke() at one end, a provided capability at the other. */
#include <loom/action.h>
#include <string.h>

#include "tools/bench/peers/loom.h"

enum { CONNECT_MS = 10000, DEADLINE_MS = 10000 };

/* The answer is what was asked. */
static loom_status on_action(loom_agent *agent, loom_action *action, void *user)
{
    (void)agent;
    (void)user;
    return loom_action_reply(action, loom_action_payload(action));
}

bool loom_action_provide(loom_client *c)
{
    const loom_capability capability = {.name = BENCH_REQUEST_TOPIC, .on_action = on_action};
    loom_status st = loom_agent_provide(c->agent, &capability);
    if (st == LOOM_OK) {
        st = loom_agent_wait_connected(c->agent, CONNECT_MS); /* until the broker has answered */
    }
    if (st != LOOM_OK) {
        bench_complain("provide: %s", loom_status_text(st));
    }
    return st == LOOM_OK;
}

bool loom_action_request(loom_client *c, const uint8_t *data, size_t size, uint8_t *answer)
{
    loom_result *result = NULL;
    const loom_invoke_options options = {.deadline_ms = DEADLINE_MS};
    const loom_status st = loom_agent_invoke(c->agent, BENCH_REQUEST_TOPIC, (loom_bytes){data, size}, &options, &result);
    const loom_bytes payload = st == LOOM_OK ? loom_result_payload(result) : (loom_bytes){NULL, 0};
    const bool ok = st == LOOM_OK && payload.len == size;
    if (ok) {
        memcpy(answer, payload.data, size);
    } else {
        bench_complain("invoke: %s", st == LOOM_OK ? "an answer of another size" : loom_status_text(st));
    }
    loom_result_free(result);
    return ok;
}
