/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/view/bus_link.h"

#include <stdlib.h>
#include <string.h>

#include "host/control_answer.h"
#include "tools/loom/link_question.h"
#include "tools/loom/view/member.h"

enum { PAGES_MAX = 10000 };

struct view_link_question {
    view *view;
    control_question_options options; /* done NULL: it was cancelled */
    json_t *items;                    /* of a list, so far */
    unsigned page;
    char after[LOOM_TOPIC_MAX + 1];   /* the last name of the page before; "": this is the first */
    uint64_t call;
};

static void finish(view_link_question *q, loom_status status, json_t *answer, const char *why)
{
    const control_question_options o = q->options;
    json_decref(q->items);
    free(q);
    if (o.done != NULL) {
        o.done(o.user, status, answer, why);
    } else {
        json_decref(answer);
    }
}

/* Appends a page. True: there is another. */
static bool add_page(view_link_question *q, const json_t *answer)
{
    const json_t *items = json_object_get(answer, q->options.op);
    q->items = q->items != NULL ? q->items : json_array();
    json_array_extend(q->items, (json_t *)(uintptr_t)items);
    const json_t *last = json_array_get(items, json_array_size(items) - 1);
    const char *name = json_string_value(json_object_get(last, q->options.item_key));
    const bool more = json_is_true(json_object_get(answer, "more")) && name != NULL && strcmp(name, q->after) != 0 &&
                      strlen(name) < sizeof q->after && ++q->page < PAGES_MAX;
    snprintf(q->after, sizeof q->after, "%s", more ? name : "");
    return more;
}

static loom_status send_question(view_link_question *q);

static void take_answer(view_link_question *q, json_t *all)
{
    const json_t *status = json_object_get(all, "status");
    loom_status st = json_is_integer(status) ? (loom_status)json_integer_value(status) : LOOM_EPROTO;
    if (st != LOOM_OK) {
        const char *text = json_string_value(json_object_get(all, "text"));
        finish(q, st, NULL, text != NULL ? text : "the broker's answer cannot be read");
    } else if (q->options.item_key == NULL) {
        finish(q, LOOM_OK, json_incref(all), "");
    } else if (!add_page(q, all)) {
        finish(q, LOOM_OK, json_incref(q->items), "");
    } else if ((st = send_question(q)) != LOOM_OK) {
        finish(q, st, NULL, loom_status_text(st));
    }
}

static void on_result(loom_agent *agent, loom_result *result, void *user)
{
    view_link_question *q = user;
    const loom_outcome outcome = loom_result_outcome(result);
    (void)agent;
    if (q->options.done == NULL) {
        finish(q, LOOM_ECANCELED, NULL, "");
    } else if (outcome != LOOM_OUTCOME_OK) {
        const char *text = loom_result_text(result);
        finish(q, outcome == LOOM_OUTCOME_TIMEOUT ? LOOM_ETIMEDOUT : LOOM_EREMOTE, NULL,
               outcome == LOOM_OUTCOME_TIMEOUT ? "the broker does not answer" : text[0] != '\0' ? text : loom_outcome_name(outcome));
    } else {
        json_t *all = control_answer_json(loom_result_payload(result));
        take_answer(q, all);
        json_decref(all);
    }
    loom_result_free(result);
}

static loom_status send_question(view_link_question *q)
{
    msgpack_sbuffer body;
    char capability[64];
    snprintf(capability, sizeof capability, "system.%s", q->options.op);
    msgpack_sbuffer_init(&body);
    link_question_pack(&body, NULL, q->after);
    const uint64_t token = link_question_push_unsampled();
    const loom_status st = loom_agent_invoke_async(
        q->view->member->agent, capability, (loom_bytes){(const uint8_t *)body.data, body.size},
        &(loom_invoke_options){.deadline_ms = q->options.answer_ms, .content_type = "application/msgpack"}, on_result, q, &q->call);
    loom_context_pop(token);
    msgpack_sbuffer_destroy(&body);
    return st;
}

view_link_question *view_link_ask(view *v, const control_question_options *question, char *why, size_t size)
{
    view_member *m = v->member;
    if (m == NULL || !view_member_is_connected(m)) {
        snprintf(why, size, "the view is not connected to the bus%s%s", m != NULL && m->problem[0] != '\0' ? ": " : "", m != NULL ? m->problem : "");
        return NULL;
    }
    view_link_question *q = calloc(1, sizeof *q);
    loom_status st = LOOM_ENOMEM;
    if (q != NULL) {
        *q = (view_link_question){.view = v, .options = *question};
        st = send_question(q);
    }
    if (st != LOOM_OK) {
        free(q);
        snprintf(why, size, "%s", loom_status_text(st));
        return NULL;
    }
    return q;
}

void view_link_cancel(view_link_question *q)
{
    if (q == NULL) {
        return;
    }
    q->options.done = NULL;
    if (q->view->member->agent != NULL) {
        (void)loom_agent_cancel(q->view->member->agent, q->call, "the view ends");
    }
}
