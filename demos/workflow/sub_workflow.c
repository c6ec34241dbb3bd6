/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a workflow as one node of another one. */
#include "demos/workflow/plan.h"

static loom_status describe(flow *f, loom_workflow_options *work)
{
    work->kind = LOOM_WORKFLOW_SUB;
    work->workflow_id = flow_text(f, json_object_get(f->input, "node"), "workflow");
    return work->workflow_id != NULL ? LOOM_OK : LOOM_EREMOTE;
}

static loom_status run(flow *f)
{
    const json_t *node = json_object_get(f->input, "node");
    return plan_run(f, json_string_value(json_object_get(node, "workflow")), json_object_get(f->input, "values"));
}

int main(int argc, char **argv)
{
    return plan_main(&(flow_agent){
        .id = "sub",
        .capability = "workflow.sub_workflow",
        .what = "Provides workflow.sub_workflow: runs a workflow as one node of another.",
        .describe = describe,
        .run = run,
    }, argc, argv);
}
