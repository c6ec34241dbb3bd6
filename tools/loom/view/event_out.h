/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events to one client: what is to be sent, up to a bound, and what is being sent. */
#ifndef LOOM_TOOLS_VIEW_EVENT_OUT_H
#define LOOM_TOOLS_VIEW_EVENT_OUT_H

#include <jansson.h>

#include "host/http/http_server.h"

typedef struct event_out {
    http_stream *stream; /* the owner's to set; NULL: there is none yet, or none any more */
    char *out, *flying;
    size_t len, cap;
} event_out;

/* False: it is over the bound, or there is no memory; nothing has been added. */
bool event_out_put(event_out *o, const char *event, const char *data);
/* The same with JSON; takes the reference, NULL is out of memory. */
bool event_out_put_json(event_out *o, const char *event, json_t *what);
/* Sends what there is, unless something is being sent. Returns whether it did. */
bool event_out_send(event_out *o);
/* What was being sent has left: for http_stream_events.sent, which may come from inside event_out_send(). */
void event_out_sent(event_out *o);
void event_out_fini(event_out *o);

#endif
