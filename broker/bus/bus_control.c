/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: questions and answers as msgpack maps. A table of operations, one function each.
 *
 * A few contexts of the REP socket, so that one slow asker does not keep the others waiting. nng's threads move them
 * from RECEIVING to ASKED and from SENDING to RECEIVING; the loop answers what is ASKED. */
#include <msgpack.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <string.h>

#include "broker/bus/bus_internal.h"
#include "envelope/msgpack_bytes.h"

enum { REQUEST_MAX = 16 * 1024, SEND_TIMEOUT_MS = 2000 };

/* ---- answers ---- */

void control_pack_str(msgpack_packer *pk, loom_str text)
{
    msgpack_pack_str_with_body(pk, text.data != NULL ? text.data : "", text.len);
}

void control_pack_key(msgpack_packer *pk, const char *key)
{
    control_pack_str(pk, (loom_str){key, strlen(key)});
}

void control_pack_uint(msgpack_packer *pk, const char *key, uint64_t value)
{
    control_pack_key(pk, key);
    msgpack_pack_uint64(pk, value);
}

static void pack_text(msgpack_packer *pk, const char *key, const char *text)
{
    control_pack_key(pk, key);
    control_pack_key(pk, text);
}

static void refuse(msgpack_packer *pk, loom_status st, const char *text)
{
    msgpack_pack_map(pk, 2);
    control_pack_uint(pk, "status", (uint64_t)st);
    pack_text(pk, "text", text);
}

/* ---- operations ---- */

static void op_hello(bus_server *s, const control_request *q, msgpack_packer *pk)
{
    uint64_t epoch;
    if (!bus_bridge_id_valid(q->bridge)) {
        refuse(pk, LOOM_EINVAL, "bridge must be 1 to 128 printable ASCII characters without spaces");
        return;
    }
    if (q->protocol != BUS_PROTOCOL) {
        refuse(pk, LOOM_EVERSION, "protocol must be 1");
        return;
    }
    if (!s->bridges.pull_open || !s->bridges.pub_open) {
        refuse(pk, LOOM_ENOTFOUND, "this broker does not take bridges");
        return;
    }
    loom_status st = bridge_bus_hello(s, q->bridge, q->software, &epoch);
    if (st != LOOM_OK) {
        refuse(pk, st, st == LOOM_EFULL ? "too many bridges" : loom_status_text(st));
        return;
    }
    msgpack_pack_map(pk, 6);
    control_pack_uint(pk, "status", LOOM_OK);
    control_pack_uint(pk, "protocol", BUS_PROTOCOL);
    control_pack_uint(pk, "epoch", epoch);
    pack_text(pk, "pull", s->urls[BUS_SERVER_BRIDGE_PULL]);
    pack_text(pk, "pub", s->urls[BUS_SERVER_BRIDGE_PUB]);
    pack_text(pk, "software", s->options.software);
}

static void op_ping(bus_server *s, const control_request *q, msgpack_packer *pk)
{
    loom_status st = bridge_bus_ping(s, q->bridge, q->epoch);
    if (st != LOOM_OK) {
        refuse(pk, st, st == LOOM_EREPLACED ? "another bridge of this id said hello later" : "no such bridge: say hello");
        return;
    }
    msgpack_pack_map(pk, 1);
    control_pack_uint(pk, "status", LOOM_OK);
}

static const struct control_op {
    const char *name;
    void (*run)(bus_server *s, const control_request *q, msgpack_packer *pk); /* packs one map */
} ops[] = {
    {"hello", op_hello},
    {"ping", op_ping},
    {"stats", control_stats},
};

/* ---- requests ---- */

static bool is(loom_str text, const char *name)
{
    return text.len == strlen(name) && memcmp(text.data, name, text.len) == 0;
}

static bool read_request(loom_bytes body, control_request *q)
{
    mp_reader r = {body.data, body.data + body.len};
    uint32_t pairs;
    *q = (control_request){.body = body};
    if (!mp_read_map(&r, &pairs)) {
        return false;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        loom_str key;
        if (!mp_read_str(&r, &key)) {
            return false;
        }
        bool fine = is(key, "op")         ? mp_read_str(&r, &q->op)
                    : is(key, "bridge")   ? mp_read_str(&r, &q->bridge)
                    : is(key, "software") ? mp_read_str(&r, &q->software)
                    : is(key, "protocol") ? mp_read_uint(&r, &q->protocol)
                    : is(key, "epoch")    ? mp_read_uint(&r, &q->epoch)
                                          : mp_skip(&r, LOOM_DEPTH_MAX);
        if (!fine) {
            return false;
        }
    }
    return r.at == r.end;
}

static void run(bus_server *s, loom_bytes body, msgpack_packer *pk)
{
    control_request q;
    s->stats.control_requests++;
    if (!read_request(body, &q)) {
        refuse(pk, LOOM_EMALFORMED, "request is not a msgpack map with text keys and values of their kinds");
        return;
    }
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (is(q.op, ops[i].name)) {
            ops[i].run(s, &q, pk);
            return;
        }
    }
    refuse(pk, LOOM_ENOTFOUND, q.op.len == 0 ? "op is missing" : "op is not known");
}

/* ---- contexts ---- */

static void on_done(void *user)
{
    control_context *c = user;
    control_bus *bus = &c->server->control;
    int error = nng_aio_result(c->aio);
    bool receive = false;
    uv_mutex_lock(&bus->lock);
    if (error == NNG_ECLOSED || error == NNG_ECANCELED) {
        if (c->phase == CONTROL_SENDING) {
            nng_msg_free(nng_aio_get_msg(c->aio));
        }
        c->phase = CONTROL_OVER;
    } else if (c->phase == CONTROL_RECEIVING && error == 0) {
        c->phase = CONTROL_ASKED;
    } else {
        if (c->phase == CONTROL_SENDING && error != 0) {
            nng_msg_free(nng_aio_get_msg(c->aio)); /* whoever asked has gone */
        }
        c->phase = CONTROL_RECEIVING;
        receive = true;
    }
    bool asked = c->phase == CONTROL_ASKED;
    uv_mutex_unlock(&bus->lock);
    if (receive) {
        nng_aio_set_msg(c->aio, NULL);
        nng_aio_set_timeout(c->aio, NNG_DURATION_INFINITE);
        nng_ctx_recv(c->ctx, c->aio);
    } else if (asked) {
        uv_async_send(&c->server->wake);
    }
}

/* Remembers a failure, which the packer's callers would have to look for after every value. */
typedef struct answer_buffer {
    msgpack_sbuffer bytes;
    bool failed;
} answer_buffer;

static int append_answer(void *user, const char *data, size_t len)
{
    answer_buffer *a = user;
    a->failed = a->failed || msgpack_sbuffer_write(&a->bytes, data, len) != 0;
    return a->failed ? -1 : 0;
}

static void answer_one(bus_server *s, control_context *c)
{
    nng_msg *msg = nng_aio_get_msg(c->aio);
    answer_buffer a = {.failed = false};
    msgpack_packer pk;
    msgpack_sbuffer_init(&a.bytes);
    msgpack_packer_init(&pk, &a, append_answer);
    run(s, (loom_bytes){nng_msg_body(msg), nng_msg_len(msg)}, &pk);
    nng_msg_clear(msg); /* the REP protocol keeps the way back in the context */
    if (a.failed || nng_msg_append(msg, a.bytes.data, a.bytes.size) != 0) {
        static const uint8_t no_memory[] = {0x81, 0xa6, 's', 't', 'a', 't', 'u', 's', LOOM_ENOMEM};
        nng_msg_clear(msg);
        (void)nng_msg_append(msg, no_memory, sizeof no_memory);
    }
    msgpack_sbuffer_destroy(&a.bytes);
    uv_mutex_lock(&s->control.lock);
    c->phase = CONTROL_SENDING;
    uv_mutex_unlock(&s->control.lock);
    nng_aio_set_timeout(c->aio, SEND_TIMEOUT_MS);
    nng_ctx_send(c->ctx, c->aio);
}

void control_bus_turn(bus_server *s)
{
    for (unsigned i = 0; i < BUS_CONTROLS; i++) {
        control_context *c = &s->control.contexts[i];
        uv_mutex_lock(&s->control.lock);
        bool asked = c->open && c->phase == CONTROL_ASKED;
        uv_mutex_unlock(&s->control.lock);
        if (asked) {
            answer_one(s, c);
        }
    }
}

/* ---- life ---- */

static loom_status open_context(bus_server *s, control_context *c)
{
    c->server = s;
    c->phase = CONTROL_RECEIVING;
    int error = nng_aio_alloc(&c->aio, on_done, c);
    if (error != 0) {
        return nng_status(error);
    }
    if ((error = nng_ctx_open(&c->ctx, s->control.socket)) != 0) {
        nng_aio_free(c->aio);
        return nng_status(error);
    }
    c->open = true;
    nng_ctx_recv(c->ctx, c->aio);
    return LOOM_OK;
}

loom_status control_bus_open(bus_server *s)
{
    if (!bus_url_wanted(s->options.control)) {
        return LOOM_OK;
    }
    int error = nng_rep0_open(&s->control.socket);
    if (error != 0) {
        return nng_status(error);
    }
    s->control.socket_open = true;
    if ((error = nng_socket_set_size(s->control.socket, NNG_OPT_RECVMAXSZ, REQUEST_MAX)) != 0) {
        return nng_status(error);
    }
    for (unsigned i = 0; i < BUS_CONTROLS; i++) {
        loom_status st = open_context(s, &s->control.contexts[i]);
        if (st != LOOM_OK) {
            return st;
        }
    }
    return bus_listen(s, s->control.socket, BUS_SERVER_CONTROL, s->options.control);
}

void control_bus_close(bus_server *s)
{
    for (unsigned i = 0; i < BUS_CONTROLS; i++) {
        control_context *c = &s->control.contexts[i];
        if (!c->open) {
            continue;
        }
        nng_aio_stop(c->aio);
        if (c->phase == CONTROL_ASKED) {
            nng_msg_free(nng_aio_get_msg(c->aio));
        }
        nng_aio_free(c->aio);
        nng_ctx_close(c->ctx);
        c->open = false;
    }
    if (s->control.socket_open) {
        nng_closings_add(s->closings, s->control.socket, NULL);
        s->control.socket_open = false;
    }
}
