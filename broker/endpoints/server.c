/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, the rounds, and closing. The uv handles live inside the object, which is freed when the last part is closed
 * (endpoint.c). */
#include "broker/endpoints/server.h"

#include <stdlib.h>
#include <string.h>

#include "broker/endpoints/control_internal.h"

enum {
    PING_MS = 2000,
    SILENCE_MS = 10000,
    BRIDGES_MAX = 64,
    SESSIONS_MAX = 65536,
    HOLD_BYTES = 16 * 1024 * 1024,
    END_BYTES = 256 * 1024 * 1024
};

/* ---- sockets ---- */

const char *bus_server_url_of(const bus_server *s, bus_server_url which)
{
    const sp_server *const servers[BUS_SERVER_URLS] = {
        [BUS_SERVER_PULL] = s->open.pull, [BUS_SERVER_PUB] = s->open.pub,
        [BUS_SERVER_BRIDGE] = s->bridges.server, [BUS_SERVER_CONTROL] = s->control.server,
    };
    return servers[which] != NULL ? sp_server_url(servers[which]) : "";
}

/* ---- rounds ---- */

static void on_turns(uv_idle_t *turns)
{
    bus_server *s = turns->data;
    bus_woke(s);
    bridge_endpoint_take_turns(s);
    open_in_take_turn(s);
}

static void round_end(bus_server *s)
{
    if (s->closing) {
        return;
    }
    bridge_endpoint_flush(s);
    open_endpoint_flush(s);
    if (s->control.server != NULL) {
        sp_server_flush(s->control.server);
    }
    if (bridge_endpoint_has_turns(s) || open_in_is_due(s)) {
        uv_idle_start(&s->turns, on_turns);
    } else {
        uv_idle_stop(&s->turns);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    round_end(prepare->data);
}

static void on_check(uv_check_t *check)
{
    bus_server *s = check->data;
    round_end(s);
    s->round++;
}

static void on_timer(uv_timer_t *timer)
{
    bus_server *s = timer->data;
    bus_woke(s);
    bridge_endpoint_tick(s);
    round_end(s);
}

void bus_server_hold_publishers(bus_server *s, bool at_once)
{
    s->winding_down = true;
    s->takes_no_publishes = s->takes_no_publishes || at_once;
    bridge_endpoint_hold_publishers(s);
    open_in_look(s);
}

bool bus_server_is_through(const bus_server *s)
{
    for (const bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        if (b->deferred.first != NULL) {
            return false;
        }
    }
    return s->open.waiting.first == NULL;
}

uint64_t bus_server_unread(const bus_server *s)
{
    return open_in_waiting(s);
}

/* ---- life ---- */

void bus_server_close(bus_server *s, void (*closed)(void *user), void *user)
{
    round_end(s);
    if (s->cores.system != NULL) {
        *s->cores.system = (broker_system){0};
    }
    s->closing = true;
    s->closed = closed;
    s->closed_user = user;
    s->closing_parts = 4;
    bus_woke(s);
    control_endpoint_close(s);
    bridge_endpoint_close(s);
    open_endpoint_close(s);
    uv_close((uv_handle_t *)&s->prepare, endpoint_handle_closed);
    uv_close((uv_handle_t *)&s->check, endpoint_handle_closed);
    uv_close((uv_handle_t *)&s->timer, endpoint_handle_closed);
    uv_close((uv_handle_t *)&s->turns, endpoint_handle_closed);
}

static void set_options(bus_server *s, const bus_server_options *options)
{
    bus_server_options *o = &s->options;
    *o = *options;
    o->ping_ms = o->ping_ms > 0 ? o->ping_ms : PING_MS;
    o->silence_ms = o->silence_ms > 0 ? o->silence_ms : SILENCE_MS;
    o->parts_ms = o->parts_ms > 0 ? o->parts_ms : BUS_PARTS_MS;
    o->max_bridges = o->max_bridges > 0 ? o->max_bridges : BRIDGES_MAX;
    o->max_sessions = o->max_sessions > 0 ? o->max_sessions : SESSIONS_MAX;
    o->bridge_hold_bytes = o->bridge_hold_bytes > 0 ? o->bridge_hold_bytes : HOLD_BYTES;
    o->bridge_end_bytes = o->bridge_end_bytes > 0 ? o->bridge_end_bytes : END_BYTES;
    o->ttl = o->ttl > 0 ? o->ttl : LOOM_TTL_DEFAULT;
    o->ipc_mode = o->ipc_mode > 0 ? o->ipc_mode : 0600;
    o->software = s->software;
}

static void count_own(bus_server *s)
{
    counter_list_add(&s->own_counters, eventbus_counter_source(s->cores.events));
    counter_list_add(&s->own_counters, actionbroker_counter_source(s->cores.actions));
    counter_list_add(&s->own_counters, directory_counter_source(s->cores.agents));
    counter_list_add(&s->own_counters, bus_server_counter_source(s));
    s->options.counters = &s->own_counters;
}

static void on_failed_open_closed(void *over)
{
    *(bool *)over = true;
}

loom_status bus_server_open(bus_server **out, uv_loop_t *loop, loop_clock *clock, const broker_cores *cores,
                            const bus_server_options *options)
{
    *out = NULL;
    bus_server *s = calloc(1, sizeof *s);
    char *software = strdup(options->software != NULL ? options->software : "");
    shared_pool *blocks = shared_pool_create();
    if (s == NULL || software == NULL || blocks == NULL) {
        shared_pool_close(blocks);
        free(software);
        free(s);
        return LOOM_ENOMEM;
    }
    s->loop = loop;
    s->clock = clock;
    s->cores = *cores;
    s->software = software;
    s->blocks = blocks;
    s->started_ms = uv_now(loop);
    bytes_table_init(&s->control.by_call);
    bytes_table_init(&s->control.by_question);
    bytes_table_init(&s->control.by_peer);
    s->log = (log_sink){options->log, options->user};
    set_options(s, options);
    if (s->options.counters == NULL) {
        count_own(s);
    }
    uv_prepare_init(loop, &s->prepare); /* these four cannot fail */
    uv_check_init(loop, &s->check);
    uv_timer_init(loop, &s->timer);
    uv_idle_init(loop, &s->turns);
    s->prepare.data = s->check.data = s->timer.data = s->turns.data = s;
    uv_prepare_start(&s->prepare, on_prepare);
    uv_check_start(&s->check, on_check);
    loom_status st;
    if ((st = open_endpoint_open(s)) != LOOM_OK || (st = bridge_endpoint_open(s)) != LOOM_OK ||
        (st = control_endpoint_open(s)) != LOOM_OK) {
        /* handles of the loop close later: the caller must not find half of them */
        bool over = false;
        bus_server_close(s, on_failed_open_closed, &over);
        while (!over) {
            uv_run(loop, UV_RUN_ONCE);
        }
        return st;
    }
    uv_timer_start(&s->timer, on_timer, s->options.ping_ms, s->options.ping_ms);
    if (s->cores.system != NULL) {
        *s->cores.system = (broker_system){control_system_answer, s};
    }
    *out = s;
    return LOOM_OK;
}
