/* SPDX-License-Identifier: Apache-2.0 */
/* From a call to its answer: the input read, the work done inside its span, the outcome handed back. */
#include "demos/workflow/flow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 20000 };

loom_status flow_fail(flow *f, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
    snprintf(f->code, sizeof f->code, "%s", code);
    return LOOM_EREMOTE;
}

const char *flow_text(flow *f, const json_t *input, const char *key)
{
    const char *text = json_string_value(json_object_get(input, key));
    if (text == NULL || text[0] == '\0') {
        (void)flow_fail(f, "bad_request", "%s: \"%s\" is missing, or is not a text", f->of->capability, key);
        return NULL;
    }
    return text;
}

loom_status flow_describe_node(flow *f, loom_workflow_options *work)
{
    const json_t *node = json_object_get(f->input, "node");
    work->node_id = flow_text(f, node, "id");
    work->node_type = work->node_id != NULL ? flow_text(f, node, "type") : NULL;
    return work->node_type != NULL ? LOOM_OK : LOOM_EREMOTE;
}

/* ---- what it calls ---- */

static json_t *read_object(loom_bytes payload)
{
    json_t *object = json_loadb((const char *)payload.data, payload.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* The ids of this work as baggage, behind what has come in; *text is valid as long as *out. */
static loom_status make_baggage(const flow *f, loom_baggage **out, const char **text)
{
    loom_status st = loom_workflow_baggage(out, f->work, f->baggage);
    *text = st == LOOM_OK && *out != NULL ? loom_baggage_text(*out).data : NULL;
    return st;
}

static json_t *read_result(flow *f, const char *capability, loom_status st, const loom_result *result)
{
    if (st != LOOM_OK && result != NULL && loom_result_code(result)[0] != '\0') {
        (void)flow_fail(f, loom_result_code(result), "%s", loom_result_text(result));
        return NULL;
    }
    if (st != LOOM_OK) {
        (void)flow_fail(f, loom_status_name(st), "%s: %s", capability, loom_status_text(st));
        return NULL;
    }
    json_t *output = read_object(loom_result_payload(result));
    if (output == NULL) {
        (void)flow_fail(f, "bad_answer", "%s answered something else than a JSON object", capability);
    }
    return output;
}

json_t *flow_invoke(flow *f, const char *capability, json_t *input)
{
    loom_baggage *baggage = NULL;
    loom_result *result = NULL;
    loom_invoke_options options = {.deadline_ms = DEADLINE_MS, .content_type = "application/json"};
    char *payload = json_dumps(input, JSON_COMPACT);
    loom_status st = payload != NULL ? make_baggage(f, &baggage, &options.baggage) : LOOM_ENOMEM;
    if (st == LOOM_OK) {
        const loom_bytes bytes = {(const uint8_t *)payload, strlen(payload)};
        st = loom_agent_invoke(f->agent, capability, bytes, &options, &result);
    }
    json_t *output = read_result(f, capability, st, result);
    loom_result_free(result);
    loom_baggage_unref(baggage);
    free(payload);
    json_decref(input);
    return output;
}

loom_status flow_emit(flow *f, const char *topic, json_t *event)
{
    loom_baggage *baggage = NULL;
    loom_emit_options options = {.type = topic, .content_type = "application/json"};
    char *payload = json_dumps(event, JSON_COMPACT);
    loom_status st = payload != NULL ? make_baggage(f, &baggage, &options.baggage) : LOOM_ENOMEM;
    if (st == LOOM_OK) {
        st = loom_agent_emit_text(f->agent, topic, payload, &options);
    }
    loom_baggage_unref(baggage);
    free(payload);
    json_decref(event);
    return st;
}

/* ---- templates ---- */

static bool put_value(FILE *out, const json_t *value, char *(*escape)(const char *text))
{
    char digits[32];
    snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    const char *text = json_is_integer(value) ? digits : json_string_value(value);
    char *escaped = text != NULL && escape != NULL ? escape(text) : NULL;
    const bool there = text != NULL && (escape == NULL || escaped != NULL);
    if (there) {
        fputs(escape != NULL ? escaped : text, out);
    }
    free(escaped);
    return there;
}

static loom_status put_template(flow *f, FILE *out, const char *template, const json_t *values,
                                char *(*escape)(const char *text))
{
    while (*template != '\0') {
        const char *open = strchrnul(template, '{'), *close = strchr(open, '}');
        fwrite(template, 1, (size_t)(open - template), out);
        if (*open == '\0') {
            return LOOM_OK;
        }
        const size_t len = close != NULL ? (size_t)(close - open) - 1 : strlen(open + 1);
        if (close == NULL || !put_value(out, json_object_getn(values, open + 1, len), escape)) {
            return flow_fail(f, "unknown_value", "there is no \"%.*s\" for the template \"%s\"", (int)len, open + 1, template);
        }
        template = close + 1;
    }
    return LOOM_OK;
}

char *flow_expand(flow *f, const char *template, const json_t *values, char *(*escape)(const char *text))
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    loom_status st = out != NULL ? put_template(f, out, template, values, escape) : LOOM_ENOMEM;
    if (out == NULL || fclose(out) != 0) {
        st = LOOM_ENOMEM;
    }
    if (st == LOOM_OK) {
        return text;
    }
    free(text);
    if (f->code[0] == '\0') {
        (void)flow_fail(f, "out_of_memory", "out of memory");
    }
    return NULL;
}

/* ---- a call ---- */

static loom_status run(loom_workflow *work, void *user)
{
    flow *f = user;
    f->work = work;
    loom_status st = f->of->run(f);
    if (st != LOOM_OK && f->code[0] != '\0') {
        loom_workflow_fail(work, f->code, f->text);
    }
    return st;
}

static loom_status work_on(flow *f, loom_action *action)
{
    loom_workflow_options work = {.tracer = loom_agent_tracer(f->agent)};
    loom_status st = loom_baggage_parse(&f->baggage, loom_envelope_baggage(loom_action_envelope(action)), NULL);
    if (st != LOOM_OK) {
        return st;
    }
    loom_envelope_id_text(loom_action_envelope(action), f->id);
    f->input = read_object(loom_action_payload(action));
    if (f->input == NULL) {
        return flow_fail(f, "bad_request", "%s takes a JSON object", f->of->capability);
    }
    work.baggage = f->baggage;
    st = f->of->describe(f, &work);
    return st == LOOM_OK ? loom_workflow_run(&work, run, f) : st;
}

static loom_status answer(const flow *f, loom_action *action, loom_status st)
{
    if (st != LOOM_OK) {
        printf("%s failed, %s: %s\n", f->of->capability, f->code[0] != '\0' ? f->code : loom_status_name(st), f->text);
        return f->code[0] != '\0' ? loom_action_fail(action, f->code, f->text) : st;
    }
    char *payload = json_dumps(f->output, JSON_COMPACT);
    if (payload == NULL) {
        return LOOM_ENOMEM;
    }
    printf("%s: %s\n", f->of->capability, payload);
    st = loom_action_reply(action, (loom_bytes){(const uint8_t *)payload, strlen(payload)});
    free(payload);
    return st;
}

static loom_status on_action(loom_agent *agent, loom_action *action, void *user)
{
    flow f = {.of = *(const flow_agent *const *)user, .agent = agent};
    loom_status st = work_on(&f, action);
    st = answer(&f, action, st);
    json_decref(f.output);
    json_decref((json_t *)(uintptr_t)f.input);
    loom_baggage_unref(f.baggage);
    return st;
}

/* ---- the program ---- */

int flow_serve(const flow_agent *a, const char *url)
{
    loom_agent *agent;
    loom_status st = loom_agent_open(&agent, &(loom_agent_options){.id = a->id, .url = url});
    if (st != LOOM_OK) {
        fprintf(stderr, "%s: %s\n", a->id, loom_agent_open_error());
        return EXIT_FAILURE;
    }
    const loom_capability provided = {.name = a->capability, .description = a->what, .input_schema = a->input_schema,
                                      .on_action = on_action, .user = &a};
    st = loom_agent_provide(agent, &provided);
    st = st == LOOM_OK ? demo_ready(agent) : st;
    st = st == LOOM_OK ? loom_agent_run_until_signal(agent) : st;
    if (st != LOOM_OK) {
        fprintf(stderr, "%s: %s\n", a->id, loom_status_text(st));
    }
    const int status = demo_close(agent);
    return st == LOOM_OK ? status : EXIT_FAILURE;
}

int flow_main(const flow_agent *a, int argc, char **argv)
{
    const demo_option none[] = {{0}};
    const char *url;
    int status;
    return demo_options(argc, argv, a->what, none, &url, &status) ? flow_serve(a, url) : status;
}
