/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that serves some fake bridges: takes their agents' connections, as many as they make, and hands out the frames.
 * What a frame means is for the owner to say; its callbacks run in that thread. */
#ifndef LOOM_TESTS_FAKE_SERVER_H
#define LOOM_TESTS_FAKE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/sdk/fake_bridge.h"

enum { FAKE_SERVER_BRIDGES = 4 };

typedef struct fake_server {
    fake_bridge *bridges[FAKE_SERVER_BRIDGES];
    unsigned count;
    /* What it queues, on any of the bridges, is sent when it returns. */
    void (*on_frame)(void *user, unsigned bridge, const frame *f);
    /* The connection has been dropped, and what was queued with it. */
    void (*on_gone)(void *user, unsigned bridge);
    void *user;
    pthread_t thread;
    atomic_bool ended;
    atomic_int drop; /* the bridge whose connection is to be cut, and is -1 again when that is done */
} fake_server;

/* The bridges and callbacks have been set, and all else is zero. */
void fake_server_start(fake_server *s);
/* The agents have been closed. */
void fake_server_end(fake_server *s);
/* Cuts a connection. Its agent may connect again. */
void fake_server_drop(fake_server *s, unsigned bridge);

/* ---- for callbacks ---- */

/* The envelopes of a publish frame, one after the other. */
void fake_server_each(const frame_batch *batch, void (*visit)(void *user, const envelope_view *view), void *user);
/* Queues the envelope for the bridge's agent. */
void fake_server_deliver(fake_bridge *b, uint64_t subscription, const envelope_view *view);
bool fake_server_has_topic(const envelope_view *view, const char *topic);

#endif
