/* SPDX-License-Identifier: Apache-2.0 */
/* What a custom sampler may say beside yes and no (OpenTelemetry, trace SDK, "ShouldSample"). */
#include "tests/unit/trace/recorded.h"

#include <loom/metrics.h>
#include <loom/sampler.h>
#include <loom/tracestate.h>
#include <string.h>

typedef struct sampler_script {
    bool sampled;
    const char *tracestate; /* NULL: left as it is */
    const char *marker;     /* a member to put in front of the parent's, in room; NULL: none */
    size_t attr_count;
    /* what was asked */
    size_t links;
    char parent_tracestate[64];
    bool had_parent;
} sampler_script;

static loom_str text(const char *s)
{
    return (loom_str){s, strlen(s)};
}

static void sample(void *user, const loom_sampler_question *q, loom_sampler_result *result)
{
    sampler_script *script = user;
    script->links = q->link_count;
    script->had_parent = q->parent != NULL;
    (void)snprintf(script->parent_tracestate, sizeof script->parent_tracestate, "%.*s", (int)q->tracestate.len,
                   q->tracestate.len > 0 ? q->tracestate.data : "");
    assert_false(result->sampled);
    assert_int_equal(0, result->attr_count);
    assert_int_equal(q->tracestate.len, result->tracestate.len);
    result->sampled = script->sampled;
    if (script->tracestate != NULL) {
        result->tracestate = text(script->tracestate);
    }
    if (script->marker != NULL) {
        size_t len;
        assert_status(LOOM_OK, loom_tracestate_set(result->room, sizeof result->room, &len, q->tracestate, text("ours"),
                                                   text(script->marker)));
        result->tracestate = (loom_str){result->room, len};
    }
    result->attr_count = script->attr_count;
    for (size_t i = 0; i < LOOM_SAMPLER_ATTRS_MAX; i++) {
        static const char *const keys[] = {"sampler.rule", "mine", "a", "b", "c", "d", "e", "f"};
        result->attrs[i] = (loom_attr){.key = keys[i], .type = LOOM_ATTR_STRING, .value.string = text("said")};
    }
}

static const loom_trace_context parent = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, {1, 2, 3, 4, 5, 6, 7, 8}, 1};
static const loom_span_options child = {.kind = LOOM_SPAN_SERVER, .parent = &parent, .tracestate = {"other=1", 7}};

static void open_script(recorded *r, sampler_script *script)
{
    recorded_open(r, &(loom_sampler){.kind = LOOM_SAMPLER_CUSTOM,
                                     .custom = &(loom_sampler_custom){.sample = sample, .user = script}});
}

static void has_tracestate(const loom_span *span, const char *expected)
{
    const loom_str found = loom_span_tracestate(span);
    assert_int_equal(strlen(expected), found.len);
    assert_memory_equal(expected, found.len > 0 ? found.data : "", found.len);
}

static void attributes_and_tracestate_are_the_spans(void **state)
{
    (void)state;
    recorded r;
    sampler_script script = {.sampled = true, .marker = "x", .attr_count = 2};
    open_script(&r, &script);
    const loom_link link = {.context = parent};
    const loom_attr own[] = {{.key = "mine", .type = LOOM_ATTR_INT, .value.integer = 1},
                             {.key = "kept", .type = LOOM_ATTR_STRING, .value.string = {"yes", 3}}};
    loom_span_options options = child;
    options.links = &link;
    options.link_count = 1;
    options.attrs = own;
    options.attr_count = 2;
    loom_span *span = loom_span_start(r.tracer, "child", &options);
    has_tracestate(span, "ours=x,other=1");
    loom_span_end(span);
    assert_int_equal(1, script.links);
    assert_true(script.had_parent);
    assert_string_equal("other=1", script.parent_tracestate);
    loom_span_end(loom_span_start(r.tracer, "root", NULL));
    assert_false(script.had_parent);
    assert_string_equal("", script.parent_tracestate);
    recorded_read(&r);
    json_t *exported = recorded_span(&r, "child");
    assert_string_equal("ours=x,other=1", recorded_string(exported, "traceState"));
    recorded_has_string(exported, "sampler.rule", "said");
    recorded_has_string(exported, "mine", "said"); /* over what it starts with */
    recorded_has_string(exported, "kept", "yes");
    assert_int_equal(1, json_array_size(json_object_get(exported, "links")));
    assert_string_equal("ours=x", recorded_string(recorded_span(&r, "root"), "traceState"));
    recorded_close(&r);
}

/* "If the sampler returns an empty Tracestate here, the Tracestate will be cleared" */
static void an_empty_tracestate_clears_that_of_the_parent(void **state)
{
    (void)state;
    recorded r;
    sampler_script script = {.sampled = true, .tracestate = ""};
    open_script(&r, &script);
    for (int i = 0; i < 2; i++) {
        loom_span *span = loom_span_start(r.tracer, "child", &child);
        assert_int_equal(i == 0, loom_span_is_recording(span));
        has_tracestate(span, "");
        loom_span_end(span);
        script.sampled = false;
    }
    recorded_close(&r);
}

static void an_unsampled_span_carries_the_tracestate_too(void **state)
{
    (void)state;
    recorded r;
    sampler_script script = {.marker = "no"};
    open_script(&r, &script);
    loom_span *span = loom_span_start(r.tracer, "child", &child), *root = loom_span_start(r.tracer, "root", NULL);
    has_tracestate(span, "ours=no,other=1");
    has_tracestate(root, "ours=no");
    loom_span_end(root);
    loom_span_end(span);
    script.marker = NULL;
    span = loom_span_start(r.tracer, "root", NULL); /* in the memory of one that had one */
    has_tracestate(span, "");
    loom_span_end(span);
    assert_int_equal(3, loom_span_processor_metrics(r.processor).span_started_unsampled);
    recorded_close(&r);
}

static void a_tracestate_that_is_none_is_not_taken(void **state)
{
    (void)state;
    recorded r;
    sampler_script script = {.sampled = true};
    open_script(&r, &script);
    static const char *const bad[] = {"=", "UPPER=1", "a=\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        script.tracestate = bad[i];
        loom_span *span = loom_span_start(r.tracer, "child", &child);
        has_tracestate(span, "other=1");
        loom_span_end(span);
    }
    recorded_close(&r);
}

static void no_more_attributes_are_read_than_there_is_room_for(void **state)
{
    (void)state;
    recorded r;
    sampler_script script = {.sampled = true, .attr_count = SIZE_MAX};
    open_script(&r, &script);
    loom_span_end(loom_span_start(r.tracer, "child", &child));
    recorded_read(&r);
    assert_int_equal(LOOM_SAMPLER_ATTRS_MAX, json_array_size(json_object_get(recorded_span(&r, "child"), "attributes")));
    recorded_close(&r);
}

/* One below others is asked the same, and of a sampler that decides without it nothing is left over. */
static void one_below_others_says_as_much(void **state)
{
    (void)state;
    recorded r;
    sampler_script script = {.sampled = true, .marker = "deep", .attr_count = 1};
    const loom_sampler custom = {.kind = LOOM_SAMPLER_CUSTOM,
                                 .custom = &(loom_sampler_custom){.sample = sample, .user = &script}};
    const loom_sampler on = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    const loom_sampler_rule rule = {.name = "ask*", .sampler = &custom};
    const loom_sampler rules = {.kind = LOOM_SAMPLER_RULES, .rules = &(loom_sampler_rules){&rule, 1, &on}};
    recorded_open(&r, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED, .parents = &(loom_sampler_parents){.root = &rules}});
    static const char *const names[] = {"asked", "other"}, *const tracestates[] = {"ours=deep", ""};
    for (size_t i = 0; i < 2; i++) {
        loom_span *span = loom_span_start(r.tracer, names[i], NULL);
        has_tracestate(span, tracestates[i]);
        loom_span_end(span);
    }
    /* a trace id that came without a span */
    loom_trace_context trace = parent;
    memset(trace.span_id, 0, sizeof trace.span_id);
    loom_span *span = loom_span_start(r.tracer, "asked too", &(loom_span_options){.kind = LOOM_SPAN_SERVER, .parent = &trace});
    assert_memory_equal(parent.trace_id, loom_span_context(span)->trace_id, sizeof parent.trace_id);
    assert_int_equal(LOOM_TRACE_FLAG_SAMPLED, loom_span_context(span)->trace_flags);
    has_tracestate(span, "ours=deep");
    loom_span_end(span);
    recorded_read(&r);
    json_t *value;
    assert_int_equal(1, recorded_attr(recorded_span(&r, "asked"), "sampler.rule", &value));
    assert_int_equal(0, recorded_attr(recorded_span(&r, "other"), "sampler.rule", &value));
    recorded_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_and_tracestate_are_the_spans),
        cmocka_unit_test(an_empty_tracestate_clears_that_of_the_parent),
        cmocka_unit_test(an_unsampled_span_carries_the_tracestate_too),
        cmocka_unit_test(a_tracestate_that_is_none_is_not_taken),
        cmocka_unit_test(no_more_attributes_are_read_than_there_is_room_for),
        cmocka_unit_test(one_below_others_says_as_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
