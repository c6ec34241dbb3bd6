/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker's control socket says, and what the view itself has to say. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tools/loom/control.h"
#include "tools/loom/view/internal.h"

enum { WHY_SIZE = 512 };

/* What can be asked, and by which key its list is ordered; NULL: it is no list of pages. */
static const struct {
    const char *name, *item_key;
} questions[] = {{"agents", "agent"}, {"capabilities", "name"}, {"topics", NULL}, {"flow", NULL}, {"stats", NULL}};

static json_t *ask(view_job *job, size_t which, char why[WHY_SIZE])
{
    static const control_key none[] = {{NULL, NULL}};
    const char *name = questions[which].name;
    if (questions[which].item_key == NULL) {
        return control_query(job->view->control, name, none, why, WHY_SIZE);
    }
    json_t *list = control_query_list(job->view->control, name, questions[which].item_key, none, why, WHY_SIZE);
    return list != NULL ? json_pack("{s:o}", name, list) : NULL;
}

static void ask_broker(view_job *job)
{
    char why[WHY_SIZE] = "out of memory";
    if (!view_query(job, NULL, NULL)) {
        return;
    }
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (strcmp(job->rest, questions[i].name) == 0) {
            json_t *answer = ask(job, i, why);
            if (answer != NULL) {
                view_write_json(job, answer);
            } else {
                view_job_fail(job, 502, "%s", why);
            }
            return;
        }
    }
    view_job_fail(job, 404, "there is no /api/bus/%s: ask for agents, capabilities, topics, flow or stats", job->rest);
}

void view_bus(void *user, http_request *r)
{
    view_job_start(user, r, ask_broker);
}

static void write_state(view_job *job)
{
    const view *v = job->view;
    if (!view_query(job, NULL, NULL)) {
        return;
    }
    json_t *state = json_object(), *receives = json_object();
    json_object_set_new(state, "version", json_string(LOOM_VERSION));
    json_object_set_new(state, "control", json_string(v->control));
    json_object_set_new(state, "database", json_string(v->db_path));
    if (v->jaeger != NULL) {
        json_object_set_new(state, "jaeger", json_string(v->jaeger));
    }
    if (v->receiver != NULL) {
        json_object_set_new(receives, "http", json_string(receiver_address(v->receiver)));
        json_object_set_new(receives, "grpc", json_string(receiver_grpc_address(v->receiver)));
    } else {
        json_object_set_new(receives, "problem", json_string(v->receiver_problem));
    }
    json_object_set_new(state, "receiver", receives);
    view_write_json(job, state);
}

void view_state(void *user, http_request *r)
{
    view_job_start(user, r, write_state);
}
