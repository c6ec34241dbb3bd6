/* SPDX-License-Identifier: Apache-2.0 */
/* Names and attributes of the spans of workflows, as the table in <loom/workflow.h> has them. */
#ifndef LOOM_TRACE_WORKFLOW_ATTRIBUTES_H
#define LOOM_TRACE_WORKFLOW_ATTRIBUTES_H

#include <loom/workflow.h>

#define WORKFLOW_ATTRS_MAX 16u

const char *workflow_span_name(const loom_workflow_options *options);
/* Fills attrs with what is there; returns how many. w has inherited its ids. */
size_t workflow_attributes(loom_attr attrs[WORKFLOW_ATTRS_MAX], const loom_workflow *w, const loom_workflow_options *options);
/* Whether it is one of them. */
bool workflow_owns_attribute(const char *key);

/* What came with a message; empty and 0: nothing. */
loom_str workflow_baggage_id(const loom_baggage *baggage, const char *key);
uint32_t workflow_baggage_depth(const loom_baggage *baggage);

#endif
