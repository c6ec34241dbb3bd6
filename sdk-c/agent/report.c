/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent tells its owner: by callback, or on standard error when there is none. */
#include <stdio.h>

#include "sdk-c/agent/internal.h"

#define NOTICE_INTERVAL_NS (1000 * MS_NS)

void report_refusal(loom_agent *a, loom_status why, const char *text)
{
    if (a->options.on_error != NULL) {
        a->options.on_error(a, why, text, a->options.user);
        return;
    }
    uint64_t now = monotonic_ns();
    a->notices++;
    if (a->notice_told_at != 0 && now - a->notice_told_at < NOTICE_INTERVAL_NS) {
        return;
    }
    if (a->notices > 1) {
        fprintf(stderr, "loom: agent %s: %s (%s; and %llu before it)\n", a->id, text, loom_status_text(why),
                (unsigned long long)(a->notices - 1));
    } else {
        fprintf(stderr, "loom: agent %s: %s (%s)\n", a->id, text, loom_status_text(why));
    }
    a->notices = 0;
    a->notice_told_at = now;
}

void report_state(loom_agent *a, loom_agent_state state, loom_status why, const char *text)
{
    char address[URL_MAX];
    if (a->options.on_state != NULL) {
        a->options.on_state(a, state, why, text, a->options.user);
        return;
    }
    loom_status whole = url_format(address, sizeof address, &a->url); /* a very long one is cut */
    (void)whole;
    switch (state) {
    case LOOM_AGENT_DISCONNECTED:
        if (!a->session.announced) {
            a->session.announced = true;
            fprintf(stderr, "loom: agent %s: not connected to %s: %s; trying again\n", a->id, address, text);
        }
        break;
    case LOOM_AGENT_CONNECTED:
        if (a->session.announced) {
            a->session.announced = false;
            fprintf(stderr, "loom: agent %s: connected to %s\n", a->id, address);
        }
        break;
    case LOOM_AGENT_CLOSED:
        if (why != LOOM_OK) {
            fprintf(stderr, "loom: agent %s: closed: %s\n", a->id, text);
        }
        break;
    case LOOM_AGENT_CONNECTING: break;
    }
}
