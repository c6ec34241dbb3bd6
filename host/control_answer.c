/* SPDX-License-Identifier: Apache-2.0 */
#include "host/control_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "envelope/msgpack_bytes.h"

enum { DEPTH_MAX = 16, KEY_SIZE = 1024 };

static json_t *text(loom_str s)
{
    json_t *value = json_stringn(s.data != NULL ? s.data : "", s.len);
    return value != NULL ? value : json_string("?"); /* no UTF-8 */
}

static json_t *hex(loom_bytes bytes)
{
    char *digits = malloc(bytes.len * 2 + 1);
    if (digits == NULL) {
        return NULL;
    }
    hex_encode(digits, bytes.data, bytes.len);
    json_t *value = json_stringn(digits, bytes.len * 2);
    free(digits);
    return value;
}

/* Consumes value. False: out of memory. */
static bool put(json_t *object, loom_str key, json_t *value)
{
    char repaired[KEY_SIZE];
    if (!utf8_valid(key)) {
        printable_copy(repaired, sizeof repaired, key);
        key = (loom_str){repaired, strlen(repaired)};
    }
    return json_object_setn_new(object, key.data, key.len, value) == 0;
}

static json_t *read_value(mp_reader *r, unsigned depth)
{
    uint32_t count;
    uint64_t number;
    loom_str s;
    loom_bytes bytes;
    if (r->at == r->end || depth == DEPTH_MAX) {
        return NULL;
    }
    if (*r->at == MP_FALSE || *r->at == MP_TRUE) {
        return json_boolean(*r->at++ == MP_TRUE);
    }
    if (mp_read_uint(r, &number)) {
        return json_integer(number <= INT64_MAX ? (json_int_t)number : INT64_MAX);
    }
    if (mp_read_str(r, &s)) {
        return text(s);
    }
    if (mp_read_bin(r, &bytes)) {
        return hex(bytes);
    }
    const bool is_map = mp_read_map(r, &count);
    if (!is_map && !mp_read_array(r, &count)) {
        return NULL;
    }
    json_t *all = is_map ? json_object() : json_array();
    for (uint32_t i = 0; i < count; i++) {
        loom_str key = {"", 0};
        json_t *value = is_map && !mp_read_str(r, &key) ? NULL : read_value(r, depth + 1);
        if (value == NULL || !(is_map ? put(all, key, value) : json_array_append_new(all, value) == 0)) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

json_t *control_answer_json(loom_bytes answer)
{
    mp_reader r = {answer.data, answer.data + answer.len};
    return read_value(&r, 0);
}
