/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the broker's control socket: one REQ socket, one question at a time. The callback runs on nng's thread. */
#include <msgpack.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/bus/bus_nng_internal.h"
#include "envelope/msgpack_bytes.h"

enum { RECONNECT_MIN_MS = 20, RECONNECT_MAX_MS = 500, ANSWER_MAX = 64 * 1024 };

typedef enum control_phase { CONTROL_IDLE, CONTROL_SENDING, CONTROL_RECEIVING, CONTROL_DONE } control_phase;

struct control_client {
    nng_socket socket;
    nng_aio *aio;
    uv_async_t *wake;
    nng_msg *answer; /* the loop's: what the last answer's strings point into */
    pthread_mutex_t lock;
    /* guarded by lock: */
    control_phase phase;
    int error;
};

static void on_done(void *user)
{
    control_client *c = user;
    int error = nng_aio_result(c->aio);
    bool receive = false;
    pthread_mutex_lock(&c->lock);
    if (error != 0) {
        if (c->phase == CONTROL_SENDING) {
            nng_msg_free(nng_aio_get_msg(c->aio));
        }
        nng_aio_set_msg(c->aio, NULL);
        c->error = error;
        c->phase = CONTROL_DONE;
    } else if (c->phase == CONTROL_SENDING) {
        c->phase = CONTROL_RECEIVING;
        receive = true;
    } else {
        c->error = 0;
        c->phase = CONTROL_DONE;
    }
    pthread_mutex_unlock(&c->lock);
    if (receive) {
        nng_recv_aio(c->socket, c->aio);
    } else {
        uv_async_send(c->wake);
    }
}

loom_status control_client_open(control_client **out, const char *url, uint32_t answer_ms, uv_async_t *wake)
{
    *out = NULL;
    control_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return LOOM_ENOMEM;
    }
    c->wake = wake;
    int error = nng_req0_open(&c->socket);
    if (error != 0) {
        goto free_client;
    }
    if ((error = nng_aio_alloc(&c->aio, on_done, c)) != 0) {
        goto close_socket;
    }
    nng_aio_set_timeout(c->aio, (nng_duration)answer_ms);
    (void)nng_socket_set_ms(c->socket, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
    (void)nng_socket_set_ms(c->socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    (void)nng_socket_set_size(c->socket, NNG_OPT_RECVMAXSZ, ANSWER_MAX);
    if ((error = nng_dial(c->socket, url, NULL, NNG_FLAG_NONBLOCK)) != 0) {
        goto free_aio;
    }
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return LOOM_OK;

free_aio:
    nng_aio_free(c->aio);
close_socket:
    nng_close(c->socket);
free_client:
    free(c);
    return nng_status(error);
}

void control_client_close(control_client *c, nng_closings *closings)
{
    if (c == NULL) {
        return;
    }
    nng_aio_stop(c->aio);
    nng_closings_add(closings, c->socket, NULL);
    if (c->phase == CONTROL_DONE && c->error == 0) {
        nng_msg_free(nng_aio_get_msg(c->aio));
    }
    nng_aio_free(c->aio);
    if (c->answer != NULL) {
        nng_msg_free(c->answer);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void control_client_cancel(control_client *c)
{
    nng_aio_abort(c->aio, NNG_ECANCELED);
}

static void pack_text(msgpack_packer *pk, loom_str text)
{
    msgpack_pack_str_with_body(pk, text.data, text.len);
}

static void pack_key(msgpack_packer *pk, const char *key)
{
    pack_text(pk, (loom_str){key, strlen(key)});
}

static int append(void *user, const char *data, size_t len)
{
    return nng_msg_append(user, data, len);
}

static int write_question(nng_msg *msg, const char *op, loom_str bridge, loom_str software, uint64_t epoch)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, msg, append);
    size_t before = nng_msg_len(msg);
    msgpack_pack_map(&pk, 5);
    pack_key(&pk, "op");
    pack_key(&pk, op);
    pack_key(&pk, "bridge");
    pack_text(&pk, bridge);
    pack_key(&pk, "protocol");
    msgpack_pack_uint64(&pk, BUS_PROTOCOL);
    pack_key(&pk, "software");
    pack_text(&pk, software);
    pack_key(&pk, "epoch");
    /* the last value is the one whose result tells whether there was memory for all: appends go on failing */
    int error = msgpack_pack_uint64(&pk, epoch);
    return error != 0 || nng_msg_len(msg) == before ? -1 : 0;
}

loom_status control_client_ask(control_client *c, const char *op, loom_str bridge, loom_str software, uint64_t epoch)
{
    nng_msg *msg;
    pthread_mutex_lock(&c->lock);
    bool idle = c->phase == CONTROL_IDLE;
    pthread_mutex_unlock(&c->lock);
    if (!idle) {
        return LOOM_EBUSY;
    }
    if (nng_msg_alloc(&msg, 0) != 0) {
        return LOOM_ENOMEM;
    }
    if (nng_msg_reserve(msg, 1024) != 0 || write_question(msg, op, bridge, software, epoch) != 0) {
        nng_msg_free(msg);
        return LOOM_ENOMEM;
    }
    pthread_mutex_lock(&c->lock);
    c->phase = CONTROL_SENDING;
    pthread_mutex_unlock(&c->lock);
    nng_aio_set_msg(c->aio, msg);
    nng_send_aio(c->socket, c->aio);
    return LOOM_OK;
}

static bool is(loom_str key, const char *name)
{
    return key.len == strlen(name) && memcmp(key.data, name, key.len) == 0;
}

static loom_status read_answer(loom_bytes bytes, control_answer *answer)
{
    mp_reader r = {bytes.data, bytes.data + bytes.len};
    uint32_t pairs;
    *answer = (control_answer){.status = LOOM_EPROTO};
    if (!mp_read_map(&r, &pairs)) {
        return LOOM_EMALFORMED;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        loom_str key;
        if (!mp_read_str(&r, &key)) {
            return LOOM_EMALFORMED;
        }
        bool fine = is(key, "status")     ? mp_read_uint(&r, &answer->status)
                    : is(key, "epoch")    ? mp_read_uint(&r, &answer->epoch)
                    : is(key, "pull")     ? mp_read_str(&r, &answer->pull)
                    : is(key, "pub")      ? mp_read_str(&r, &answer->pub)
                    : is(key, "text")     ? mp_read_str(&r, &answer->text)
                    : is(key, "software") ? mp_read_str(&r, &answer->software)
                                          : mp_skip(&r, LOOM_DEPTH_MAX);
        if (!fine) {
            return LOOM_EMALFORMED;
        }
    }
    return LOOM_OK;
}

loom_status control_client_take(control_client *c, control_answer *answer)
{
    pthread_mutex_lock(&c->lock);
    bool done = c->phase == CONTROL_DONE;
    int error = c->error;
    if (done) {
        c->phase = CONTROL_IDLE;
    }
    pthread_mutex_unlock(&c->lock);
    if (!done) {
        return LOOM_EBUSY;
    }
    if (error != 0) {
        return nng_status(error);
    }
    if (c->answer != NULL) {
        nng_msg_free(c->answer);
    }
    c->answer = nng_aio_get_msg(c->aio);
    nng_aio_set_msg(c->aio, NULL);
    return read_answer((loom_bytes){nng_msg_body(c->answer), nng_msg_len(c->answer)}, answer);
}
