/* SPDX-License-Identifier: Apache-2.0 */
/* Executes one node of a workflow: calls the agent that can do what the node is for, again if that may help. */
#include <string.h>

#include "demos/workflow/flow.h"

enum { ATTEMPTS_MAX = 10, FIRST_DELAY_MS = 20 };

static json_t *node_of(const flow *f)
{
    return json_object_get(f->input, "node");
}

static loom_status describe(flow *f, loom_workflow_options *work)
{
    work->kind = LOOM_WORKFLOW_STEP;
    return flow_describe_node(f, work);
}

static const char *capability_of(const char *type)
{
    static const struct {
        const char *type, *capability;
    } known[] = {{"http", "http.action"}, {"transform", "transform.action"}, {"workflow", "workflow.sub_workflow"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(type, known[i].type) == 0) {
            return known[i].capability;
        }
    }
    return NULL;
}

/* ---- attempts ---- */

typedef struct attempts {
    flow *f;
    const char *capability;
    int made;
} attempts;

static loom_status call(attempts *a)
{
    json_t *values = json_object_get(a->f->input, "values"), *node = node_of(a->f);
    a->f->code[0] = '\0';
    a->f->output = flow_invoke(a->f, a->capability, json_pack("{s:O, s:O?, s:i}", "node", node, "values", values, "resend",
                                                              a->made++));
    return a->f->output != NULL ? LOOM_OK : LOOM_EREMOTE;
}

static loom_status attempt(loom_workflow *work, void *user)
{
    attempts *a = user;
    loom_status st = call(a);
    if (st != LOOM_OK) {
        loom_workflow_fail(work, a->f->code, a->f->text);
    }
    return st;
}

/* A server that has no time now may have some later; what it has not got it will not have. */
static bool may_help(void *user, loom_status outcome)
{
    const attempts *a = user;
    (void)outcome;
    return strncmp(a->f->code, "http_5", 6) == 0 || strcmp(a->f->code, "unreachable") == 0;
}

static void note(const flow *f, const char *event)
{
    const json_t *id = json_object_get(node_of(f), "id");
    const loom_attr attr = {.key = "node_id", .type = LOOM_ATTR_STRING,
                            .value.string = {json_string_value(id), json_string_length(id)}};
    loom_span_add_event(loom_workflow_span(f->work), event, &attr, 1);
}

static loom_status run(flow *f)
{
    const char *type = json_string_value(json_object_get(node_of(f), "type"));
    const json_int_t wanted = json_integer_value(json_object_get(node_of(f), "attempts"));
    attempts a = {.f = f, .capability = capability_of(type)};
    if (a.capability == NULL) {
        return flow_fail(f, "unknown_node_type", "nobody executes nodes of type \"%s\"", type);
    }
    note(f, "step.started");
    if (wanted <= 1) {
        return call(&a);
    }
    const loom_retry_policy policy = {.max_attempts = (uint32_t)(wanted < ATTEMPTS_MAX ? wanted : ATTEMPTS_MAX),
                                      .first_delay_ms = FIRST_DELAY_MS, .may_retry = may_help, .user = &a};
    return loom_workflow_retry(&(loom_workflow_options){.parent = f->work, .name = a.capability}, &policy, attempt, &a);
}

int main(int argc, char **argv)
{
    return flow_main(&(flow_agent){
        .id = "step",
        .capability = "workflow.step.execute",
        .what = "Provides workflow.step.execute: has one node of a workflow done, again if that may help.",
        .describe = describe,
        .run = run,
    }, argc, argv);
}
