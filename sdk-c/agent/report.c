/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent reports to its owner: by callback, or on standard error when there is none. Whatever a bridge, a proxy or a
 * collector has said in it is made printable here, once for all: most owners print it. */
#include <stdio.h>

#include "base/printable.h"
#include "base/str.h"
#include "sdk-c/agent/report.h"

#define NOTICE_INTERVAL_NS (1000 * MS_NS)

enum { REPORT_TEXT_SIZE = 512 };

void report_refusal(loom_agent *a, loom_status why, const char *said)
{
    char text[REPORT_TEXT_SIZE];
    printable_copy(text, sizeof text, str_of(said));
    if (a->options.on_error != NULL) {
        a->options.on_error(a, why, text, a->options.user);
        return;
    }
    uint64_t suppressed;
    if (!rate_limit_pass(&a->notices, clock_monotonic_ns(), NOTICE_INTERVAL_NS, 1, &suppressed)) {
        return;
    }
    if (suppressed > 0) {
        fprintf(stderr, "loom: agent %s: %s (%s); suppressed similar messages count=%llu\n", a->id.data, text,
                loom_status_text(why), (unsigned long long)suppressed);
    } else {
        fprintf(stderr, "loom: agent %s: %s (%s)\n", a->id.data, text, loom_status_text(why));
    }
}

void report_exporter(loom_agent *a, const char *said)
{
    char text[REPORT_TEXT_SIZE];
    printable_copy(text, sizeof text, str_of(said));
    if (a->options.on_error != NULL) {
        a->options.on_error(a, LOOM_EIO, text, a->options.user);
    } else if (!atomic_flag_test_and_set(&a->exporter_told)) {
        fprintf(stderr, "loom: agent %s: traces are not exported: %s\n", a->id.data, text);
    }
}

void report_state(loom_agent *a, loom_agent_state state, loom_status why, const char *said)
{
    char address[URL_MAX], text[REPORT_TEXT_SIZE];
    printable_copy(text, sizeof text, str_of(said));
    if (a->options.on_state != NULL) {
        a->options.on_state(a, state, why, text, a->options.user);
        return;
    }
    loom_status whole = url_format(address, sizeof address, session_url(&a->session)); /* a very long one is cut */
    (void)whole;
    switch (state) {
    case LOOM_AGENT_DISCONNECTED:
        if (!a->outage_told) {
            a->outage_told = true;
            fprintf(stderr, "loom: agent %s: not connected to %s: %s; trying again\n", a->id.data, address, text);
        }
        break;
    case LOOM_AGENT_CONNECTED:
        if (a->outage_told) {
            a->outage_told = false;
            fprintf(stderr, "loom: agent %s: connected to %s\n", a->id.data, address);
        }
        break;
    case LOOM_AGENT_CLOSED:
        if (why != LOOM_OK) {
            fprintf(stderr, "loom: agent %s: closed: %s\n", a->id.data, text);
        }
        break;
    case LOOM_AGENT_CONNECTING: break;
    }
}
