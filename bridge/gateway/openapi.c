/* SPDX-License-Identifier: Apache-2.0 */
/* GET /openapi.json: OpenAPI 3.1 of the gateway. What is always there is a text; each capability is an operation of its
 * own, with its schemas. */
#include <string.h>

#include "bridge/gateway/answers.h"

enum { CAPABILITIES_MAX = 1000 };

#define PROBLEM_ANSWER "\"default\":{\"$ref\":\"#/components/responses/Problem\"}"
#define ANY_BODY "\"requestBody\":{\"content\":{\"*/*\":{\"schema\":{}}}}"
#define NAME(what) "{\"name\":\"" what "\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\"}}"
#define QUERY(what) "{\"name\":\"" what "\",\"in\":\"query\",\"schema\":{\"type\":\"string\"}}"
#define LIST(path, id, text) "\"" path "\":{\"get\":{\"operationId\":\"" id "\",\"summary\":\"" text "\",\"responses\":{\"200\":"  \
    "{\"description\":\"The list\",\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\"}}}}," PROBLEM_ANSWER "}}}"

static const char fixed[] =
    "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Loom\",\"version\":\"" LOOM_VERSION "\"},\"paths\":{"
    "\"/v1/events/{topic}\":{"
    "\"post\":{\"operationId\":\"publish\",\"summary\":\"Publish an event\",\"parameters\":[" NAME("topic") "," QUERY("envelope") ","
    QUERY("type") "," QUERY("thread_id") "," QUERY("correlation_id") "," QUERY("reply_to") "]," ANY_BODY ",\"responses\":{"
    "\"202\":{\"description\":\"Accepted\",\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/Accepted\"}}}},"
    "\"207\":{\"description\":\"A batch of which some lines were refused\"}," PROBLEM_ANSWER "}},"
    "\"get\":{\"operationId\":\"listen\",\"summary\":\"Events as they come; the topic is a filter\",\"parameters\":[" NAME("topic") ","
    QUERY("type") "," QUERY("qos") "],\"responses\":{\"200\":{\"description\":\"Server-sent events\",\"content\":"
    "{\"text/event-stream\":{\"schema\":{\"type\":\"string\"}}}}," PROBLEM_ANSWER "}}},"
    "\"/v1/requests/{topic}\":{\"post\":{\"operationId\":\"request\",\"summary\":\"Publish an event and wait for its reply\","
    "\"parameters\":[" NAME("topic") "," QUERY("deadline") "," QUERY("type") "]," ANY_BODY
    ",\"responses\":{\"200\":{\"description\":\"The reply\"}," PROBLEM_ANSWER "}}},"
    LIST("/v1/agents", "agents", "Agents") "," LIST("/v1/capabilities", "capabilities", "Capabilities") ","
    LIST("/v1/topics", "topics", "Topics that were published to most") "," LIST("/v1/stats", "stats", "Counters") "},"
    "\"components\":{\"schemas\":{"
    "\"Accepted\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"trace_id\":{\"type\":\"string\"}},\"required\":[\"id\"]},"
    "\"Problem\":{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
    "\"status\":{\"type\":\"integer\"},\"code\":{\"type\":\"string\"},\"detail\":{\"type\":\"string\"}}}},"
    "\"responses\":{\"Problem\":{\"description\":\"What was wrong (RFC 9457)\",\"content\":{\"application/problem+json\":"
    "{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}}}}";

/* {} takes anything. */
static json_t *schema_of(const json_t *capability, const char *key)
{
    json_t *schema = json_object_get(capability, key);
    return json_is_object(schema) || json_is_boolean(schema) ? json_incref(schema) : json_object();
}

static json_t *operation_of(const json_t *capability)
{
    const char *name = json_string_value(json_object_get(capability, "name"));
    const char *text = json_string_value(json_object_get(capability, "description"));
    return json_pack("{s:{s:s,s:s,s:s,s:s,s:[{s:s,s:s,s:{s:s}}],s:{s:{s:{s:o}}},s:{s:{s:s,s:{s:{s:o}}},s:{s:s}}}}", "post",
                     "operationId", name, "summary", text != NULL && text[0] != '\0' ? text : name, "x-loom-version",
                     json_string_value(json_object_get(capability, "version")), "x-loom-kind",
                     json_string_value(json_object_get(capability, "kind")), "parameters", "name", "deadline", "in", "query",
                     "schema", "type", "string", "requestBody", "content", "application/json", "schema",
                     schema_of(capability, "input_schema"), "responses", "200", "description", "The result", "content",
                     "application/json", "schema", schema_of(capability, "output_schema"), "default", "$ref",
                     "#/components/responses/Problem");
}

/* The names of several versions are one path: the highest comes last in the list, and is what a call gets. */
static void add_operations(json_t *paths, json_t *capabilities)
{
    size_t i;
    json_t *capability;
    open_schemas(capabilities);
    json_array_foreach(capabilities, i, capability) {
        char path[LOOM_TOPIC_MAX + 32];
        const char *name = json_string_value(json_object_get(capability, "name"));
        if (name != NULL) {
            snprintf(path, sizeof path, "/v1/actions/%s", name);
            (void)json_object_set_new(paths, path, operation_of(capability));
        }
    }
}

void openapi_get(exchange *x)
{
    const question_pair pairs[] = {{"op", str_of("capabilities"), 0}, {"limit", {0}, CAPABILITIES_MAX}};
    json_t *document = json_loads(fixed, 0, NULL);
    json_t *answer = x->gateway->options.source != NULL ? gateway_ask(x->gateway, pairs, 2) : NULL;
    if (document == NULL) {
        exchange_fail(x, 503, "out_of_memory", "the gateway has no memory for the answer");
    } else {
        add_operations(json_object_get(document, "paths"), json_object_get(answer, "capabilities"));
        answer_json(x, document);
    }
    json_decref(answer);
    json_decref(document);
}
