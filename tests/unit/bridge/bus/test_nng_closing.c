/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets close while messages are on their way to them. nng_close() itself waits for ever once in some 20 to 100 times. */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "bridge/bus/nng_closing.h"
#include "tests/support/check.h"

enum { ROUNDS = 60, MESSAGE_BYTES = 4096, DEADLINE_MS = 10000 };

typedef struct busy {
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t pulse; /* so that a deadline is seen */
    nng_closings *closings;
    char folder[64], url[96];
    nng_socket source;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool feeding, stop; /* guarded by lock */
    unsigned woken;
} busy;

/* False: it was told to stop. */
static bool may_feed(busy *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->feeding && !w->stop) {
        pthread_cond_wait(&w->changed, &w->lock);
    }
    bool go_on = !w->stop;
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void tell_feeder(busy *w, bool feeding, bool stop)
{
    pthread_mutex_lock(&w->lock);
    w->feeding = feeding;
    w->stop = stop;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void *feed(void *user)
{
    busy *w = user;
    (void)nng_socket_set_ms(w->source, NNG_OPT_SENDTIMEO, 1);
    while (may_feed(w)) {
        nng_msg *msg;
        if (nng_msg_alloc(&msg, MESSAGE_BYTES) == 0 && nng_sendmsg(w->source, msg, 0) != 0) {
            nng_msg_free(msg);
        }
    }
    return NULL;
}

static void on_wake(uv_async_t *wake)
{
    ((busy *)wake->data)->woken++;
}

static void on_pulse(uv_timer_t *pulse)
{
    (void)pulse;
}

static int setup(void **state)
{
    busy *w = test_calloc(1, sizeof *w);
    strcpy(w->folder, "/tmp/loom-closing-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->url, sizeof w->url, "ipc://%s/s", w->folder);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(uv_async_init(&w->loop, &w->wake, on_wake), 0);
    uv_timer_init(&w->loop, &w->pulse);
    uv_timer_start(&w->pulse, on_pulse, 10, 10);
    w->wake.data = w;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    assert_status(LOOM_OK, nng_closings_open(&w->closings, &w->wake));
    *state = w;
    return 0;
}

static void wait_closed(busy *w)
{
    uint64_t until_ms = uv_hrtime() / 1000000 + DEADLINE_MS;
    while (nng_closings_left(w->closings) > 0) {
        assert_true(uv_hrtime() / 1000000 < until_ms);
        uv_run(&w->loop, UV_RUN_ONCE);
    }
}

static int teardown(void **state)
{
    busy *w = *state;
    nng_closings_close(w->closings);
    uv_close((uv_handle_t *)&w->wake, NULL);
    uv_close((uv_handle_t *)&w->pulse, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    unlink(w->url + strlen("ipc://"));
    assert_int_equal(rmdir(w->folder), 0);
    test_free(w);
    return 0;
}

static void start_feeding(busy *w)
{
    assert_int_equal(nng_socket_set_int(w->source, NNG_OPT_SENDBUF, 64), 0);
    assert_int_equal(nng_listen(w->source, w->url, NULL, 0), 0);
    assert_int_equal(pthread_create(&w->thread, NULL, feed, w), 0);
}

/* Takes a few messages and closes in the middle of the others. */
static void read_and_close(busy *w, nng_socket socket)
{
    pipe_watch *pipes;
    assert_status(LOOM_OK, pipe_watch_open(&pipes, socket, &w->wake));
    assert_int_equal(nng_dial(socket, w->url, NULL, 0), 0);
    assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, DEADLINE_MS), 0);
    tell_feeder(w, true, false);
    for (unsigned i = 0; i < 20; i++) {
        nng_msg *msg;
        assert_int_equal(nng_recvmsg(socket, &msg, 0), 0);
        nng_msg_free(msg);
    }
    nng_closings_add(w->closings, socket, pipes);
    tell_feeder(w, false, false);
    assert_int_equal(nng_closings_left(w->closings), 1);
    wait_closed(w);
}

static void stop_feeding(busy *w)
{
    tell_feeder(w, false, true);
    pthread_join(w->thread, NULL);
    nng_closings_add(w->closings, w->source, NULL);
    wait_closed(w);
    assert_true(w->woken > 0);
}

static void a_subscriber_closes_in_the_middle_of_messages(void **state)
{
    busy *w = *state;
    assert_int_equal(nng_pub0_open(&w->source), 0);
    start_feeding(w);
    for (unsigned i = 0; i < ROUNDS; i++) {
        nng_socket socket;
        assert_int_equal(nng_sub0_open(&socket), 0);
        assert_int_equal(nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, "", 0), 0);
        read_and_close(w, socket);
    }
    stop_feeding(w);
}

static void a_puller_closes_in_the_middle_of_messages(void **state)
{
    busy *w = *state;
    assert_int_equal(nng_push0_open(&w->source), 0);
    start_feeding(w);
    for (unsigned i = 0; i < ROUNDS; i++) {
        nng_socket socket;
        assert_int_equal(nng_pull0_open(&socket), 0);
        read_and_close(w, socket);
    }
    stop_feeding(w);
}

static int fini(void **state)
{
    (void)state;
    nng_fini();
    return 0;
}

int main(void)
{
#define BUSY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        BUSY(a_subscriber_closes_in_the_middle_of_messages),
        BUSY(a_puller_closes_in_the_middle_of_messages),
    };
    return cmocka_run_group_tests_name("nng_closing", tests, NULL, fini);
}
