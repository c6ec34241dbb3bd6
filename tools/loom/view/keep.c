/* SPDX-License-Identifier: Apache-2.0 */
/* /api/keep: the kinds of traces that the flight recorders of the bus are to keep. The broker has them, and is asked. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/str.h"
#include "host/http/query.h"
#include "tools/loom/view/internal.h"

enum { ANSWER_MS = 2000, NUMBER_SIZE = 24, VALUE_SIZE = 300 };
#define NS_PER_MS UINT64_C(1000000)

static uint16_t status_of(loom_status st)
{
    switch (st) {
    case LOOM_ETIMEDOUT: return 504;
    case LOOM_EMALFORMED:
    case LOOM_EINVAL:
    case LOOM_ETOOBIG: return 400;
    case LOOM_ENOTFOUND: return 404;
    case LOOM_EBUSY: return 409;
    default: return 502;
    }
}

static void on_end(void *user, loom_status status, json_t *answer, const char *why)
{
    view_keep *k = user;
    http_request *r = k->request;
    *k = (view_keep){.view = k->view};
    if (answer == NULL) {
        view_fail(k->view, r, status_of(status), why);
    } else {
        json_object_del(answer, "status");
        view_answer_json(r, answer);
    }
}

/* For the request, which the answer goes to. */
static void ask(view *v, http_request *r, const char *op, const control_key *keys)
{
    size_t i = 0;
    if (v->control == NULL) { /* the agent link does not serve this */
        view_fail(v, r, 501, "this takes the broker's control socket: start the view with --control, or LOOM_CONTROL");
        return;
    }
    while (i < VIEW_KEEPS_MAX && v->keeps[i].request != NULL) {
        i++;
    }
    if (i == VIEW_KEEPS_MAX) {
        view_fail(v, r, 503, "too many questions at once: ask again in a second");
        return;
    }
    view_keep *k = &v->keeps[i];
    *k = (view_keep){.view = v, .request = r};
    k->question = control_question_ask(&v->loop, &(control_question_options){.where = v->control, .op = op, .keys = keys,
                                                                            .answer_ms = ANSWER_MS, .done = on_end, .user = k});
    if (k->question == NULL) {
        k->request = NULL;
        view_fail(v, r, 503, "out of memory");
    }
}

void view_keep_list(void *user, http_request *r)
{
    char why[VIEW_PROBLEM_SIZE];
    if (!view_parameters(http_request_query(r), view_no_parameter, NULL, why)) {
        view_fail(user, r, 400, why);
    } else {
        ask(user, r, "kinds", NULL);
    }
}

typedef struct keep_query {
    char topic[VALUE_SIZE], capability[VALUE_SIZE], for_ms[NUMBER_SIZE];
} keep_query;

static const char *read_parameter(void *user, const char *name, const char *value)
{
    keep_query *q = user;
    uint64_t ns;
    if (strcmp(name, "for") == 0) {
        if (!duration_parse(&ns, str_of(value)) || ns < NS_PER_MS) {
            return "is a duration such as 10m";
        }
        snprintf(q->for_ms, sizeof q->for_ms, "%" PRIu64, ns / NS_PER_MS);
        return NULL;
    }
    char *to = strcmp(name, "topic") == 0 ? q->topic : strcmp(name, "capability") == 0 ? q->capability : NULL;
    if (to == NULL) {
        return "is not known here; there are topic, capability and for";
    }
    if (to[0] != '\0' || value[0] == '\0' || strlen(value) >= VALUE_SIZE) {
        return "is one filter";
    }
    snprintf(to, VALUE_SIZE, "%s", value);
    return NULL;
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

void view_keep_add(void *user, http_request *r)
{
    keep_query q = {.topic = ""};
    char why[VIEW_PROBLEM_SIZE];
    if (!view_parameters(http_request_query(r), read_parameter, &q, why)) {
        view_fail(user, r, 400, why);
        return;
    }
    if ((q.topic[0] != '\0') == (q.capability[0] != '\0')) {
        view_fail(user, r, 400, "give one of topic and capability");
        return;
    }
    const control_key keys[] = {{"topic", or_null(q.topic)}, {"capability", or_null(q.capability)}, {"for_ms", or_null(q.for_ms)}, {NULL, NULL}};
    ask(user, r, "keep", keys);
}

void view_keep_end(void *user, http_request *r)
{
    char number[NUMBER_SIZE], why[VIEW_PROBLEM_SIZE];
    const char *wrong = "";
    if (!view_parameters(http_request_query(r), view_no_parameter, NULL, why)) {
        view_fail(user, r, 400, why);
    } else if (!http_decode_text(number, sizeof number, http_request_rest(r), false, &wrong)) {
        view_fail(user, r, 400, "behind /api/keep/ stands the number of a kind");
    } else {
        ask(user, r, "kind_end", (const control_key[]){{"number", number}, {NULL, NULL}});
    }
}

void view_keep_close(view *v)
{
    for (size_t i = 0; i < VIEW_KEEPS_MAX; i++) {
        http_request *r = v->keeps[i].request;
        if (r != NULL) {
            control_question_cancel(v->keeps[i].question);
            v->keeps[i].request = NULL;
            view_fail(v, r, 503, "the view ends");
        }
    }
}
