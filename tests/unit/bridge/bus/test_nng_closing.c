/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets close in the middle of messages. nng_close() by itself waits for ever once in some 20 to 100 times.
 * The other side speaks SP over a plain socket, so that only one of nng's is under test. */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pubsub0/sub.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/bus/nng_closing.h"
#include "tests/support/check.h"

enum { ROUNDS = 80, BURST = 3000, BODY_BYTES = 4096, DEADLINE_MS = 10000, PROTOCOL_PUB = 0x20, PROTOCOL_PUSH = 0x50 };

typedef struct busy {
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t pulse; /* so that a deadline is seen */
    nng_closings *closings;
    char folder[64], path[80], url[96];
    uint8_t protocol; /* of the source */
    unsigned woken;
} busy;

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* The burst ends by itself, or with the connection. */
static void *feed(void *user)
{
    busy *w = user;
    const uint8_t hello[] = {0, 'S', 'P', 0, 0, w->protocol, 0, 0};
    uint8_t peer[sizeof hello];
    static const uint8_t message[9 + BODY_BYTES] = {1, 0, 0, 0, 0, 0, 0, BODY_BYTES >> 8, BODY_BYTES & 0xff};
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path, w->path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && write_all(fd, hello, sizeof hello) &&
        recv(fd, peer, sizeof peer, MSG_WAITALL) == sizeof peer) {
        for (unsigned i = 0; i < BURST && write_all(fd, message, sizeof message); i++) {
        }
        (void)!recv(fd, peer, 1, 0); /* until the other side closes */
    }
    close(fd);
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
    snprintf(w->path, sizeof w->path, "%s/s", w->folder);
    snprintf(w->url, sizeof w->url, "ipc://%s", w->path);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(uv_async_init(&w->loop, &w->wake, on_wake), 0);
    uv_timer_init(&w->loop, &w->pulse);
    uv_timer_start(&w->pulse, on_pulse, 10, 10);
    w->wake.data = w;
    assert_status(LOOM_OK, nng_closings_open(&w->closings, &w->wake));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    busy *w = *state;
    nng_closings_close(w->closings);
    uv_close((uv_handle_t *)&w->wake, NULL);
    uv_close((uv_handle_t *)&w->pulse, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    unlink(w->path);
    assert_int_equal(rmdir(w->folder), 0);
    test_free(w);
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

/* Takes a few messages of a burst and closes in the middle of the others. */
static void read_and_close(busy *w, nng_socket socket)
{
    pipe_watch *pipes;
    pthread_t source;
    assert_status(LOOM_OK, pipe_watch_open(&pipes, socket, &w->wake));
    assert_int_equal(nng_listen(socket, w->url, NULL, 0), 0);
    assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, DEADLINE_MS), 0);
    assert_int_equal(pthread_create(&source, NULL, feed, w), 0);
    for (unsigned i = 0; i < 20; i++) {
        nng_msg *msg;
        assert_int_equal(nng_recvmsg(socket, &msg, 0), 0);
        nng_msg_free(msg);
    }
    nng_closings_add(w->closings, socket, pipes);
    wait_closed(w);
    assert_int_equal(pthread_join(source, NULL), 0);
}

static void a_subscriber_closes_in_the_middle_of_messages(void **state)
{
    busy *w = *state;
    w->protocol = PROTOCOL_PUB;
    for (unsigned i = 0; i < ROUNDS; i++) {
        nng_socket socket;
        assert_int_equal(nng_sub0_open(&socket), 0);
        assert_int_equal(nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, "", 0), 0);
        read_and_close(w, socket);
    }
    assert_true(w->woken > 0);
}

static void a_puller_closes_in_the_middle_of_messages(void **state)
{
    busy *w = *state;
    w->protocol = PROTOCOL_PUSH;
    for (unsigned i = 0; i < ROUNDS; i++) {
        nng_socket socket;
        assert_int_equal(nng_pull0_open(&socket), 0);
        read_and_close(w, socket);
    }
    assert_true(w->woken > 0);
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
