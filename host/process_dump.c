/* SPDX-License-Identifier: Apache-2.0 */
/* SIGUSR2: the state of the process as lines of its log, of which there are never more than some hundred. */
#include <dirent.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "host/process.h"
#include "host/resources.h"

/* One line for each group of counters, without those that are zero. */
static void dump_counters(process *p, const counter_source *source)
{
    counter_stats stats;
    char text[1500] = "";
    size_t len = 0;
    counter_read(source, &stats);
    for (size_t i = 0; i < source->group->count; i++) {
        const counter *c = &source->group->counters[i];
        for (unsigned k = 0; k < c->count; k++) {
            const uint64_t value = counter_value(c, &stats, k);
            if (value > 0 && len < sizeof text) {
                len += (size_t)snprintf(text + len, sizeof text - len, " %s%s%s=%llu", c->key, c->label != NULL ? "." : "",
                                        c->label != NULL ? c->name_of(k) : "", (unsigned long long)value);
            }
        }
    }
    log_info(p->log, "state of %s:%s", source->group->name, len > 0 ? text : " nothing");
}

static void dump_resources(process *p)
{
    process_resources r;
    const struct mallinfo2 heap = mallinfo2();
    process_resources_read(&r);
    log_info(p->log,
             "state of the process pid=%d uptime_s=%llu resident_bytes=%llu virtual_bytes=%llu open_fds=%llu max_fds=%llu threads=%llu cpu_s=%.2f",
             (int)getpid(), (unsigned long long)((p->clock.now_ms - p->started_ms) / 1000), (unsigned long long)r.resident_bytes,
             (unsigned long long)r.virtual_bytes, (unsigned long long)r.open_fds, (unsigned long long)r.max_fds,
             (unsigned long long)r.threads, r.cpu_seconds);
    log_info(p->log, "state of the heap used_bytes=%zu free_bytes=%zu mapped_bytes=%zu", heap.uordblks, heap.fordblks, heap.hblkhd);
}

void process_dump(process *p)
{
    log_info(p->log, "state of %s begins signal=SIGUSR2", p->program->spec->name);
    dump_resources(p);
    for (size_t i = 0; i < p->counters.count; i++) {
        dump_counters(p, &p->counters.items[i]);
    }
    if (p->control != NULL && p->control->dump != NULL) {
        p->control->dump(p->control_user);
    }
    log_info(p->log, "state of %s ends", p->program->spec->name);
}
