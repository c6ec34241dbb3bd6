/* SPDX-License-Identifier: Apache-2.0 */
#include "host/control_answer.h"

#include <stdlib.h>

#include "base/hex.h"
#include "envelope/msgpack_bytes.h"
#include "host/json_text.h"

enum { DEPTH_MAX = 16 };

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
        return json_text(s);
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
        if (value == NULL || !(is_map ? json_set_any_key(all, key, value) : json_array_append_new(all, value) == 0)) {
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
