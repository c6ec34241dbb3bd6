/* SPDX-License-Identifier: Apache-2.0 */
/* Stages on spans, from the code and from the environment, seen in what is exported. */
#include "tests/unit/trace/recorded.h"
#include "tests/unit/trace/heard.h"
#include "trace/export/rewrite.h"
#include "trace/otlp/fields.h"

#include <loom/pipeline.h>

#include <stdlib.h>

static loom_attr text_attr(const char *key, const char *value)
{
    return (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = str_of(value)};
}

/* Opens with these stages and gives them up. */
static void open_with(recorded *r, loom_span_stage **stages, size_t count)
{
    recorded_open_with(r, &(loom_span_processor_options){.stages = stages, .stage_count = count}, NULL);
    for (size_t i = 0; i < count; i++) {
        loom_span_stage_unref(stages[i]);
    }
}

static json_t *first_of(json_t *object, const char *list)
{
    return json_array_get(json_object_get(object, list), 0);
}

static void a_mask_reaches_every_text_of_a_span(void **state)
{
    (void)state;
    recorded r;
    loom_span_stage *mask;
    assert_status(LOOM_OK, loom_mask_create(&mask, NULL));
    open_with(&r, &mask, 1);
    loom_span *span = loom_span_start(r.tracer, "mail to bob@example.com", NULL);
    loom_span_set_string(span, "to", "bob@example.com");
    loom_span_set_string(span, "db.password", "hunter2");
    loom_span_set_int(span, "cvv", 123);
    loom_span_set_bool(span, "password.required", true);
    loom_span_set_int(span, "tokens.input", 1764351622);
    const loom_str list[] = {STR("x"), STR("+14155552671")};
    loom_span_set_attr(span, &(loom_attr){.key = "list", .type = LOOM_ATTR_STRINGS, .value.array = {list, 2}});
    const loom_str args[] = {STR("run"), STR("--password"), STR("hunter2"), STR("--verbose")};
    loom_span_set_attr(span, &(loom_attr){.key = "process.command_args", .type = LOOM_ATTR_STRINGS, .value.array = {args, 4}});
    loom_span_set_attr(span, &(loom_attr){.key = "secrets", .type = LOOM_ATTR_STRINGS, .value.array = {args, 4}});
    loom_span_set_string(span, "customer.phone", "4155552671");
    loom_span_add_event(span, "for bob@example.com", (loom_attr[]){text_attr("ssn", "1"), text_attr("note", "ssn 123-45-6789")}, 2);
    loom_link link = {.attrs = (loom_attr[]){text_attr("via", "https://u:p@h/")}, .attr_count = 1};
    loom_trace_id_generate(link.context.trace_id);
    loom_span_id_generate(link.context.span_id);
    loom_span_add_link(span, &link);
    loom_span_set_status(span, LOOM_SPAN_ERROR, "no such card 4111 1111 1111 1111");
    loom_span_end(span);
    recorded_read(&r);

    json_t *out = recorded_span(&r, "mail to [mail]"), *value;
    recorded_has_string(out, "to", "[mail]");
    recorded_has_string(out, "db.password", "[masked]");
    recorded_has_string(out, "cvv", "[masked]");
    assert_int_equal(1, recorded_attr(out, "password.required", &value));
    assert_true(json_is_true(json_object_get(value, "boolValue")));
    assert_int_equal(1, recorded_attr(out, "tokens.input", &value));
    assert_string_equal("1764351622", recorded_string(value, "intValue"));
    assert_int_equal(1, recorded_attr(out, "list", &value));
    json_t *items = json_object_get(json_object_get(value, "arrayValue"), "values");
    assert_string_equal("x", recorded_string(json_array_get(items, 0), "stringValue"));
    assert_string_equal("[phone]", recorded_string(json_array_get(items, 1), "stringValue"));
    assert_int_equal(1, recorded_attr(out, "process.command_args", &value));
    items = json_object_get(json_object_get(value, "arrayValue"), "values");
    assert_int_equal(4, json_array_size(items));
    assert_string_equal("--password", recorded_string(json_array_get(items, 1), "stringValue"));
    assert_string_equal("[masked]", recorded_string(json_array_get(items, 2), "stringValue"));
    assert_string_equal("--verbose", recorded_string(json_array_get(items, 3), "stringValue"));
    recorded_has_string(out, "secrets", "[masked]");
    recorded_has_string(out, "customer.phone", "[phone]");
    assert_string_equal("for [mail]", recorded_string(first_of(out, "events"), "name"));
    recorded_has_string(first_of(out, "events"), "ssn", "[masked]");
    recorded_has_string(first_of(out, "events"), "note", "ssn [id]");
    recorded_has_string(first_of(out, "links"), "via", "https://u:[masked]@h/");
    assert_string_equal("no such card [card]", recorded_string(json_object_get(out, "status"), "message"));
    recorded_close(&r);
}

static void allow_lists_and_more_keys_are_heard(void **state)
{
    (void)state;
    recorded r;
    loom_span_stage *mask;
    static const char *const keys[] = {"customer.*"}, *const allow[] = {"support.*", "page_token"}, *const values[] = {"*@example.com"};
    assert_status(LOOM_OK, loom_mask_create(&mask, &(loom_mask_options){.keys = keys,
                                                                        .key_count = 1,
                                                                        .allow_keys = allow,
                                                                        .allow_key_count = 2,
                                                                        .allow_values = values,
                                                                        .allow_value_count = 1}));
    open_with(&r, &mask, 1);
    loom_span *span = loom_span_start(r.tracer, "s", NULL);
    loom_span_set_string(span, "Customer.Name", "Bob");
    loom_span_set_string(span, "support.mail", "help@loom.example");
    loom_span_set_string(span, "page_token", "abc");
    loom_span_set_string(span, "both", "a@example.com, b@example.org");
    loom_span_end(span);
    recorded_read(&r);
    json_t *out = recorded_span(&r, "s");
    recorded_has_string(out, "Customer.Name", "[masked]");
    recorded_has_string(out, "support.mail", "help@loom.example");
    recorded_has_string(out, "page_token", "abc");
    recorded_has_string(out, "both", "a@example.com, [mail]");
    recorded_close(&r);
}

static void filters_drop_keep_rename_and_hash(void **state)
{
    (void)state;
    recorded r;
    loom_span_stage *filter;
    const loom_filter_rule rules[] = {{LOOM_FILTER_KEEP, "http.route", NULL},
                                      {LOOM_FILTER_DROP, "http.*", NULL},
                                      {LOOM_FILTER_RENAME, "usr", "user.name"},
                                      {LOOM_FILTER_RENAME, "old", "there"},
                                      {LOOM_FILTER_HASH, "*.hashed", NULL}};
    assert_status(LOOM_OK, loom_attr_filter_create(&filter, rules, sizeof rules / sizeof *rules, NULL));
    open_with(&r, &filter, 1);
    loom_span *span = loom_span_start(r.tracer, "s", NULL);
    loom_span_set_string(span, "http.route", "/x");
    loom_span_set_string(span, "http.target", "/x?a");
    loom_span_set_string(span, "usr", "bob");
    loom_span_set_string(span, "old", "1");
    loom_span_set_string(span, "there", "2");
    loom_span_set_string(span, "a.hashed", "abc");
    loom_span_end(span);
    recorded_read(&r);
    json_t *out = recorded_span(&r, "s"), *value;
    recorded_has_string(out, "http.route", "/x");
    assert_int_equal(0, recorded_attr(out, "http.target", &value));
    recorded_has_string(out, "user.name", "bob");
    assert_int_equal(0, recorded_attr(out, "usr", &value));
    recorded_has_string(out, "there", "2");
    assert_int_equal(0, recorded_attr(out, "old", &value));
    recorded_has_string(out, "a.hashed", "ba7816bf8f01cfea414140de5dae2223"); /* FIPS 180-2, B.1 */
    recorded_close(&r);
}

/* HMAC-SHA-256 under the key "Jefe" (RFC 4231, 4.3). */
static void a_hash_key_makes_it_an_hmac(void **state)
{
    (void)state;
    recorded r;
    loom_span_stage *filter;
    assert_status(LOOM_OK, loom_attr_filter_create(&filter, &(loom_filter_rule){LOOM_FILTER_HASH, "k", NULL}, 1, "Jefe"));
    open_with(&r, &filter, 1);
    loom_span *span = loom_span_start(r.tracer, "s", NULL);
    loom_span_set_string(span, "k", "what do ya want for nothing?");
    loom_span_end(span);
    recorded_read(&r);
    recorded_has_string(recorded_span(&r, "s"), "k", "5bdcc146bf60754e6a042426089575c7");
    recorded_close(&r);
}

static void set_tenant(void *user, loom_ended_span *span)
{
    assert_string_equal("user", user);
    assert_str("s", loom_ended_span_name(span));
    assert_int_equal(LOOM_SPAN_CLIENT, loom_ended_span_kind(span));
    assert_int_equal(LOOM_SPAN_ERROR, loom_ended_span_status(span));
    assert_int_equal(50, loom_ended_span_duration_ns(span));
    const loom_trace_context ctx = loom_ended_span_context(span);
    assert_true(loom_trace_context_valid(&ctx));
    assert_str("blue", loom_ended_span_string(span, "ring"));
    loom_ended_span_set(span, &(loom_attr){.key = "tenant", .type = LOOM_ATTR_INT, .value.integer = 7});
    loom_ended_span_set(span, &(loom_attr){.key = "ring", .type = LOOM_ATTR_STRING, .value.string = STR("green")});
    loom_ended_span_set(span, NULL);
}

static void spans_are_enriched_and_masked_in_the_order_of_the_stages(void **state)
{
    (void)state;
    recorded r;
    loom_span_stage *stages[2];
    const loom_attr constants[] = {text_attr("ring", "default"), text_attr("owner", "ops@example.com")};
    assert_status(LOOM_OK, loom_enrich_create(&stages[0], &(loom_enrich_options){constants, 2, set_tenant, "user"}));
    assert_status(LOOM_OK, loom_mask_create(&stages[1], NULL));
    open_with(&r, stages, 2);
    loom_span *span = loom_span_start(r.tracer, "s", &(loom_span_options){.kind = LOOM_SPAN_CLIENT, .start_unix_ns = 100});
    loom_span_set_string(span, "ring", "blue");
    loom_span_set_status(span, LOOM_SPAN_ERROR, NULL);
    loom_span_end_at(span, 150);
    recorded_read(&r);
    json_t *out = recorded_span(&r, "s"), *value;
    recorded_has_string(out, "ring", "green");
    recorded_has_string(out, "owner", "[mail]");
    assert_int_equal(1, recorded_attr(out, "tenant", &value));
    recorded_close(&r);
}

static void spans_that_grow_stay_whole(void **state)
{
    (void)state;
    recorded r;
    loom_span_stage *enrich;
    char *big = malloc(20001);
    assert_non_null(big);
    memset(big, 'x', 20000);
    big[20000] = '\0';
    const loom_attr constant = text_attr("big", big);
    assert_status(LOOM_OK, loom_enrich_create(&enrich, &(loom_enrich_options){.attrs = &constant, .attr_count = 1}));
    open_with(&r, &enrich, 1);
    for (int i = 0; i < 600; i++) { /* more than a batch, and more than 2 MiB */
        loom_span_end(loom_span_start(r.tracer, "s", NULL));
    }
    recorded_read(&r);
    assert_int_equal(600, json_array_size(r.spans));
    recorded_has_string(json_array_get(r.spans, 599), "big", big);
    const loom_span_counts counts = loom_span_processor_counts(r.processor);
    assert_int_equal(600, counts.ended);
    assert_int_equal(600, counts.exported);
    recorded_close(&r);
    free(big);
}

static void the_environment_adds_stages_to_every_processor(void **state)
{
    (void)state;
    recorded r;
    setenv("LOOM_TRACE_ATTRIBUTES", "ring=blue%2C1,owner=ops@example.com", 1);
    setenv("LOOM_TRACE_FILTER", " drop:http.* , Rename:usr=user.name", 1);
    setenv("LOOM_TRACE_MASK", "mail,keys", 1);
    setenv("LOOM_TRACE_MASK_KEYS", "*.iban", 1);
    setenv("LOOM_TRACE_MASK_ALLOW", "contact", 1);
    setenv("LOOM_TRACE_MASK_ALLOW_VALUES", "*@loom.example", 1);
    recorded_open(&r, NULL);
    loom_span *span = loom_span_start(r.tracer, "s", NULL);
    loom_span_set_string(span, "http.target", "/");
    loom_span_set_string(span, "usr", "b@example.org or b@loom.example");
    loom_span_set_string(span, "contact", "c@example.org");
    loom_span_set_string(span, "bank.iban", "DE1");
    loom_span_set_string(span, "phone", "+14155552671");
    loom_span_end(span);
    recorded_read(&r);
    json_t *out = recorded_span(&r, "s"), *value;
    recorded_has_string(out, "ring", "blue,1");
    recorded_has_string(out, "owner", "[mail]");
    assert_int_equal(0, recorded_attr(out, "http.target", &value));
    recorded_has_string(out, "user.name", "[mail] or b@loom.example");
    recorded_has_string(out, "contact", "c@example.org");
    recorded_has_string(out, "bank.iban", "[masked]");
    recorded_has_string(out, "phone", "+14155552671");
    recorded_close(&r);
    unsetenv("LOOM_TRACE_ATTRIBUTES");
    unsetenv("LOOM_TRACE_FILTER");
    unsetenv("LOOM_TRACE_MASK");
    unsetenv("LOOM_TRACE_MASK_KEYS");
    unsetenv("LOOM_TRACE_MASK_ALLOW");
    unsetenv("LOOM_TRACE_MASK_ALLOW_VALUES");
}

static size_t stages_of_env(heard *c)
{
    span_chain chain = {0};
    *c = (heard){.count = 0};
    assert_status(LOOM_OK, chain_add_from_env(&chain, &(env_report){hear, c}));
    const size_t count = chain.count;
    span_chain_fini(&chain);
    return count;
}

static void what_makes_no_sense_in_the_environment_is_told(void **state)
{
    (void)state;
    heard c;
    assert_int_equal(0, stages_of_env(&c));
    assert_string_equal("", c.text);
    setenv("LOOM_TRACE_MASK", "off", 1);
    setenv("LOOM_TRACE_MASK_KEYS", "x", 1);
    assert_int_equal(0, stages_of_env(&c));
    unsetenv("LOOM_TRACE_MASK");
    assert_int_equal(1, stages_of_env(&c)); /* keys alone ask for a mask */
    unsetenv("LOOM_TRACE_MASK_KEYS");
    setenv("LOOM_TRACE_MASK", "mail,fone", 1);
    setenv("LOOM_TRACE_FILTER", "drop:a,burn:b,rename:c,rename:d*=e,drop:", 1);
    setenv("LOOM_TRACE_ATTRIBUTES", "a=1,nonsense", 1);
    assert_int_equal(3, stages_of_env(&c));
    static const char *const told[] = {"LOOM_TRACE_MASK: \"fone\"", "using all", "LOOM_TRACE_FILTER: \"burn:b\"", "\"rename:c\"",
                                       "\"rename:d*=e\"", "\"drop:\"", "LOOM_TRACE_ATTRIBUTES: \"nonsense\""};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        if (strstr(c.text, told[i]) == NULL) {
            fail_msg("not told of %s:\n%s", told[i], c.text);
        }
    }
    unsetenv("LOOM_TRACE_MASK");
    unsetenv("LOOM_TRACE_FILTER");
    unsetenv("LOOM_TRACE_ATTRIBUTES");
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    loom_span_stage *stage;
    char long_pattern[LOOM_PATTERN_MAX + 2];
    memset(long_pattern, 'a', sizeof long_pattern - 1);
    long_pattern[sizeof long_pattern - 1] = '\0';
    const char *const empty[] = {""}, *const too_long[] = {long_pattern};
    assert_status(LOOM_EINVAL, loom_mask_create(&stage, &(loom_mask_options){.kinds = 1u << 20}));
    assert_status(LOOM_EINVAL, loom_mask_create(&stage, &(loom_mask_options){.keys = empty, .key_count = 1}));
    assert_status(LOOM_EINVAL, loom_mask_create(&stage, &(loom_mask_options){.key_count = 1}));
    assert_status(LOOM_ETOOBIG, loom_mask_create(&stage, &(loom_mask_options){.allow_keys = too_long, .allow_key_count = 1}));
    assert_null(stage);
    assert_status(LOOM_EINVAL, loom_attr_filter_create(&stage, NULL, 0, NULL));
    assert_status(LOOM_EINVAL, loom_attr_filter_create(&stage, &(loom_filter_rule){LOOM_FILTER_DROP, NULL, NULL}, 1, NULL));
    assert_status(LOOM_EINVAL, loom_attr_filter_create(&stage, &(loom_filter_rule){LOOM_FILTER_RENAME, "a", NULL}, 1, NULL));
    assert_status(LOOM_EINVAL, loom_attr_filter_create(&stage, &(loom_filter_rule){(loom_filter_action)9, "a", NULL}, 1, NULL));
    const loom_filter_rule twice[] = {{LOOM_FILTER_RENAME, "a", "c"}, {LOOM_FILTER_RENAME, "b", "c"}};
    assert_status(LOOM_EINVAL, loom_attr_filter_create(&stage, twice, 2, NULL));
    assert_status(LOOM_EINVAL, loom_enrich_create(&stage, &(loom_enrich_options){0}));
    const loom_attr no_key = {.type = LOOM_ATTR_BOOL};
    assert_status(LOOM_EINVAL, loom_enrich_create(&stage, &(loom_enrich_options){.attrs = &no_key, .attr_count = 1}));
    loom_span_processor *processor;
    loom_span_stage *none = NULL;
    assert_status(LOOM_EINVAL, loom_span_processor_create(&processor, &(loom_span_processor_options){
                                                                          .exporter = LOOM_EXPORTER_NONE, .stages = &none, .stage_count = 1}));
    loom_span_stage_unref(NULL);
}

/* The way out for a span that could not be masked. */
static void a_bare_span_keeps_ids_times_and_status_code_alone(void **state)
{
    (void)state;
    uint8_t storage[512];
    pb_buf b;
    pb_init(&b, storage, sizeof storage, sizeof storage);
    const uint8_t id[16] = {1, 2, 3};
    const size_t field = pb_open(&b, SCOPE_SPANS_SPANS);
    pb_bytes_field(&b, SPAN_TRACE_ID, id, 16);
    pb_bytes_field(&b, SPAN_SPAN_ID, id, 8);
    pb_string_field(&b, SPAN_NAME, STR("secret"));
    pb_fixed64_field(&b, SPAN_START_TIME, 7);
    const size_t status = pb_open(&b, SPAN_STATUS);
    pb_string_field(&b, STATUS_MESSAGE, STR("secret too"));
    pb_varint_field(&b, STATUS_CODE, LOOM_SPAN_ERROR);
    pb_close(&b, status);
    pb_bytes_field(&b, SPAN_ATTRIBUTES, "\x0a\x06secret", 8);
    for (int i = 0; i < 10; i++) {
        pb_string_field(&b, SPAN_TRACE_STATE, STR("secret="));
    }
    pb_close(&b, field);
    assert_false(b.failed);
    const loom_bytes bare = bare_span(b.data, b.len);
    assert_null(memmem(bare.data, bare.len, "secret", 6));
    const uint8_t expected_tail[] = {SPAN_STATUS << 3 | PB_LENGTH, 2, STATUS_CODE << 3 | PB_VARINT, LOOM_SPAN_ERROR};
    assert_int_equal(2 + 18 + 10 + 9 + 4, bare.len);
    assert_memory_equal(expected_tail, bare.data + bare.len - sizeof expected_tail, sizeof expected_tail);
    uint8_t nonsense[] = {0xff, 0xff, 0xff};
    assert_int_equal(0, bare_span(nonsense, sizeof nonsense).len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mask_reaches_every_text_of_a_span),
        cmocka_unit_test(allow_lists_and_more_keys_are_heard),
        cmocka_unit_test(filters_drop_keep_rename_and_hash),
        cmocka_unit_test(a_hash_key_makes_it_an_hmac),
        cmocka_unit_test(spans_are_enriched_and_masked_in_the_order_of_the_stages),
        cmocka_unit_test(spans_that_grow_stay_whole),
        cmocka_unit_test(the_environment_adds_stages_to_every_processor),
        cmocka_unit_test(what_makes_no_sense_in_the_environment_is_told),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(a_bare_span_keeps_ids_times_and_status_code_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
