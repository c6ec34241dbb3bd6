/* SPDX-License-Identifier: Apache-2.0 */
/* How fast messages go from a bridge over nng through the EventBus and over nng to a bridge: the broker on a loop and
 * thread of its own, two bridges on another. bus_rate [seconds] [subscribers] */
#include <loom/envelope.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/bus/bus_nng.h"
#include "broker/bus/bus_server.h"

enum { SUBSCRIBERS_MAX = 64, BURST = 2000, CREDIT = 200000 };

typedef struct broker {
    uv_loop_t loop;
    uv_async_t stop;
    uv_timer_t pulse;
    eventbus *core;
    bus_server *server;
    bus_server_options options;
} broker;

typedef struct agent {
    bus_port *port;
    bus *bus;
    uint64_t delivered, granted;
    bool pressed, subscribed;
} agent;

static void on_pulse(uv_timer_t *timer)
{
    broker *b = timer->data;
    eventbus_set_time(b->core, uv_now(&b->loop));
    eventbus_expire(b->core);
}

static void on_stop(uv_async_t *stop)
{
    broker *b = stop->data;
    bus_server_close(b->server, NULL, NULL);
    uv_close((uv_handle_t *)&b->pulse, NULL);
    uv_close((uv_handle_t *)&b->stop, NULL);
}

static void *run_broker(void *user)
{
    broker *b = user;
    uv_run(&b->loop, UV_RUN_DEFAULT);
    eventbus_destroy(b->core);
    uv_loop_close(&b->loop);
    return NULL;
}

static void on_log(void *user, int level, const char *text)
{
    (void)user;
    if (level <= 1) {
        fprintf(stderr, "%s\n", text);
    }
}

static bool open_broker(broker *b, char urls[3][96])
{
    b->options = (bus_server_options){.bridge_pull = urls[0], .bridge_pub = urls[1], .control = urls[2], .log = on_log};
    uv_loop_init(&b->loop);
    uv_async_init(&b->loop, &b->stop, on_stop);
    uv_timer_init(&b->loop, &b->pulse);
    b->stop.data = b->pulse.data = b;
    uv_timer_start(&b->pulse, on_pulse, 10, 10);
    return eventbus_create(&b->core, &(eventbus_options){0}) == LOOM_OK &&
           bus_server_open(&b->server, &b->loop, b->core, &b->options) == LOOM_OK;
}

static void deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    (void)subscription;
    (void)view;
    ((agent *)user)->delivered++;
}

static void pressure(void *user, bool on)
{
    ((agent *)user)->pressed = on;
}

static void answered(void *user, uint64_t request, loom_status status, const char *text)
{
    (void)request;
    ((agent *)user)->subscribed = true;
    if (status != LOOM_OK) {
        fprintf(stderr, "refused: %s\n", text);
    }
}

static void refused(void *user, const uint8_t id[LOOM_UUID_SIZE], loom_status status, const char *text)
{
    (void)user;
    (void)id;
    (void)status;
    fprintf(stderr, "refused: %s\n", text);
}

static void attach(agent *a, bus *base, const char *name)
{
    static const bus_handlers handlers = {deliver, pressure, answered, refused};
    a->bus = base;
    if (base->ops->attach(base, &a->port, (loom_str){name, strlen(name)}, &handlers, a) != LOOM_OK) {
        abort();
    }
}

static void grant_more(agent *a)
{
    if (a->delivered + CREDIT / 2 >= a->granted) {
        a->granted += CREDIT;
        a->bus->ops->grant(a->bus, a->port, a->granted, UINT64_MAX);
    }
}

static void on_nothing(uv_idle_t *idle)
{
    (void)idle;
}

/* The publisher never sleeps: an idle handle keeps the loop going round. */
static void measure(uv_loop_t *loop, agent *from, agent *to, unsigned count, double seconds, const envelope_view *view)
{
    uint8_t *wire = (uint8_t *)(uintptr_t)view->data; /* the bus only copies it */
    uint64_t begin = uv_hrtime();
    uint64_t published = 0;
    double passed = 0;
    while (passed < seconds) {
        for (unsigned i = 0; i < BURST && !from->pressed; i++, published++) {
            from->bus->ops->publish(from->bus, from->port, view, wire);
        }
        uv_run(loop, UV_RUN_ONCE);
        for (unsigned i = 0; i < count; i++) {
            grant_more(&to[i]);
        }
        passed = (double)(uv_hrtime() - begin) / 1e9;
    }
    uint64_t delivered = 0;
    for (unsigned i = 0; i < count; i++) {
        delivered += to[i].delivered;
    }
    printf("%u byte envelopes: published %.3f M/s, delivered to %u subscribers %.3f M/s\n", view->len,
           (double)published / passed / 1e6, count, (double)delivered / passed / 1e6);
}

static void measure_round_trips(uv_loop_t *loop, agent *from, agent *to, const envelope_view *view, unsigned count)
{
    uint64_t *took = calloc(count, sizeof *took);
    for (unsigned i = 0; i < count && took != NULL; i++) {
        uint64_t want = to->delivered + 1;
        uint64_t begin = uv_hrtime();
        from->bus->ops->publish(from->bus, from->port, view, (uint8_t *)(uintptr_t)view->data);
        while (to->delivered < want) {
            uv_run(loop, UV_RUN_ONCE);
        }
        took[i] = uv_hrtime() - begin;
    }
    for (unsigned i = 1; i < count && took != NULL; i++) { /* insertion sort: small, nearly sorted */
        uint64_t t = took[i];
        unsigned at = i;
        for (; at > 0 && took[at - 1] > t; at--) {
            took[at] = took[at - 1];
        }
        took[at] = t;
    }
    if (took != NULL) {
        printf("one at a time, bridge to bridge: p50 %.0f us, p99 %.0f us\n", (double)took[count / 2] / 1e3,
               (double)took[count * 99 / 100] / 1e3);
    }
    free(took);
}

int main(int argc, char *argv[])
{
    double seconds = argc > 1 ? atof(argv[1]) : 3;
    unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
    char folder[] = "/tmp/loom-rate-XXXXXX";
    static const char *const names[] = {"pull", "pub", "control"};
    char urls[3][96];
    uint8_t payload[128] = {0};
    broker b;
    agent from = {0}, to[SUBSCRIBERS_MAX] = {0};
    loom_envelope *env;
    bus_nng *bridges[2];
    uv_loop_t loop;
    uv_idle_t idle;
    pthread_t thread;

    count = count < 1 ? 1 : count > SUBSCRIBERS_MAX ? SUBSCRIBERS_MAX : count;
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    for (unsigned i = 0; i < 3; i++) {
        snprintf(urls[i], sizeof urls[i], "ipc://%s/%s", folder, names[i]);
    }
    if (!open_broker(&b, urls) ||
        loom_envelope_create(&env, &(loom_envelope_fields){.topic = {"rate.test.data", 14}, .type = {"rate.test", 9},
            .sender = {"publisher", 9}, .payload = {payload, sizeof payload}, .content_type = {"application/json", 16},
            .thread_id = {"0190c0de-0000-7000-8000-000000000000", 36}}) != LOOM_OK) {
        return 1;
    }
    uv_loop_init(&loop);
    for (unsigned i = 0; i < 2; i++) {
        if (bus_nng_open(&bridges[i], &loop, &(bus_nng_options){.control = urls[2], .bridge_id = i == 0 ? "from" : "to",
                                                                .log = on_log}) != LOOM_OK) {
            return 1;
        }
    }
    pthread_create(&thread, NULL, run_broker, &b);
    attach(&from, bus_nng_bus(bridges[0]), "publisher");
    for (unsigned i = 0; i < count; i++) {
        attach(&to[i], bus_nng_bus(bridges[1]), "subscriber");
        grant_more(&to[i]);
        to[i].bus->ops->subscribe(to[i].bus, to[i].port, &(frame_subscribe){.request = 1, .subscription = 1,
                                                                            .filter = {"rate.>", 6}});
    }
    for (unsigned i = 0; i < count; i++) {
        while (!bus_nng_get_stats(bridges[0]).connected || !to[i].subscribed) {
            uv_run(&loop, UV_RUN_ONCE);
        }
    }
    measure_round_trips(&loop, &from, &to[0], envelope_as_view(env), 2000);
    uv_idle_init(&loop, &idle);
    uv_idle_start(&idle, on_nothing);
    measure(&loop, &from, to, count, seconds, envelope_as_view(env));
    bus_nng_stats s = bus_nng_get_stats(bridges[1]);
    printf("messages of the bus to the subscribers: %llu, gaps %llu\n", (unsigned long long)s.received,
           (unsigned long long)s.gaps);
    uv_close((uv_handle_t *)&idle, NULL);
    bus_nng_close(bridges[0], 0, NULL, NULL);
    bus_nng_close(bridges[1], 0, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    uv_async_send(&b.stop);
    pthread_join(thread, NULL);
    loom_envelope_unref(env);
    rmdir(folder);
    return 0;
}
