/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/view/event_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PENDING_MAX = 4 << 20 };

bool event_out_put(event_out *o, const char *event, const char *data)
{
    const size_t size = strlen(event) + strlen(data) + 32;
    if (o->len + size > o->cap) {
        const size_t cap = o->len + size > 2 * o->cap ? o->len + size : 2 * o->cap;
        char *more = cap <= PENDING_MAX ? realloc(o->out, cap) : NULL;
        if (more == NULL) {
            return false;
        }
        o->out = more;
        o->cap = cap;
    }
    o->len += (size_t)snprintf(o->out + o->len, o->cap - o->len, "event: %s\ndata: %s\n\n", event, data);
    return true;
}

bool event_out_put_json(event_out *o, const char *event, json_t *what)
{
    char *text = what != NULL ? json_dumps(what, JSON_COMPACT) : NULL;
    const bool fits = text != NULL && event_out_put(o, event, text);
    free(text);
    json_decref(what);
    return fits;
}

bool event_out_send(event_out *o)
{
    if (o->stream == NULL || o->flying != NULL || o->len == 0) {
        return false;
    }
    const size_t len = o->len;
    o->flying = o->out;
    o->out = NULL;
    o->len = o->cap = 0;
    http_stream_send(o->stream, (const uint8_t *)o->flying, len);
    return true;
}

void event_out_sent(event_out *o)
{
    free(o->flying);
    o->flying = NULL;
}

void event_out_fini(event_out *o)
{
    free(o->out);
    free(o->flying);
    *o = (event_out){0};
}
