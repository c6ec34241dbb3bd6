/* SPDX-License-Identifier: Apache-2.0 */
/* What a service manager is told of the process: ready, reloading, stopping, how it is; and that its loop turns. */
#include "base/clock.h"
#include "host/notify.h"
#include "host/process.h"

enum { STATUS_EVERY_MS = 5000, STOP_MARGIN_MS = 5000 };

static void tell_status(process *p)
{
    char text[PROCESS_STATUS_SIZE] = "";
    if (p->control != NULL && p->control->status != NULL) {
        p->control->status(p->control_user, text);
    }
    if (text[0] != '\0' && !p->stopping) {
        notify_send("STATUS=%s", text);
    }
}

/* By the loop's timer: a loop that hangs is one that does not come here. */
static void on_beat(uv_timer_t *timer)
{
    process *p = timer->data;
    process_woke(p);
    if (p->watchdog_ms > 0) {
        notify_send("WATCHDOG=1");
    }
    if (p->clock.now_ms - p->status_ms >= STATUS_EVERY_MS) {
        p->status_ms = p->clock.now_ms;
        tell_status(p);
    }
}

void process_open_manager(process *p)
{
    uv_timer_init(&p->loop, &p->beat);
    p->beat.data = p;
    p->watchdog_ms = notify_watchdog_ms();
    if (notify_is_wanted()) {
        const uint64_t every = p->watchdog_ms > 0 && p->watchdog_ms / 3 < STATUS_EVERY_MS ? p->watchdog_ms / 3 : STATUS_EVERY_MS;
        uv_timer_start(&p->beat, on_beat, every > 0 ? every : 1, every > 0 ? every : 1);
        uv_unref((uv_handle_t *)&p->beat);
    }
}

void process_tell_ready(process *p)
{
    if (notify_is_wanted()) {
        notify_send("READY=1\nSTATUS=serving");
        tell_status(p);
    }
}

void process_tell_reloading(void)
{
    notify_send("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading the configuration", (unsigned long long)(clock_monotonic_ns() / 1000));
}

void process_tell_stopping(const process *p)
{
    notify_send("STOPPING=1\nSTATUS=draining, for at most %u ms\nEXTEND_TIMEOUT_USEC=%llu", p->drain_timeout_ms,
                ((unsigned long long)p->drain_timeout_ms + STOP_MARGIN_MS) * 1000);
}
