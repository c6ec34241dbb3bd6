/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/agents, /v1/capabilities, /v1/topics, /v1/stats: what the control socket answers, as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/gateway/answers.h"
#include "bridge/gateway/internal.h"
#include "envelope/msgpack_bytes.h"
#include "host/control_answer.h"
#include "host/http/query.h"

enum { QUESTION_SIZE = 2048, PAIRS_MAX = 8, NUMBER_SIZE = 16 };

/* ---- questions ---- */

/* A msgpack map of what is given, and of op, unless it is NULL; returns its length. */
static size_t put_question(uint8_t question[QUESTION_SIZE], const char *op, const question_pair *pairs, size_t count)
{
    uint8_t *at = question, given = op != NULL;
    for (size_t i = 0; i < count; i++) {
        given = (uint8_t)(given + (pairs[i].text.len > 0 || pairs[i].number > 0));
    }
    *at++ = (uint8_t)(0x80 | given); /* fixmap: PAIRS_MAX is below 16 */
    at = op != NULL ? mp_put_str(mp_put_str(at, str_of("op")), str_of(op)) : at;
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].text.len > 0) {
            at = mp_put_str(mp_put_str(at, str_of(pairs[i].key)), pairs[i].text);
        } else if (pairs[i].number > 0) {
            at = mp_put_uint(mp_put_str(at, str_of(pairs[i].key)), pairs[i].number);
        }
    }
    return (size_t)(at - question);
}

typedef struct asked {
    exchange *x;
    void (*take)(exchange *x, loom_bytes answer);
} asked;

static void take_answer(void *to, loom_bytes answer)
{
    const asked *a = to;
    a->take(a->x, answer);
}

static void fail_unasked(exchange *x, loom_status st)
{
    if (st == LOOM_EBUSY) {
        exchange_fail(x, 503, "system_busy", "the broker was asked too much lately; try again");
    } else {
        exchange_fail_memory(x);
    }
}

/* The broker answers calls of system.NAME (envelope/WIRE.md 4.10). */
void gateway_ask(exchange *x, const char *op, const question_pair *pairs, size_t count, void (*take)(exchange *x, loom_bytes answer))
{
    const gateway_source *source = x->gateway->options.source;
    uint8_t question[QUESTION_SIZE];
    char capability[32];
    asked a = {x, take};
    const loom_bytes whole = {question, put_question(question, source != NULL ? op : NULL, pairs, count)};
    snprintf(capability, sizeof capability, "system.%s", op);
    if (source == NULL) {
        action_ask(x, capability, whole, take);
        return;
    }
    const loom_status st = source->ask(source->user, whole, take_answer, &a);
    if (st != LOOM_OK) {
        fail_unasked(x, st);
    }
}

/* ---- answers ---- */

void answer_json(exchange *x, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    if (text == NULL) {
        exchange_fail_memory(x);
    } else {
        exchange_answer(x, 200, &(exchange_body){.type = "application/json", .bytes = bytes_of(text)});
    }
    free(text);
}

/* The schemas are JSON in text: as JSON they are of use. */
void open_schemas(json_t *capabilities)
{
    static const char *const names[] = {"input_schema", "output_schema"};
    size_t i;
    json_t *capability;
    json_array_foreach(capabilities, i, capability) {
        for (size_t k = 0; k < 2; k++) {
            const json_t *text = json_object_get(capability, names[k]);
            json_t *schema = json_loadb(json_string_value(text), json_string_length(text), 0, NULL);
            if (schema != NULL) {
                (void)json_object_set_new(capability, names[k], schema);
            } else if (json_string_length(text) == 0) {
                (void)json_object_del(capability, names[k]);
            }
        }
    }
}

typedef struct list_spec {
    const char *op;
    void (*own)(exchange *x); /* what answers without a source; NULL: the broker does */
    const char *filters[4]; /* keys of the question */
} list_spec;

/* What the control socket says of status is for who asks there. */
json_t *gateway_list(exchange *x, loom_bytes answer)
{
    json_t *list = control_answer_json(answer);
    const json_int_t status = json_integer_value(json_object_get(list, "status"));
    if (list != NULL && status == LOOM_OK) {
        (void)json_object_del(list, "status");
        open_schemas(json_object_get(list, "capabilities"));
        return list;
    }
    if (list == NULL) {
        exchange_fail_memory(x);
    } else {
        const char *text = json_string_value(json_object_get(list, "text"));
        exchange_fail(x, status == LOOM_EINVAL ? 400 : 503, status == LOOM_EINVAL ? "invalid_parameter" : "refused", "%s", text != NULL ? text : "");
    }
    json_decref(list);
    return NULL;
}

static void answer_list(exchange *x, loom_bytes answer)
{
    json_t *list = gateway_list(x, answer);
    if (list != NULL) {
        answer_json(x, list);
    }
    json_decref(list);
}

static void list_get(exchange *x, const list_spec *list)
{
    char values[4][LOOM_TOPIC_MAX + 1] = {""}, limit[NUMBER_SIZE] = "";
    parameter_spec specs[5] = {{.name = "limit", .text = limit, .size = sizeof limit}};
    question_pair pairs[PAIRS_MAX];
    size_t count = 0;
    uint64_t number = 0;
    for (; count < 4 && list->filters[count] != NULL; count++) {
        specs[count + 1] = (parameter_spec){.name = list->filters[count], .text = values[count], .size = sizeof values[0]};
    }
    if (!parameters_read(x, specs, count + 1)) {
        return;
    }
    if (limit[0] != '\0' && !http_decode_number(&number, str_of(limit), 1, 1000)) {
        exchange_fail(x, 400, "invalid_parameter", "\"limit\" is a number from 1 to 1000");
        return;
    }
    if (x->gateway->options.source == NULL && list->own != NULL) {
        list->own(x);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        pairs[i] = (question_pair){list->filters[i], str_of(values[i]), 0};
    }
    pairs[count] = (question_pair){"limit", {0}, number};
    gateway_ask(x, list->op, pairs, count + 1, answer_list);
}

void agents_get(exchange *x)
{
    list_get(x, &(list_spec){"agents", NULL, {"agent", "topic", "capability", "after"}});
}

void capabilities_get(exchange *x)
{
    list_get(x, &(list_spec){"capabilities", NULL, {"name", "prefix", "after"}});
}

void topics_get(exchange *x)
{
    list_get(x, &(list_spec){"topics", NULL, {"filter"}});
}

void stats_get(exchange *x)
{
    list_get(x, &(list_spec){"stats", own_stats, {NULL}});
}
