/* SPDX-License-Identifier: Apache-2.0 */
/* The door, at POST /v1/actions/api.request of the HTTP gateway: begins an execution of the workflow that is asked for. */
#include "demos/workflow/flow.h"

static loom_status describe(flow *f, loom_workflow_options *work)
{
    work->kind = LOOM_WORKFLOW_ACTION;
    work->name = "api.request";
    work->component = "api";
    work->execution_id = f->id;
    work->workflow_id = flow_text(f, f->input, "workflow");
    return work->workflow_id != NULL ? LOOM_OK : LOOM_EREMOTE;
}

static loom_status run(flow *f)
{
    json_t *values = json_object_get(f->input, "values");
    json_t *output = flow_invoke(f, "workflow.execute",
                                 json_pack("{s:O, s:O?}", "workflow", json_object_get(f->input, "workflow"), "values", values));
    if (output == NULL) {
        return LOOM_EREMOTE;
    }
    f->output = json_pack("{s:s, s:o}", "execution_id", f->id, "values", output);
    return LOOM_OK;
}

int main(int argc, char **argv)
{
    return flow_main(&(flow_agent){
        .id = "api",
        .capability = "api.request",
        .what = "Provides api.request: runs the workflow that is asked for, and answers with its values.",
        .input_schema = "{\"type\":\"object\",\"required\":[\"workflow\"],\"properties\":{"
                        "\"workflow\":{\"type\":\"string\"},\"values\":{\"type\":\"object\"}}}",
        .describe = describe,
        .run = run,
    }, argc, argv);
}
