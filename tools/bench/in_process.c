/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/in_process.h"

#include <unistd.h>

#include "tools/bench/bus_load.h"
#include "tools/bench/usage.h"

enum { BATCH = 1000 };

static int publish_on(const bench_site *site, unsigned topics)
{
    shared *s = site->shared;
    shared_consumer *c = &s->consumers[0];
    const unsigned consumers = site->setup->shape.consumers > 0 ? site->setup->shape.consumers : 1;
    bus_load *load = bus_load_open(site->setup, topics);
    if (load == NULL) {
        return 1;
    }
    shared_set(&c->open, 1);
    while (atomic_load_explicit(&s->phase, memory_order_relaxed) != PHASE_END) {
        const uint64_t delivered = bus_load_publish(load, BATCH);
        if (delivered != (uint64_t)BATCH * consumers) {
            bench_complain("of %u messages %llu were delivered", BATCH, (unsigned long long)delivered);
            return 1;
        }
        atomic_fetch_add_explicit(&s->producers[0].sent, BATCH, memory_order_relaxed);
        atomic_fetch_add_explicit(&c->received, delivered, memory_order_relaxed);
    }
    bus_load_close(load);
    return 0;
}

static bool is_open(const bench_site *site)
{
    return atomic_load(&site->shared->consumers[0].open) != 0;
}

static bool measure(bench_site *site, bench_sample *out)
{
    usage_mark begin, end;
    const _Atomic uint64_t *received = &site->shared->consumers[0].received;
    if (!site_wait(site, is_open, "the EventBus") || !site_sleep(site, site->setup->warm_up)) {
        return false;
    }
    usage_take(site, &begin);
    const uint64_t first = atomic_load(received);
    if (!site_sleep(site, site->setup->seconds)) {
        return false;
    }
    const uint64_t last = atomic_load(received);
    usage_take(site, &end);
    out->values[METRIC_RATE] = (double)(last - first) / ((double)(end.at_ns - begin.at_ns) / 1e9);
    usage_report(site, &begin, &end, last - first, out);
    usage_memory(site, out);
    return true;
}

bool in_process_round(const bench_setup *setup, unsigned topics, bench_sample *out)
{
    bench_site site;
    series_clear(out);
    if (!site_open(&site, setup)) {
        return false;
    }
    const pid_t pid = processes_fork(&site.processes, "eventbus");
    if (pid == 0) {
        _exit(publish_on(&site, topics));
    }
    const bool ok = pid > 0 && measure(&site, out);
    const uint64_t consumers = setup->shape.consumers > 0 ? setup->shape.consumers : 1;
    out->sent = atomic_load(&site.shared->producers[0].sent) * consumers;
    out->interrupted = site_close(&site);
    return ok;
}
