/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: runs a workflow from its first node to its last, and says on workflow.finished how it ended. */
#include <stdio.h>

#include "demos/workflow/plan.h"

static loom_status describe(flow *f, loom_workflow_options *work)
{
    work->kind = LOOM_WORKFLOW_EXECUTION;
    work->workflow_id = flow_text(f, f->input, "workflow");
    return work->workflow_id != NULL ? LOOM_OK : LOOM_EREMOTE;
}

static loom_status run(flow *f)
{
    json_t *workflow = json_object_get(f->input, "workflow");
    loom_status st = plan_run(f, json_string_value(workflow), json_object_get(f->input, "values"));
    loom_status told = flow_emit(f, "workflow.finished", json_pack("{s:O, s:s}", "workflow", workflow, "outcome",
                                                                   st == LOOM_OK ? "ok" : f->code));
    if (told != LOOM_OK) {
        fprintf(stderr, "engine: workflow.finished: %s\n", loom_status_text(told));
    }
    return st;
}

int main(int argc, char **argv)
{
    return plan_main(&(flow_agent){
        .id = "engine",
        .capability = "workflow.execute",
        .what = "Provides workflow.execute: runs a workflow, node by node, and emits workflow.finished.",
        .describe = describe,
        .run = run,
    }, argc, argv);
}
