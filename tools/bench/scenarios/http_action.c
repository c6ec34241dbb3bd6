/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of one capability, one after the other: by an agent, and over HTTP. The provider is the same. */
#include <stdlib.h>
#include <string.h>

#include "tools/bench/http_client.h"
#include "tools/bench/peers/loom.h"
#include "tools/bench/scenarios/request.h"
#include "tools/bench/scenarios/scenarios.h"

#define PATH "/v1/actions/" BENCH_REQUEST_TOPIC

static void requester_close(void *requester)
{
    http_client *c = requester;
    if (c != NULL) {
        http_client_close(c);
        free(c);
    }
}

static void *requester_open(const bench_site *site)
{
    http_client *c = calloc(1, sizeof *c);
    if (c == NULL || !http_client_open(c, site->url_out, PATH, site->setup->size)) {
        requester_close(c);
        return NULL;
    }
    return c;
}

static bool request(void *requester, const uint8_t *data, size_t size, uint8_t *answer)
{
    http_client *c = requester;
    memcpy(http_client_body(c), data, size);
    bool done = false, ok = http_client_send(c);
    while (ok && !done) {
        ok = http_client_read(c, &done);
    }
    if (ok && c->whole - c->body != size) {
        bench_complain("the result has another size");
        ok = false;
    }
    if (ok) {
        memcpy(answer, c->answer + c->body, size);
    }
    return ok;
}

static bool http_action_round(const bench_setup *setup, const bench_peer *peer, bench_sample *out)
{
    bench_setup calls = *setup;
    calls.api = API_ACTION;
    if (setup->shape.work != WORK_HTTP_INVOKE) {
        return request_round(&calls, peer, out);
    }
    bench_peer over_http = *peer;
    over_http.requester_open = requester_open;
    over_http.request = request;
    over_http.requester_close = requester_close;
    return request_round(&calls, &over_http, out);
}

static void adjust(bench_setup *setup)
{
    setup->requests = true;
    setup->http = true;
}

static const bench_shape shapes[] = {
    {.producers = 1, .consumers = 1, .work = WORK_INVOKE},
    {.producers = 1, .consumers = 1, .work = WORK_HTTP_INVOKE},
};

const bench_scenario bench_scenario_http_action = {
    .name = "http-action",
    .summary = "calls of a capability, one after the other: by an agent, and over HTTP",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .compare = true,
    .by_request = true,
    .adjust = adjust,
    .suits = bench_suits_loom,
    .round = http_action_round,
};
