/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/control.h"

#include <msgpack.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/runtime_dir.h"
#include "base/socket_trust.h"
#include "base/url.h"
#include "host/control_answer.h"

enum { ANSWER_MS = 3000, KEYS_MAX = 8 };

static void pack_text(msgpack_packer *pk, const char *text_to_pack)
{
    msgpack_pack_str_with_body(pk, text_to_pack, strlen(text_to_pack));
}

static void pack_question(msgpack_packer *pk, const char *op, const control_key *keys)
{
    uint32_t count = 1;
    for (const control_key *key = keys; key != NULL && key->name != NULL; key++) {
        count += key->value != NULL;
    }
    msgpack_pack_map(pk, count);
    pack_text(pk, "op");
    pack_text(pk, op);
    for (const control_key *key = keys; key != NULL && key->name != NULL; key++) {
        if (key->value != NULL) {
            pack_text(pk, key->name);
            pack_text(pk, key->value);
        }
    }
}

/* nng greets as soon as it has connected, so the socket's file is examined first: whoever listens made it. */
static loom_status check_server(const char *to, char why[URL_ERROR_SIZE])
{
    url u;
    struct stat info;
    if (url_parse(&u, to, URL_IPC | URL_DIAL, why) != LOOM_OK) {
        return LOOM_OK; /* tcp, or nothing that can be dialled */
    }
    loom_status st = socket_trust_path(u.path, why, URL_ERROR_SIZE);
    if (st != LOOM_OK || lstat(u.path, &info) != 0) {
        return st;
    }
    return socket_trust_uid(u.path, info.st_uid, why, URL_ERROR_SIZE);
}

static int exchange(const char *where, const char *op, const control_key *keys, nng_msg **answer)
{
    nng_socket socket;
    int rc = nng_req0_open(&socket);
    if (rc != 0) {
        return rc;
    }
    msgpack_sbuffer question;
    msgpack_packer pk;
    msgpack_sbuffer_init(&question);
    msgpack_packer_init(&pk, &question, msgpack_sbuffer_write);
    pack_question(&pk, op, keys);
    if ((rc = nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, ANSWER_MS)) == 0 && (rc = nng_dial(socket, where, NULL, 0)) == 0 &&
        (rc = nng_send(socket, question.data, question.size, 0)) == 0) {
        rc = nng_recvmsg(socket, answer, 0);
    }
    msgpack_sbuffer_destroy(&question);
    nng_close(socket);
    return rc;
}

static json_t *read_answer(const nng_msg *answer, loom_status *st, char *why, size_t size)
{
    const uint8_t *body = nng_msg_body((nng_msg *)(uintptr_t)answer);
    json_t *all = control_answer_json((loom_bytes){body, nng_msg_len(answer)});
    json_t *status = json_object_get(all, "status");
    if (!json_is_integer(status)) {
        *st = LOOM_EPROTO;
        snprintf(why, size, "the answer is not from a broker; is this a control socket?");
    } else if (json_integer_value(status) != LOOM_OK) {
        const char *text = json_string_value(json_object_get(all, "text"));
        *st = (loom_status)json_integer_value(status);
        snprintf(why, size, "the broker refused: %s", text != NULL ? text : "no reason given");
    } else {
        return all;
    }
    json_decref(all);
    return NULL;
}

/* NULL: why says why, *st what kind of failure it is. */
static json_t *query(const char *where, const char *op, const control_key *keys, loom_status *st, char *why, size_t size)
{
    nng_msg *answer = NULL;
    char distrust[URL_ERROR_SIZE];
    if (check_server(where, distrust) != LOOM_OK) {
        *st = LOOM_EDENIED;
        snprintf(why, size, "did not connect to %s: %s", where, distrust);
        return NULL;
    }
    int rc = exchange(where, op, keys, &answer);
    if (rc != 0) {
        *st = rc == NNG_ETIMEDOUT ? LOOM_ETIMEDOUT : rc == NNG_ENOFILES ? LOOM_EFULL : LOOM_ENOTCONN;
        snprintf(why, size, "no answer from a broker at %s (%s); start one with `loom-broker`, or set --control or "
                 "LOOM_CONTROL to its bus_control", where, nng_strerror(rc));
        return NULL;
    }
    json_t *all = read_answer(answer, st, why, size);
    nng_msg_free(answer);
    return all;
}

json_t *control_query(const char *where, const char *op, const control_key *keys, char *why, size_t size)
{
    loom_status st;
    return query(where, op, keys, &st, why, size);
}

static json_t *query_list(const char *where, const char *op, const char *item_key, const control_key *keys, loom_status *st,
                          char *why, size_t size)
{
    control_key with[KEYS_MAX + 2] = {{"after", NULL}};
    for (size_t i = 0; keys[i].name != NULL && i < KEYS_MAX; i++) {
        with[i + 1] = keys[i];
    }
    json_t *all = json_array();
    for (bool more = true; more;) {
        json_t *answer = query(where, op, with, st, why, size);
        json_t *items = json_object_get(answer, op);
        if (answer == NULL || json_array_extend(all, items) != 0) {
            json_decref(answer);
            json_decref(all);
            return NULL;
        }
        const char *last = json_string_value(json_object_get(json_array_get(all, json_array_size(all) - 1), item_key));
        more = json_is_true(json_object_get(answer, "more")) && json_array_size(items) > 0 && last != NULL;
        with[0].value = last; /* of all, which outlives the question */
        json_decref(answer);
    }
    return all;
}

json_t *control_query_list(const char *where, const char *op, const char *item_key, const control_key *keys, char *why, size_t size)
{
    loom_status st;
    return query_list(where, op, item_key, keys, &st, why, size);
}

const char *control_address(const command *c, const options *o, char *fallback, size_t size, int *exit_code)
{
    const char *where = options_value(o, "control");
    where = where != NULL ? where : getenv("LOOM_CONTROL");
    if (where == NULL && paths_runtime_url(fallback, size, "bus-control.sock") != LOOM_OK) {
        *exit_code = command_fail(c, "no default control address; set --control");
        return NULL;
    }
    return where != NULL ? where : fallback;
}

json_t *control_ask(const command *c, const options *o, const char *op, const control_key *keys, int *exit_code)
{
    char fallback[CONTROL_ADDRESS_SIZE], why[PROBLEM_TEXT_SIZE] = "out of memory";
    loom_status st = LOOM_ENOMEM;
    const char *where = control_address(c, o, fallback, sizeof fallback, exit_code);
    json_t *all = where != NULL ? query(where, op, keys, &st, why, sizeof why) : NULL;
    if (where != NULL && all == NULL) {
        *exit_code = command_fail_with(c, st, "%s", why);
    }
    return all;
}

json_t *control_list(const command *c, const options *o, const char *op, const char *item_key, const control_key *keys,
                     int *exit_code)
{
    char fallback[CONTROL_ADDRESS_SIZE], why[PROBLEM_TEXT_SIZE] = "out of memory";
    loom_status st = LOOM_ENOMEM;
    const char *where = control_address(c, o, fallback, sizeof fallback, exit_code);
    json_t *all = where != NULL ? query_list(where, op, item_key, keys, &st, why, sizeof why) : NULL;
    if (where != NULL && all == NULL) {
        *exit_code = command_fail_with(c, st, "%s", why);
    }
    return all;
}
