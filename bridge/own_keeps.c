/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/own_keeps.h"

#include <string.h>

#include "base/str.h"

/* On the recorder's thread. What there is no room for the bridge counts. */
static size_t carry(recorder_carrier *self, const recorder_trigger_item *items, size_t count)
{
    own_keeps *k = (own_keeps *)self;
    pthread_mutex_lock(&k->lock);
    const size_t room = OWN_KEEPS_MAX - k->count, taken = count < room ? count : room;
    memcpy(k->items + k->count, items, taken * sizeof *items);
    k->count += taken;
    k->dropped += count - taken;
    pthread_mutex_unlock(&k->lock);
    (void)uv_async_send(&k->wake);
    return count;
}

static void on_wake(uv_async_t *async)
{
    own_keeps *k = async->data;
    recorder_trigger_item items[64];
    size_t count;
    uint64_t dropped;
    do {
        pthread_mutex_lock(&k->lock);
        count = k->count < 64 ? k->count : 64;
        memcpy(items, k->items, count * sizeof *items);
        memmove(k->items, k->items + count, (k->count - count) * sizeof *items);
        k->count -= count;
        dropped = k->dropped;
        k->dropped = 0;
        pthread_mutex_unlock(&k->lock);
        bridge_keeps_dropped(k->bridge, dropped);
        for (size_t i = 0; i < count; i++) {
            bridge_keep(k->bridge, &(frame_keep){.trace_id = items[i].trace_id, .reason = str_of(items[i].reason)});
        }
    } while (count > 0);
}

loom_status own_keeps_open(own_keeps *k, uv_loop_t *loop, bridge *b)
{
    k->bridge = b;
    k->count = 0;
    k->dropped = 0;
    if (pthread_mutex_init(&k->lock, NULL) != 0) {
        return LOOM_ENOMEM;
    }
    if (uv_async_init(loop, &k->wake, on_wake) != 0) {
        pthread_mutex_destroy(&k->lock);
        return LOOM_EIO;
    }
    k->wake.data = k;
    uv_unref((uv_handle_t *)&k->wake); /* it keeps no loop running */
    k->carrier = (recorder_carrier){.carry = carry, .where = "bus"};
    k->open = true;
    recorder_add_carrier(&k->carrier);
    return LOOM_OK;
}

static void on_closed(uv_handle_t *handle)
{
    own_keeps *k = handle->data;
    pthread_mutex_destroy(&k->lock);
    k->open = false;
}

void own_keeps_close(own_keeps *k)
{
    if (k->open) {
        uv_loop_t *loop = k->wake.loop;
        recorder_remove_carrier(&k->carrier);
        uv_close((uv_handle_t *)&k->wake, on_closed);
        while (k->open) {
            uv_run(loop, UV_RUN_ONCE);
        }
    }
}
