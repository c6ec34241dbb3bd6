/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/question.h"

#include <stdio.h>
#include <string.h>

enum { PAGES_MAX = 10000 };

static void pack_text(msgpack_packer *pk, const char *text)
{
    msgpack_pack_str_with_body(pk, text, strlen(text));
}

void question_pack(const broker_question *q, const char *op, msgpack_sbuffer *out)
{
    const control_key own[] = {{"op", op}, {"after", q->after[0] != '\0' ? q->after : NULL}, {NULL, NULL}};
    const control_key *const both[] = {own, q->keys};
    msgpack_packer pk;
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) {
        for (const control_key *key = both[i]; key != NULL && key->name != NULL; key++) {
            count += key->value != NULL;
        }
    }
    msgpack_packer_init(&pk, out, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, count);
    for (size_t i = 0; i < 2; i++) {
        for (const control_key *key = both[i]; key != NULL && key->name != NULL; key++) {
            if (key->value != NULL) {
                pack_text(&pk, key->name);
                pack_text(&pk, key->value);
            }
        }
    }
}

/* Appends a page. q->after is "" behind the last. */
static loom_status add_page(broker_question *q, json_t *answer)
{
    json_t *page = json_object_get(answer, q->op);
    q->items = q->items != NULL ? q->items : json_array();
    if (!json_is_array(page)) {
        return LOOM_EPROTO;
    }
    if (q->items == NULL || json_array_extend(q->items, page) != 0) {
        return LOOM_ENOMEM;
    }
    const json_t *last = json_array_get(page, json_array_size(page) - 1);
    const char *name = json_string_value(json_object_get(last, q->item_key));
    const bool more = json_is_true(json_object_get(answer, "more")) && name != NULL && strcmp(name, q->after) != 0 &&
                      strlen(name) < sizeof q->after && ++q->pages < PAGES_MAX;
    snprintf(q->after, sizeof q->after, "%s", more ? name : "");
    return LOOM_OK;
}

loom_status question_take(broker_question *q, json_t *answer, json_t **whole, char *why, size_t size)
{
    const json_t *status = json_object_get(answer, "status");
    loom_status st = json_is_integer(status) ? LOOM_OK : LOOM_EPROTO;
    *whole = NULL;
    if (st == LOOM_OK && json_integer_value(status) != LOOM_OK) {
        const char *text = json_string_value(json_object_get(answer, "text"));
        snprintf(why, size, "the broker refused: %s", text != NULL ? text : "no reason given");
        return (loom_status)json_integer_value(status);
    }
    if (st == LOOM_OK && q->item_key != NULL) {
        st = add_page(q, answer);
    }
    if (st != LOOM_OK) {
        snprintf(why, size, "%s", st == LOOM_ENOMEM ? loom_status_text(st) : "the answer of the broker cannot be read");
    } else if (q->item_key == NULL) {
        *whole = json_incref(answer);
    } else if (q->after[0] == '\0') {
        *whole = json_incref(q->items);
    }
    return st;
}

void question_fini(broker_question *q)
{
    json_decref(q->items);
    q->items = NULL;
}
