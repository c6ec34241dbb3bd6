/* SPDX-License-Identifier: Apache-2.0 */
#include "demos/workflow/plan.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the file ---- */

static bool is_node(const json_t *node)
{
    return json_is_string(json_object_get(node, "id")) && json_is_string(json_object_get(node, "type"));
}

static bool check(const char *program, const char *path, json_t *plans)
{
    const char *name;
    json_t *nodes, *node;
    size_t i;
    json_object_foreach(plans, name, nodes) {
        if (!json_is_array(nodes) || json_array_size(nodes) == 0 || json_array_size(nodes) > PLAN_NODES_MAX) {
            fprintf(stderr, "%s: %s: workflow \"%s\" is no list of 1 to %d nodes\n", program, path, name, PLAN_NODES_MAX);
            return false;
        }
        json_array_foreach(nodes, i, node) {
            if (!is_node(node)) {
                fprintf(stderr, "%s: %s: node %zu of \"%s\" has no \"id\" or no \"type\"\n", program, path, i + 1, name);
                return false;
            }
        }
    }
    return true;
}

json_t *plan_load(const char *program, const char *path)
{
    json_error_t error;
    json_t *plans = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (plans == NULL) {
        fprintf(stderr, "%s: %s:%d: %s\n", program, path, error.line, error.text);
        return NULL;
    }
    if (!json_is_object(plans)) {
        fprintf(stderr, "%s: %s: this is no object of workflows\n", program, path);
    } else if (check(program, path, plans)) {
        return plans;
    }
    json_decref(plans);
    return NULL;
}

/* ---- a run ---- */

loom_status plan_run(flow *f, const char *workflow, json_t *values)
{
    json_t *nodes = json_object_get(f->of->user, workflow), *node;
    if (nodes == NULL) {
        return flow_fail(f, "unknown_workflow", "there is no workflow \"%s\"", workflow);
    }
    json_t *all = json_is_object(values) ? json_copy(values) : json_object();
    size_t i;
    json_array_foreach(nodes, i, node) {
        json_t *made = flow_invoke(f, "workflow.step.execute", json_pack("{s:O, s:O}", "node", node, "values", all));
        if (made == NULL || json_object_update(all, made) != 0) {
            json_decref(made);
            json_decref(all);
            return made == NULL ? LOOM_EREMOTE : LOOM_ENOMEM;
        }
        json_decref(made);
    }
    f->output = all;
    return LOOM_OK;
}

int plan_main(flow_agent *a, int argc, char **argv)
{
    const char *path = "demos/workflow/workflows.json", *url;
    const demo_option known[] = {{.name = "workflows", .help = "file of workflows", .text = &path}, {0}};
    int status;
    if (!demo_options(argc, argv, a->what, known, &url, &status)) {
        return status;
    }
    json_t *plans = plan_load(a->id, path);
    if (plans == NULL) {
        return DEMO_EXIT_USAGE;
    }
    a->user = plans;
    status = flow_serve(a, url);
    json_decref(plans);
    return status;
}
