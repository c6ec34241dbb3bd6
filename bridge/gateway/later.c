/* SPDX-License-Identifier: Apache-2.0 */
/* Work for the next round of the loop, and ticks that come earlier. */
#include "bridge/gateway/internal.h"

static void run_jobs(uv_idle_t *soon)
{
    gateway *g = soon->data;
    size_t count = 0;
    for (const list_node *node = g->jobs.first; node != NULL && count < GATEWAY_JOBS_A_ROUND; node = node->next) {
        count++; /* what these put on the list is for the round after */
    }
    for (list_node *node; count > 0 && (node = list_take_first(&g->jobs)) != NULL; count--) {
        gateway_job *job = list_item(node, gateway_job, node);
        job->listed = false;
        job->run(job); /* may free it */
    }
    if (g->jobs.first == NULL) {
        uv_idle_stop(soon);
    }
}

void gateway_soon(gateway *g, gateway_job *job)
{
    if (!job->listed) {
        job->listed = true;
        list_append(&g->jobs, &job->node);
        uv_idle_start(&g->soon, run_jobs);
    }
}

void gateway_not_soon(gateway *g, gateway_job *job)
{
    if (job->listed) {
        job->listed = false;
        list_remove(&g->jobs, &job->node);
    }
}

void gateway_tick_by(gateway *g, uint64_t at_ms)
{
    const uint64_t now_ms = uv_now(g->loop);
    if (at_ms < g->tick_at_ms && !g->closing) {
        g->tick_at_ms = at_ms;
        uv_timer_start(&g->tick, gateway_on_tick, at_ms > now_ms ? at_ms - now_ms : 0, 0);
    }
}
