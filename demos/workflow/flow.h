/* SPDX-License-Identifier: Apache-2.0 */
/* What the agents of this demo have in common: each provides one capability, and each call of it is one piece of a workflow,
 * with a span of <loom/workflow.h>. Inputs and outputs are JSON objects; the workflow's ids travel in the baggage. */
#ifndef WORKFLOW_FLOW_H
#define WORKFLOW_FLOW_H

#include <jansson.h>
#include <loom/loom.h>

#include "demos/common/demo_agent.h"

enum { FLOW_CODE_SIZE = 32, FLOW_TEXT_SIZE = 240 };

typedef struct flow_agent flow_agent;

/* One call under way. */
typedef struct flow {
    const flow_agent *of;
    loom_agent *agent;
    loom_workflow *work;          /* its span, and the ids that it has inherited */
    const json_t *input;          /* an object */
    json_t *output;               /* for run() to set */
    loom_baggage *baggage;        /* that came with the call; NULL: none */
    char id[LOOM_UUID_TEXT_SIZE]; /* of the call */
    char code[FLOW_CODE_SIZE], text[FLOW_TEXT_SIZE]; /* why it failed; empty: it has not */
} flow;

struct flow_agent {
    const char *id, *capability, *input_schema;
    const char *what; /* for --help and the directory */
    /* What kind of work a call is: fills in all but tracer and baggage. Texts may be those of f->input and f->id. */
    loom_status (*describe)(flow *f, loom_workflow_options *work);
    /* Does it. Anything but LOOM_OK follows flow_fail(). */
    loom_status (*run)(flow *f);
    const void *user;
};

/* Opens the agent and serves until a signal comes; the exit status. */
int flow_serve(const flow_agent *a, const char *url);
/* The whole program of an agent that has no options of its own. */
int flow_main(const flow_agent *a, int argc, char **argv);

/* Says why the call fails, to its caller and in its span. Returns LOOM_EREMOTE. */
loom_status flow_fail(flow *f, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A text that input has to have; NULL after flow_fail(). */
const char *flow_text(flow *f, const json_t *input, const char *key);
/* The node that input is about: its id and type go into work. */
loom_status flow_describe_node(flow *f, loom_workflow_options *work);
/* Invokes a capability as a part of this work. input is consumed. NULL after flow_fail(), with the reason of whoever failed. */
json_t *flow_invoke(flow *f, const char *capability, json_t *input);
/* Emits an event as a part of this work. event is consumed. */
loom_status flow_emit(flow *f, const char *topic, json_t *event);
/* A template with each {name} replaced by that member of values, a text or a whole number, as escape() writes it (NULL: as
 * it is). NULL after flow_fail(); else to be freed. */
char *flow_expand(flow *f, const char *template, const json_t *values, char *(*escape)(const char *text));

#endif
