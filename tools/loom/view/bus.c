/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker says, to whoever asks: its control socket, or over the agent link. One question of a kind is under way at a time, and its answer goes to
 * all who asked before it was put; those who come meanwhile wait for the next. Once a broker has not answered in time, whoever
 * asks is told so at once, while one question goes on trying. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <loom/version.h>

#include "base/str.h"
#include "host/json_text.h"
#include "tools/loom/view/bus_link.h"
#include "tools/loom/view/member.h"

enum { ANSWER_MS = 2000 };

/* The busiest, as many as an answer has at most. */
static const control_key most[] = {{"limit", "1000"}, {NULL, NULL}};

/* What can be asked, and by which key its list is ordered; NULL: it is no list of pages. */
static const struct {
    const char *name, *item_key;
    const control_key *keys;
} kinds[VIEW_BUS_KINDS] = {{"agents", "agent", NULL}, {"capabilities", "name", NULL}, {"topics", NULL, most}, {"flow", NULL, most}, {"stats", NULL, NULL}};

/* ---- answers ---- */

static void refuse_all(view_bus_waiters *w, view *v, uint16_t status, const char *why)
{
    const view_bus_waiters all = *w; /* an answer may bring the next request of its connection */
    w->count = 0;
    for (size_t i = 0; i < all.count; i++) {
        view_fail(v, all.requests[i], status, why);
    }
}

static void answer_all(view_bus_waiters *w, view *v, const json_t *what)
{
    char *text = w->count > 0 ? json_dumps(what, JSON_COMPACT) : NULL;
    if (text == NULL) {
        refuse_all(w, v, 503, "out of memory");
        return;
    }
    const view_bus_waiters all = *w;
    w->count = 0;
    for (size_t i = 0; i < all.count; i++) {
        view_answer(all.requests[i], 200, "application/json", (loom_bytes){(const uint8_t *)text, strlen(text)}, NULL, 0);
    }
    free(text);
}

static void ask(view_bus_feed *f);
static bool is_asking(const view_bus_feed *f);

static void on_end(void *user, loom_status status, json_t *answer, const char *why)
{
    view_bus_feed *f = user;
    view *v = f->view;
    const size_t kind = (size_t)(f - v->bus.feeds);
    f->question = NULL;
    f->link_question = NULL;
    v->bus.silent = status == LOOM_ETIMEDOUT;
    snprintf(v->bus.why, sizeof v->bus.why, "%s", why);
    json_t *whole = answer == NULL ? NULL : kinds[kind].item_key != NULL ? json_pack("{s:o}", kinds[kind].name, answer) : answer;
    if (whole != NULL) {
        answer_all(&f->now, v, whole);
    } else {
        refuse_all(&f->now, v, v->bus.silent ? 504 : 502, answer != NULL ? "out of memory" : why);
    }
    for (size_t i = 0; i < VIEW_BUS_KINDS && v->bus.silent; i++) { /* they would hear the same, later */
        refuse_all(&v->bus.feeds[i].now, v, 504, why);
        refuse_all(&v->bus.feeds[i].next, v, 504, why);
    }
    if (f->watched) {
        f->watched = false;
        view_stream_bus(v, (view_bus_kind)kind, whole, why);
    }
    json_decref(whole);
    if (!is_asking(f) && (f->next.count > 0 || f->watched_next)) {
        ask(f);
    }
}

/* ---- questions ---- */

static bool is_asking(const view_bus_feed *f)
{
    return f->question != NULL || f->link_question != NULL;
}

static void ask_link(view_bus_feed *f, const control_question_options *question)
{
    char why[VIEW_PROBLEM_SIZE];
    f->link_question = view_link_ask(f->view, question, why, sizeof why);
    if (f->link_question == NULL) {
        on_end(f, LOOM_ENOTCONN, NULL, why);
    }
}

/* Puts the question for those who wait. */
static void ask(view_bus_feed *f)
{
    const size_t kind = (size_t)(f - f->view->bus.feeds);
    const control_question_options question = {.where = f->view->control, .op = kinds[kind].name, .item_key = kinds[kind].item_key,
                                               .keys = kinds[kind].keys, .answer_ms = ANSWER_MS, .done = on_end, .user = f};
    f->now = f->next;
    f->next.count = 0;
    f->watched = f->watched_next;
    f->watched_next = false;
    if (f->view->control == NULL) {
        ask_link(f, &question);
        return;
    }
    f->question = control_question_ask(&f->view->loop, &question);
    if (f->question == NULL) {
        f->watched = false;
        refuse_all(&f->now, f->view, 503, "out of memory");
    }
}

void view_bus_get(void *user, http_request *r)
{
    view *v = user;
    char why[VIEW_PROBLEM_SIZE];
    size_t kind = 0;
    while (kind < VIEW_BUS_KINDS && !str_is(http_request_rest(r), kinds[kind].name)) {
        kind++;
    }
    if (kind == VIEW_BUS_KINDS) {
        view_fail(v, r, 404, "under /api/bus/ there are agents, capabilities, topics, flow and stats");
        return;
    }
    if (!view_parameters(http_request_query(r), view_no_parameter, NULL, why)) {
        view_fail(v, r, 400, why);
        return;
    }
    view_bus_feed *f = &v->bus.feeds[kind];
    if (v->bus.silent) {
        view_fail(v, r, 504, v->bus.why);
    } else if (f->next.count == VIEW_BUS_WAITING_MAX) {
        view_fail(v, r, 503, "too many questions at once: ask again in a second");
        return;
    } else {
        f->next.requests[f->next.count++] = r;
    }
    if (!is_asking(f)) {
        ask(f);
    }
}

void view_bus_watch(view *v, view_bus_kind kind)
{
    view_bus_feed *f = &v->bus.feeds[kind];
    f->watched_next = true;
    if (!is_asking(f)) {
        ask(f);
    }
}

void view_bus_open(view *v)
{
    for (size_t i = 0; i < VIEW_BUS_KINDS; i++) {
        v->bus.feeds[i].view = v;
    }
}

void view_bus_close(view *v)
{
    for (size_t i = 0; i < VIEW_BUS_KINDS; i++) {
        view_bus_feed *f = &v->bus.feeds[i];
        control_question_cancel(f->question);
        view_link_cancel(f->link_question);
        f->question = NULL;
        f->link_question = NULL;
        refuse_all(&f->now, v, 503, "the view ends");
        refuse_all(&f->next, v, 503, "the view ends");
    }
}

/* ---- what the view itself has to say ---- */

static json_t *state_of(const view *v)
{
    json_t *state = json_object(), *receives = json_object();
    json_object_set_new(state, "version", json_string(LOOM_VERSION));
    json_object_set_new(state, "control", json_text(str_of(v->control != NULL ? v->control : v->link)));
    json_object_set_new(state, "database", json_text(str_of(v->db_path)));
    if (v->jaeger != NULL) {
        json_object_set_new(state, "jaeger", json_text(str_of(v->jaeger)));
    }
    if (v->receiver != NULL) {
        json_object_set_new(receives, "http", json_string(receiver_address(v->receiver)));
        json_object_set_new(receives, "grpc", json_string(receiver_grpc_address(v->receiver)));
    } else {
        json_object_set_new(receives, "problem", json_text(str_of(v->receiver_problem)));
    }
    json_object_set_new(state, "receiver", receives);
    json_object_set_new(state, "streams", json_integer(v->events.client_count));
    return state;
}

void view_state(void *user, http_request *r)
{
    view *v = user;
    char why[VIEW_PROBLEM_SIZE];
    if (!view_parameters(http_request_query(r), view_no_parameter, NULL, why)) {
        view_fail(v, r, 400, why);
        return;
    }
    view_answer_json(r, state_of(v));
}
