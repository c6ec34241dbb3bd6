/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/link/carrier.h"

#include "sdk-c/link/carrier_layer.h"

loom_status carrier_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE])
{
    switch (options->url->scheme) {
    case URL_WS:
    case URL_WSS: return carrier_ws_open(out, options, why);
    case URL_TLS: return carrier_tls_open(out, options, why);
    default: return carrier_socket_open(out, options, why);
    }
}

void room_watch_init(room_watch *w)
{
    *w = (room_watch){0};
    pthread_mutex_init(&w->lock, NULL);
}

void room_watch_fini(room_watch *w)
{
    pthread_mutex_destroy(&w->lock);
}

static void set(room_watch *w, bool *who, bool on)
{
    pthread_mutex_lock(&w->lock);
    *who = on;
    on = w->agent || w->layer;
    if (on != w->on) {
        w->on = on;
        w->under->ops->watch_room(w->under, on);
    }
    pthread_mutex_unlock(&w->lock);
}

void room_watch_agent(room_watch *w, bool on)
{
    set(w, &w->agent, on);
}

void room_watch_layer(room_watch *w, bool on)
{
    set(w, &w->layer, on);
}
