/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoints share: how they come to listen, and how they end. The server is freed when the last socket and the last
 * handle of it are closed. */
#include <stdlib.h>

#include "base/descriptors.h"
#include "broker/endpoints/internal.h"

static void on_sp_log(void *user, log_level level, const char *format, va_list args)
{
    log_to_v(&((const bus_server *)user)->log, level, format, args);
}

/* Bridges over max_bridges get in, to be refused with a reason. */
enum { OPEN_PEERS_MAX = 1024, ASKERS_MAX = 64, BRIDGES_EXTRA = 16 };

static void limit_peers(const bus_server *s, sp_options *o)
{
    switch (o->protocol) {
    case SP_REP:
        o->max_peers = descriptors_share(ASKERS_MAX, 8);
        o->descriptor_limit = descriptors_limit(DESCRIPTORS_CONTROL);
        return;
    case SP_PAIR:
        o->max_peers = descriptors_share(s->options.max_bridges + BRIDGES_EXTRA, 4);
        o->descriptor_limit = descriptors_limit(DESCRIPTORS_BRIDGES);
        return;
    default:
        o->max_peers = descriptors_share(OPEN_PEERS_MAX, 4);
        o->descriptor_limit = descriptors_limit(DESCRIPTORS_AGENTS);
    }
}

loom_status bus_listen(bus_server *s, sp_server **out, const char *url, sp_options options)
{
    *out = NULL;
    if (url == NULL || url[0] == '\0') {
        return LOOM_OK;
    }
    options.user = s;
    options.ipc_mode = s->options.ipc_mode;
    options.log = on_sp_log;
    limit_peers(s, &options);
    loom_status st = sp_listen(out, s->loop, url, &options);
    if (st != LOOM_OK) {
        return st;
    }
    log_to(&s->log, LOG_INFO, "listening url=%s", sp_server_url(*out));
    return LOOM_OK;
}

static void on_part_closed(bus_server *s)
{
    if (--s->closing_parts > 0) {
        return;
    }
    void (*closed)(void *user) = s->closed;
    void *user = s->closed_user;
    shared_pool_close(s->blocks);
    free(s->software);
    free(s);
    if (closed != NULL) {
        closed(user);
    }
}

void endpoint_handle_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void on_server_closed(void *user)
{
    on_part_closed(user);
}

void bus_unlisten(bus_server *s, sp_server **server)
{
    if (*server != NULL) {
        s->closing_parts++;
        sp_server_close(*server, on_server_closed, s);
        *server = NULL;
    }
}

bool work_turn_is_left(work_turn *t, const bus_server *s)
{
    if (t->round != s->round) {
        *t = (work_turn){.round = s->round};
    }
    return t->spent < BUS_TURN;
}
