/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/link_question.h"

#include <loom/action.h>
#include <msgpack.h>
#include <stdarg.h>
#include <string.h>

#include "base/str.h"
#include "host/control_answer.h"
#include "tools/loom/control.h"

enum { ANSWER_MS = 5000 };

typedef struct link_question {
    link_asker *asker;
    broker_question ask;
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
    snprintf(capability, sizeof capability, "system.%s", q->ask.op);
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

/* What the broker answers to the question as it stands; *answer is the caller's, with which the exit code is VERB_OK. */
static json_t *ask_once(link_question *q)
{
    msgpack_sbuffer body;
    loom_result *result = NULL;
    msgpack_sbuffer_init(&body);
    question_pack(&q->ask, NULL, &body);
    const loom_status st = call(q, (loom_bytes){(const uint8_t *)body.data, body.size}, &result);
    msgpack_sbuffer_destroy(&body);
    json_t *answer = st == LOOM_OK ? control_answer_json(loom_result_payload(result)) : NULL;
    if (st != LOOM_OK) {
        refused(q, st, result);
    }
    loom_result_free(result);
    return answer;
}

/* All of it. NULL: q->why. */
static json_t *ask_all(link_question *q)
{
    json_t *whole = NULL;
    while (whole == NULL && q->exit_code == VERB_OK) {
        json_t *answer = ask_once(q);
        if (q->exit_code == VERB_OK) {
            const loom_status st = question_take(&q->ask, answer, &whole, q->why, q->size);
            if (st == LOOM_EPROTO) {
                fail(q, st, "the answer of the broker behind %s cannot be read", q->asker->client.address);
            }
            q->exit_code = st == LOOM_OK ? VERB_OK : control_exit_of(st);
        }
        json_decref(answer);
    }
    question_fini(&q->ask);
    return whole;
}

/* That it asks, and its own mailbox, is nobody's business. */
static void forget_asker(const link_question *q, json_t *list, const char *key)
{
    for (size_t i = json_array_size(list); i > 0; i--) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i - 1), key));
        if (name != NULL && strcmp(name, loom_agent_id(q->asker->client.agent)) == 0) {
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
    link_question q = {.asker = a, .ask = {.op = op, .item_key = item_key, .keys = keys}, .why = why, .size = size};
    json_t *answer = ask_all(&q);
    if (q.exit_code != VERB_OK) {
        *exit_code = q.exit_code;
    }
    forget_asker(&q, item_key != NULL ? answer : json_object_get(answer, "subscriptions"), item_key != NULL ? item_key : "subscriber");
    return answer;
}

void link_asker_close(link_asker *a)
{
    (void)bus_client_close(&a->client);
}
