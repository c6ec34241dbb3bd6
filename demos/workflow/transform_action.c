/* SPDX-License-Identifier: Apache-2.0 */
/* Makes new values of those there are: products ("multiply") and texts ("text"). */
#include <stdlib.h>

#include "demos/workflow/flow.h"

static loom_status describe(flow *f, loom_workflow_options *work)
{
    work->kind = LOOM_WORKFLOW_ACTION;
    work->name = "transform.action";
    work->component = "transform_action";
    return flow_describe_node(f, work);
}

static loom_status multiply(flow *f, const char *name, const json_t *factors)
{
    const json_t *values = json_object_get(f->input, "values"), *factor;
    json_int_t product = 1;
    size_t i;
    json_array_foreach(factors, i, factor) {
        const char *key = json_string_value(factor);
        const json_t *value = key != NULL ? json_object_get(values, key) : NULL;
        if (!json_is_integer(value)) {
            return flow_fail(f, "unknown_value", "%s: \"%s\" is no whole number", name, key != NULL ? key : "?");
        }
        if (__builtin_mul_overflow(product, json_integer_value(value), &product)) {
            return flow_fail(f, "too_large", "%s is too large", name);
        }
    }
    return json_object_set_new(f->output, name, json_integer(product)) == 0 ? LOOM_OK : LOOM_ENOMEM;
}

static loom_status write_text(flow *f, const char *name, const char *template)
{
    char *text = template != NULL ? flow_expand(f, template, json_object_get(f->input, "values"), NULL) : NULL;
    if (text == NULL) {
        return template == NULL ? flow_fail(f, "bad_request", "%s: the template is no text", name) : LOOM_EREMOTE;
    }
    loom_status st = json_object_set_new(f->output, name, json_string(text)) == 0 ? LOOM_OK : LOOM_ENOMEM;
    free(text);
    return st;
}

static loom_status run(flow *f)
{
    json_t *node = json_object_get(f->input, "node"), *how;
    const char *name;
    loom_status st = LOOM_OK;
    f->output = json_object();
    json_object_foreach(json_object_get(node, "multiply"), name, how) {
        st = st == LOOM_OK ? multiply(f, name, how) : st;
    }
    json_object_foreach(json_object_get(node, "text"), name, how) {
        st = st == LOOM_OK ? write_text(f, name, json_string_value(how)) : st;
    }
    loom_span_set_int(loom_workflow_span(f->work), "values_made", (int64_t)json_object_size(f->output));
    return st;
}

int main(int argc, char **argv)
{
    return flow_main(&(flow_agent){
        .id = "transform",
        .capability = "transform.action",
        .what = "Provides transform.action: makes new values of those there are.",
        .describe = describe,
        .run = run,
    }, argc, argv);
}
