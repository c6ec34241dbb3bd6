/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <time.h>

#include <jansson.h>

#include "base/clock.h"
#include "broker/directory/directory.h"
#include "tests/unit/broker/bus_fixture.h"

enum { HEARTBEAT = 100, NEWS_MAX = 8 };

typedef struct news {
    char type[40], sender[40], content_type[40];
    json_t *payload;
    bool sampled, has_context;
} news;

typedef struct fixture {
    loop_clock clock;
    eventbus *bus;
    eventbus_subscriber *reader;
    directory *agents;
    size_t count;
    news got[NEWS_MAX];
} fixture;

static void copy(char out[40], loom_str text)
{
    snprintf(out, 40, "%.*s", (int)text.len, text.data);
}

static void deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    fixture *f = user;
    (void)subscription;
    assert_in_range(f->count, 0, NEWS_MAX - 1);
    news *n = &f->got[f->count++];
    const loom_bytes payload = envelope_view_bytes(view, ENV_PAYLOAD);
    loom_trace_context hop;
    json_decref(n->payload);
    n->payload = json_loadb((const char *)payload.data, payload.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(n->payload);
    assert_str("system.agents", envelope_view_str(view, ENV_TOPIC));
    copy(n->type, envelope_view_str(view, ENV_TYPE));
    copy(n->sender, envelope_view_str(view, ENV_SENDER));
    copy(n->content_type, envelope_view_str(view, ENV_CONTENT_TYPE));
    n->has_context = envelope_view_context(view, &hop);
    n->sampled = (hop.trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0;
}

static int open_directory(void **state)
{
    static const eventbus_sink sink = {deliver};
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_status(LOOM_OK, eventbus_create(&f->bus, &f->clock, NULL));
    assert_status(LOOM_OK, eventbus_subscriber_open(f->bus, &f->reader, &sink, f, STR("reader")));
    assert_status(LOOM_OK, eventbus_subscribe(f->reader, 1, &(eventbus_subscription_options){.filter = STR("system.agents")}));
    eventbus_grant(f->reader, UNLIMITED);
    assert_status(LOOM_OK, directory_create(&f->agents, &f->clock, f->bus));
    f->clock.now_ms = 1000;
    *state = f;
    return 0;
}

static int close_directory(void **state)
{
    fixture *f = *state;
    directory_destroy(f->agents);
    eventbus_subscriber_close(f->reader);
    eventbus_destroy(f->bus);
    for (size_t i = 0; i < NEWS_MAX; i++) {
        json_decref(f->got[i].payload);
    }
    free(f);
    return 0;
}

static directory_entry *enter(directory *d, const char *agent, uint32_t heartbeat_ms)
{
    directory_entry *entry;
    assert_status(LOOM_OK, directory_enter(d, &entry, &(directory_about){.agent = str_of(agent), .heartbeat_ms = heartbeat_ms},
                                           NULL, NULL));
    return entry;
}

static directory_state state_of(const directory *d, const char *agent)
{
    directory_info info;
    assert_true(directory_find(d, str_of(agent), &info));
    return info.state;
}

static void pass_to(fixture *f, uint64_t now_ms)
{
    f->clock.now_ms = now_ms;
    directory_expire(f->agents);
}

static const char *text_of(const news *n, const char *key)
{
    const char *text = json_string_value(json_object_get(n->payload, key));
    assert_non_null(text);
    return text;
}

static void an_agent_is_found_as_it_was_entered(void **state)
{
    fixture *f = *state;
    static const uint8_t instance[16] = {0xab, 1, 2};
    char software[] = "libloom/0.1.0";
    directory_entry *entry;
    directory_info info;
    const uint64_t before = (uint64_t)time(NULL);
    assert_false(directory_find(f->agents, STR("a"), &info));
    assert_status(LOOM_OK, directory_enter(f->agents, &entry, &(directory_about){
        .agent = STR("a"), .bridge = STR("bridge-1"), .software = str_of(software), .peer = STR("ipc:12"),
        .instance = BYTES(instance), .heartbeat_ms = HEARTBEAT}, NULL, NULL));
    memset(software, 'x', sizeof software - 1); /* it was copied */
    f->clock.now_ms = 1020;
    assert_true(directory_find(f->agents, STR("a"), &info));
    assert_str("a", info.about.agent);
    assert_str("bridge-1", info.about.bridge);
    assert_str("libloom/0.1.0", info.about.software);
    assert_str("ipc:12", info.about.peer);
    assert_int_equal(16, info.about.instance.len);
    assert_memory_equal(instance, info.about.instance.data, 16);
    assert_int_equal(HEARTBEAT, info.about.heartbeat_ms);
    assert_int_equal(20, info.heard_ms_ago);
    assert_int_equal(DIRECTORY_ACTIVE, info.state);
    assert_in_range(info.since_unix_ns / 1000000000u, before, (uint64_t)time(NULL));
    directory_leave(f->agents, entry, LOOM_OK);
    assert_false(directory_find(f->agents, STR("a"), &info));
}

static uint64_t process_of(fixture *f, loom_str agent)
{
    directory_info info;
    assert_true(directory_find(f->agents, agent, &info));
    return info.process_ns;
}

static void a_process_is_known_again_whatever_became_of_its_connection(void **state)
{
    fixture *f = *state;
    static const uint8_t first[16] = {1}, second[16] = {2};
    directory_entry *entry;
    const directory_about about = {.agent = STR("a"), .instance = BYTES(first), .unrecorded = true},
                          other = {.agent = STR("a"), .instance = BYTES(second)};
    assert_status(LOOM_OK, directory_enter(f->agents, &entry, &about, NULL, NULL));
    const uint64_t since = process_of(f, STR("a"));
    directory_leave(f->agents, entry, LOOM_ECLOSED);
    assert_status(LOOM_OK, directory_enter(f->agents, &entry, &about, NULL, NULL));
    assert_true(process_of(f, STR("a")) == since);
    directory_leave(f->agents, entry, LOOM_ECLOSED);
    assert_status(LOOM_OK, directory_enter(f->agents, &entry, &other, NULL, NULL));
    assert_true(process_of(f, STR("a")) > since);
    directory_leave(f->agents, entry, LOOM_OK);
}

static void a_process_is_as_old_as_its_session_when_the_broker_is_younger(void **state)
{
    fixture *f = *state;
    directory_entry *entry;
    const uint64_t hour_ms = 3600000;
    assert_status(LOOM_OK, directory_enter(f->agents, &entry, &(directory_about){.agent = STR("a"), .age_ms = hour_ms}, NULL, NULL));
    directory_info info;
    assert_true(directory_find(f->agents, STR("a"), &info));
    assert_in_range(clock_monotonic_ns() - info.process_ns, hour_ms * 1000000, (hour_ms + 10000) * 1000000);
    directory_leave(f->agents, entry, LOOM_OK);
}

/* Seconds the wall clock of this test is set back by. */
static time_t clock_back_s;

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    const int result = __real_clock_gettime(clock, out);
    out->tv_sec -= clock == CLOCK_REALTIME ? clock_back_s : 0;
    return result;
}

/* What it records from then on is still its own. */
static void a_clock_that_is_set_back_makes_no_process_younger_than_its_spans(void **state)
{
    fixture *f = *state;
    directory_entry *entry;
    directory_info info;
    assert_status(LOOM_OK, directory_enter(f->agents, &entry, &(directory_about){.agent = STR("a")}, NULL, NULL));
    clock_back_s = 3600;
    const uint64_t span_start_ns = clock_unix_ns();
    assert_true(directory_find(f->agents, STR("a"), &info));
    const uint64_t since_ns = directory_process_unix_ns(&info);
    clock_back_s = 0;
    assert_in_range(span_start_ns - since_ns, 0, 10000000000u);
    directory_leave(f->agents, entry, LOOM_OK);
}

static void coming_and_going_is_told_on_the_bus(void **state)
{
    fixture *f = *state;
    static const uint8_t instance[16] = {0xab, 0xcd};
    directory_entry *entry;
    assert_status(LOOM_OK, directory_enter(f->agents, &entry, &(directory_about){
        .agent = STR("a\"\\\x01\n"), .bridge = STR("bridge-1"), .software = STR("bad \xff utf-8"), .instance = BYTES(instance)},
        NULL, NULL));
    directory_leave(f->agents, entry, LOOM_EREPLACED);
    assert_int_equal(2, f->count);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal("loom-broker", f->got[i].sender);
        assert_string_equal("application/json", f->got[i].content_type);
        assert_string_equal("a\"\\\x01\n", text_of(&f->got[i], "agent"));
        assert_string_equal("bridge-1", text_of(&f->got[i], "bridge"));
        assert_string_equal("abcd0000000000000000000000000000", text_of(&f->got[i], "instance"));
        assert_string_equal("bad \xef\xbf\xbd utf-8", text_of(&f->got[i], "software"));
        assert_int_equal(1, json_integer_value(json_object_get(f->got[i].payload, "session")));
    }
    assert_string_equal("agent.registered", f->got[0].type);
    assert_null(json_object_get(f->got[0].payload, "reason"));
    assert_string_equal("agent.unregistered", f->got[1].type);
    assert_string_equal("replaced by a newer session of the same agent", text_of(&f->got[1], "reason"));
    directory_leave(f->agents, enter(f->agents, "b", 0), LOOM_OK);
    assert_string_equal("goodbye", text_of(&f->got[3], "reason"));
    assert_string_equal("", text_of(&f->got[3], "instance"));
    assert_int_equal(2, json_integer_value(json_object_get(f->got[3].payload, "session")));
}

static void the_news_makes_no_traces(void **state)
{
    fixture *f = *state;
    directory_leave(f->agents, enter(f->agents, "a", 0), LOOM_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_true(f->got[i].has_context); /* without one, it could become the root of a trace */
        assert_false(f->got[i].sampled);
    }
}

static void the_longest_texts_fit_into_the_news(void **state)
{
    fixture *f = *state;
    char agent[LOOM_AGENT_ID_MAX], text[1000];
    directory_entry *entry;
    directory_info info;
    memset(agent, 1, sizeof agent); /* six characters of JSON each */
    memset(text, 2, sizeof text);
    const loom_str long_text = {text, sizeof text};
    assert_status(LOOM_OK, directory_enter(f->agents, &entry, &(directory_about){
        .agent = {agent, sizeof agent}, .bridge = long_text, .software = long_text, .peer = long_text}, NULL, NULL));
    assert_int_equal(1, f->count);
    assert_int_equal(DIRECTORY_TEXT_MAX, strlen(text_of(&f->got[0], "bridge")));
    assert_true(directory_find(f->agents, (loom_str){agent, sizeof agent}, &info));
    assert_int_equal(DIRECTORY_TEXT_MAX, info.about.peer.len);
    directory_leave(f->agents, entry, LOOM_OK);
}

static void a_text_is_cut_between_characters(void **state)
{
    fixture *f = *state;
    char text[300];
    directory_entry *entry;
    directory_info info;
    for (size_t i = 0; i < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }
    assert_status(LOOM_OK, directory_enter(f->agents, &entry, &(directory_about){
        .agent = STR("a"), .software = {text, sizeof text}}, NULL, NULL));
    assert_true(directory_find(f->agents, STR("a"), &info));
    assert_int_equal(DIRECTORY_TEXT_MAX - 1, info.about.software.len);
    directory_leave(f->agents, entry, LOOM_OK);
}

static void what_is_not_of_its_size_is_refused(void **state)
{
    fixture *f = *state;
    static const char long_id[LOOM_AGENT_ID_MAX + 1] = {'x'};
    static const uint8_t instance[15];
    directory_entry *entry;
    assert_status(LOOM_EINVAL, directory_enter(f->agents, &entry, &(directory_about){.agent = {NULL, 0}}, NULL, NULL));
    assert_status(LOOM_EINVAL, directory_enter(f->agents, &entry, &(directory_about){.agent = STR("bad\xff")}, NULL, NULL));
    assert_status(LOOM_EINVAL, directory_enter(f->agents, &entry, &(directory_about){.agent = {long_id, sizeof long_id}}, NULL, NULL));
    assert_status(LOOM_EINVAL, directory_enter(f->agents, &entry, &(directory_about){
        .agent = STR("a"), .instance = BYTES(instance)}, NULL, NULL));
    assert_null(entry);
    assert_int_equal(0, f->count);
    directory_leave(f->agents, NULL, LOOM_OK);
}

/* ---- time ---- */

static void an_agent_that_is_not_heard_passes_from_state_to_state(void **state)
{
    fixture *f = *state;
    directory_entry *entry = enter(f->agents, "a", HEARTBEAT);
    pass_to(f, 1000 + HEARTBEAT + HEARTBEAT / 2 - 1);
    assert_int_equal(DIRECTORY_ACTIVE, state_of(f->agents, "a"));
    assert_int_equal(1150, directory_next_deadline_ms(f->agents));
    pass_to(f, 1150);
    assert_int_equal(DIRECTORY_SILENT, state_of(f->agents, "a"));
    assert_int_equal(1300, directory_next_deadline_ms(f->agents));
    pass_to(f, 1300);
    assert_int_equal(DIRECTORY_EXPIRED, state_of(f->agents, "a"));
    pass_to(f, 1500);
    assert_int_equal(DIRECTORY_EXPIRED, state_of(f->agents, "a"));
    assert_int_equal(UINT64_MAX, directory_next_deadline_ms(f->agents));
    directory_leave(f->agents, entry, LOOM_EEXPIRED);
    const directory_stats stats = directory_get_stats(f->agents);
    assert_int_equal(0, stats.agents);
    assert_int_equal(1, stats.registered);
    assert_int_equal(1, stats.unregistered);
    assert_int_equal(1, stats.expired);
    assert_string_equal("active", directory_state_name(DIRECTORY_ACTIVE));
    assert_string_equal("silent", directory_state_name(DIRECTORY_SILENT));
    assert_string_equal("expired", directory_state_name(DIRECTORY_EXPIRED));
    assert_string_equal("?", directory_state_name((directory_state)9));
}

static void one_look_after_a_long_time_passes_all_states(void **state)
{
    fixture *f = *state;
    directory_entry *entry = enter(f->agents, "a", HEARTBEAT);
    pass_to(f, 1350);
    assert_int_equal(DIRECTORY_EXPIRED, state_of(f->agents, "a"));
    directory_leave(f->agents, entry, LOOM_OK);
}

static void an_agent_that_is_heard_again_is_active_from_any_state(void **state)
{
    fixture *f = *state;
    directory_entry *entry = enter(f->agents, "a", HEARTBEAT);
    static const uint64_t silences[] = {160, 310, 510};
    uint64_t now_ms = 1000;
    for (size_t i = 0; i < sizeof silences / sizeof *silences; i++) {
        now_ms += silences[i];
        pass_to(f, now_ms);
        assert_int_not_equal(DIRECTORY_ACTIVE, state_of(f->agents, "a"));
        directory_heard(entry, 0);
        assert_int_equal(DIRECTORY_ACTIVE, state_of(f->agents, "a"));
        assert_int_equal(now_ms + 150, directory_next_deadline_ms(f->agents));
    }
    directory_leave(f->agents, entry, LOOM_OK);
}

static void hearing_an_active_agent_leaves_its_deadline_to_be_looked_at_later(void **state)
{
    fixture *f = *state;
    directory_entry *entry = enter(f->agents, "a", HEARTBEAT);
    f->clock.now_ms = 1140;
    directory_heard(entry, 20);
    assert_int_equal(1150, directory_next_deadline_ms(f->agents));
    pass_to(f, 1150);
    assert_int_equal(DIRECTORY_ACTIVE, state_of(f->agents, "a"));
    assert_int_equal(1120 + 150, directory_next_deadline_ms(f->agents));
    directory_heard(entry, 100); /* older than what is known */
    directory_info info;
    assert_true(directory_find(f->agents, STR("a"), &info));
    assert_int_equal(30, info.heard_ms_ago);
    directory_leave(f->agents, entry, LOOM_OK);
}

static void an_agent_without_a_heartbeat_stays_active(void **state)
{
    fixture *f = *state;
    directory_entry *entry = enter(f->agents, "a", 0);
    assert_int_equal(UINT64_MAX, directory_next_deadline_ms(f->agents));
    pass_to(f, UINT64_MAX / 2);
    assert_int_equal(DIRECTORY_ACTIVE, state_of(f->agents, "a"));
    directory_leave(f->agents, entry, LOOM_OK);
}

static void count_expired(void *user, loom_status why)
{
    assert_status(LOOM_EEXPIRED, why);
    ++*(int *)user;
}

static void an_entry_that_nobody_ends_is_told_of_once_for_each_silence(void **state)
{
    fixture *f = *state;
    directory_entry *entry;
    int told = 0;
    assert_status(LOOM_OK, directory_enter(f->agents, &entry, &(directory_about){.agent = STR("a"), .heartbeat_ms = HEARTBEAT},
                                           count_expired, &told));
    pass_to(f, 1499);
    assert_int_equal(0, told);
    pass_to(f, 1500);
    pass_to(f, 5000);
    assert_int_equal(1, told);
    directory_heard(entry, 0);
    pass_to(f, 5500);
    assert_int_equal(2, told);
    directory_leave(f->agents, entry, LOOM_OK);
}

typedef struct leaver {
    directory *agents;
    directory_entry *entry;
} leaver;

static void leave_when_ended(void *user, loom_status why)
{
    leaver *l = user;
    directory_leave(l->agents, l->entry, why);
    l->entry = NULL;
}

static void entries_may_leave_when_they_are_told_of(void **state)
{
    fixture *f = *state;
    leaver leavers[3];
    for (size_t i = 0; i < 3; i++) {
        leavers[i].agents = f->agents;
        assert_status(LOOM_OK, directory_enter(f->agents, &leavers[i].entry, &(directory_about){
            .agent = {&"abc"[i], 1}, .heartbeat_ms = HEARTBEAT}, leave_when_ended, &leavers[i]));
    }
    pass_to(f, 2000);
    assert_int_equal(0, directory_get_stats(f->agents).agents);
    assert_int_equal(3, directory_get_stats(f->agents).expired);
    assert_int_equal(6, f->count);
}

static void of_many_that_are_silent_some_are_told_of_at_a_time(void **state)
{
    fixture *f = *state;
    enum { COUNT = 1000 };
    assert_status(LOOM_OK, eventbus_unsubscribe(f->reader, 1));
    leaver leavers[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        char agent[8];
        snprintf(agent, sizeof agent, "a%zu", i);
        leavers[i].agents = f->agents;
        assert_status(LOOM_OK, directory_enter(f->agents, &leavers[i].entry, &(directory_about){
            .agent = str_of(agent), .heartbeat_ms = HEARTBEAT}, leave_when_ended, &leavers[i]));
    }
    pass_to(f, 1500);
    assert_in_range(directory_get_stats(f->agents).agents, COUNT - 300, COUNT - 1);
    for (int looks = 0; directory_next_deadline_ms(f->agents) <= 1500; looks++) {
        assert_true(looks < COUNT);
        directory_expire(f->agents);
    }
    assert_int_equal(0, directory_get_stats(f->agents).agents);
    assert_int_equal(UINT64_MAX, directory_next_deadline_ms(f->agents));
}

static void an_operator_may_end_the_sessions_of_an_agent(void **state)
{
    fixture *f = *state;
    leaver there = {f->agents, NULL};
    directory_entry *user = enter(f->agents, "worker", 0); /* in process: nobody can end it */
    assert_status(LOOM_OK, directory_enter(f->agents, &there.entry, &(directory_about){
        .agent = STR("worker"), .heartbeat_ms = HEARTBEAT}, leave_when_ended, &there));
    f->count = 0;
    assert_int_equal(0, directory_end(f->agents, STR("work"), LOOM_ECANCELED));
    assert_int_equal(0, directory_end(f->agents, STR(""), LOOM_ECANCELED));
    assert_int_equal(1, directory_end(f->agents, STR("worker"), LOOM_ECANCELED));
    assert_null(there.entry);
    assert_int_equal(1, f->count);
    assert_string_equal("agent.unregistered", f->got[0].type);
    assert_int_equal(0, directory_get_stats(f->agents).replaced);
    assert_int_equal(0, directory_end(f->agents, STR("worker"), LOOM_ECANCELED));
    directory_leave(f->agents, user, LOOM_OK);
}

/* ---- one id, several sessions ---- */

static void a_newer_session_takes_the_place_of_the_older_one(void **state)
{
    fixture *f = *state;
    leaver older = {f->agents, NULL}, newer = {f->agents, NULL};
    directory_entry *other = enter(f->agents, "twi", 0), *longer = enter(f->agents, "twins", 0);
    const char *bridges[] = {"bridge-1", "bridge-2"};
    leaver *leavers[] = {&older, &newer};
    f->count = 0;
    for (size_t i = 0; i < 2; i++) {
        assert_status(LOOM_OK, directory_enter(f->agents, &leavers[i]->entry, &(directory_about){
            .agent = STR("twin"), .bridge = str_of(bridges[i]), .heartbeat_ms = HEARTBEAT}, leave_when_ended, leavers[i]));
    }
    assert_null(older.entry);
    directory_info info;
    assert_true(directory_find(f->agents, STR("twin"), &info));
    assert_str("bridge-2", info.about.bridge);
    assert_int_equal(3, directory_get_stats(f->agents).agents); /* those of similar names stay */
    assert_int_equal(1, directory_get_stats(f->agents).replaced);
    assert_int_equal(3, f->count);
    assert_string_equal("agent.unregistered", f->got[1].type);
    assert_string_equal("replaced by a newer session of the same agent", text_of(&f->got[1], "reason"));
    assert_string_equal("agent.registered", f->got[2].type);
    directory_leave(f->agents, newer.entry, LOOM_OK);
    directory_leave(f->agents, other, LOOM_OK);
    directory_leave(f->agents, longer, LOOM_OK);
}

static void the_session_that_was_opened_later_stays(void **state)
{
    fixture *f = *state;
    leaver newer = {f->agents, NULL};
    directory_entry *late;
    f->clock.now_ms = 100; /* the older one is older than the broker */
    assert_status(LOOM_OK, directory_enter(f->agents, &newer.entry, &(directory_about){
        .agent = STR("twin"), .bridge = STR("bridge-2"), .age_ms = 500, .heartbeat_ms = HEARTBEAT}, leave_when_ended, &newer));
    assert_status(LOOM_EREPLACED, directory_enter(f->agents, &late, &(directory_about){
        .agent = STR("twin"), .bridge = STR("bridge-1"), .age_ms = 501, .heartbeat_ms = HEARTBEAT}, leave_when_ended, &newer));
    assert_null(late);
    assert_non_null(newer.entry);
    assert_int_equal(1, directory_get_stats(f->agents).replaced);
    directory_leave(f->agents, newer.entry, LOOM_OK);
}

static void a_house_full_of_agents_is_replaced_in_place(void **state)
{
    fixture *f = *state;
    directory *d;
    enum { MANY = 300 };
    static leaver leavers[2][MANY];
    char agent[20];
    assert_status(LOOM_OK, directory_create(&d, &f->clock, NULL));
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < MANY; i++) {
            snprintf(agent, sizeof agent, "agent-%zu", i);
            leavers[round][i].agents = d;
            assert_status(LOOM_OK, directory_enter(d, &leavers[round][i].entry, &(directory_about){
                .agent = str_of(agent), .heartbeat_ms = HEARTBEAT}, leave_when_ended, &leavers[round][i]));
        }
        assert_int_equal(MANY, directory_get_stats(d).agents);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_null(leavers[0][i].entry);
        directory_leave(d, leavers[1][i].entry, LOOM_OK);
    }
    directory_destroy(d);
}

static void entry_ends(void *user, loom_status why)
{
    (void)user;
    (void)why;
}

/* How an agent that may be ended fares: opened age_ms ago. */
static loom_status come(fixture *f, directory_entry **entry, const char *agent, uint64_t age_ms, bool own)
{
    return directory_enter(f->agents, entry, &(directory_about){.agent = str_of(agent), .age_ms = age_ms, .own = own}, entry_ends, f);
}

static void there_are_no_more_agents_than_there_may_be(void **state)
{
    fixture *f = *state;
    leaver leavers[4];
    directory_entry *user = enter(f->agents, "in-process", 0); /* is none */
    directory_set_limit(f->agents, 2);
    static const char *const ids[] = {"a", "b", "c", "b"};
    static const loom_status expected[] = {LOOM_OK, LOOM_OK, LOOM_EFULL, LOOM_OK}; /* one that comes again takes no new place */
    for (size_t i = 0; i < 4; i++) {
        leavers[i].agents = f->agents;
        assert_status(expected[i], directory_enter(f->agents, &leavers[i].entry, &(directory_about){
            .agent = str_of(ids[i])}, leave_when_ended, &leavers[i]));
    }
    assert_null(leavers[2].entry);
    assert_int_equal(1, directory_get_stats(f->agents).refused);
    directory_entry *own;
    assert_status(LOOM_OK, come(f, &own, "gateway", 0, true)); /* takes none */
    directory_leave(f->agents, own, LOOM_OK);
    f->count = 0; /* enough news for one test */
    directory_leave(f->agents, leavers[0].entry, LOOM_OK);
    directory_entry *more;
    assert_status(LOOM_OK, directory_enter(f->agents, &more, &(directory_about){.agent = STR("c")}, leave_when_ended, &leavers[2]));
    directory_leave(f->agents, more, LOOM_OK);
    directory_leave(f->agents, leavers[3].entry, LOOM_OK);
    directory_leave(f->agents, user, LOOM_OK);
}

/* ---- order ---- */

typedef struct order {
    size_t count, limit;
    char last[LOOM_AGENT_ID_MAX + 1];
    uint64_t last_session;
} order;

static bool check_order(void *user, const directory_info *info)
{
    order *o = user;
    char agent[LOOM_AGENT_ID_MAX + 1] = "";
    memcpy(agent, info->about.agent.data, info->about.agent.len);
    const int way = strcmp(o->last, agent);
    assert_true(way < 0 || (way == 0 && o->last_session < info->session));
    strcpy(o->last, agent);
    o->last_session = info->session;
    return ++o->count < o->limit;
}

static void agents_are_visited_in_order_of_their_ids(void **state)
{
    fixture *f = *state;
    directory *d;
    directory_entry *entries[1000];
    char agent[20];
    assert_status(LOOM_OK, directory_create(&d, &f->clock, NULL)); /* without events */
    uint32_t seed = 7;
    for (size_t i = 0; i < 1000; i++) {
        seed = seed * 1103515245u + 12345u;
        snprintf(agent, sizeof agent, "agent-%u", (seed >> 16) % 300); /* several of each */
        entries[i] = enter(d, agent, i % 2 == 0 ? HEARTBEAT : 0);
    }
    order all = {.limit = SIZE_MAX}, some = {.limit = 5};
    directory_visit(d, check_order, &all);
    assert_int_equal(1000, all.count);
    directory_visit(d, check_order, &some);
    assert_int_equal(5, some.count);
    for (size_t i = 0; i < 1000; i++) {
        directory_leave(d, entries[(i * 7) % 1000], LOOM_OK);
        order left = {.limit = SIZE_MAX};
        if (i % 50 == 0) {
            directory_visit(d, check_order, &left);
            assert_int_equal(999 - i, left.count);
        }
    }
    assert_int_equal(UINT64_MAX, directory_next_deadline_ms(d));
    directory_destroy(d);
}

static void the_first_of_several_ports_of_an_agent_is_found(void **state)
{
    fixture *f = *state;
    directory_info info;
    directory_entry *first = enter(f->agents, "twin", 0), *prefix = enter(f->agents, "tw", 0), *second = enter(f->agents, "twin", 0);
    assert_true(directory_find(f->agents, STR("twin"), &info));
    assert_int_equal(1, info.session);
    directory_leave(f->agents, first, LOOM_OK);
    assert_true(directory_find(f->agents, STR("twin"), &info));
    assert_int_equal(3, info.session);
    assert_true(directory_find(f->agents, STR("tw"), &info));
    assert_int_equal(2, info.session);
    assert_false(directory_find(f->agents, STR("t"), &info));
    assert_false(directory_find(f->agents, STR("twins"), &info));
    assert_false(directory_find(f->agents, (loom_str){NULL, 0}, &info));
    directory_leave(f->agents, prefix, LOOM_OK);
    directory_leave(f->agents, second, LOOM_OK);
}

static void a_drain_takes_nobody_new_but_who_comes_back_with_its_bridge(void **state)
{
    fixture *f = *state;
    directory_entry *back, *own, *late;
    f->clock.now_ms = 10000;
    directory_set_draining(f->agents, true);
    assert_status(LOOM_ECLOSED, come(f, &late, "late", 0, false));
    f->clock.now_ms = 10100;
    directory_set_draining(f->agents, true); /* once more: the first counts */
    assert_status(LOOM_ECLOSED, come(f, &late, "late", 100, false));
    assert_status(LOOM_OK, come(f, &back, "back", 101, false));
    assert_status(LOOM_OK, come(f, &own, "own", 0, true));
    const directory_stats stats = directory_get_stats(f->agents);
    assert_int_equal(2, stats.refused);
    assert_int_equal(1, stats.guests);
    assert_true(stats.draining);
    directory_set_draining(f->agents, false);
    assert_status(LOOM_OK, come(f, &late, "late", 0, false));
    directory_leave(f->agents, late, LOOM_OK);
    directory_leave(f->agents, own, LOOM_OK);
    directory_leave(f->agents, back, LOOM_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_directory, close_directory)
    const struct CMUnitTest tests[] = {
        TEST(an_agent_is_found_as_it_was_entered),
        TEST(a_process_is_known_again_whatever_became_of_its_connection),
        TEST(a_process_is_as_old_as_its_session_when_the_broker_is_younger),
        TEST(a_clock_that_is_set_back_makes_no_process_younger_than_its_spans),
        TEST(coming_and_going_is_told_on_the_bus),
        TEST(the_news_makes_no_traces),
        TEST(the_longest_texts_fit_into_the_news),
        TEST(a_text_is_cut_between_characters),
        TEST(what_is_not_of_its_size_is_refused),
        TEST(an_agent_that_is_not_heard_passes_from_state_to_state),
        TEST(one_look_after_a_long_time_passes_all_states),
        TEST(an_agent_that_is_heard_again_is_active_from_any_state),
        TEST(hearing_an_active_agent_leaves_its_deadline_to_be_looked_at_later),
        TEST(an_agent_without_a_heartbeat_stays_active),
        TEST(an_entry_that_nobody_ends_is_told_of_once_for_each_silence),
        TEST(entries_may_leave_when_they_are_told_of),
        TEST(of_many_that_are_silent_some_are_told_of_at_a_time),
        TEST(an_operator_may_end_the_sessions_of_an_agent),
        TEST(agents_are_visited_in_order_of_their_ids),
        TEST(the_first_of_several_ports_of_an_agent_is_found),
        TEST(a_newer_session_takes_the_place_of_the_older_one),
        TEST(the_session_that_was_opened_later_stays),
        TEST(there_are_no_more_agents_than_there_may_be),
        TEST(a_house_full_of_agents_is_replaced_in_place),
        TEST(a_drain_takes_nobody_new_but_who_comes_back_with_its_bridge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
