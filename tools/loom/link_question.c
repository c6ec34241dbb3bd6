/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/link_question.h"

#include <loom/action.h>
#include <msgpack.h>
#include <stdarg.h>
#include <string.h>

#include "base/str.h"
#include "host/control_answer.h"
#include "tools/loom/control.h"

enum { ANSWER_MS = 5000, PAGES_MAX = 10000 };

typedef struct link_question {
    link_asker *asker;
    const char *op, *item_key;
    const control_key *keys;
    char after[256]; /* the last name of the page before; "": this is the first */
    char *why;
    size_t size;
    int exit_code;
} link_question;

static void fail(link_question *q, loom_status st, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fail(link_question *q, loom_status st, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(q->why, q->size, format, arguments);
    va_end(arguments);
    q->exit_code = control_exit_of(st);
}

static void pack_pair(msgpack_packer *pk, const char *key, const char *value)
{
    msgpack_pack_str_with_body(pk, key, strlen(key));
    msgpack_pack_str_with_body(pk, value, strlen(value));
}

void link_question_pack(msgpack_sbuffer *body, const control_key *keys, const char *after)
{
    msgpack_packer pk;
    size_t count = after[0] != '\0';
    msgpack_packer_init(&pk, body, msgpack_sbuffer_write);
    for (const control_key *key = keys; key != NULL && key->name != NULL; key++) {
        count += key->value != NULL;
    }
    msgpack_pack_map(&pk, count);
    for (const control_key *key = keys; key != NULL && key->name != NULL; key++) {
        if (key->value != NULL) {
            pack_pair(&pk, key->name, key->value);
        }
    }
    if (after[0] != '\0') {
        pack_pair(&pk, "after", after);
    }
}

uint64_t link_question_push_unsampled(void)
{
    loom_trace_context unsampled = {.trace_flags = LOOM_TRACE_FLAG_RANDOM};
    loom_trace_id_generate(unsampled.trace_id);
    loom_span_id_generate(unsampled.span_id);
    return loom_context_push(&unsampled, (loom_str){NULL, 0});
}

static loom_status call(link_question *q, loom_bytes payload, loom_result **result)
{
    char capability[64];
    snprintf(capability, sizeof capability, "system.%s", q->op);
    const uint64_t token = link_question_push_unsampled();
    const loom_status st = loom_agent_invoke(q->asker->client.agent, capability, payload, &(loom_invoke_options){
        .deadline_ms = ANSWER_MS, .content_type = "application/msgpack"}, result);
    loom_context_pop(token);
    return st;
}

static void refused(link_question *q, loom_status st, const loom_result *result)
{
    if (st == LOOM_ENORESPONDERS) {
        fail(q, LOOM_EVERSION, "the broker behind %s does not answer this over the agent link; ask its control socket with --control",
             q->asker->client.address);
    } else {
        const char *text = result != NULL ? loom_result_text(result) : "";
        fail(q, st, "no answer from the broker behind %s: %s", q->asker->client.address, text[0] != '\0' ? text : loom_status_text(st));
    }
}

/* One answer. NULL: q->why. */
static json_t *ask_once(link_question *q)
{
    msgpack_sbuffer body;
    loom_result *result = NULL;
    msgpack_sbuffer_init(&body);
    link_question_pack(&body, q->keys, q->after);
    const loom_status st = call(q, (loom_bytes){(const uint8_t *)body.data, body.size}, &result);
    msgpack_sbuffer_destroy(&body);
    json_t *all = st == LOOM_OK ? control_answer_json(loom_result_payload(result)) : NULL;
    const json_t *status = json_object_get(all, "status");
    if (st != LOOM_OK) {
        refused(q, st, result);
    } else if (!json_is_integer(status)) {
        fail(q, LOOM_EPROTO, "the answer of the broker behind %s cannot be read", q->asker->client.address);
    } else if (json_integer_value(status) != LOOM_OK) {
        const char *text = json_string_value(json_object_get(all, "text"));
        fail(q, (loom_status)json_integer_value(status), "the broker refused: %s", text != NULL ? text : "no reason given");
    }
    loom_result_free(result);
    if (q->exit_code != VERB_OK) {
        json_decref(all);
        return NULL;
    }
    return all;
}

/* Appends a page, but for the agent that asks. True: there is another, behind q->after. */
static bool add_page(link_question *q, json_t *items, const json_t *answer)
{
    const json_t *page = json_object_get(answer, q->op);
    const char *name = NULL;
    size_t i;
    json_t *item;
    json_array_foreach(page, i, item) {
        name = json_string_value(json_object_get(item, q->item_key));
        if (name == NULL || strcmp(name, loom_agent_id(q->asker->client.agent)) != 0) {
            json_array_append(items, item);
        }
    }
    const bool more = json_is_true(json_object_get(answer, "more")) && name != NULL && strcmp(name, q->after) != 0 &&
                      strlen(name) < sizeof q->after;
    snprintf(q->after, sizeof q->after, "%s", more ? name : "");
    return more;
}

static json_t *ask_pages(link_question *q)
{
    json_t *items = json_array(), *answer;
    bool more = items != NULL;
    for (int page = 0; more && page < PAGES_MAX; page++) {
        answer = ask_once(q);
        more = answer != NULL && add_page(q, items, answer);
        json_decref(answer);
    }
    if (q->exit_code != VERB_OK) {
        json_decref(items);
        return NULL;
    }
    return items;
}

/* Its own mailbox is nobody's business. */
static void forget_asker(const link_question *q, json_t *answer)
{
    json_t *list = json_object_get(answer, "subscriptions");
    for (size_t i = json_array_size(list); i > 0; i--) {
        const char *subscriber = json_string_value(json_object_get(json_array_get(list, i - 1), "subscriber"));
        if (subscriber != NULL && strcmp(subscriber, loom_agent_id(q->asker->client.agent)) == 0) {
            json_array_remove(list, i - 1);
        }
    }
}

bool link_asker_open(link_asker *a, const command *c, const options *o, char *why, size_t size, int *exit_code)
{
    *a = (link_asker){.client = {.why = why, .why_size = size}};
    const bool opened = bus_client_open(&a->client, c, o, "ask", &(loom_agent_options){.quiet = true}, exit_code);
    a->client.why = NULL;
    return opened;
}

json_t *link_asker_ask(link_asker *a, const char *op, const char *item_key, const control_key *keys, char *why, size_t size,
                       int *exit_code)
{
    link_question q = {.asker = a, .op = op, .item_key = item_key, .keys = keys, .why = why, .size = size};
    json_t *answer = item_key != NULL ? ask_pages(&q) : ask_once(&q);
    if (q.exit_code != VERB_OK) {
        *exit_code = q.exit_code;
    }
    forget_asker(&q, answer);
    return answer;
}

void link_asker_close(link_asker *a)
{
    (void)bus_client_close(&a->client);
}
