/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/bus/remote/call_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash_index.h"

typedef struct one_call {
    uint32_t count, cancels;
    bool credit_kept;
    uint64_t chunks, bytes; /* the credit that is kept */
    size_t len;
    uint8_t id[];
} one_call;

loom_status call_set_add(call_set *c, const call_set_key key, loom_bytes id)
{
    uint64_t number = hash_under_secret(key, id.data, id.len);
    one_call *call = number_table_get(&c->calls, number);
    if (call != NULL) {
        call->count++;
        return LOOM_OK;
    }
    call = malloc(sizeof *call + id.len);
    if (call == NULL) {
        return LOOM_ENOMEM;
    }
    *call = (one_call){.count = 1, .len = id.len};
    memcpy(call->id, id.data, id.len);
    loom_status st = number_table_add(&c->calls, number, call);
    if (st != LOOM_OK) {
        free(call);
    }
    return st;
}

bool call_set_has(const call_set *c, const call_set_key key, loom_bytes id)
{
    return number_table_get(&c->calls, hash_under_secret(key, id.data, id.len)) != NULL;
}

bool call_set_take(call_set *c, const call_set_key key, loom_bytes id)
{
    uint64_t number = hash_under_secret(key, id.data, id.len);
    one_call *call = number_table_get(&c->calls, number);
    if (call == NULL) {
        return false;
    }
    if (--call->count == 0) {
        c->credits -= call->credit_kept;
        number_table_remove(&c->calls, number);
        free(call);
    }
    return true;
}

bool call_set_cancel(call_set *c, const call_set_key key, loom_bytes id)
{
    one_call *call = number_table_get(&c->calls, hash_under_secret(key, id.data, id.len));
    if (call == NULL || call->cancels >= call->count) {
        return false;
    }
    call->cancels++;
    return true;
}

bool call_set_keep_credit(call_set *c, const call_set_key key, loom_bytes id, uint64_t chunks, uint64_t bytes)
{
    one_call *call = number_table_get(&c->calls, hash_under_secret(key, id.data, id.len));
    if (call == NULL) {
        return false;
    }
    c->credits += !call->credit_kept;
    call->credit_kept = true;
    call->chunks = chunks > call->chunks ? chunks : call->chunks; /* lower totals than before mean nothing */
    call->bytes = bytes > call->bytes ? bytes : call->bytes;
    return true;
}

void call_set_take_credit(call_set *c, void (*put)(void *user, loom_bytes id, uint64_t chunks, uint64_t bytes), void *user)
{
    void *value;
    for (size_t at = 0; c->credits > 0 && number_table_next(&c->calls, &at, &value);) {
        one_call *call = value;
        if (call->credit_kept) {
            call->credit_kept = false;
            c->credits--;
            put(user, (loom_bytes){call->id, call->len}, call->chunks, call->bytes);
        }
    }
}

void call_set_clear(call_set *c, void (*over)(void *user, loom_bytes id), void *user)
{
    number_table calls = c->calls;
    void *value;
    c->calls = (number_table){0};
    c->credits = 0;
    for (size_t at = 0; number_table_next(&calls, &at, &value);) {
        one_call *call = value;
        while (over != NULL && call->count-- > 0) {
            over(user, (loom_bytes){call->id, call->len});
        }
        free(call);
    }
    number_table_fini(&calls);
}

bool call_set_drop(call_set *c, size_t *at)
{
    one_call *call = number_table_drain(&c->calls, at);
    if (call == NULL) {
        number_table_fini(&c->calls);
        return false;
    }
    free(call);
    return true;
}
