/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas of capabilities: which may be announced, which may be validated by, and what that lets pass. */
#include <loom/loom.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "sdk-c/schema/schema.h"
#include "tests/unit/sdk/agent_fixture.h"

#define CITY "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"pattern\":\"^[A-Z]\"}},\"required\":[\"city\"]}"

typedef struct example {
    const char *text, *problem; /* a part of it; NULL: it is fine */
} example;

static void expect(const char *what, const example *e, bool good, const char *problem)
{
    if (good != (e->problem == NULL) || (!good && strstr(problem, e->problem) == NULL)) {
        print_error("%s %s: \"%s\", expected \"%s\"\n", what, e->text, good ? "(fine)" : problem,
                    e->problem != NULL ? e->problem : "(fine)");
        fail();
    }
}

static void what_is_announced_is_json_schema(void **state)
{
    static const example examples[] = {
        {CITY, NULL},
        {"true", NULL},
        {"{}", NULL},
        {"{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$defs\":{\"a\":{}},\"prefixItems\":[{}]}", NULL},
        {"", "it is empty"},
        {"{\"type\"", "it is not JSON"},
        {"[]", "at the top: Value type not permitted"},
        {"{\"type\":\"strnig\"}", "at /type"},
        {"{\"properties\":{\"a\":{\"minimum\":\"1\"}}}", "at /properties/a/minimum"},
        {"{\"required\":\"a\"}", "at /required"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        char problem[LOOM_SCHEMA_PROBLEM_SIZE];
        bool good = loom_schema_check(str_of(examples[i].text), problem);
        expect("announcing", &examples[i], good, problem);
    }
}

static void what_is_validated_by_is_bounded_and_understood(void **state)
{
    static const example examples[] = {
        {CITY, NULL},
        {"{\"properties\":{\"next\":{\"$ref\":\"#\"}}}", NULL},
        {"{\"$ref\":\"#\"}", "leads back to itself"},
        {"{\"allOf\":[{\"$ref\":\"#\"}]}", "leads back to itself"},
        {"{\"definitions\":{\"a\":{\"not\":{\"$ref\":\"#/definitions/b\"}},\"b\":{\"anyOf\":[{\"$ref\":\"#/definitions/a\"}]}}}",
         "leads back to itself"},
        {"{\"$ref\":\"http://example.org/s\"}", "leads out of the schema"},
        {"{\"$ref\":\"#/definitions/none\"}", "leads nowhere"},
        {"{\"properties\":{\"a\":{\"$id\":\"x\"}}}", "an $id inside"},
        {"{\"pattern\":\"(\"}", "is no regular expression"},
        {"{\"patternProperties\":{\"[\":{}}}", "is no regular expression"},
        {"{\"prefixItems\":[{}]}", "prefixItems is of a later draft"},
        {"{\"properties\":{\"prefixItems\":{}},\"const\":{\"$ref\":\"x\"}}", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        char problem[LOOM_SCHEMA_PROBLEM_SIZE];
        loom_schema *schema = loom_schema_compile(str_of(examples[i].text), problem);
        expect("validating by", &examples[i], schema != NULL, problem);
        loom_schema_free(schema);
    }
}

static void a_payload_is_json_that_its_schema_allows(void **state)
{
    static const example examples[] = {
        {"{\"city\":\"Oslo\",\"more\":[1,2]}", NULL},
        {"{\"city\":\"oslo\"}", "at /city: Failed to match regex"},
        {"{\"city\":5}", "at /city: Value type not permitted"},
        {"{}", "Missing required property 'city'"},
        {"", "it is empty"},
        {"Oslo", "it is not JSON"},
        {"{\"city\":\"Oslo\"} {}", "it is not JSON"},
        {"{\"city\":\"\xff\"}", "it is not JSON"},
    };
    char problem[LOOM_SCHEMA_PROBLEM_SIZE];
    loom_schema *schema = loom_schema_compile(str_of(CITY), problem);
    (void)state;
    assert_non_null(schema);
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        bool good = loom_schema_validate(schema, bytes_of(examples[i].text), problem);
        expect("sending", &examples[i], good, problem);
    }
    loom_schema_free(schema);
}

/* Neither crashes, recurses without end, nor takes forever: a megabyte of the worst. */
static void a_hostile_payload_is_refused_at_once(void **state)
{
    char problem[LOOM_SCHEMA_PROBLEM_SIZE], *payload = malloc(LOOM_PAYLOAD_MAX);
    loom_schema *schema = loom_schema_compile(
        STR("{\"uniqueItems\":true,\"properties\":{\"city\":{\"pattern\":\"^(a|b)*$\"}},\"additionalProperties\":{\"$ref\":\"#\"}}"), problem);
    (void)state;
    assert_non_null(schema);
    assert_non_null(payload);
    memset(payload, '[', LOOM_PAYLOAD_MAX);
    assert_false(loom_schema_validate(schema, (loom_bytes){(uint8_t *)payload, LOOM_PAYLOAD_MAX}, problem));
    assert_non_null(strstr(problem, "over 64 levels deep"));
    for (size_t i = 0; i < LOOM_PAYLOAD_MAX; i++) {
        payload[i] = i == 0 ? '[' : i == LOOM_PAYLOAD_MAX - 1 ? ']' : i % 2 == 1 ? '0' : ',';
    }
    payload[LOOM_PAYLOAD_MAX - 2] = ' ';
    payload[LOOM_PAYLOAD_MAX - 3] = '1';
    assert_false(loom_schema_validate(schema, (loom_bytes){(uint8_t *)payload, LOOM_PAYLOAD_MAX}, problem));
    assert_non_null(strstr(problem, "more than 2000 items"));
    memset(payload, 'a', LOOM_PAYLOAD_MAX);
    memcpy(payload, "{\"city\":\"", 9);
    memcpy(payload + LOOM_PAYLOAD_MAX - 2, "\"}", 2);
    assert_false(loom_schema_validate(schema, (loom_bytes){(uint8_t *)payload, LOOM_PAYLOAD_MAX}, problem));
    assert_non_null(strstr(problem, "over 4096 bytes"));
    loom_schema_free(schema);
    free(payload);
}

/* ---- at the provider ---- */

typedef struct provider {
    const char *answer;
    loom_status answered;
    atomic_uint handled;
} provider;

static loom_status on_action(loom_agent *agent, loom_action *action, void *user)
{
    provider *p = user;
    (void)agent;
    p->answered = p->answer != NULL ? loom_action_reply(action, bytes_of(p->answer)) : LOOM_OK;
    atomic_fetch_add(&p->handled, 1);
    return p->answered;
}

static loom_capability capability_of(provider *p)
{
    return (loom_capability){.name = "weather.lookup", .input_schema = CITY, .output_schema = "{\"type\":\"number\"}",
                             .on_action = on_action, .user = p, .validate = true};
}

static void a_schema_that_is_none_is_not_announced(void **state)
{
    fixture *f = *state;
    provider p = {.answer = "1"};
    loom_capability c = capability_of(&p);
    open_agent(f);
    c.validate = false;
    c.input_schema = "{\"type\":\"strnig\"}";
    assert_status(LOOM_EINVAL, loom_agent_provide(f->agent, &c));
    assert_non_null(strstr(loom_last_error(), "capability \"weather.lookup\": its input_schema is not JSON Schema: at /type"));
    c.input_schema = CITY;
    c.output_schema = "[]";
    assert_status(LOOM_EINVAL, loom_agent_provide(f->agent, &c));
    assert_non_null(strstr(loom_last_error(), "its output_schema"));
    c.output_schema = "{\"prefixItems\":[{}]}"; /* of a later draft: may be announced, not validated by */
    c.validate = true;
    assert_status(LOOM_EINVAL, loom_agent_provide(f->agent, &c));
    assert_non_null(strstr(loom_last_error(), "prefixItems"));
    c.validate = false;
    assert_status(LOOM_OK, loom_agent_provide(f->agent, &c));
    c.input_schema = c.output_schema = NULL;
    c.validate = true;
    assert_status(LOOM_EINVAL, loom_agent_provide(f->agent, &c));
    assert_non_null(strstr(loom_last_error(), "no schema to validate by"));
}

static void what_a_schema_does_not_allow_reaches_no_handler_and_no_caller(void **state)
{
    fixture *f = *state;
    provider p = {.answer = "21.5"};
    loom_capability c = capability_of(&p);
    open_session(f);
    assert_status(LOOM_OK, loom_agent_provide(f->agent, &c));
    fake_bridge_answer_provide(&f->bridge, LOOM_OK);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    fake_bridge_call_text(&f->bridge, "c1", "weather.lookup", "{\"city\":\"oslo\"}");
    fake_bridge_expect_result(&f->bridge, "c1", FRAME_CALL_ERROR, "invalid_input", "");
    assert_int_equal(0, atomic_load(&p.handled));
    fake_bridge_call_text(&f->bridge, "c2", "weather.lookup", "{\"city\":\"Oslo\"}");
    fake_bridge_expect_result(&f->bridge, "c2", FRAME_CALL_OK, "", "21.5");
    wait_until(atomic_load(&p.handled) == 1, FAKE_DEADLINE_MS);
    p.answer = "\"warm\"";
    fake_bridge_call_text(&f->bridge, "c3", "weather.lookup", "{\"city\":\"Oslo\"}");
    fake_bridge_expect_result(&f->bridge, "c3", FRAME_CALL_ERROR, "EINVAL", "");
    wait_until(atomic_load(&p.handled) == 2, FAKE_DEADLINE_MS);
    assert_status(LOOM_EINVAL, p.answered);
    p.answer = NULL; /* an empty reply is no number */
    fake_bridge_call_text(&f->bridge, "c4", "weather.lookup", "{\"city\":\"Oslo\"}");
    fake_bridge_expect_result(&f->bridge, "c4", FRAME_CALL_ERROR, "invalid_output", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_announced_is_json_schema),
        cmocka_unit_test(what_is_validated_by_is_bounded_and_understood),
        cmocka_unit_test(a_payload_is_json_that_its_schema_allows),
        cmocka_unit_test(a_hostile_payload_is_refused_at_once),
        WITH_AGENT(a_schema_that_is_none_is_not_announced),
        WITH_AGENT(what_a_schema_does_not_allow_reaches_no_handler_and_no_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
