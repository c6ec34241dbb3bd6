/* SPDX-License-Identifier: Apache-2.0 */
/* Since when an agent's process is here. Its connection may break while the process goes on, and another process may come under the
 * same id; an instance is one start of one process. */
#include "broker/directory/internal.h"

#include <string.h>

void directory_note_departed(directory *d, const directory_entry *entry)
{
    if (entry->about.instance.len > 0) {
        departed_agent *left = &d->departed[d->departed_count++ % DEPARTED_MAX];
        left->process_ns = entry->process_ns;
        memcpy(left->instance, entry->instance, sizeof left->instance);
    }
}

/* It may be before the monotonic clock began, which was then on another machine: it wraps, and differences count. */
uint64_t directory_process_since(const directory *d, const directory_about *about)
{
    const uint64_t now_ns = clock_monotonic_ns();
    uint64_t age_ns = about->age_ms * UINT64_C(1000000);
    const size_t count = d->departed_count < DEPARTED_MAX ? (size_t)d->departed_count : DEPARTED_MAX;
    for (size_t i = 0; i < count && about->instance.len > 0; i++) {
        const departed_agent *left = &d->departed[i];
        if (memcmp(left->instance, about->instance.data, sizeof left->instance) == 0 && now_ns - left->process_ns > age_ns) {
            age_ns = now_ns - left->process_ns;
        }
    }
    return now_ns - age_ns;
}

uint64_t directory_process_unix_ns(const directory_info *info)
{
    return clock_unix_ns() - (clock_monotonic_ns() - info->process_ns);
}
