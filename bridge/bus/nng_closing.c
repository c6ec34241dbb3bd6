/* SPDX-License-Identifier: Apache-2.0 */
/* One thread for each socket that closes. It makes the socket quiet first:
 *  - A SUB socket reads, and throws away, all that is on its way until nothing comes for a moment: a publisher in the
 *    middle of a message to us is then through with it, so that its side is safe too.
 *  - A PULL socket needs only not to be read: a pipe holds one message, and stops.
 *  - A limit of one byte makes nng end a connection by itself, where that is safe, at the beginning of the next message. */
#include "bridge/bus/nng_closing.h"

#include <nng/protocol/pubsub0/sub.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROTOCOL_SUB = 0x21, QUIET_MS = 10, NOISY_MAX_MS = 1000 };

struct nng_closings {
    pthread_mutex_t lock;
    /* guarded by lock: */
    uv_async_t *wake; /* NULL: the owner has gone */
    unsigned left;
};

typedef struct closing {
    nng_closings *group;
    nng_socket socket;
    pipe_watch *pipes;
} closing;

loom_status nng_closings_open(nng_closings **out, uv_async_t *wake)
{
    nng_closings *c = calloc(1, sizeof *c);
    *out = c;
    if (c == NULL) {
        return LOOM_ENOMEM;
    }
    pthread_mutex_init(&c->lock, NULL);
    c->wake = wake;
    return LOOM_OK;
}

static void closings_free(nng_closings *c)
{
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static void quieten(nng_socket socket)
{
    nng_msg *msg;
    int protocol = 0;
    nng_time until = nng_clock() + NOISY_MAX_MS;
    (void)nng_socket_get_int(socket, NNG_OPT_PROTO, &protocol);
    if (protocol == PROTOCOL_SUB && nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, "", 0) == 0 &&
        nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, QUIET_MS) == 0) {
        while (nng_clock() < until && nng_recvmsg(socket, &msg, 0) == 0) {
            nng_msg_free(msg);
        }
    }
    (void)nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 1);
    nng_msleep(QUIET_MS); /* the rest of a message under way */
}

static void *run(void *user)
{
    closing *job = user;
    nng_closings *c = job->group;
    quieten(job->socket);
    nng_close(job->socket);
    pipe_watch_close(job->pipes);
    free(job);

    pthread_mutex_lock(&c->lock);
    bool last = --c->left == 0 && c->wake == NULL;
    if (c->wake != NULL) {
        uv_async_send(c->wake); /* under the lock: the owner closes the handle after it has taken it away */
    }
    pthread_mutex_unlock(&c->lock);
    if (last) {
        closings_free(c);
    }
    return NULL;
}

static bool start(closing *job)
{
    pthread_t thread;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    bool started = pthread_create(&thread, &detached, run, job) == 0;
    pthread_attr_destroy(&detached);
    return started;
}

void nng_closings_add(nng_closings *c, nng_socket socket, pipe_watch *pipes)
{
    closing *job = malloc(sizeof *job);
    if (pipes != NULL) {
        pipe_watch_mute(pipes);
    }
    if (job != NULL) {
        *job = (closing){c, socket, pipes};
        pthread_mutex_lock(&c->lock);
        c->left++;
        pthread_mutex_unlock(&c->lock);
        if (start(job)) {
            return;
        }
        pthread_mutex_lock(&c->lock);
        c->left--;
        pthread_mutex_unlock(&c->lock);
        free(job);
    }
    nng_close(socket);
    pipe_watch_close(pipes);
}

unsigned nng_closings_left(nng_closings *c)
{
    pthread_mutex_lock(&c->lock);
    unsigned left = c->left;
    pthread_mutex_unlock(&c->lock);
    return left;
}

/* nng registers nng_fini() for the end of the process, which would wait for the same pipe. This runs before it. */
static void leave(int status, void *user)
{
    (void)user;
    fflush(NULL);
    _exit(status);
}

void nng_closings_close(nng_closings *c)
{
    if (c == NULL) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->wake = NULL;
    unsigned left = c->left;
    pthread_mutex_unlock(&c->lock);
    if (left == 0) {
        closings_free(c);
    } else {
        (void)on_exit(leave, NULL);
    }
}
