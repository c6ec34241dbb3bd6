/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/control_question.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/control_answer.h"
#include "host/net/sp/sp.h"

enum { KEYS_MAX = 8, ID_SIZE = 4, WHY_SIZE = 512, ANSWER_MAX = 16 * 1024 * 1024 };

struct control_question {
    control_question_options options;
    control_key keys[KEYS_MAX + 1]; /* values are copies */
    size_t key_count;
    broker_question ask;
    uv_timer_t timer;     /* the deadline; its end frees the whole */
    sp_peer *peer;        /* NULL: gone, or never there */
    bool connected;
    uint32_t number;      /* of the question on this connection */
    loom_status failed;   /* at once, which is told from the loop */
    char why[WHY_SIZE];
};

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    control_question *q = handle->data;
    for (size_t i = 0; i < q->key_count; i++) {
        free((void *)(uintptr_t)q->keys[i].value);
    }
    question_fini(&q->ask);
    free(q);
}

void control_question_cancel(control_question *q)
{
    if (q == NULL || uv_is_closing((uv_handle_t *)&q->timer)) {
        return;
    }
    sp_peer_close(q->peer);
    q->peer = NULL;
    uv_close((uv_handle_t *)&q->timer, on_timer_closed);
}

static void finish(control_question *q, loom_status status, json_t *answer, const char *why)
{
    void (*done)(void *, loom_status, json_t *, const char *) = q->options.done;
    void *user = q->options.user;
    char text[WHY_SIZE];
    snprintf(text, sizeof text, "%s", why);
    control_question_cancel(q);
    done(user, status, answer, text);
}

static void explain(control_question *q, const char *reason)
{
    snprintf(q->why, sizeof q->why, "no answer from a broker at %s (%s); start one with `loom-broker`, or set --control or "
             "LOOM_CONTROL to its bus_control", q->options.where, reason);
}

static void on_deadline(uv_timer_t *timer)
{
    control_question *q = timer->data;
    if (q->why[0] == '\0') {
        q->failed = LOOM_ETIMEDOUT;
        snprintf(q->why, sizeof q->why, "the broker at %s does not answer: nothing within %.1f s. It is stopped, or very busy%s", q->options.where,
                 q->options.answer_ms / 1000.0, q->connected ? "" : "; or what listens there is no broker");
    }
    finish(q, q->failed, NULL, q->why);
}

/* ---- questions ---- */

/* As REQ has it on the wire: the number with its highest bit set, then the body. */
static void send_question(control_question *q)
{
    const uint32_t number = 0x80000000u | ++q->number;
    const uint8_t id[ID_SIZE] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    msgpack_sbuffer body;
    msgpack_sbuffer_init(&body);
    question_pack(&q->ask, q->options.op, &body);
    const loom_bytes parts[] = {{id, sizeof id}, {(const uint8_t *)body.data, body.size}};
    const loom_status st = sp_peer_send(q->peer, parts, 2);
    msgpack_sbuffer_destroy(&body);
    uv_timer_start(&q->timer, on_deadline, q->options.answer_ms, 0);
    if (st == LOOM_ENOMEM) {
        finish(q, LOOM_ENOMEM, NULL, "out of memory");
    } /* a connection that is broken tells so by itself */
}

/* ---- answers ---- */

static void take_answer(control_question *q, json_t *answer)
{
    json_t *whole;
    const loom_status st = question_take(&q->ask, answer, &whole, q->why, sizeof q->why);
    if (st == LOOM_EPROTO) {
        finish(q, st, NULL, "the answer is not from a broker; is this a control socket?");
    } else if (st != LOOM_OK) {
        finish(q, st, NULL, q->why);
    } else if (whole != NULL) {
        finish(q, st, whole, "");
    } else {
        send_question(q);
    }
}

static void on_message(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    control_question *q = user;
    (void)peer;
    (void)reply_to;
    if (len < ID_SIZE || (((uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3]) & 0xffffff) != q->number) {
        return; /* it answers something else */
    }
    json_t *all = control_answer_json((loom_bytes){data + ID_SIZE, len - ID_SIZE});
    take_answer(q, all);
    json_decref(all);
}

static void on_opened(void *user, sp_peer *peer)
{
    control_question *q = user;
    (void)peer;
    q->connected = true;
    send_question(q);
}

static void on_closed(void *user, sp_peer *peer, loom_status status, const char *why)
{
    control_question *q = user;
    (void)peer;
    q->peer = NULL;
    if (status == LOOM_ETIMEDOUT) { /* of the greeting: the same as silence later */
        on_deadline(&q->timer);
        return;
    }
    if (status == LOOM_EDENIED) {
        snprintf(q->why, sizeof q->why, "did not connect to %s: %s", q->options.where, why);
    } else {
        explain(q, why);
    }
    finish(q, status == LOOM_EDENIED ? LOOM_EDENIED : LOOM_ENOTCONN, NULL, q->why);
}

/* ---- its life ---- */

static bool copy_keys(control_question *q, const control_key *keys)
{
    for (const control_key *key = keys; key != NULL && key->name != NULL && q->key_count < KEYS_MAX; key++) {
        if (key->value == NULL) {
            continue;
        }
        char *value = strdup(key->value);
        if (value == NULL) {
            return false;
        }
        q->keys[q->key_count++] = (control_key){key->name, value};
    }
    return true;
}

control_question *control_question_ask(uv_loop_t *loop, const control_question_options *options)
{
    static const sp_handlers handlers = {.opened = on_opened, .message = on_message, .closed = on_closed};
    control_question *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return NULL;
    }
    q->options = *options;
    q->ask = (broker_question){.op = options->op, .item_key = options->item_key, .keys = q->keys};
    q->timer.data = q;
    uv_update_time(loop);
    uv_timer_init(loop, &q->timer);
    if (!copy_keys(q, options->keys)) {
        control_question_cancel(q);
        return NULL;
    }
    const sp_options peer = {.protocol = SP_REQ, .handlers = &handlers, .user = q, .message_max = ANSWER_MAX};
    const loom_status st = sp_dial(&q->peer, loop, options->where, &peer, options->answer_ms);
    if (st == LOOM_OK) {
        uv_timer_start(&q->timer, on_deadline, options->answer_ms, 0);
        return q;
    }
    q->failed = st;
    if (st == LOOM_EINVAL) {
        snprintf(q->why, sizeof q->why, "control address \"%s\": not a URL of a control socket, such as ipc:///PATH or tcp://HOST:PORT",
                 q->options.where);
    } else {
        explain(q, loom_status_text(st));
    }
    uv_timer_start(&q->timer, on_deadline, 0, 0);
    return q;
}
