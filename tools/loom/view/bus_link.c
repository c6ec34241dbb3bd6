/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/view/bus_link.h"

#include <stdlib.h>
#include <string.h>

#include "host/control_answer.h"
#include "tools/loom/link_question.h"
#include "tools/loom/view/member.h"

struct view_link_question {
    view *view;
    control_question_options options; /* done NULL: it was cancelled */
    broker_question ask;
    uint64_t call;
};

static void finish(view_link_question *q, loom_status status, json_t *answer, const char *why)
{
    const control_question_options o = q->options;
    question_fini(&q->ask);
    free(q);
    if (o.done != NULL) {
        o.done(o.user, status, answer, why);
    } else {
        json_decref(answer);
    }
}

static loom_status send_question(view_link_question *q);

static void take_answer(view_link_question *q, json_t *answer)
{
    char why[VIEW_PROBLEM_SIZE];
    json_t *whole;
    loom_status st = question_take(&q->ask, answer, &whole, why, sizeof why);
    if (st == LOOM_OK && whole == NULL) {
        st = send_question(q);
        if (st == LOOM_OK) {
            return; /* the next page is under way */
        }
        snprintf(why, sizeof why, "%s", loom_status_text(st));
    }
    finish(q, st, whole, st == LOOM_OK ? "" : why);
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
    question_pack(&q->ask, NULL, &body);
    const uint64_t token = link_question_push_unsampled();
    const loom_status st = loom_agent_invoke_async(
        q->view->member->agent, capability, (loom_bytes){(const uint8_t *)body.data, body.size},
        &(loom_invoke_options){.deadline_ms = q->options.answer_ms, .content_type = "application/msgpack"}, on_result, q, &q->call);
    loom_context_pop(token);
    msgpack_sbuffer_destroy(&body);
    return st;
}

view_link_question *view_link_ask(view *v, const control_question_options *what, char *why, size_t size)
{
    view_member *m = v->member;
    if (m == NULL || !view_member_is_connected(m)) {
        snprintf(why, size, "the view is not connected to the bus%s%s", m != NULL && m->problem[0] != '\0' ? ": " : "", m != NULL ? m->problem : "");
        return NULL;
    }
    view_link_question *q = calloc(1, sizeof *q);
    loom_status st = LOOM_ENOMEM;
    if (q != NULL) {
        *q = (view_link_question){.view = v, .options = *what, .ask = {.op = what->op, .item_key = what->item_key, .keys = what->keys}};
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
