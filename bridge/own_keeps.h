/* SPDX-License-Identifier: Apache-2.0 */
/* Traces that this process's own flight recorder has found worth keeping, on their way from its thread to the bus.
 *
 * Threads: the loop's, but for the recorder's part. */
#ifndef LOOM_BRIDGE_OWN_KEEPS_H
#define LOOM_BRIDGE_OWN_KEEPS_H

#include <uv.h>

#include "bridge/session/bridge.h"
#include "trace/record/recorder.h"

enum { OWN_KEEPS_MAX = 1024 };

typedef struct own_keeps {
    recorder_carrier carrier;
    bridge *bridge;
    uv_async_t wake;
    bool open;
    pthread_mutex_t lock;
    /* guarded by lock */
    recorder_trigger_item items[OWN_KEEPS_MAX];
    size_t count;
    uint64_t dropped; /* no room for more; not counted by the bridge yet */
} own_keeps;

/* Lies still until closed has been called. LOOM_EIO: the loop has no room for a handle. */
LOOM_MUST_CHECK loom_status own_keeps_open(own_keeps *k, uv_loop_t *loop, bridge *b);
/* Before the bridge is destroyed; the loop runs once more. One of zeros is allowed. */
void own_keeps_close(own_keeps *k);

#endif
