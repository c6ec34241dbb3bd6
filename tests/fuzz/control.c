/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the control socket, against a broker with an agent that provides and subscribes. */
#include <stdlib.h>

#include "broker/endpoints/control_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct world {
    uv_loop_t loop;
    loop_clock clock;
    broker_cores cores;
    bus_server *server;
    port *agent;
} world;

static void on_deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    (void)user;
    (void)subscription;
    (void)view;
}

static void on_call(void *user, const frame_call *f, const envelope_view *view)
{
    (void)user;
    (void)f;
    (void)view; /* it never answers */
}

static void on_frame(void *user, const frame *f)
{
    (void)user;
    (void)f;
}

static void check(loom_status st)
{
    if (st != LOOM_OK) {
        abort();
    }
}

#define TEXT(text) ((loom_str){text, sizeof text - 1})

static void open_world(world *w)
{
    static const bus_handlers handlers = {.deliver = on_deliver, .call = on_call, .frame = on_frame};
    uv_loop_init(&w->loop);
    check(eventbus_create(&w->cores.events, &w->clock, NULL));
    check(actionbroker_create(&w->cores.actions, &w->clock, NULL));
    check(directory_create(&w->cores.agents, &w->clock, w->cores.events));
    check(bus_server_open(&w->server, &w->loop, &w->clock, &w->cores, &(bus_server_options){.control = "tcp://127.0.0.1:0"}));
    check(port_open(&w->cores, &w->agent, &(directory_about){.agent = TEXT("a"), .bridge = TEXT("b")}, &handlers, w));
    check(port_frame(w->agent, &(frame){.type = FRAME_PROVIDE, .u.provide = {.name = TEXT("c"), .version = TEXT("1")}}));
    check(port_frame(w->agent, &(frame){.type = FRAME_SUBSCRIBE, .u.subscribe = {.filter = TEXT("t.>")}}));
}

static void close_world(world *w)
{
    port_close(w->agent, LOOM_OK);
    bus_server_close(w->server, NULL, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    directory_destroy(w->cores.agents);
    actionbroker_destroy(w->cores.actions);
    eventbus_destroy(w->cores.events);
    uv_loop_close(&w->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sp_reply_to nobody = {.peer_number = UINT64_MAX};
    world w = {.server = NULL};
    control_buffer answer;
    open_world(&w);
    control_buffer_init(&answer);
    const control_outcome outcome = control_run(w.server, (loom_bytes){data, size}, &nobody, &answer);
    if ((outcome == CONTROL_ANSWERED) != (answer.bytes.size > 0)) {
        abort(); /* now or later, and never both */
    }
    control_buffer_fini(&answer);
    close_world(&w);
    return 0;
}
