/* SPDX-License-Identifier: Apache-2.0 */
/* Fan-in: who completes a key, who is late, and in what context it is told. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/sdk/agent_site.h"
#include "tests/unit/sdk/span_file.h"

static const loom_trace_context HOP = {{0xaa, 1}, {0xbb, 2}, LOOM_TRACE_FLAG_SAMPLED};
static const char *const TWO[] = {"a", "b", NULL};

enum { THREADS = 4, KEYS = 300 };

typedef struct fixture {
    agent_site site; /* first */
    span_file spans;
    loom_joiner *joiner;
    bool closes, emits;
    atomic_uint joined, during_add;
    char log[2048]; /* of on_joined: "key:outcome:received/expected:sources;" */
    loom_trace_context context;
    loom_join_outcome outcome;
    uint32_t ignored;
} fixture;

/* ---- callbacks ---- */

static void on_joined(loom_agent *agent, const loom_joined *joined, void *user)
{
    fixture *f = user;
    size_t len = strlen(f->log);
    snprintf(f->log + len, sizeof f->log - len, "%s:%s:%u/%u:", joined->key, loom_join_outcome_name(joined->outcome),
             joined->received, joined->expected);
    for (size_t i = 0; i < joined->count; i++) {
        len = strlen(f->log);
        snprintf(f->log + len, sizeof f->log - len, "%s,", joined->contributions[i].source);
    }
    f->ignored = joined->ignored;
    const loom_trace_context *current = loom_context_current();
    f->context = current != NULL ? *current : (loom_trace_context){0};
    if (f->emits) {
        assert_status(LOOM_OK, loom_agent_emit_text(agent, "out", "joined", NULL));
    }
    if (f->closes) {
        loom_joiner_close(f->joiner);
        f->joiner = NULL;
    }
    atomic_fetch_add(&f->joined, 1);
}

/* Under the payload as a source. */
static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    fixture *f = user;
    char source[16];
    loom_bytes payload = loom_envelope_payload(event);
    snprintf(source, sizeof source, "%.*s", (int)payload.len, (const char *)payload.data);
    unsigned before = atomic_load(&f->joined);
    loom_status st = loom_joiner_add(f->joiner, NULL, source, event);
    atomic_fetch_add(&f->during_add, atomic_load(&f->joined) - before);
    return st;
}

/* ---- set-up ---- */

static void open_agent(fixture *f, bool polled, bool telemetry)
{
    static const char *const topics[] = {"in", NULL};
    if (telemetry) {
        span_file_open(&f->spans, f->site.bridge.folder, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    }
    loom_agent_options options = {.id = "joiner",
                                  .url = f->site.bridge.url,
                                  .topics = topics,
                                  .on_event = on_event,
                                  .user = f,
                                  .telemetry = f->spans.provider,
                                  .poll_mode = polled};
    assert_status(LOOM_OK, loom_agent_open(&f->site.agent, &options));
}

static loom_status open_joiner(fixture *f, loom_joiner_options options)
{
    options.on_joined = on_joined;
    options.user = f;
    return loom_joiner_open(&f->joiner, f->site.agent, &options);
}

/* An agent that is polled and has no session, and a joiner of two sources. */
static void open_both(fixture *f, loom_join_rule rule)
{
    open_agent(f, true, false);
    assert_status(LOOM_OK, open_joiner(f, (loom_joiner_options){.rule = rule}));
}

static void open_relayed(fixture *f, loom_joiner_options options)
{
    open_agent(f, false, true);
    assert_status(LOOM_OK, open_joiner(f, options));
    site_relay(&f->site);
}

static int set_up(void **state)
{
    site_set_up(state, sizeof(fixture));
    return 0;
}

static void close_agent(fixture *f)
{
    loom_joiner_close(f->joiner);
    f->joiner = NULL;
    site_close_agent(&f->site);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    close_agent(f);
    span_file_close(&f->spans);
    site_tear_down(&f->site);
    return 0;
}

static loom_envelope *event_of(const char *sender)
{
    loom_envelope *event;
    assert_status(LOOM_OK, loom_envelope_create(&event, &(loom_envelope_fields){.topic = STR("in"),
                                                                                .sender = str_of(sender),
                                                                                .correlation_id = STR("price-1"),
                                                                                .context = HOP,
                                                                                .creation_span_id = {0xcc}}));
    return event;
}

static loom_status add(fixture *f, const char *key, const char *source)
{
    loom_envelope *event = event_of("sender");
    loom_status st = loom_joiner_add(f->joiner, key, source, event);
    loom_envelope_unref(event);
    return st;
}

static void poll_until_joined(fixture *f, unsigned count)
{
    uint64_t deadline = wait_now_ms() + FAKE_DEADLINE_MS;
    while (atomic_load(&f->joined) < count) {
        assert_true(wait_now_ms() < deadline);
        loom_status st = loom_agent_poll(f->site.agent, 10);
        assert_true(st == LOOM_OK || st == LOOM_ETIMEDOUT);
    }
}

/* ---- who contributes ---- */

static void a_key_is_complete_when_all_sources_have_contributed(void **state)
{
    fixture *f = *state;
    open_both(f, (loom_join_rule){.sources = TWO});
    assert_status(LOOM_OK, add(f, "k", "b"));
    assert_int_equal(1, loom_joiner_get_stats(f->joiner).open);
    assert_status(LOOM_OK, add(f, "k", "a"));
    assert_int_equal(0, atomic_load(&f->joined)); /* not on this thread, which is not the agent's now */
    poll_until_joined(f, 1);
    assert_string_equal("k:complete:2/2:b,a,", f->log);
    assert_int_equal(1, loom_joiner_get_stats(f->joiner).joined);
    assert_int_equal(0, loom_joiner_get_stats(f->joiner).open);
}

static void each_strategy_ends_in_its_own_way(void **state)
{
    fixture *f = *state;
    static const struct {
        loom_join_rule rule;
        const char *log;
    } cases[] = {
        {{.strategy = LOOM_JOIN_ALL, .expected = 3}, "k:complete:3/3:1,2,3,"},
        {{.strategy = LOOM_JOIN_FIRST, .k = 2}, "k:complete:2/0:1,2,"},
        {{.strategy = LOOM_JOIN_FIRST, .k = 2, .expected = 3}, "k:quorum:2/3:1,2,"},
        {{.strategy = LOOM_JOIN_ANY}, "k:complete:1/0:1,"},
        {{.strategy = LOOM_JOIN_ANY, .expected = 3}, "k:quorum:1/3:1,"},
        {{.strategy = LOOM_JOIN_MAJORITY, .expected = 3}, "k:quorum:2/3:1,2,"},
    };
    open_agent(f, true, false);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->log[0] = '\0';
        assert_status(LOOM_OK, open_joiner(f, (loom_joiner_options){.rule = cases[i].rule}));
        assert_status(LOOM_OK, add(f, "k", "1"));
        for (const char *source = "2"; source != NULL; source = source[0] == '2' ? "3" : NULL) {
            loom_status st = add(f, "k", source);
            assert_true(st == LOOM_OK || st == LOOM_EEXIST);
        }
        poll_until_joined(f, i + 1);
        assert_string_equal(cases[i].log, f->log);
        loom_joiner_close(f->joiner);
    }
    f->joiner = NULL;
}

static void the_correlation_id_is_the_key_and_the_sender_the_source(void **state)
{
    fixture *f = *state;
    open_both(f, (loom_join_rule){.strategy = LOOM_JOIN_ANY});
    assert_status(LOOM_OK, add(f, NULL, NULL));
    poll_until_joined(f, 1);
    assert_string_equal("price-1:complete:1/0:sender,", f->log);
}

static void a_source_contributes_once(void **state)
{
    fixture *f = *state;
    open_both(f, (loom_join_rule){.sources = TWO});
    assert_status(LOOM_OK, add(f, "k", "a"));
    assert_status(LOOM_EEXIST, add(f, "k", "a"));
    assert_status(LOOM_OK, add(f, "k", "b"));
    poll_until_joined(f, 1);
    assert_string_equal("k:complete:2/2:a,b,", f->log);
    assert_int_equal(1, f->ignored);
    assert_int_equal(1, loom_joiner_get_stats(f->joiner).ignored);
}

static void a_source_that_is_not_listed_does_not_count(void **state)
{
    fixture *f = *state;
    open_both(f, (loom_join_rule){.sources = TWO});
    assert_status(LOOM_EDENIED, add(f, "k", "c"));
    assert_int_equal(0, loom_joiner_get_stats(f->joiner).open);
    assert_int_equal(1, loom_joiner_get_stats(f->joiner).ignored);
}

static void what_comes_after_the_end_is_late(void **state)
{
    fixture *f = *state;
    open_both(f, (loom_join_rule){.strategy = LOOM_JOIN_ANY});
    assert_status(LOOM_OK, add(f, "k", "a"));
    assert_status(LOOM_EEXIST, add(f, "k", "b"));
    poll_until_joined(f, 1);
    assert_status(LOOM_EEXIST, add(f, "k", "b"));
    assert_int_equal(2, loom_joiner_get_stats(f->joiner).late);
    assert_string_equal("k:complete:1/0:a,", f->log);
}

static void only_so_many_finished_keys_are_remembered(void **state)
{
    fixture *f = *state;
    open_agent(f, true, false);
    assert_status(LOOM_OK,
                  open_joiner(f, (loom_joiner_options){.rule = {.strategy = LOOM_JOIN_ANY}, .remembered = 100}));
    char key[16];
    for (int i = 0; i < 101; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_status(LOOM_OK, add(f, key, "a"));
    }
    assert_status(LOOM_EEXIST, add(f, "k1", "b"));
    assert_status(LOOM_OK, add(f, "k0", "b")); /* a new key, for all that is known */
}

static void more_keys_than_allowed_are_refused(void **state)
{
    fixture *f = *state;
    open_agent(f, true, false);
    assert_status(LOOM_OK, open_joiner(f, (loom_joiner_options){.rule = {.sources = TWO}, .max_open = 1}));
    assert_status(LOOM_OK, add(f, "k", "a"));
    assert_status(LOOM_EFULL, add(f, "l", "a"));
    assert_int_equal(1, loom_joiner_get_stats(f->joiner).refused);
    assert_status(LOOM_OK, add(f, "k", "b"));
    poll_until_joined(f, 1);
    assert_status(LOOM_OK, add(f, "l", "a"));
}

static void what_makes_no_sense_is_invalid(void **state)
{
    fixture *f = *state;
    char text[LOOM_THREAD_ID_MAX + 2];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    open_both(f, (loom_join_rule){.sources = TWO});
    assert_status(LOOM_EINVAL, add(f, text, "a"));
    assert_status(LOOM_EINVAL, add(f, "k", text));
    assert_status(LOOM_EINVAL, loom_joiner_add(f->joiner, "k", "a", NULL));
    loom_joiner *joiner;
    assert_status(LOOM_EINVAL, loom_joiner_open(&joiner, f->site.agent, &(loom_joiner_options){.rule = {.sources = TWO}}));
    assert_null(joiner);
    loom_joiner_options options = {.on_joined = on_joined}; /* all of how many? */
    assert_status(LOOM_EINVAL, loom_joiner_open(&joiner, f->site.agent, &options));
    loom_joiner_close(NULL);
}

/* ---- deadlines and ends ---- */

static void the_deadline_hands_over_what_has_come(void **state)
{
    fixture *f = *state;
    open_both(f, (loom_join_rule){.sources = TWO, .deadline_ms = 30});
    assert_status(LOOM_OK, add(f, "k", "a"));
    assert_status(LOOM_OK, add(f, "l", "b"));
    poll_until_joined(f, 2);
    assert_string_equal("k:timeout:1/2:a,l:timeout:1/2:b,", f->log);
    assert_int_equal(2, loom_joiner_get_stats(f->joiner).timed_out);
    assert_status(LOOM_EEXIST, add(f, "k", "b"));
    assert_int_equal(1, loom_joiner_get_stats(f->joiner).late);
}

static void closing_drops_what_is_open(void **state)
{
    fixture *f = *state;
    open_both(f, (loom_join_rule){.strategy = LOOM_JOIN_FIRST, .k = 2, .deadline_ms = 1});
    assert_status(LOOM_OK, add(f, "open", "a"));
    assert_status(LOOM_OK, add(f, "done", "a"));
    assert_status(LOOM_OK, add(f, "done", "b"));
    assert_int_equal(2, loom_joiner_get_stats(f->joiner).open);
    loom_joiner_close(f->joiner);
    f->joiner = NULL;
    for (int i = 0; i < 3; i++) {
        (void)loom_agent_poll(f->site.agent, 2);
    }
    assert_string_equal("", f->log);
}

static void it_may_be_closed_where_it_tells(void **state)
{
    fixture *f = *state;
    open_both(f, (loom_join_rule){.strategy = LOOM_JOIN_ANY});
    f->closes = true;
    assert_status(LOOM_OK, add(f, "k", "a"));
    assert_status(LOOM_OK, add(f, "l", "a"));
    poll_until_joined(f, 1);
    (void)loom_agent_poll(f->site.agent, 1);
    assert_string_equal("k:complete:1/0:a,", f->log);
}

/* ---- threads ---- */

typedef struct adder {
    pthread_t thread;
    fixture *f;
    char source[4];
} adder;

static void *add_all(void *user)
{
    adder *self = user;
    loom_envelope *event = event_of("sender");
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        assert_status(LOOM_OK, loom_joiner_add(self->f->joiner, key, self->source, event));
    }
    loom_envelope_unref(event);
    return NULL;
}

static void count_joined(loom_agent *agent, const loom_joined *joined, void *user)
{
    (void)agent;
    atomic_fetch_add((atomic_uint *)user, joined->count == THREADS ? 1 : 1000);
}

static void threads_join_each_key_once(void **state)
{
    fixture *f = *state;
    adder adders[THREADS];
    atomic_uint joined = 0;
    open_agent(f, false, false);
    loom_joiner_options options = {.rule = {.strategy = LOOM_JOIN_ALL, .expected = THREADS},
                                   .on_joined = count_joined,
                                   .user = &joined};
    assert_status(LOOM_OK, loom_joiner_open(&f->joiner, f->site.agent, &options));
    for (int i = 0; i < THREADS; i++) {
        adders[i].f = f;
        snprintf(adders[i].source, sizeof adders[i].source, "%d", i);
        assert_int_equal(0, pthread_create(&adders[i].thread, NULL, add_all, &adders[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(adders[i].thread, NULL);
    }
    wait_until(loom_joiner_get_stats(f->joiner).open == 0, FAKE_DEADLINE_MS);
    loom_joiner_close(f->joiner); /* waits for the last one */
    f->joiner = NULL;
    assert_int_equal(KEYS, atomic_load(&joined));
}

static void closing_waits_for_whom_it_tells(void **state)
{
    fixture *f = *state;
    open_agent(f, false, false);
    for (int i = 0; i < 50; i++) {
        atomic_uint joined = 0;
        loom_joiner_options options = {.rule = {.strategy = LOOM_JOIN_ALL, .expected = THREADS, .deadline_ms = 1},
                                       .on_joined = count_joined,
                                       .user = &joined};
        loom_joiner *joiner;
        assert_status(LOOM_OK, loom_joiner_open(&joiner, f->site.agent, &options));
        loom_envelope *event = event_of("sender");
        assert_status(LOOM_OK, loom_joiner_add(joiner, "k", NULL, event));
        loom_envelope_unref(event);
        if (i % 2 == 0) {
            wait_until(loom_joiner_get_stats(joiner).open == 0, FAKE_DEADLINE_MS);
        }
        loom_joiner_close(joiner); /* joined is gone after this */
    }
}

/* ---- in handlers, and traces ---- */

static void emit_in_a_span(fixture *f, const char *payload)
{
    loom_span *span = loom_span_start(loom_agent_tracer(f->site.agent), "tick", &(loom_span_options){.parent = &HOP});
    loom_span_make_current(span);
    assert_status(LOOM_OK, loom_agent_emit_text(f->site.agent, "in", payload, &(loom_emit_options){.correlation_id = "k"}));
    loom_span_end(span);
}

/* OTLP/JSON has whole numbers as text. */
static const char *whole_number(const json_t *span, const char *key)
{
    size_t index;
    const json_t *attr;
    json_array_foreach(json_object_get(span, "attributes"), index, attr) {
        if (strcmp(span_text(attr, "key"), key) == 0) {
            return span_text(json_object_get(attr, "value"), "intValue");
        }
    }
    return "";
}

static void assert_join_span(fixture *f, const char *outcome, unsigned links, const char *received)
{
    const json_t *join = span_file_named(&f->spans, "agent.join");
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_id_to_hex(hex, HOP.trace_id);
    assert_string_equal(hex, span_text(join, "traceId"));
    assert_int_equal(LOOM_SPAN_CONSUMER, span_number(join, "kind"));
    assert_string_equal(outcome, span_attribute(join, "loom.join.outcome"));
    assert_string_equal("2", whole_number(join, "loom.join.expected"));
    assert_string_equal(received, whole_number(join, "loom.join.received"));
    assert_int_equal(links, json_array_size(json_object_get(join, "links")));
    loom_span_id_to_hex(hex, f->context.span_id);
    assert_string_equal(hex, span_text(join, "spanId")); /* it was current inside on_joined */
}

/* Of the span whose parent is the join. */
static void assert_child_of_join(fixture *f, const char *name)
{
    const char *join = span_text(span_file_named(&f->spans, "agent.join"), "spanId");
    size_t index, children = 0;
    json_t *span;
    json_array_foreach(f->spans.spans, index, span) {
        children += strcmp(span_text(span, "name"), name) == 0 && strcmp(span_text(span, "parentSpanId"), join) == 0;
    }
    assert_int_equal(1, children);
}

static void in_a_handler_it_is_told_before_add_returns(void **state)
{
    fixture *f = *state;
    f->emits = true;
    open_relayed(f, (loom_joiner_options){.rule = {.sources = TWO}});
    emit_in_a_span(f, "a");
    emit_in_a_span(f, "b");
    wait_until(atomic_load(&f->during_add) == 1, FAKE_DEADLINE_MS);
    close_agent(f);
    span_file_read(&f->spans);
    assert_string_equal("k:complete:2/2:a,b,", f->log);
    assert_join_span(f, "complete", 2, "2");
    assert_child_of_join(f, "agent.emit");
    const char *parent = span_text(span_file_named(&f->spans, "agent.join"), "parentSpanId");
    size_t index;
    json_t *span, *first = NULL;
    json_array_foreach(f->spans.spans, index, span) {
        first = strcmp(span_text(span, "spanId"), parent) == 0 ? span : first;
    }
    assert_string_equal("agent.on_event", span_text(first, "name"));
}

static void a_deadline_is_told_in_the_span_of_the_join(void **state)
{
    fixture *f = *state;
    f->emits = true;
    open_relayed(f, (loom_joiner_options){.rule = {.sources = TWO, .deadline_ms = 20}});
    emit_in_a_span(f, "a");
    wait_until(atomic_load(&f->joined) == 1, FAKE_DEADLINE_MS);
    close_agent(f);
    span_file_read(&f->spans);
    assert_join_span(f, "timeout", 1, "1");
    assert_child_of_join(f, "agent.emit");
}

static void the_parent_of_the_span_may_be_given(void **state)
{
    fixture *f = *state;
    static const loom_trace_context parent = {{0xaa, 1}, {0xdd, 4}, LOOM_TRACE_FLAG_SAMPLED};
    open_relayed(f, (loom_joiner_options){.rule = {.sources = TWO}, .parent = &parent});
    emit_in_a_span(f, "a");
    emit_in_a_span(f, "b");
    wait_until(atomic_load(&f->joined) == 1, FAKE_DEADLINE_MS);
    close_agent(f);
    span_file_read(&f->spans);
    char hex[LOOM_SPAN_ID_HEX_SIZE];
    loom_span_id_to_hex(hex, parent.span_id);
    assert_string_equal(hex, span_text(span_file_named(&f->spans, "agent.join"), "parentSpanId"));
}

static void without_telemetry_the_trace_goes_on(void **state)
{
    fixture *f = *state;
    open_both(f, (loom_join_rule){.strategy = LOOM_JOIN_ANY});
    assert_status(LOOM_OK, add(f, "k", "a"));
    poll_until_joined(f, 1);
    assert_memory_equal(HOP.trace_id, f->context.trace_id, LOOM_TRACE_ID_SIZE);
}

/* ---- out of memory ---- */

static loom_status open_and_add(void *user)
{
    fixture *f = user;
    static const char *const sources[] = {"a", "b", NULL};
    loom_envelope *event;
    loom_joiner *joiner;
    loom_joiner_options options = {.rule = {.sources = sources}, .on_joined = on_joined, .user = f};
    loom_status st = loom_envelope_create(&event, &(loom_envelope_fields){.topic = STR("in"), .context = HOP,
                                                                          .tracestate = STR("v=1")});
    if (st != LOOM_OK) {
        return st;
    }
    st = loom_joiner_open(&joiner, f->site.agent, &options);
    st = st == LOOM_OK ? loom_joiner_add(joiner, "k", "a", event) : st;
    st = st == LOOM_OK ? loom_joiner_add(joiner, "k", "b", event) : st;
    loom_joiner_close(joiner);
    loom_envelope_unref(event);
    return st;
}

static void running_out_of_memory_is_reported(void **state)
{
    fixture *f = *state;
    open_agent(f, true, false);
    assert_true(alloc_fault_each(open_and_add, f) > 5);
}

/* What comes of it: the second contribution, or the deadline. */
static loom_status join_in_a_poll(void *user)
{
    fixture *f = user;
    unsigned before = atomic_load(&f->joined);
    loom_status st = loom_joiner_open(&f->joiner, f->site.agent,
                                      &(loom_joiner_options){.rule = {.strategy = LOOM_JOIN_FIRST, .k = 2, .deadline_ms = 1},
                                                             .on_joined = on_joined, .user = f});
    if (st != LOOM_OK) {
        return st;
    }
    loom_envelope *event = NULL;
    st = loom_envelope_create(&event, &(loom_envelope_fields){.topic = STR("in"), .context = HOP});
    st = st == LOOM_OK ? loom_joiner_add(f->joiner, "k", "a", event) : st;
    if (st == LOOM_OK) {
        f->log[0] = '\0';
        poll_until_joined(f, before + 1);
    }
    loom_envelope_unref(event);
    loom_joiner_close(f->joiner);
    f->joiner = NULL;
    return st;
}

static void a_join_ends_without_memory(void **state)
{
    fixture *f = *state;
    open_agent(f, true, false);
    alloc_fault_each_survived(join_in_a_poll, f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_complete_when_all_sources_have_contributed),
        TEST(each_strategy_ends_in_its_own_way),
        TEST(the_correlation_id_is_the_key_and_the_sender_the_source),
        TEST(a_source_contributes_once),
        TEST(a_source_that_is_not_listed_does_not_count),
        TEST(what_comes_after_the_end_is_late),
        TEST(only_so_many_finished_keys_are_remembered),
        TEST(more_keys_than_allowed_are_refused),
        TEST(what_makes_no_sense_is_invalid),
        TEST(the_deadline_hands_over_what_has_come),
        TEST(closing_drops_what_is_open),
        TEST(it_may_be_closed_where_it_tells),
        TEST(threads_join_each_key_once),
        TEST(closing_waits_for_whom_it_tells),
        TEST(in_a_handler_it_is_told_before_add_returns),
        TEST(a_deadline_is_told_in_the_span_of_the_join),
        TEST(the_parent_of_the_span_may_be_given),
        TEST(without_telemetry_the_trace_goes_on),
        TEST(running_out_of_memory_is_reported),
        TEST(a_join_ends_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
