/* SPDX-License-Identifier: Apache-2.0 */
/* Workflows as a file says them (workflows.json): by name, the nodes to run one after the other. A node adds the values that
 * it makes to those there are, for the nodes behind it. */
#ifndef WORKFLOW_PLAN_H
#define WORKFLOW_PLAN_H

#include "demos/workflow/flow.h"

enum { PLAN_NODES_MAX = 100 };

/* NULL: standard error says what is wrong, and where. */
json_t *plan_load(const char *program, const char *path);

/* Runs the nodes of a workflow with these values (NULL: none), each as a call of workflow.step.execute. On LOOM_OK f->output
 * is all values at the end. */
loom_status plan_run(flow *f, const char *workflow, json_t *values);

/* The whole program of an agent that runs plans: f->of->user is what plan_load() gave. */
int plan_main(flow_agent *a, int argc, char **argv);

#endif
