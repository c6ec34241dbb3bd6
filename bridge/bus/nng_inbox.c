/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/bus/nng_inbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/bus/number_table.h"

struct nng_inbox {
    nng_socket socket;
    uv_async_t *wake;
    nng_aio *aio;
    size_t max_messages, max_bytes;
    pthread_mutex_t lock;
    /* guarded by lock: */
    size_t head, count, bytes;
    bool receiving;
    bool closed;
    nng_msg *ring[];
};

static bool has_room(const nng_inbox *inbox)
{
    return inbox->count < inbox->max_messages && inbox->bytes < inbox->max_bytes;
}

static void received(void *user)
{
    nng_inbox *inbox = user;
    int error = nng_aio_result(inbox->aio);
    bool go_on = false;
    bool wake = false;

    pthread_mutex_lock(&inbox->lock);
    if (error == 0) {
        nng_msg *msg = nng_aio_get_msg(inbox->aio);
        inbox->ring[(inbox->head + inbox->count) % inbox->max_messages] = msg;
        wake = inbox->count == 0; /* the loop takes until nothing is left, so one wake-up is enough */
        inbox->count++;
        inbox->bytes += nng_msg_len(msg);
        go_on = has_room(inbox);
    } else if (error == NNG_ECLOSED || error == NNG_ECANCELED) {
        inbox->closed = true;
    } else {
        wake = true; /* short of memory, say: the loop tries again */
    }
    inbox->receiving = go_on;
    pthread_mutex_unlock(&inbox->lock);
    if (wake) {
        uv_async_send(inbox->wake);
    }
    if (go_on) {
        nng_recv_aio(inbox->socket, inbox->aio);
    }
}

loom_status nng_inbox_open(nng_inbox **out, nng_socket socket, uv_async_t *wake, size_t max_messages, size_t max_bytes)
{
    *out = NULL;
    nng_inbox *inbox = calloc(1, sizeof *inbox + max_messages * sizeof *inbox->ring);
    if (inbox == NULL) {
        return LOOM_ENOMEM;
    }
    inbox->socket = socket;
    inbox->wake = wake;
    inbox->max_messages = max_messages;
    inbox->max_bytes = max_bytes;
    inbox->receiving = true;
    if (nng_aio_alloc(&inbox->aio, received, inbox) != 0) {
        free(inbox);
        return LOOM_ENOMEM;
    }
    pthread_mutex_init(&inbox->lock, NULL);
    nng_recv_aio(socket, inbox->aio);
    *out = inbox;
    return LOOM_OK;
}

void nng_inbox_close(nng_inbox *inbox)
{
    if (inbox == NULL) {
        return;
    }
    nng_aio_stop(inbox->aio);
    nng_aio_free(inbox->aio);
    for (size_t i = 0; i < inbox->count; i++) {
        nng_msg_free(inbox->ring[(inbox->head + i) % inbox->max_messages]);
    }
    pthread_mutex_destroy(&inbox->lock);
    free(inbox);
}

nng_msg *nng_inbox_take(nng_inbox *inbox)
{
    nng_msg *msg = NULL;
    bool receive = false;
    pthread_mutex_lock(&inbox->lock);
    if (inbox->count > 0) {
        msg = inbox->ring[inbox->head];
        inbox->head = (inbox->head + 1) % inbox->max_messages;
        inbox->count--;
        inbox->bytes -= nng_msg_len(msg);
    }
    if (!inbox->receiving && !inbox->closed && has_room(inbox)) {
        receive = inbox->receiving = true;
    }
    pthread_mutex_unlock(&inbox->lock);
    if (receive) {
        nng_recv_aio(inbox->socket, inbox->aio);
    }
    return msg;
}

/* ---- pipes ---- */

enum { PIPE_EVENTS = 256 };

struct pipe_watch {
    pthread_mutex_t lock;
    /* guarded by lock: */
    uv_async_t *wake; /* NULL: mute */
    number_table up;
    unsigned head, count, missed;
    pipe_event ring[PIPE_EVENTS];
};

static void pipe_changed(nng_pipe pipe, nng_pipe_ev what, void *user)
{
    pipe_watch *watch = user;
    bool added = what == NNG_PIPE_EV_ADD_POST;
    uint32_t id = (uint32_t)nng_pipe_id(pipe);
    pthread_mutex_lock(&watch->lock);
    /* nng also tells of the end of pipes that it refused before they were added (a peer of another protocol) */
    bool counts = added ? number_table_add(&watch->up, id, watch) == LOOM_OK
                        : number_table_remove(&watch->up, id) != NULL;
    if (counts && watch->count < PIPE_EVENTS) {
        watch->ring[(watch->head + watch->count++) % PIPE_EVENTS] = (pipe_event){id, added};
    } else if (counts || added) {
        watch->missed++;
    }
    if (watch->wake != NULL) {
        uv_async_send(watch->wake);
    }
    pthread_mutex_unlock(&watch->lock);
}

loom_status pipe_watch_open(pipe_watch **out, nng_socket socket, uv_async_t *wake)
{
    *out = NULL;
    pipe_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return LOOM_ENOMEM;
    }
    watch->wake = wake;
    pthread_mutex_init(&watch->lock, NULL);
    if (nng_pipe_notify(socket, NNG_PIPE_EV_ADD_POST, pipe_changed, watch) != 0 ||
        nng_pipe_notify(socket, NNG_PIPE_EV_REM_POST, pipe_changed, watch) != 0) {
        pipe_watch_close(watch);
        return LOOM_EIO;
    }
    *out = watch;
    return LOOM_OK;
}

void pipe_watch_mute(pipe_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->wake = NULL;
    pthread_mutex_unlock(&watch->lock);
}

void pipe_watch_close(pipe_watch *watch)
{
    if (watch != NULL) {
        pthread_mutex_destroy(&watch->lock);
        number_table_fini(&watch->up);
        free(watch);
    }
}

bool pipe_watch_take(pipe_watch *watch, pipe_event *out)
{
    pthread_mutex_lock(&watch->lock);
    bool any = watch->count > 0;
    if (any) {
        *out = watch->ring[watch->head];
        watch->head = (watch->head + 1) % PIPE_EVENTS;
        watch->count--;
    }
    pthread_mutex_unlock(&watch->lock);
    return any;
}

unsigned pipe_watch_count(pipe_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    unsigned up = (unsigned)watch->up.count;
    pthread_mutex_unlock(&watch->lock);
    return up;
}

unsigned pipe_watch_missed(pipe_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    unsigned missed = watch->missed;
    watch->missed = 0;
    pthread_mutex_unlock(&watch->lock);
    return missed;
}

loom_status nng_send_copy(nng_socket socket, loom_bytes bytes)
{
    nng_msg *msg;
    if (nng_msg_alloc(&msg, bytes.len) != 0) {
        return LOOM_ENOMEM;
    }
    memcpy(nng_msg_body(msg), bytes.data, bytes.len);
    int error = nng_sendmsg(socket, msg, NNG_FLAG_NONBLOCK);
    if (error != 0) {
        nng_msg_free(msg);
    }
    return error == NNG_EAGAIN || error == NNG_ETIMEDOUT ? LOOM_EBUSY : nng_status(error);
}

loom_status nng_status(int error)
{
    switch (error) {
    case 0: return LOOM_OK;
    case NNG_ENOMEM: return LOOM_ENOMEM;
    case NNG_EADDRINUSE: return LOOM_EBUSY;
    case NNG_EADDRINVAL:
    case NNG_EINVAL:
    case NNG_ENOTSUP: return LOOM_EINVAL;
    case NNG_ETIMEDOUT: return LOOM_ETIMEDOUT;
    case NNG_ECLOSED: return LOOM_ECLOSED;
    default: return LOOM_EIO;
    }
}
