/* SPDX-License-Identifier: Apache-2.0 */
/* GET /openapi.json: OpenAPI 3.1 of the gateway. What is always there is a text; each capability is an operation of its
 * own, with its schemas. */
#include <string.h>

#include <loom/version.h>

#include "bridge/gateway/answers.h"

enum { CAPABILITIES_MAX = 1000, PATH_SIZE = 16 + 3 * LOOM_TOPIC_MAX };

#define PROBLEM_ANSWER "\"default\":{\"$ref\":\"#/components/responses/Problem\"}"
#define ANY_BODY "\"requestBody\":{\"content\":{\"*/*\":{\"schema\":{}}}}"
#define NAME(what) "{\"name\":\"" what "\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\"}}"
#define QUERY(what) "{\"name\":\"" what "\",\"in\":\"query\",\"schema\":{\"type\":\"string\"}}"
#define LIST(path, id, text, parameters)                                                                                   \
    "\"" path "\":{\"get\":{\"operationId\":\"" id "\",\"summary\":\"" text "\",\"parameters\":[" parameters "],\"responses\":{\"200\":" \
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
    LIST("/v1/agents", "agents", "Agents",
         QUERY("agent") "," QUERY("topic") "," QUERY("capability") "," QUERY("after") "," QUERY("limit")) ","
    LIST("/v1/capabilities", "capabilities", "Capabilities", QUERY("name") "," QUERY("prefix") "," QUERY("after") "," QUERY("limit")) ","
    LIST("/v1/topics", "topics", "Topics that were published to most", QUERY("filter") "," QUERY("limit")) ","
    LIST("/v1/stats", "stats", "Counters", "") "}}";

static const char components[] =
    "{\"parameters\":{\"deadline\":" QUERY("deadline") ",\"idle\":" QUERY("idle") ",\"version\":" QUERY("version") ","
    "\"key\":{\"name\":\"Idempotency-Key\",\"in\":\"header\",\"schema\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64}}},"
    "\"schemas\":{"
    "\"Accepted\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"trace_id\":{\"type\":\"string\"}},\"required\":[\"id\"]},"
    "\"Problem\":{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
    "\"status\":{\"type\":\"integer\"},\"code\":{\"type\":\"string\"},\"detail\":{\"type\":\"string\"}}}},"
    "\"responses\":{\"Problem\":{\"description\":\"What was wrong (RFC 9457)\",\"content\":{\"application/problem+json\":"
    "{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}}}";

static const char *text_of(const json_t *capability, const char *key)
{
    const char *text = json_string_value(json_object_get(capability, key));
    return text != NULL ? text : "";
}

/* {} takes anything. A schema is a document of its own: without an $id, its "#/$defs/x" would be looked for in this one. */
static json_t *schema_of(const json_t *capability, const char *key, const char *path)
{
    json_t *schema = json_object_get(capability, key);
    if (!json_is_object(schema)) {
        return json_is_boolean(schema) ? json_incref(schema) : json_object();
    }
    if (json_object_get(schema, "$id") == NULL) {
        (void)json_object_set_new(schema, "$id", json_sprintf("%s/%s", path, key));
    }
    return json_incref(schema);
}

static json_t *parameters_of_actions(void)
{
    return json_pack("[{s:s},{s:s},{s:s},{s:s}]", "$ref", "#/components/parameters/deadline", "$ref", "#/components/parameters/idle",
                     "$ref", "#/components/parameters/version", "$ref", "#/components/parameters/key");
}

/* No operation that is always there has an id with a dot. */
static json_t *operation_of(const json_t *capability, const char *path)
{
    const char *name = text_of(capability, "name"), *text = text_of(capability, "description");
    return json_pack("{s:{s:o,s:s,s:s,s:s,s:o,s:{s:{s:{s:o}}},s:{s:{s:s,s:{s:{s:o}}},s:{s:s}}}}", "post",
                     "operationId", json_sprintf("invoke.%s", name), "summary", text[0] != '\0' ? text : name, "x-loom-version",
                     text_of(capability, "version"), "x-loom-kind", text_of(capability, "kind"), "parameters",
                     parameters_of_actions(), "requestBody", "content", "application/json", "schema",
                     schema_of(capability, "input_schema", path), "responses", "200", "description", "The result", "content",
                     "application/json", "schema", schema_of(capability, "output_schema", path), "default", "$ref",
                     "#/components/responses/Problem");
}

/* The path of a capability as a client writes it: what is not unreserved (RFC 3986, 2.3) is escaped, and above all the
 * braces, which would be a template. */
static void write_path(char out[PATH_SIZE], const char *name)
{
    static const char unreserved[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    size_t len = (size_t)snprintf(out, PATH_SIZE, "/v1/actions/");
    for (; *name != '\0' && len + 4 <= PATH_SIZE; name++) {
        const bool plain = strchr(unreserved, *name) != NULL;
        len += (size_t)snprintf(out + len, PATH_SIZE - len, plain ? "%c" : "%%%02X", (unsigned char)*name);
    }
}

/* The names of several versions are one path: the highest comes last in the list, and is what a call gets. */
static void add_operations(json_t *paths, json_t *capabilities)
{
    size_t i;
    json_t *capability;
    json_array_foreach(capabilities, i, capability) {
        char path[PATH_SIZE];
        write_path(path, text_of(capability, "name"));
        (void)json_object_set_new(paths, path, operation_of(capability, path));
    }
}

/* Of more capabilities than a list holds, the document says that it is not whole. */
static void take_capabilities(exchange *x, loom_bytes answer)
{
    json_t *list = gateway_list(x, answer);
    if (list == NULL) {
        return;
    }
    json_t *document = json_loads(fixed, 0, NULL);
    if (json_object_set_new(document, "components", json_loads(components, 0, NULL)) != 0) {
        exchange_fail_memory(x);
    } else {
        add_operations(json_object_get(document, "paths"), json_object_get(list, "capabilities"));
        if (json_is_true(json_object_get(list, "more"))) {
            (void)json_object_set_new(document, "x-loom-more", json_true());
        }
        answer_json(x, document);
    }
    json_decref(list);
    json_decref(document);
}

void openapi_get(exchange *x)
{
    gateway_ask(x, "capabilities", &(question_pair){"limit", {0}, CAPABILITIES_MAX}, 1, take_capabilities);
}
