/* SPDX-License-Identifier: Apache-2.0 */
/* What carriers that lie over another carrier share: two who may ask for the epoll set to say when there is room.
 *
 * The agent asks by watch_room. The layer asks for itself, when it has something of its own to write, or has to be called
 * again although nothing will come in: a socket that takes bytes wakes the loop at once. */
#ifndef LOOM_SDK_LINK_CARRIER_LAYER_H
#define LOOM_SDK_LINK_CARRIER_LAYER_H

#include <pthread.h>

#include "sdk-c/link/carrier.h"

typedef struct room_watch {
    pthread_mutex_t lock; /* held for one epoll_ctl at most; taken inside any other lock */
    carrier *under;
    bool agent, layer;    /* who asks */
    bool on;
} room_watch;

void room_watch_init(room_watch *w);
void room_watch_fini(room_watch *w);
/* Any thread. */
void room_watch_agent(room_watch *w, bool on);
void room_watch_layer(room_watch *w, bool on);

#endif
