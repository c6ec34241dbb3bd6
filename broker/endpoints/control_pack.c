/* SPDX-License-Identifier: Apache-2.0 */
/* What answers of the control socket are packed with. */
#include <string.h>

#include "base/str.h"
#include "base/utf8.h"
#include "broker/endpoints/control_internal.h"

/* ---- packing ---- */

static int append(void *user, const char *data, size_t len)
{
    control_buffer *b = user;
    b->failed = b->failed || msgpack_sbuffer_write(&b->bytes, data, len) != 0;
    return b->failed ? -1 : 0;
}

void control_buffer_init(control_buffer *b)
{
    b->failed = false;
    msgpack_sbuffer_init(&b->bytes);
    msgpack_packer_init(&b->pk, b, append);
}

void control_buffer_fini(control_buffer *b)
{
    msgpack_sbuffer_destroy(&b->bytes);
}

/* A str of msgpack is UTF-8, and readers that insist on it must not fail for what some agent said. */
static void pack_repaired(msgpack_packer *pk, loom_str text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t len = 0, taken;
    uint32_t code_point;
    for (loom_str rest = text; rest.len > 0; rest.data += taken, rest.len -= taken) {
        taken = utf8_next(rest, &code_point);
        len += code_point == UTF8_INVALID ? sizeof replacement - 1 : taken;
    }
    msgpack_pack_str(pk, len);
    for (loom_str rest = text; rest.len > 0; rest.data += taken, rest.len -= taken) {
        taken = utf8_next(rest, &code_point);
        const bool bad = code_point == UTF8_INVALID;
        msgpack_pack_str_body(pk, bad ? replacement : rest.data, bad ? sizeof replacement - 1 : taken);
    }
}

void control_pack_str(msgpack_packer *pk, loom_str text)
{
    if (!utf8_valid(text)) {
        pack_repaired(pk, text);
        return;
    }
    msgpack_pack_str_with_body(pk, text.data != NULL ? text.data : "", text.len);
}

void control_pack_bin(msgpack_packer *pk, loom_bytes bytes)
{
    msgpack_pack_bin_with_body(pk, bytes.data != NULL ? (const void *)bytes.data : "", bytes.len);
}

void control_pack_key(msgpack_packer *pk, const char *key)
{
    control_pack_str(pk, str_of(key));
}

void control_pack_text(msgpack_packer *pk, const char *key, loom_str text)
{
    control_pack_key(pk, key);
    control_pack_str(pk, text);
}

void control_pack_uint(msgpack_packer *pk, const char *key, uint64_t value)
{
    control_pack_key(pk, key);
    msgpack_pack_uint64(pk, value);
}

void control_pack_bool(msgpack_packer *pk, const char *key, bool value)
{
    control_pack_key(pk, key);
    value ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
}

/* ---- lists ---- */

uint32_t control_list_limit(const control_request *q)
{
    const uint64_t limit = q->limit > 0 ? q->limit : CONTROL_LIST_DEFAULT;
    return limit < CONTROL_LIST_MAX ? (uint32_t)limit : CONTROL_LIST_MAX;
}

void control_list_init(control_list *list, const control_request *q)
{
    *list = (control_list){.limit = control_list_limit(q)};
    control_buffer_init(&list->items);
}

bool control_list_room(control_list *list)
{
    bool room = list->count < list->limit && list->items.bytes.size < CONTROL_ANSWER_TARGET && !list->items.failed;
    list->count += room;
    list->more = list->more || !room;
    return room;
}

void control_list_append(control_list *list, control_buffer *answer)
{
    msgpack_pack_array(&answer->pk, list->count);
    append(answer, list->items.bytes.size > 0 ? list->items.bytes.data : "", list->items.bytes.size);
    answer->failed = answer->failed || list->items.failed;
    control_buffer_fini(&list->items);
}

control_outcome control_list_answer(control_list *list, control_buffer *answer, const char *key)
{
    bool more = list->more;
    msgpack_pack_map(&answer->pk, 3);
    control_pack_uint(&answer->pk, "status", LOOM_OK);
    control_pack_key(&answer->pk, key);
    control_list_append(list, answer);
    control_pack_bool(&answer->pk, "more", more);
    return CONTROL_ANSWERED;
}

/* ---- whole answers ---- */

control_outcome control_refuse(control_buffer *answer, loom_status st, const char *text)
{
    msgpack_pack_map(&answer->pk, 2);
    control_pack_uint(&answer->pk, "status", (uint64_t)st);
    control_pack_text(&answer->pk, "text", str_of(text));
    return CONTROL_ANSWERED;
}

void control_reply(bus_server *s, const sp_reply_to *to, control_buffer *answer)
{
    static const uint8_t no_memory[] = {0x81, 0xa6, 's', 't', 'a', 't', 'u', 's', LOOM_ENOMEM};
    loom_bytes body = {(const uint8_t *)answer->bytes.data, answer->bytes.size};
    loom_status st = answer->failed ? LOOM_ENOMEM : sp_server_reply(s->control.server, to, body);
    if (st == LOOM_ENOMEM) { /* a requester that has gone needs no answer */
        (void)!sp_server_reply(s->control.server, to, (loom_bytes){no_memory, sizeof no_memory});
    }
}
