/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/setup.h"

#include <stdio.h>

#define LATENCY_BYTES 64e6      /* a second, all deliveries together */
#define WINDOW_BYTES  67108864u /* servers and clients are set up to hold several times as much */

const char *const bench_bridge_names[] = {"broker", "process", NULL};
const char *const bench_transport_names[] = {"ipc", "tcp", NULL};
const char *const bench_tracing_names[] = {"off", "unsampled", "recorder", "1%", "on", "link", "down", NULL};
const char *const bench_api_names[] = {"event", "action", NULL};
const char *const bench_placement_names[] = {"free", "apart", "together", NULL};
const char *const bench_work_names[] = {
    "", "sampled", "unsampled", "disabled", "encode", "true", "loom exec true", "collect lines", "collect spans",
    "--syscalls find", "--syscalls python start", "--syscalls sqlite", "library python", "library node",
    "invoke", "over HTTP", "none fails", "1 in 1000 fails", "all fail", NULL};
const char *const bench_flood_names[] = {
    "undisturbed", "busy", "subscribes", "unsubscribes", "calls", "calls-unanswered", "calls-nobody", "cancels", "pings",
    "publishes", "large-publishes", "hellos", "http-idle", "http-slow-heads", "http-bodies", "http-refused", "http-unread",
    "view", "view-page", NULL};

void bench_shape_title(const bench_shape *s, char out[32])
{
    out[0] = '\0';
    if (s->work != WORK_NONE) {
        snprintf(out, 32, "%s", bench_work_names[s->work]);
    } else if (s->filters > 0) {
        snprintf(out, 32, "%u filters", s->filters);
    } else if (s->agents > 0) {
        snprintf(out, 32, "%u sessions", s->agents);
    } else if (s->producers == 0 && s->consumers > 0) {
        snprintf(out, 32, "%u subscriber%s", s->consumers, s->consumers == 1 ? "" : "s");
    } else if (s->producers > 1 || s->consumers > 1) {
        snprintf(out, 32, "%u→%u", s->producers, s->consumers);
    }
}

void bench_size_title(size_t size, char out[16])
{
    if (size >= 1024 && size % 1024 == 0) {
        snprintf(out, 16, "%zu KiB", size / 1024);
    } else {
        snprintf(out, 16, "%zu B", size);
    }
}

unsigned bench_setup_fails(const bench_setup *setup)
{
    return setup->shape.work == WORK_SOME_FAIL ? 1000 : setup->shape.work == WORK_ALL_FAIL ? 1 : 0;
}

unsigned bench_setup_spans(const bench_setup *setup)
{
    return 3 + 2 * setup->shape.consumers;
}

double bench_setup_pace(const bench_setup *setup)
{
    const double consumers = setup->shape.consumers > 0 ? setup->shape.consumers : 1;
    const double producers = setup->shape.producers > 0 ? setup->shape.producers : 1;
    double deliveries = setup->latency_rate;
    if (deliveries * (double)setup->size > LATENCY_BYTES) {
        deliveries = LATENCY_BYTES / (double)setup->size;
    }
    return deliveries / consumers / producers;
}

uint64_t bench_setup_window(const bench_setup *setup, unsigned most)
{
    const uint64_t producers = setup->shape.producers > 0 ? setup->shape.producers : 1;
    uint64_t window = setup->window;
    if (window * setup->size > WINDOW_BYTES) {
        window = WINDOW_BYTES / setup->size;
    }
    if (most > 0 && window > most) {
        window = most;
    }
    return window / producers > 0 ? window / producers : 1;
}
