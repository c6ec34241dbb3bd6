/* SPDX-License-Identifier: Apache-2.0 */
/* An EventBus with its nng sockets and nothing else, for programs of other languages to test against:
 *   bus_fixture FOLDER
 * listens on FOLDER/{pull,pub,bridge_pull,bridge_pub,control}, says so as one line of JSON, ends when its input ends. */
#include <stdio.h>

#include "broker/bus/bus_server.h"

typedef struct fixture {
    uv_loop_t loop;
    uv_timer_t pulse;
    uv_pipe_t input;
    eventbus *core;
    bus_server *server;
    char sink[64];
} fixture;

static void on_pulse(uv_timer_t *timer)
{
    fixture *f = timer->data;
    eventbus_set_time(f->core, uv_now(&f->loop));
    eventbus_expire(f->core);
}

static void on_log(void *user, int level, const char *text)
{
    (void)user;
    fprintf(stderr, "%d %s\n", level, text);
}

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    fixture *f = handle->data;
    (void)size;
    *buf = uv_buf_init(f->sink, sizeof f->sink);
}

static void on_input(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    fixture *f = stream->data;
    (void)buf;
    if (got < 0) {
        bus_server_close(f->server, NULL, NULL);
        uv_close((uv_handle_t *)&f->pulse, NULL);
        uv_close((uv_handle_t *)stream, NULL);
    }
}

int main(int argc, char *argv[])
{
    static const char *const names[BUS_SERVER_URLS] = {"pull", "pub", "bridge_pull", "bridge_pub", "control"};
    char urls[BUS_SERVER_URLS][160];
    fixture f;
    if (argc != 2) {
        fprintf(stderr, "usage: bus_fixture FOLDER\n");
        return 2;
    }
    for (unsigned i = 0; i < BUS_SERVER_URLS; i++) {
        snprintf(urls[i], sizeof urls[i], "ipc://%s/%s", argv[1], names[i]);
    }
    uv_loop_init(&f.loop);
    uv_timer_init(&f.loop, &f.pulse);
    uv_pipe_init(&f.loop, &f.input, 0);
    f.pulse.data = f.input.data = &f;
    if (uv_pipe_open(&f.input, 0) != 0 || uv_read_start((uv_stream_t *)&f.input, give_buffer, on_input) != 0 ||
        eventbus_create(&f.core, &(eventbus_options){0}) != LOOM_OK ||
        bus_server_open(&f.server, &f.loop, f.core, &(bus_server_options){
            .bus_pull = urls[BUS_SERVER_PULL], .bus_pub = urls[BUS_SERVER_PUB],
            .bridge_pull = urls[BUS_SERVER_BRIDGE_PULL], .bridge_pub = urls[BUS_SERVER_BRIDGE_PUB],
            .control = urls[BUS_SERVER_CONTROL], .software = "bus_fixture", .log = on_log}) != LOOM_OK) {
        return 1;
    }
    uv_timer_start(&f.pulse, on_pulse, 20, 20);
    printf("{\"bus_pull\": \"%s\", \"bus_pub\": \"%s\", \"bus_control\": \"%s\"}\n",
           bus_server_url_of(f.server, BUS_SERVER_PULL), bus_server_url_of(f.server, BUS_SERVER_PUB),
           bus_server_url_of(f.server, BUS_SERVER_CONTROL));
    fflush(stdout);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    eventbus_destroy(f.core);
    uv_loop_close(&f.loop);
    return 0;
}
