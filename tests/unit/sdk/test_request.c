/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: the reply that belongs to each, and what is left when there is none. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "sdk-c/agent/current.h"
#include "sdk-c/collaboration/mailbox.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/sdk/agent_site.h"

#define TEXT(literal) ((loom_bytes){(const uint8_t *)literal, sizeof literal - 1})

enum { KEPT_MAX = 8 };

typedef struct fixture {
    agent_site site; /* first */
    bool polled;
    pthread_mutex_t lock;
    /* guarded by lock */
    loom_envelope *kept[KEPT_MAX];
    atomic_uint kept_count;
    char log[1024]; /* what async requests were told */
    atomic_uint told, unasked, failed;
    atomic_int nested; /* status of a request inside a handler */
} fixture;

/* ---- the agent, which answers itself ---- */

static loom_status keep(fixture *f, loom_envelope *event)
{
    pthread_mutex_lock(&f->lock);
    f->kept[atomic_load(&f->kept_count) % KEPT_MAX] = loom_envelope_ref(event);
    pthread_mutex_unlock(&f->lock);
    atomic_fetch_add(&f->kept_count, 1);
    return LOOM_OK;
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    fixture *f = user;
    loom_bytes payload = loom_envelope_payload(event);
    loom_status st = LOOM_OK;
    if (strcmp(topic, "echo") == 0) {
        st = loom_agent_reply(agent, event, payload, NULL);
    } else if (strcmp(topic, "twice") == 0) {
        st = loom_agent_reply(agent, event, payload, NULL);
        st = st == LOOM_OK ? loom_agent_reply(agent, event, payload, NULL) : st;
    } else if (strcmp(topic, "keep") == 0) {
        st = keep(f, event);
    } else if (strcmp(topic, "agent.asker.replies") == 0) {
        atomic_fetch_add(&f->unasked, 1);
    }
    if (st != LOOM_OK) {
        atomic_fetch_add(&f->failed, 1);
    }
    return st;
}

static void open_agent(fixture *f, bool polled)
{
    static const char *const topics[] = {"echo", "twice", "keep", NULL};
    loom_agent_options options = {
        .id = "asker", .url = f->site.bridge.url, .topics = topics, .on_event = on_event, .user = f, .poll_mode = polled};
    f->polled = polled;
    assert_status(LOOM_OK, loom_agent_open(&f->site.agent, &options));
}

static void open_relayed(fixture *f, bool polled)
{
    open_agent(f, polled);
    site_relay(&f->site);
}

static int set_up(void **state)
{
    fixture *f = site_set_up(state, sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    f->site.bridge.credit_bytes = 1u << 30; /* the relay grants none later */
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    site_close_agent(&f->site);
    for (size_t i = 0; i < KEPT_MAX; i++) {
        loom_envelope_unref(f->kept[i]);
    }
    assert_int_equal(0, atomic_load(&f->failed));
    pthread_mutex_destroy(&f->lock);
    site_tear_down(&f->site);
    return 0;
}

/* ---- asking ---- */

static bool is_text(loom_envelope *event, const char *text)
{
    return bytes_equal(loom_envelope_payload(event), bytes_of(text));
}

static loom_status ask_within(fixture *f, const char *topic, uint32_t timeout_ms, loom_request_report *report)
{
    loom_envelope *reply;
    loom_request_options options = {.timeout_ms = timeout_ms, .report = report};
    loom_status st = loom_agent_request(f->site.agent, topic, TEXT("question"), &options, &reply);
    assert_true((st == LOOM_OK) == (reply != NULL));
    assert_true(st != LOOM_OK || is_text(reply, "question"));
    loom_envelope_unref(reply);
    return st;
}

static void on_reply(loom_agent *agent, loom_status status, loom_envelope *reply, void *user)
{
    fixture *f = user;
    loom_bytes payload = status == LOOM_OK ? loom_envelope_payload(reply) : TEXT("");
    if ((reply != NULL) != (status == LOOM_OK) || !loop_is_this_thread(&agent->loop) ||
        (reply != NULL && current_get().envelope != reply)) {
        atomic_fetch_add(&f->failed, 1);
    }
    pthread_mutex_lock(&f->lock);
    size_t len = strlen(f->log);
    snprintf(f->log + len, sizeof f->log - len, "%s:%.*s,", loom_status_name(status), (int)payload.len,
             (const char *)payload.data);
    pthread_mutex_unlock(&f->lock);
    atomic_fetch_add(&f->told, 1);
}

static uint64_t ask_async(fixture *f, const char *topic, const char *text, const loom_request_options *options)
{
    uint64_t number = 0;
    loom_bytes payload = {(const uint8_t *)text, strlen(text)};
    assert_status(LOOM_OK, loom_agent_request_async(f->site.agent, topic, payload, options, on_reply, f, &number));
    assert_true(number != 0);
    return number;
}

static bool reached(fixture *f, atomic_uint *counter, unsigned count)
{
    if (f->polled) {
        (void)loom_agent_poll(f->site.agent, 1);
    }
    return atomic_load(counter) >= count;
}

static void answer_kept(fixture *f, size_t which, const char *text)
{
    loom_bytes payload = {(const uint8_t *)text, strlen(text)};
    assert_status(LOOM_OK, loom_agent_reply(f->site.agent, f->kept[which], payload, NULL));
}

static loom_collaboration_stats stats_of(fixture *f)
{
    return loom_agent_collaboration(f->site.agent);
}

/* ---- waiting for a reply ---- */

static void a_request_returns_the_reply_to_it(void **state)
{
    fixture *f = *state;
    loom_request_report report;
    open_relayed(f, false);
    assert_status(LOOM_OK, ask_within(f, "echo", 0, &report));
    assert_true(report.sent);
    assert_true(report.waited_ns > 0);
    assert_int_equal(0, report.late);
    assert_int_equal(1, stats_of(f).requests);
    assert_int_equal(1, stats_of(f).replies);
    assert_int_equal(0, stats_of(f).open);
}

static void the_same_in_poll_mode(void **state)
{
    fixture *f = *state;
    open_relayed(f, true);
    assert_status(LOOM_OK, ask_within(f, "echo", 0, NULL));
    ask_async(f, "echo", "x", NULL);
    wait_until(reached(f, &f->told, 1), FAKE_DEADLINE_MS);
    assert_string_equal("OK:x,", f->log);
}

static void a_reply_that_comes_after_the_timeout_is_counted_as_late(void **state)
{
    fixture *f = *state;
    loom_request_report report;
    open_relayed(f, false);
    assert_status(LOOM_ETIMEDOUT, ask_within(f, "keep", 30, &report));
    assert_true(report.sent);
    assert_true(report.waited_ns >= 20 * MS_NS);
    wait_until(reached(f, &f->kept_count, 1), FAKE_DEADLINE_MS);
    answer_kept(f, 0, "too late");
    wait_until(stats_of(f).late_replies == 1, FAKE_DEADLINE_MS);
    assert_status(LOOM_OK, ask_within(f, "echo", 0, &report));
    assert_int_equal(1, report.late);
    assert_int_equal(1, stats_of(f).timeouts);
    assert_int_equal(0, atomic_load(&f->unasked));
}

static void a_second_reply_is_surplus_and_reaches_nobody(void **state)
{
    fixture *f = *state;
    open_relayed(f, false);
    assert_status(LOOM_OK, ask_within(f, "twice", 0, NULL));
    wait_until(stats_of(f).surplus_replies == 1, FAKE_DEADLINE_MS);
    assert_int_equal(0, atomic_load(&f->unasked));
}

static void mail_that_was_not_asked_for_is_the_handlers(void **state)
{
    fixture *f = *state;
    open_relayed(f, false);
    assert_status(LOOM_OK, ask_within(f, "echo", 0, NULL));
    assert_status(LOOM_OK, loom_agent_emit_text(f->site.agent, "agent.asker.replies", "hello", NULL));
    wait_until(reached(f, &f->unasked, 1), FAKE_DEADLINE_MS);
}

static void without_a_connection_nothing_is_sent(void **state)
{
    fixture *f = *state;
    loom_request_report report = {.sent = true};
    open_agent(f, false);
    assert_status(LOOM_ENOTCONN, ask_within(f, "echo", 30, &report));
    assert_false(report.sent);
    assert_int_equal(0, loom_agent_get_stats(f->site.agent).emitted);
    assert_int_equal(0, stats_of(f).requests);
}

static void a_refused_mailbox_is_told(void **state)
{
    fixture *f = *state;
    f->site.bridge.answer = LOOM_EDENIED;
    open_agent(f, false);
    fake_bridge_session(&f->site.bridge, 4);
    assert_status(LOOM_EDENIED, ask_within(f, "echo", 1000, NULL));
    assert_status(LOOM_EDENIED, loom_agent_request_async(f->site.agent, "echo", TEXT(""), NULL, on_reply, f, NULL));
    assert_int_equal(0, stats_of(f).open);
}

/* ---- which reply belongs to which ---- */

static void requests_of_one_correlation_are_told_apart(void **state)
{
    fixture *f = *state;
    loom_request_options options = {.correlation_id = "order-17"};
    open_relayed(f, false);
    ask_async(f, "keep", "first", &options);
    ask_async(f, "keep", "second", &options);
    wait_until(reached(f, &f->kept_count, 2), FAKE_DEADLINE_MS);
    char buf[LOOM_UUID_TEXT_SIZE];
    assert_true(str_is(loom_envelope_correlation_id(f->kept[0], buf), "order-17"));
    answer_kept(f, 1, "second");
    wait_until(reached(f, &f->told, 1), FAKE_DEADLINE_MS);
    answer_kept(f, 1, "again"); /* not the other one's */
    answer_kept(f, 0, "first");
    wait_until(reached(f, &f->told, 2), FAKE_DEADLINE_MS);
    assert_string_equal("OK:second,OK:first,", f->log);
    assert_int_equal(1, stats_of(f).surplus_replies);
}

static void a_reply_that_names_no_request_goes_to_the_oldest(void **state)
{
    fixture *f = *state;
    loom_request_options options = {.correlation_id = "order-17"};
    loom_emit_options plain = {.correlation_id = "order-17"};
    open_relayed(f, false);
    ask_async(f, "keep", "first", &options);
    ask_async(f, "keep", "second", &options);
    wait_until(reached(f, &f->kept_count, 2), FAKE_DEADLINE_MS);
    assert_status(LOOM_OK, loom_agent_emit_text(f->site.agent, "agent.asker.replies", "one", &plain));
    wait_until(reached(f, &f->told, 1), FAKE_DEADLINE_MS);
    answer_kept(f, 1, "two");
    wait_until(reached(f, &f->told, 2), FAKE_DEADLINE_MS);
    assert_string_equal("OK:one,OK:two,", f->log);
}

static void a_reply_belongs_to_what_it_answers(void **state)
{
    fixture *f = *state;
    loom_header headers[20];
    for (size_t i = 0; i < 20; i++) {
        static const char names[] = "abcdefghijklmnopqrst";
        headers[i] = (loom_header){{names + i, 1}, {"v", 1}};
    }
    headers[3].key = str_of(HEADER_REQUEST); /* as who passes on what it was given */
    loom_request_options options = {
        .correlation_id = "order-17", .thread_id = "talk", .ttl = 7, .headers = headers, .header_count = 20};
    loom_envelope *reply;
    open_relayed(f, false);
    ask_async(f, "keep", "x", &options);
    wait_until(reached(f, &f->kept_count, 1), FAKE_DEADLINE_MS);
    loom_str key, again;
    assert_status(LOOM_OK, loom_envelope_header(f->kept[0], HEADER_REQUEST, &key));
    assert_true(key.len > 1);
    loom_emit_options emit = {.headers = headers, .header_count = 1, .thread_id = "other", .reply_to = "elsewhere"};
    assert_status(LOOM_OK, loom_agent_reply(f->site.agent, f->kept[0], TEXT("y"), &emit));
    wait_until(reached(f, &f->told, 1), FAKE_DEADLINE_MS);
    /* and once more, to where it can be looked at */
    loom_envelope_fields fields = {.topic = STR("x"), .reply_to = STR("keep"), .correlation_id = STR("c"),
                                   .thread_id = STR("talk"), .ttl = 7, .headers = &(loom_header){STR(HEADER_REQUEST), STR("k")},
                                   .header_count = 1};
    assert_status(LOOM_OK, loom_envelope_create(&reply, &fields));
    assert_status(LOOM_OK, loom_agent_reply(f->site.agent, reply, TEXT("z"), &emit));
    loom_envelope_unref(reply);
    wait_until(reached(f, &f->kept_count, 2), FAKE_DEADLINE_MS);
    char buf[LOOM_UUID_TEXT_SIZE];
    assert_true(str_is(loom_envelope_thread_id(f->kept[1], buf), "talk"));
    assert_true(str_is(loom_envelope_correlation_id(f->kept[1], buf), "c"));
    assert_int_equal(7, loom_envelope_ttl(f->kept[1]));
    assert_status(LOOM_OK, loom_envelope_header(f->kept[1], HEADER_IN_REPLY_TO, &again));
    assert_true(str_is(again, "k"));
    assert_status(LOOM_OK, loom_envelope_header(f->kept[1], "a", &again));
}

/* ---- without waiting ---- */

static void an_async_request_is_told_its_timeout(void **state)
{
    fixture *f = *state;
    open_relayed(f, false);
    ask_async(f, "keep", "x", &(loom_request_options){.timeout_ms = 20});
    wait_until(reached(f, &f->told, 1), FAKE_DEADLINE_MS);
    assert_string_equal("ETIMEDOUT:,", f->log);
    wait_until(reached(f, &f->kept_count, 1), FAKE_DEADLINE_MS);
    answer_kept(f, 0, "too late");
    wait_until(stats_of(f).late_replies == 1, FAKE_DEADLINE_MS);
}

static void a_request_can_be_cancelled_once(void **state)
{
    fixture *f = *state;
    open_relayed(f, false);
    uint64_t keyed = ask_async(f, "keep", "x", NULL);
    uint64_t named = ask_async(f, "keep", "y", &(loom_request_options){.correlation_id = "order-17"});
    wait_until(reached(f, &f->kept_count, 2), FAKE_DEADLINE_MS);
    assert_status(LOOM_OK, loom_agent_request_cancel(f->site.agent, named));
    assert_status(LOOM_OK, loom_agent_request_cancel(f->site.agent, keyed));
    assert_status(LOOM_ENOTFOUND, loom_agent_request_cancel(f->site.agent, keyed));
    wait_until(reached(f, &f->told, 2), FAKE_DEADLINE_MS);
    assert_string_equal("ECANCELED:,ECANCELED:,", f->log);
    answer_kept(f, 0, "nobody wants it");
    wait_until(stats_of(f).surplus_replies == 1, FAKE_DEADLINE_MS);
    assert_status(LOOM_ENOTFOUND, loom_agent_request_cancel(f->site.agent, keyed));
    assert_status(LOOM_ENOTFOUND, loom_agent_request_cancel(f->site.agent, 0));
    assert_int_equal(0, stats_of(f).open);
    assert_int_equal(0, stats_of(f).timeouts);
}

static void closing_tells_who_still_waits(void **state)
{
    fixture *f = *state;
    open_relayed(f, false);
    ask_async(f, "keep", "x", NULL);
    ask_async(f, "keep", "y", NULL);
    wait_until(reached(f, &f->kept_count, 2), FAKE_DEADLINE_MS);
    loom_agent_close_within(f->site.agent, 100);
    f->site.agent = NULL;
    assert_string_equal("ECLOSED:,ECLOSED:,", f->log);
}

static void *ask_for_ever(void *user)
{
    fixture *f = user;
    loom_envelope *reply;
    atomic_store(&f->nested, (int)loom_agent_request(f->site.agent, "keep", TEXT(""), NULL, &reply));
    return NULL;
}

static void closing_ends_a_wait(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    open_relayed(f, false);
    assert_int_equal(0, pthread_create(&thread, NULL, ask_for_ever, f));
    wait_until(reached(f, &f->kept_count, 1), FAKE_DEADLINE_MS);
    loom_agent_close_within(f->site.agent, 100);
    f->site.agent = NULL;
    pthread_join(thread, NULL);
    assert_int_equal(LOOM_ECLOSED, atomic_load(&f->nested));
}

static void on_counted(loom_agent *agent, loom_status status, loom_envelope *reply, void *user)
{
    (void)agent;
    (void)reply;
    fixture *f = user;
    atomic_fetch_add(status == LOOM_OK ? &f->told : &f->failed, 1);
}

/* Lock held. The agent's own, which asks what has been read, comes and goes. */
static size_t timers_of(const loom_agent *a)
{
    return a->loop.timers.count - agent_timer_is_set(&a->loop.inquiry);
}

static size_t timers_now(loom_agent *a)
{
    pthread_mutex_lock(&a->loop.lock);
    size_t count = timers_of(a);
    pthread_mutex_unlock(&a->loop.lock);
    return count;
}

static void many_at_once_leave_nothing_behind(void **state)
{
    fixture *f = *state;
    enum { MANY = 20000 };
    open_relayed(f, false);
    assert_status(LOOM_OK, ask_within(f, "echo", 0, NULL));
    size_t timers = timers_now(f->site.agent);
    for (unsigned i = 0; i < MANY; i++) {
        assert_status(LOOM_OK, loom_agent_request_async(f->site.agent, "echo", TEXT("x"), NULL, on_counted, f, NULL));
    }
    wait_until(reached(f, &f->told, MANY), FAKE_DEADLINE_MS);
    assert_int_equal(0, stats_of(f).open);
    assert_int_equal(MANY + 1, stats_of(f).replies);
    pthread_mutex_lock(&f->site.agent->loop.lock);
    assert_int_equal(timers, timers_of(f->site.agent));
    assert_true(f->site.agent->collaboration->by_correlation.index.mask < 64);
    assert_int_equal(4, f->site.agent->events->subs.count);
    pthread_mutex_unlock(&f->site.agent->loop.lock);
}

static void over_the_limit_requests_are_refused(void **state)
{
    fixture *f = *state;
    open_agent(f, false); /* no bridge: they wait in the send buffer */
    for (unsigned i = 0; i < LOOM_REQUESTS_MAX; i++) {
        assert_status(LOOM_OK, loom_agent_request_async(f->site.agent, "e", TEXT(""), NULL, on_reply, f, NULL));
    }
    assert_status(LOOM_EFULL, loom_agent_request_async(f->site.agent, "e", TEXT(""), NULL, on_reply, f, NULL));
    loom_agent_close_within(f->site.agent, 0);
    f->site.agent = NULL;
    assert_int_equal(LOOM_REQUESTS_MAX, atomic_load(&f->told));
}

static void what_cannot_be_sent_is_not_open(void **state)
{
    fixture *f = *state;
    loom_envelope *reply;
    char too_long[LOOM_THREAD_ID_MAX + 2] = "";
    memset(too_long, 'x', sizeof too_long - 1);
    open_relayed(f, false);
    assert_status(LOOM_EINVAL, loom_agent_request(f->site.agent, "not/../*", TEXT(""), NULL, &reply));
    assert_null(reply);
    assert_status(LOOM_EINVAL, loom_agent_request(f->site.agent, NULL, TEXT(""), NULL, &reply));
    assert_status(LOOM_EINVAL, loom_agent_request(NULL, "echo", TEXT(""), NULL, &reply));
    assert_status(LOOM_EINVAL, loom_agent_request(f->site.agent, "echo", TEXT(""), NULL, NULL));
    assert_status(LOOM_ETOOBIG, loom_agent_request(f->site.agent, "echo", TEXT(""),
                                                   &(loom_request_options){.correlation_id = too_long}, &reply));
    assert_status(LOOM_EINVAL, loom_agent_request_async(f->site.agent, "*", TEXT(""), NULL, on_reply, f, NULL));
    assert_status(LOOM_EINVAL, loom_agent_request_async(f->site.agent, "echo", TEXT(""), NULL, NULL, f, NULL));
    assert_status(LOOM_EINVAL, loom_agent_reply(f->site.agent, NULL, TEXT(""), NULL));
    assert_int_equal(0, stats_of(f).open);
    assert_int_equal(0, atomic_load(&f->told));
}

/* ---- inside handlers ---- */

/* While one handler of an agent waits, its others wait too, echo among them. So here the bridge answers. */
static loom_status ask_inside(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)topic;
    (void)event;
    fixture *f = user;
    loom_envelope *reply;
    loom_status st = loom_agent_request(agent, "elsewhere", TEXT("inside"), NULL, &reply);
    if (st == LOOM_OK && (!is_text(reply, "answer") || current_get().envelope != event)) {
        st = LOOM_EINVAL;
    }
    loom_envelope_unref(reply);
    atomic_store(&f->nested, (int)st);
    atomic_fetch_add(&f->told, 1);
    return st;
}

static void answer_from_bridge(fixture *f, uint64_t mailbox)
{
    char correlation[LOOM_THREAD_ID_MAX + 1];
    const char *reason;
    envelope_view view;
    frame heard = fake_bridge_expect(&f->site.bridge, FRAME_PUBLISH);
    assert_status(LOOM_OK, envelope_scan(&view, heard.u.batch.items, NULL, &reason));
    loom_str key = envelope_view_str(&view, ENV_CORRELATION_ID);
    memcpy(correlation, key.data, key.len);
    loom_str to = envelope_view_str(&view, ENV_REPLY_TO);
    assert_true(str_is(to, "agent.asker.replies"));
    loom_envelope_fields fields = {.topic = STR("agent.asker.replies"),
                                   .sender = STR("somebody"),
                                   .payload = TEXT("answer"),
                                   .correlation_id = {correlation, key.len}};
    fake_bridge_deliver(&f->site.bridge, mailbox, &fields);
}

static void a_handler_waits_for_its_reply_while_events_wait_for_it(void **state)
{
    fixture *f = *state;
    static const char *const topics[] = {"in", NULL};
    loom_agent_options options = {
        .id = "asker", .url = f->site.bridge.url, .topics = topics, .on_event = ask_inside, .user = f};
    assert_status(LOOM_OK, loom_agent_open(&f->site.agent, &options));
    uint64_t in = fake_bridge_session(&f->site.bridge, 2);
    fake_bridge_deliver_text(&f->site.bridge, in, "in", "one");
    fake_bridge_deliver_text(&f->site.bridge, in, "in", "two");
    for (unsigned i = 1; i <= 2; i++) {
        answer_from_bridge(f, in - 1);
        wait_until(reached(f, &f->told, i), FAKE_DEADLINE_MS);
        assert_int_equal(LOOM_OK, atomic_load(&f->nested));
    }
}

static void used_up_hops_end_a_request_before_it_is_sent(void **state)
{
    fixture *f = *state;
    static const char *const topics[] = {"in", NULL};
    uint8_t wire[512];
    loom_envelope *env;
    loom_agent_options options = {
        .id = "asker", .url = f->site.bridge.url, .topics = topics, .on_event = ask_inside, .user = f};
    assert_status(LOOM_OK, loom_agent_open(&f->site.agent, &options));
    uint64_t in = fake_bridge_session(&f->site.bridge, 2);
    loom_envelope_fields fields = {.topic = STR("in"), .sender = STR("somebody"), .ttl = 1};
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    loom_bytes bytes = loom_envelope_wire(env);
    memcpy(wire, bytes.data, bytes.len);
    wire[32] = 0; /* ttl, WIRE.md section 2 */
    uint8_t *room = frame_deliver_begin(&f->site.bridge.out, in, bytes.len);
    memcpy(room, wire, bytes.len);
    frame_batch_commit(&f->site.bridge.out, bytes.len);
    loom_envelope_unref(env);
    fake_bridge_flush(&f->site.bridge);
    wait_until(reached(f, &f->told, 1), FAKE_DEADLINE_MS);
    assert_int_equal(LOOM_ETIMEDOUT, atomic_load(&f->nested));
    assert_int_equal(0, loom_agent_get_stats(f->site.agent).emitted);
    assert_int_equal(0, stats_of(f).timeouts);
    assert_int_equal(0, stats_of(f).open);
}

/* ---- many threads, and missing memory ---- */

static void *ask_many(void *user)
{
    fixture *f = user;
    for (int i = 0; i < 300; i++) {
        loom_envelope *reply = NULL;
        if (loom_agent_request(f->site.agent, "echo", TEXT("x"), NULL, &reply) != LOOM_OK || !is_text(reply, "x")) {
            atomic_fetch_add(&f->failed, 1);
        }
        loom_envelope_unref(reply);
    }
    return NULL;
}

static void threads_ask_at_once(void **state)
{
    fixture *f = *state;
    pthread_t threads[4];
    open_relayed(f, false);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, ask_many, f));
    }
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t number;
        assert_status(LOOM_OK, loom_agent_request_async(f->site.agent, "echo", TEXT("y"), NULL, on_reply, f, &number));
        if (i % 3 == 0) {
            (void)loom_agent_request_cancel(f->site.agent, number);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    wait_until(reached(f, &f->told, 1000), FAKE_DEADLINE_MS);
    assert_int_equal(0, stats_of(f).open);
}

static loom_status ask_once(void *user)
{
    fixture *f = user;
    loom_envelope *reply;
    loom_status st = loom_agent_request(f->site.agent, "echo", TEXT("x"), &(loom_request_options){.timeout_ms = 5000}, &reply);
    loom_envelope_unref(reply);
    return st;
}

static loom_status ask_async_once(void *user)
{
    fixture *f = user;
    unsigned before = atomic_load(&f->told);
    loom_status st = loom_agent_request_async(f->site.agent, "echo", TEXT("x"),
                                              &(loom_request_options){.correlation_id = "order-17"}, on_counted, f, NULL);
    if (st == LOOM_OK) {
        wait_until(reached(f, &f->told, before + 1), FAKE_DEADLINE_MS);
    }
    return st;
}

static void missing_memory_is_told(void **state)
{
    fixture *f = *state;
    open_relayed(f, false);
    (void)alloc_fault_each(ask_once, f);
    (void)alloc_fault_each(ask_async_once, f);
    assert_int_equal(0, stats_of(f).open);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_request_returns_the_reply_to_it),
        WITH(the_same_in_poll_mode),
        WITH(a_reply_that_comes_after_the_timeout_is_counted_as_late),
        WITH(a_second_reply_is_surplus_and_reaches_nobody),
        WITH(mail_that_was_not_asked_for_is_the_handlers),
        WITH(without_a_connection_nothing_is_sent),
        WITH(a_refused_mailbox_is_told),
        WITH(closing_ends_a_wait),
        WITH(requests_of_one_correlation_are_told_apart),
        WITH(a_reply_that_names_no_request_goes_to_the_oldest),
        WITH(a_reply_belongs_to_what_it_answers),
        WITH(an_async_request_is_told_its_timeout),
        WITH(a_request_can_be_cancelled_once),
        WITH(closing_tells_who_still_waits),
        WITH(many_at_once_leave_nothing_behind),
        WITH(over_the_limit_requests_are_refused),
        WITH(what_cannot_be_sent_is_not_open),
        WITH(a_handler_waits_for_its_reply_while_events_wait_for_it),
        WITH(used_up_hops_end_a_request_before_it_is_sent),
        WITH(threads_ask_at_once),
        WITH(missing_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
