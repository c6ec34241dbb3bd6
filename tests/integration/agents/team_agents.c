/* SPDX-License-Identifier: Apache-2.0 */
/* team_agents URL SCENARIO: six agents in one process do one thing together. Prints what became of it as lines of a key
 * and a value, then "done", and ends with its input, so that one can look meanwhile at what is left on the bus. The exit
 * code is 0 only if all was right.
 *
 * Threads: scenarios run on the main thread, handlers on the threads of their agents. */
#include <loom/loom.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

#define WAIT_MS 20000u /* of anything that is to happen */
#define LOOK_MS 5      /* between two looks at what nobody signals */
#define TEXT(literal) ((loom_bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

enum { TEAM = 6, MEETINGS = 50, HANDLER_MEETINGS = 10, POSTS = 1000, AWARDS = 2 };

typedef struct team team;

typedef struct member {
    team *team;
    unsigned number;
    char id[8];
    loom_agent *agent;    /* fixed for as long as it is open */
    loom_thread *thread;  /* guarded by the team's lock; changed by the main thread */
    unsigned heard, disorder; /* posts; guarded by the team's lock */
} member;

struct team {
    member members[TEAM];
    bool right;           /* the main thread's */
    bool caller_bids;     /* fixed before the call */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    unsigned arrivals[MEETINGS]; /* how many are on their way into each barrier, or in it */
    unsigned met, early;
    bool negotiated;
    loom_status contract_status;
    loom_contract *contract;
    unsigned calls_heard, awards_heard, rejections_heard;
    unsigned refused;     /* posts, for want of hops */
    unsigned present;     /* how many are in the thread */
    unsigned errors;      /* refusals told by the bus */
};

/* ---- results ---- */

static void expect(team *t, const char *key, size_t got, size_t wanted)
{
    printf("%s %zu\n", key, got);
    if (got != wanted) {
        fprintf(stderr, "%s is %zu, not %zu\n", key, got, wanted);
        t->right = false;
    }
}

static void expect_text(team *t, const char *key, const char *got, const char *wanted)
{
    printf("%s %s\n", key, got);
    if (strcmp(got, wanted) != 0) {
        fprintf(stderr, "%s is %s, not %s\n", key, got, wanted);
        t->right = false;
    }
}

/* What nothing can be tested without. */
static void must(loom_status st, const char *what)
{
    if (st != LOOM_OK) {
        fprintf(stderr, "%s: %s\n", what, loom_status_text(st));
        exit(1);
    }
}

/* ---- waiting ---- */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Until it is true or the time is over: whoever waited tells the difference by what it expects. is_true runs on the main
 * thread, with the lock held. */
static void wait_for(team *t, bool (*is_true)(team *t))
{
    uint64_t deadline = now_ms() + WAIT_MS;
    pthread_mutex_lock(&t->lock);
    while (!is_true(t) && now_ms() < deadline) {
        uint64_t soon = now_ms() + LOOK_MS;
        struct timespec until = {(time_t)(soon / 1000u), (long)(soon % 1000u) * 1000000L};
        pthread_cond_timedwait(&t->changed, &t->lock, &until);
    }
    pthread_mutex_unlock(&t->lock);
}

static void count(team *t, unsigned *counter)
{
    pthread_mutex_lock(&t->lock);
    ++*counter;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

/* ---- barriers ---- */

static bool all_handlers_have_met(team *t)
{
    return t->met == TEAM * HANDLER_MEETINGS;
}

/* Whoever leaves a barrier must have seen all come. */
static loom_status meet(member *m, const char *where, unsigned number)
{
    team *t = m->team;
    char name[32];
    uint32_t arrived;
    snprintf(name, sizeof name, "%s.%u", where, number);
    count(t, &t->arrivals[number]);
    loom_status st = loom_agent_barrier(m->agent, name, TEAM, WAIT_MS, &arrived);
    pthread_mutex_lock(&t->lock);
    t->early += t->arrivals[number] < TEAM;
    t->met += st == LOOM_OK && arrived == TEAM;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return st;
}

static void *meet_often(void *user)
{
    for (unsigned i = 0; i < MEETINGS; i++) {
        if (meet(user, "threads", i) != LOOM_OK) {
            break; /* seen by the number of those who met */
        }
    }
    return NULL;
}

static void expect_meetings(team *t, unsigned meetings)
{
    pthread_mutex_lock(&t->lock);
    expect(t, "met", t->met, (size_t)TEAM * meetings);
    expect(t, "early", t->early, 0);
    pthread_mutex_unlock(&t->lock);
}

static void run_barrier(team *t)
{
    pthread_t threads[TEAM];
    for (size_t i = 0; i < TEAM; i++) {
        if (pthread_create(&threads[i], NULL, meet_often, &t->members[i]) != 0) {
            exit(1);
        }
    }
    for (size_t i = 0; i < TEAM; i++) {
        pthread_join(threads[i], NULL);
    }
    expect_meetings(t, MEETINGS);
    uint32_t arrived;
    loom_status st = loom_agent_barrier(t->members[0].agent, "nobody.else", 2, 100, &arrived);
    expect_text(t, "alone", loom_status_name(st), "ETIMEDOUT");
    expect(t, "alone_arrived", arrived, 1);
}

/* Every handler waits in the middle of its event for all the others. */
static void run_barrier_in_handlers(team *t)
{
    for (int i = 0; i < HANDLER_MEETINGS; i++) {
        must(loom_agent_emit(t->members[1].agent, "team.meet", (loom_bytes){(uint8_t[]){(uint8_t)i}, 1}, NULL), "emit");
    }
    wait_for(t, all_handlers_have_met);
    expect_meetings(t, HANDLER_MEETINGS);
}

/* ---- contract net ---- */

static bool payload_is(const loom_envelope *event, loom_bytes wanted)
{
    loom_bytes got = event != NULL ? loom_envelope_payload(event) : (loom_bytes){0};
    return bytes_equal(got, wanted);
}

static loom_status on_award(loom_agent *agent, loom_envelope *award, void *user)
{
    member *m = user;
    team *t = m->team;
    if (award == NULL) {
        count(t, &t->rejections_heard);
        return LOOM_OK;
    }
    if (!payload_is(award, TEXT("dig"))) {
        return LOOM_EINVAL;
    }
    count(t, &t->awards_heard);
    return loom_agent_finish_award(agent, award, LOOM_OK, TEXT("dug"));
}

/* The score is the member's number, so that the last two are the best. */
static loom_status bid(member *m, loom_envelope *event)
{
    count(m->team, &m->team->calls_heard);
    return m->number > 0 || m->team->caller_bids
               ? loom_agent_propose(m->agent, event, (double)m->number, TEXT("with a spade"), on_award, m)
               : LOOM_OK;
}

static unsigned bidders(const team *t)
{
    return t->caller_bids ? TEAM : TEAM - 1;
}

/* The main thread, or a handler of the first member. */
static loom_status negotiate(team *t)
{
    loom_contract *contract;
    loom_contract_options options = {.enough = bidders(t), .window_ms = WAIT_MS, .awards = AWARDS, .result_ms = WAIT_MS};
    loom_status st =
        loom_agent_call_for_proposals(t->members[0].agent, "team.jobs", TEXT("dig"), &options, &contract);
    pthread_mutex_lock(&t->lock);
    t->negotiated = true;
    t->contract_status = st;
    t->contract = contract;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return st;
}

/* Rejections travel on while the results are taken; and a caller that is a handler hears its own call afterwards. */
static bool contract_is_over(team *t)
{
    return t->negotiated && t->calls_heard == TEAM && t->awards_heard + t->rejections_heard == bidders(t);
}

static void expect_contract(team *t)
{
    static const loom_contract none;
    wait_for(t, contract_is_over);
    pthread_mutex_lock(&t->lock);
    const loom_contract *c = t->contract != NULL ? t->contract : &none;
    expect_text(t, "status", loom_status_name(t->contract_status), "OK");
    expect(t, "proposals", c->count, bidders(t));
    expect(t, "awarded", c->awarded, AWARDS);
    expect(t, "completed", c->completed, AWARDS);
    expect(t, "ignored", c->ignored, 0);
    expect(t, "calls_heard", t->calls_heard, TEAM);
    expect(t, "awards_heard", t->awards_heard, AWARDS);
    expect(t, "rejections_heard", t->rejections_heard, bidders(t) - AWARDS);
    for (unsigned i = 0; i < c->count; i++) {
        char key[16];
        snprintf(key, sizeof key, "place_%u", i + 1);
        expect_text(t, key, c->proposals[i].agent, t->members[TEAM - 1 - i].id);
        bool won = i < AWARDS && c->proposals[i].state == LOOM_PROPOSAL_COMPLETED;
        bool lost = i >= AWARDS && c->proposals[i].state == LOOM_PROPOSAL_REJECTED;
        t->right = t->right && (won ? payload_is(c->proposals[i].result, TEXT("dug")) : lost);
    }
    loom_contract_free(t->contract);
    t->contract = NULL;
    pthread_mutex_unlock(&t->lock);
}

static void run_contract(team *t)
{
    t->caller_bids = true; /* from its handler, while its main thread waits for it */
    (void)negotiate(t);
    expect_contract(t);
}

/* The caller's own handler is busy with the call. */
static void run_contract_in_handler(team *t)
{
    must(loom_agent_emit_text(t->members[1].agent, "team.negotiate", "now", NULL), "emit");
    expect_contract(t);
}

/* ---- threads ---- */

static bool count_one(void *user, const char *agent)
{
    (void)agent;
    ++*(size_t *)user;
    return true;
}

/* The sum over all in the thread of how many each knows to be in it. */
static size_t seen(const team *t)
{
    size_t sum = 0;
    for (size_t i = 0; i < TEAM; i++) {
        if (t->members[i].thread != NULL) {
            (void)loom_thread_participants(t->members[i].thread, count_one, &sum);
        }
    }
    return sum;
}

static bool all_see_all(team *t)
{
    return seen(t) == (size_t)t->present * t->present;
}

static void expect_all_see_all(team *t, const char *key, unsigned present)
{
    t->present = present;
    wait_for(t, all_see_all);
    expect(t, key, seen(t), (size_t)present * present);
}

static void set_thread(member *m, loom_thread *thread)
{
    pthread_mutex_lock(&m->team->lock);
    m->thread = thread;
    pthread_mutex_unlock(&m->team->lock);
}

static void join(team *t, unsigned members, const char *thread_id, loom_on_event on_post)
{
    for (size_t i = 0; i < members; i++) {
        loom_thread *thread;
        member *m = &t->members[i];
        must(loom_agent_thread_join(&thread, m->agent, thread_id, on_post, m, WAIT_MS), "join");
        set_thread(m, thread);
    }
}

static void leave(member *m)
{
    loom_thread *thread = m->thread;
    set_thread(m, NULL);
    loom_thread_leave(thread);
}

/* Posts carry their number. */
static loom_status on_post(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    member *m = user;
    char number[16], id[LOOM_UUID_TEXT_SIZE];
    int len = snprintf(number, sizeof number, "%u", m->heard); /* only this thread counts it */
    loom_str thread_id = loom_envelope_thread_id(event, id);
    bool right = payload_is(event, (loom_bytes){(uint8_t *)number, (size_t)len}) && thread_id.len == 6 &&
                 memcmp(thread_id.data, "plan.x", 6) == 0;
    pthread_mutex_lock(&m->team->lock);
    m->disorder += !right;
    pthread_mutex_unlock(&m->team->lock);
    count(m->team, &m->heard);
    return LOOM_OK;
}

static size_t heard(const team *t)
{
    size_t sum = 0;
    for (size_t i = 0; i < TEAM; i++) {
        sum += t->members[i].heard;
    }
    return sum;
}

static bool all_posts_are_heard(team *t)
{
    return heard(t) >= (size_t)POSTS * (TEAM - 1);
}

static void post_many(team *t)
{
    size_t disorder = 0;
    for (unsigned i = 0; i < POSTS; i++) {
        char number[16];
        int len = snprintf(number, sizeof number, "%u", i);
        must(loom_thread_post(t->members[0].thread, (loom_bytes){(uint8_t *)number, (size_t)len}, NULL), "post");
    }
    wait_for(t, all_posts_are_heard);
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < TEAM; i++) {
        disorder += t->members[i].disorder;
    }
    expect(t, "heard", heard(t), (size_t)POSTS * (TEAM - 1));
    expect(t, "heard_by_poster", t->members[0].heard, 0);
    expect(t, "disorder", disorder, 0);
    pthread_mutex_unlock(&t->lock);
}

/* One closes without a word, one leaves, and the others go. */
static void run_thread(team *t)
{
    join(t, TEAM, "plan.x", on_post);
    expect_all_see_all(t, "seen", TEAM);
    post_many(t);
    member *last = &t->members[TEAM - 1];
    set_thread(last, NULL); /* the agent's end frees it */
    must(loom_agent_close(last->agent), "close");
    last->agent = NULL;
    expect_all_see_all(t, "seen_after_close", TEAM - 1);
    leave(&t->members[TEAM - 2]);
    expect_all_see_all(t, "seen_after_leave", TEAM - 2);
    for (size_t i = 0; i < TEAM - 2; i++) {
        leave(&t->members[i]);
    }
}

/* ---- two that answer each other's posts ---- */

static loom_status on_ping(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    member *m = user;
    count(m->team, &m->heard);
    pthread_mutex_lock(&m->team->lock);
    loom_thread *thread = m->thread;
    pthread_mutex_unlock(&m->team->lock);
    loom_status st = loom_thread_post(thread, loom_envelope_payload(event), NULL);
    if (st == LOOM_ETIMEDOUT) {
        count(m->team, &m->team->refused);
        return LOOM_OK;
    }
    return st;
}

static bool has_ended(team *t)
{
    return t->refused > 0;
}

static void run_ping_pong(team *t)
{
    join(t, 2, "rally", on_ping);
    must(loom_thread_post(t->members[0].thread, TEXT("ping"), NULL), "post");
    wait_for(t, has_ended);
    pthread_mutex_lock(&t->lock);
    expect(t, "heard", heard(t), LOOM_TTL_DEFAULT);
    expect(t, "refused", t->refused, 1);
    pthread_mutex_unlock(&t->lock);
    leave(&t->members[0]);
    expect_all_see_all(t, "seen_after_leave", 1); /* by then the last post has come back to who posted it, too */
    leave(&t->members[1]);
}

/* ---- the team ---- */

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    member *m = user;
    if (strcmp(topic, "team.jobs") == 0) {
        return bid(m, event);
    }
    if (strcmp(topic, "team.meet") == 0) {
        loom_bytes payload = loom_envelope_payload(event);
        return payload.len == 1 && payload.data[0] < HANDLER_MEETINGS ? meet(m, "handlers", payload.data[0]) : LOOM_EINVAL;
    }
    return m->number == 0 ? negotiate(m->team) : LOOM_OK;
}

static void on_error(loom_agent *agent, loom_status why, const char *text, void *user)
{
    member *m = user;
    fprintf(stderr, "%s: %s: %s\n", loom_agent_id(agent), loom_status_name(why), text);
    count(m->team, &m->team->errors);
}

static void open_team(team *t, const char *url)
{
    static const char *const topics[] = {"team.jobs", "team.meet", "team.negotiate", NULL};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &attributes);
    pthread_mutex_init(&t->lock, NULL);
    for (unsigned i = 0; i < TEAM; i++) {
        member *m = &t->members[i];
        m->team = t;
        m->number = i;
        snprintf(m->id, sizeof m->id, "team-%u", i);
        loom_agent_options options = {
            .id = m->id, .url = url, .topics = topics, .on_event = on_event, .on_error = on_error, .user = m};
        must(loom_agent_open(&m->agent, &options), "open");
    }
    for (unsigned i = 0; i < TEAM; i++) {
        must(loom_agent_wait_connected(t->members[i].agent, WAIT_MS), "connect");
    }
}

/* Requests, barriers, threads and the like that are not over. */
static size_t open_parts(const team *t)
{
    size_t sum = 0;
    for (size_t i = 0; i < TEAM; i++) {
        sum += t->members[i].agent != NULL ? loom_agent_collaboration(t->members[i].agent).open : 0;
    }
    return sum;
}

static bool nothing_is_open(team *t)
{
    return open_parts(t) == 0;
}

static void expect_nothing_odd(team *t)
{
    size_t failed = 0;
    wait_for(t, nothing_is_open);
    for (size_t i = 0; i < TEAM; i++) {
        failed += t->members[i].agent != NULL ? loom_agent_get_stats(t->members[i].agent).failed : 0;
    }
    expect(t, "open", open_parts(t), 0);
    expect(t, "failed_handlers", failed, 0);
    pthread_mutex_lock(&t->lock);
    expect(t, "errors", t->errors, 0);
    pthread_mutex_unlock(&t->lock);
}

static void close_team(team *t)
{
    for (size_t i = 0; i < TEAM; i++) {
        must(loom_agent_close(t->members[i].agent), "close");
    }
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
}

static const struct scenario {
    const char *name;
    void (*run)(team *t);
} scenarios[] = {{"barrier", run_barrier},   {"barrier-in-handlers", run_barrier_in_handlers},
                 {"contract", run_contract}, {"contract-in-handler", run_contract_in_handler},
                 {"thread", run_thread},     {"ping-pong", run_ping_pong}};

int main(int argc, char *argv[])
{
    team t = {.right = true};
    const struct scenario *scenario = NULL;
    for (size_t i = 0; argc == 3 && i < sizeof scenarios / sizeof *scenarios; i++) {
        scenario = strcmp(argv[2], scenarios[i].name) == 0 ? &scenarios[i] : scenario;
    }
    if (scenario == NULL) {
        return 2;
    }
    open_team(&t, argv[1]);
    scenario->run(&t);
    expect_nothing_odd(&t);
    puts("done");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    close_team(&t);
    return t.right ? 0 : 1;
}
