/* SPDX-License-Identifier: Apache-2.0 */
/* Random work on the bus and on a model of it that is as plain as can be; both must agree after each step. */
#include <stdlib.h>

#include <loom/topic.h>

#include "tests/unit/broker/bus_fixture.h"

enum {
    SUBSCRIPTIONS = 12, /* of one subscriber: ids 0 to 11 */
    PUBLISHERS = 3,
    WAITING_MAX = 4096,
    STEPS = 30000
};

typedef struct model_message {
    uint32_t number;
    uint32_t size;
} model_message;

typedef struct model_subscription {
    bool open, pressing, overdue;
    bool pressed[PUBLISHERS];
    char filter[8];
    loom_qos qos;
    uint32_t max_messages, max_bytes;
    uint64_t deadline_ms; /* as a span of time */
    uint64_t expires_ms;
    model_message waiting[WAITING_MAX];
    size_t waiting_count;
    uint64_t delivered, dropped;
} model_subscription;

typedef struct model {
    model_subscription subs[SUBSCRIPTIONS];
    uint64_t now_ms;
    uint64_t granted, used;
    uint64_t dropped[EVENTBUS_DROP_REASONS];
} model;

typedef struct world {
    loop_clock clock;
    eventbus *bus;
    test_publisher publishers[PUBLISHERS];
    test_subscriber subscriber;
    model model;
    uint64_t random;
    uint32_t next_number;
} world;

static uint32_t pick(world *w, uint32_t below)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(w->random >> 33) % below;
}

/* ---- the model ---- */

static uint64_t model_bytes(const model_subscription *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->waiting_count; i++) {
        bytes += s->waiting[i].size;
    }
    return bytes;
}

static bool model_full(const model_subscription *s)
{
    return s->waiting_count >= s->max_messages || model_bytes(s) >= s->max_bytes;
}

static void model_pop(model_subscription *s)
{
    s->waiting_count--;
    memmove(s->waiting, s->waiting + 1, s->waiting_count * sizeof *s->waiting);
}

static void model_let_go(model_subscription *s)
{
    s->pressing = false;
    memset(s->pressed, 0, sizeof s->pressed);
}

static void model_press(model *m, model_subscription *s, int publisher)
{
    if (!s->pressing) {
        s->pressing = true;
        s->expires_ms = m->now_ms + s->deadline_ms;
    }
    s->pressed[publisher] = true;
}

static void model_drop(model *m, model_subscription *s, eventbus_drop reason)
{
    s->dropped++;
    m->dropped[reason]++;
}

static void model_enqueue(model *m, model_subscription *s, int publisher, model_message message)
{
    if (s->qos == LOOM_QOS_REALTIME) {
        while (s->waiting_count > 0 &&
               (s->waiting_count + 1 > s->max_messages || model_bytes(s) + message.size > s->max_bytes)) {
            model_pop(s);
            model_drop(m, s, EVENTBUS_DROP_OLDEST);
        }
    } else if (model_full(s) && (publisher < 0 || s->overdue)) {
        model_drop(m, s, EVENTBUS_DROP_DEADLINE);
        return;
    }
    assert_true(s->waiting_count < WAITING_MAX);
    s->waiting[s->waiting_count++] = message;
    if (s->qos != LOOM_QOS_REALTIME && publisher >= 0 && !s->overdue && model_full(s)) {
        model_press(m, s, publisher);
    }
}

static void model_publish(model *m, int publisher, const char *topic, model_message message)
{
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        model_subscription *s = &m->subs[i];
        if (!s->open || !loom_filter_matches(str_of(s->filter), str_of(topic))) {
            continue;
        }
        if (m->used < m->granted) {
            m->used++;
            s->delivered++;
        } else {
            model_enqueue(m, s, publisher, message);
        }
    }
}

static void model_expire(model *m)
{
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        if (m->subs[i].pressing && m->subs[i].expires_ms <= m->now_ms) {
            model_let_go(&m->subs[i]);
            m->subs[i].overdue = true;
        }
    }
}

/* One delivery from a queue. Which subscription is the bus's choice among those of the highest class that waits. */
static void model_deliver(model *m, const received *r)
{
    model_subscription *s = &m->subs[r->subscription];
    static const int rank[LOOM_QOS_COUNT] = {[LOOM_QOS_REALTIME] = 0, [LOOM_QOS_BATCHED] = 1, [LOOM_QOS_BACKGROUND] = 2};
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        assert_true(m->subs[i].waiting_count == 0 || rank[m->subs[i].qos] >= rank[s->qos]);
    }
    assert_true(s->waiting_count > 0);
    assert_int_equal(s->waiting[0].number, r->number);
    model_pop(s);
    s->delivered++;
    m->used++;
}

static void model_settle(model *m)
{
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        model_subscription *s = &m->subs[i];
        if (s->waiting_count <= s->max_messages / 2 && model_bytes(s) <= s->max_bytes / 2) {
            model_let_go(s);
            s->overdue = false;
        }
    }
}

static void model_end(model *m, model_subscription *s)
{
    m->dropped[EVENTBUS_DROP_GONE] += s->waiting_count;
    memset(s, 0, sizeof *s);
}

/* ---- steps ---- */

static void step_publish(world *w)
{
    static const char *const topics[] = {"a", "b", "a.x", "a.y", "b.x"};
    const char *topic = topics[pick(w, 5)];
    const int publisher = (int)pick(w, PUBLISHERS + 1) - 1;
    const uint32_t padding = pick(w, 4) == 0 ? pick(w, 250) : 0; /* its length takes one byte either way */
    const uint32_t number = w->next_number++;
    model_publish(&w->model, publisher, topic, (model_message){number, test_message_size(topic) + padding});
    assert_status(LOOM_OK, test_publish(w->bus, publisher < 0 ? NULL : &w->publishers[publisher],
                                        &(test_message){.topic = topic, .number = number, .padding = padding}, NULL));
}

static void step_subscribe(world *w)
{
    static const char *const filters[] = {"a", "b", "a.*", "*", ">", "a.x", "*.x"};
    static const uint32_t limits[] = {1, 2, 3, 8, 16};
    const uint32_t id = pick(w, SUBSCRIPTIONS);
    model_subscription *s = &w->model.subs[id];
    if (s->open) {
        assert_status(LOOM_EEXIST, test_subscribe(&w->subscriber, id, ">"));
        return;
    }
    *s = (model_subscription){.open = true, .qos = (loom_qos)pick(w, LOOM_QOS_COUNT), .max_messages = limits[pick(w, 5)],
                              .max_bytes = 100 + pick(w, 2000), .deadline_ms = 1 + pick(w, 100)};
    strcpy(s->filter, filters[pick(w, 7)]);
    assert_status(LOOM_OK, eventbus_subscribe(w->subscriber.handle, id, &(eventbus_subscription_options){
        .filter = str_of(s->filter), .qos = s->qos, .queue_messages = s->max_messages,
        .queue_bytes = s->max_bytes, .deadline_ms = (uint32_t)s->deadline_ms}));
}

static void step_unsubscribe(world *w)
{
    const uint32_t id = pick(w, SUBSCRIPTIONS);
    model_subscription *s = &w->model.subs[id];
    assert_status(s->open ? LOOM_OK : LOOM_ENOTFOUND, eventbus_unsubscribe(w->subscriber.handle, id));
    model_end(&w->model, s);
}

static void step_grant(world *w)
{
    model *m = &w->model;
    m->granted += pick(w, 60);
    w->subscriber.count = 0;
    eventbus_grant(w->subscriber.handle, m->granted, UINT64_MAX);
    for (size_t i = 0; i < w->subscriber.count; i++) {
        model_deliver(m, &w->subscriber.got[i]);
    }
    model_settle(m);
}

static void step_time(world *w)
{
    w->model.now_ms += pick(w, 40);
    w->clock.now_ms = w->model.now_ms;
    eventbus_expire(w->bus);
    model_expire(&w->model);
}

static void step_reopen_publisher(world *w)
{
    const uint32_t i = pick(w, PUBLISHERS);
    eventbus_publisher_close(w->publishers[i].handle);
    assert_status(LOOM_OK, test_publisher_open(&w->publishers[i], w->bus));
    for (int s = 0; s < SUBSCRIPTIONS; s++) {
        w->model.subs[s].pressed[i] = false;
    }
}

/* ---- agreement ---- */

static bool compare_subscription(void *user, const eventbus_subscription_stats *stats)
{
    const model_subscription *s = &((const model *)user)->subs[stats->id];
    assert_true(s->open);
    assert_int_equal(s->waiting_count, stats->queued);
    assert_int_equal(s->delivered, stats->delivered);
    assert_int_equal(s->dropped, stats->dropped);
    assert_int_equal(s->pressing, stats->pressing);
    assert_int_equal(s->overdue, stats->overdue);
    return true;
}

static void compare(world *w)
{
    model *m = &w->model;
    eventbus_visit_subscriptions(w->bus, UINT32_MAX, compare_subscription, m);
    const eventbus_stats stats = eventbus_get_stats(w->bus);
    for (int i = 0; i < EVENTBUS_DROP_REASONS; i++) {
        assert_int_equal(m->dropped[i], stats.dropped[i]);
    }
    uint64_t next = UINT64_MAX;
    bool waits[PUBLISHERS] = {false};
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        const model_subscription *s = &m->subs[i];
        next = s->pressing && s->expires_ms < next ? s->expires_ms : next;
        for (int p = 0; p < PUBLISHERS; p++) {
            waits[p] = waits[p] || s->pressed[p];
        }
        assert_true(m->used == m->granted || s->waiting_count == 0);
    }
    for (int p = 0; p < PUBLISHERS; p++) {
        assert_int_equal(waits[p], w->publishers[p].waits);
    }
    assert_int_equal(next, eventbus_next_deadline_ms(w->bus));
    assert_conserved(w->bus);
}

static void run(uint64_t seed)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->random = seed;
    assert_status(LOOM_OK, eventbus_create(&w->bus, &w->clock, &(eventbus_options){.max_topics = 3, .batched_deadline_ms = 1000, .patience = 1, .hold_percent = 100}));
    assert_status(LOOM_OK, test_subscriber_open(&w->subscriber, w->bus, "model"));
    for (int i = 0; i < PUBLISHERS; i++) {
        assert_status(LOOM_OK, test_publisher_open(&w->publishers[i], w->bus));
    }
    for (int i = 0; i < STEPS; i++) {
        const uint32_t what = pick(w, 100);
        if (what < 70) {
            step_publish(w);
        } else if (what < 78) {
            step_subscribe(w);
        } else if (what < 82) {
            step_unsubscribe(w);
        } else if (what < 91) {
            step_grant(w);
        } else if (what < 98) {
            step_time(w);
        } else {
            step_reopen_publisher(w);
        }
        compare(w);
    }
    eventbus_subscriber_close(w->subscriber.handle);
    assert_conserved(w->bus);
    assert_int_equal(0, eventbus_get_stats(w->bus).queued);
    for (int i = 0; i < PUBLISHERS; i++) {
        assert_false(w->publishers[i].waits);
        eventbus_publisher_close(w->publishers[i].handle);
    }
    eventbus_destroy(w->bus);
    free(w);
}

static void bus_does_what_its_model_does(void **state)
{
    (void)state;
    run(1);
    run(20240229);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bus_does_what_its_model_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
