/* SPDX-License-Identifier: Apache-2.0 */
/* What loom_last_error() says of calls that were refused. */
#include <loom/loom.h>
#include <loom/recorder.h>
#include <loom/sampler.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sdk/agent_fixture.h"

/* The call is refused, and its sentence holds all of text. */
#define REFUSED(status, text, call)                     \
    do {                                                \
        assert_status(status, call);                    \
        check_sentence(text, __FILE__, __LINE__);       \
    } while (0)

static void check_sentence(const char *text, const char *file, int line)
{
    if (strstr(loom_last_error(), text) == NULL) {
        print_error("loom_last_error() is \"%s\", without \"%s\"\n", loom_last_error(), text);
        _fail(file, line);
    }
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    (void)event;
    (void)user;
    return LOOM_OK;
}

static loom_status on_action(loom_agent *agent, loom_action *action, void *user)
{
    (void)agent;
    (void)action;
    (void)user;
    return LOOM_OK;
}

static void emit_says_what_is_wrong_with_its_message(void **state)
{
    fixture *f = *state;
    open_agent(f);
    loom_agent *a = f->agent;
    const loom_bytes none = {NULL, 7};
    const loom_header unnamed = {{"", 0}, {"v", 1}}, odd[] = {{{NULL, 1}, {"v", 1}}, {{"k", 1}, {NULL, 1}}};
    char *long_type = calloc(1, LOOM_TYPE_MAX + 2);
    memset(long_type, 't', LOOM_TYPE_MAX + 1);
    REFUSED(LOOM_EINVAL, "topic \"a..b\": a segment is empty", loom_agent_emit_text(a, "a..b", "", NULL));
    REFUSED(LOOM_EINVAL, "topic \"a.*\": it contains a wildcard", loom_agent_emit_text(a, "a.*", "", NULL));
    REFUSED(LOOM_EINVAL, "the topic is empty", loom_agent_emit_text(a, "", "", NULL));
    REFUSED(LOOM_EINVAL, "the topic is NULL", loom_agent_emit_text(a, NULL, "", NULL));
    REFUSED(LOOM_EINVAL, "the text is NULL", loom_agent_emit_text(a, "a", NULL, NULL));
    REFUSED(LOOM_EINVAL, "the agent is NULL", loom_agent_emit_text(NULL, "a", "", NULL));
    REFUSED(LOOM_EINVAL, "a length of 7 bytes and no data", loom_agent_emit(a, "a", none, NULL));
    REFUSED(LOOM_EINVAL, "header 0 has an empty key",
            loom_agent_emit_text(a, "a", "", &(loom_emit_options){.headers = &unnamed, .header_count = 1}));
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        REFUSED(LOOM_EINVAL, "header 0 has a length and no text",
                loom_agent_emit_text(a, "a", "", &(loom_emit_options){.headers = &odd[i], .header_count = 1}));
    }
    REFUSED(LOOM_EINVAL, "reply_to \"x y\": it contains a space", loom_agent_emit_text(a, "a", "", &(loom_emit_options){.reply_to = "x y"}));
    REFUSED(LOOM_EINVAL, "reply_to \"a.>\": it contains a wildcard", loom_agent_emit_text(a, "a", "", &(loom_emit_options){.reply_to = "a.>"}));
    assert_status(LOOM_OK, loom_agent_emit_text(a, "a", "", &(loom_emit_options){.reply_to = "x.y"}));
    assert_status(LOOM_OK, loom_agent_emit_text(a, "a", "", &(loom_emit_options){.reply_to = ""}));
    uint64_t matched;
    REFUSED(LOOM_EINVAL, "topic \"a b\"", loom_agent_emit_matched(a, "a b", (loom_bytes){0}, NULL, 60000, &matched)); /* at once */
    REFUSED(LOOM_EINVAL, "reply_to \"x y\"", loom_agent_emit_matched(a, "a", (loom_bytes){0}, &(loom_emit_options){.reply_to = "x y"}, 1, &matched));
    REFUSED(LOOM_EINVAL, "headers is NULL", loom_agent_emit_text(a, "a", "", &(loom_emit_options){.header_count = 1}));
    REFUSED(LOOM_ETOOBIG, "the type has 129 bytes, and at most 128 are allowed",
            loom_agent_emit_text(a, "a", "", &(loom_emit_options){.type = long_type}));
    free(long_type);
}

static void subscribe_says_what_is_wrong_with_its_filter(void **state)
{
    fixture *f = *state;
    loom_agent_options options = options_of(f);
    options.on_event = NULL;
    options.topics = NULL;
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    loom_agent *a = f->agent;
    const loom_subscribe_options own = {.on_event = on_event}, odd = {.on_event = on_event, .qos = (loom_qos)9};
    REFUSED(LOOM_EINVAL, "subscription to \"a.>.b\": > is not the last segment", loom_agent_subscribe(a, "a.>.b", &own, NULL));
    REFUSED(LOOM_EINVAL, "it is missing", loom_agent_subscribe(a, NULL, &own, NULL));
    REFUSED(LOOM_EINVAL, "there is no such qos", loom_agent_subscribe(a, "a", &odd, NULL));
    REFUSED(LOOM_EINVAL, "there is no on_event to handle it", loom_agent_subscribe(a, "a", NULL, NULL));
}

static void provide_says_what_is_wrong_with_its_capability(void **state)
{
    fixture *f = *state;
    open_agent(f);
    loom_agent *a = f->agent;
    char *version = calloc(1, FRAME_VERSION_MAX + 2);
    memset(version, '1', FRAME_VERSION_MAX + 1);
    REFUSED(LOOM_EINVAL, "the capability is NULL", loom_agent_provide(a, NULL));
    REFUSED(LOOM_EINVAL, "its name is missing", loom_agent_provide(a, &(loom_capability){.on_action = on_action}));
    REFUSED(LOOM_EINVAL, "capability \"a b\": it contains a space",
            loom_agent_provide(a, &(loom_capability){.name = "a b", .on_action = on_action}));
    REFUSED(LOOM_EINVAL, "there is no on_action", loom_agent_provide(a, &(loom_capability){.name = "a"}));
    REFUSED(LOOM_EINVAL, "none of tool, agent, plain",
            loom_agent_provide(a, &(loom_capability){.name = "a", .kind = "robot", .on_action = on_action}));
    const loom_header odd[] = {{{"", 0}, {"v", 1}}, {{NULL, 1}, {"v", 1}}, {{"k", 1}, {NULL, 1}}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        REFUSED(LOOM_EINVAL, i == 0 ? "an entry of its metadata has an empty key" : "an entry of its metadata has a length and no text",
                loom_agent_provide(a, &(loom_capability){.name = "a", .metadata = &odd[i], .metadata_count = 1, .on_action = on_action}));
    }
    REFUSED(LOOM_EINVAL, "metadata is NULL",
            loom_agent_provide(a, &(loom_capability){.name = "a", .metadata_count = 1, .on_action = on_action}));
    REFUSED(LOOM_ETOOBIG, "its version has",
            loom_agent_provide(a, &(loom_capability){.name = "a", .version = version, .on_action = on_action}));
    free(version);
}

static void invoke_and_request_say_what_is_wrong(void **state)
{
    fixture *f = *state;
    open_agent(f);
    loom_agent *a = f->agent;
    const loom_bytes empty = {0};
    static const uint8_t id[FRAME_CALL_ID_MAX + 1];
    loom_envelope *reply;
    loom_joined *joined;
    loom_target both = {.topic = "a", .capability = "b"}, odd = {.topic = "a b"};
    loom_join_rule any = {.strategy = LOOM_JOIN_ANY}, first = {.strategy = LOOM_JOIN_FIRST};
    REFUSED(LOOM_EINVAL, "call of \"a b\": it contains a space", loom_agent_invoke(a, "a b", empty, NULL, NULL));
    REFUSED(LOOM_EINVAL, "over 64 bytes", loom_agent_invoke(a, "a", empty, &(loom_invoke_options){.call_id = BYTES(id)}, NULL));
    REFUSED(LOOM_EINVAL, "on_result is NULL", loom_agent_invoke_async(a, "a", empty, NULL, NULL, NULL, NULL));
    REFUSED(LOOM_EINVAL, "topic \"a..\": a segment is empty", loom_agent_request(a, "a..", empty, NULL, &reply));
    REFUSED(LOOM_EINVAL, "the place for the reply is NULL", loom_agent_request(a, "a", empty, NULL, NULL));
    REFUSED(LOOM_EINVAL, "target 0 is not either a topic or a capability",
            loom_agent_fanout(a, &both, 1, empty, &any, NULL, &joined));
    REFUSED(LOOM_EINVAL, "target 0, \"a b\": it contains a space", loom_agent_fanout(a, &odd, 1, empty, &any, NULL, &joined));
    odd.topic = "a";
    REFUSED(LOOM_EFULL, "targets, and at most", loom_agent_fanout(a, &odd, LOOM_CONTRIBUTIONS_MAX + 1, empty, &any, NULL, &joined));
    REFUSED(LOOM_EINVAL, "needs to know how many", loom_agent_fanout(a, &odd, 1, empty, &first, NULL, &joined));
    REFUSED(LOOM_EINVAL, "barrier \"x y\": it contains a space", loom_agent_barrier(a, "x y", 2, 1, NULL));
    REFUSED(LOOM_EINVAL, "not in poll mode", loom_agent_poll(a, 0));
}

static void envelopes_say_what_is_wrong_with_their_bytes(void **state)
{
    (void)state;
    loom_envelope *env;
    static const uint8_t bomb[] = {0xdd, 0x04, 0x00, 0x00, 0x00};
    REFUSED(LOOM_EMALFORMED, "version is not an unsigned integer", loom_envelope_decode(&env, BYTES(bomb)));
}

static bool drop(void *user, loom_bytes request)
{
    (void)user;
    (void)request;
    return true;
}

static void samplers_say_what_is_wrong_with_them(void **state)
{
    (void)state;
    loom_tracer_provider *provider;
    loom_span_processor *processor;
    const loom_span_processor_options to = {.exporter = LOOM_EXPORTER_CALLBACK, .export_batch = drop};
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &to));
    const struct {
        loom_sampler sampler;
        const char *text;
    } cases[] = {
        {{.kind = LOOM_SAMPLER_RATIO, .ratio = 2}, "ratio is not from 0 to 1"},
        {{.kind = LOOM_SAMPLER_RATE_LIMITED, .per_second = -1}, "per_second is not from 0 to"},
        {{.kind = LOOM_SAMPLER_PARENTBASED}, "the sampler's parents is NULL"},
        {{.kind = LOOM_SAMPLER_RULES}, "the sampler's rules is NULL"},
        {{.kind = LOOM_SAMPLER_CUSTOM}, "neither decide nor sample"},
        {{.kind = (loom_sampler_kind)99}, "no sampler of kind 99"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        REFUSED(LOOM_EINVAL, cases[i].text, loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.processor = processor, .sampler = &cases[i].sampler}));
    }
    loom_span_processor_unref(processor);
    REFUSED(LOOM_EINVAL, "the recorder needs", loom_recorder_configure(1, NULL));
    REFUSED(LOOM_EINVAL, "the recorder's rules: ", loom_recorder_configure(0, "nonsense;;="));
}

/* What others have said must not move the cursor of whoever prints it. */
static void a_sentence_is_printable_whatever_it_quotes(void **state)
{
    fixture *f = *state;
    open_agent(f);
    assert_status(LOOM_EINVAL, loom_agent_emit_text(f->agent, "a\033[2J\nb", "", NULL));
    for (const char *at = loom_last_error(); *at != '\0'; at++) {
        assert_true((unsigned char)*at >= 0x20);
    }
}

static void *say_something_else(void *arg)
{
    (void)arg;
    loom_status st = loom_agent_barrier(NULL, "b", 1, 1, NULL);
    (void)st;
    return NULL;
}

static void each_thread_has_a_sentence_of_its_own(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    open_agent(f);
    REFUSED(LOOM_EINVAL, "the topic is empty", loom_agent_emit_text(f->agent, "", "", NULL));
    assert_int_equal(0, pthread_create(&thread, NULL, say_something_else, NULL));
    pthread_join(thread, NULL);
    check_sentence("the topic is empty", __FILE__, __LINE__);
}

static void the_version_is_the_librarys(void **state)
{
    (void)state;
    assert_string_equal(LOOM_VERSION, loom_version());
    assert_int_equal(LOOM_VERSION_NUMBER, loom_version_number());
    assert_true(LOOM_VERSION_AT(0, 2, 0) > LOOM_VERSION_AT(0, 1, 99));
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", LOOM_VERSION_MAJOR, LOOM_VERSION_MINOR, LOOM_VERSION_PATCH);
    assert_string_equal(text, LOOM_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_AGENT(emit_says_what_is_wrong_with_its_message),
        WITH_AGENT(subscribe_says_what_is_wrong_with_its_filter),
        WITH_AGENT(provide_says_what_is_wrong_with_its_capability),
        WITH_AGENT(invoke_and_request_say_what_is_wrong),
        cmocka_unit_test(envelopes_say_what_is_wrong_with_their_bytes),
        cmocka_unit_test(samplers_say_what_is_wrong_with_them),
        WITH_AGENT(a_sentence_is_printable_whatever_it_quotes),
        WITH_AGENT(each_thread_has_a_sentence_of_its_own),
        cmocka_unit_test(the_version_is_the_librarys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
