/* SPDX-License-Identifier: Apache-2.0 */
/* Random work on the broker and on a model of it that is as plain as can be; both must agree after each step. */
#include <stdlib.h>

#include "tests/unit/broker/action_fixture.h"

enum {
    PARTIES = 5,
    AGENTS = 4, /* the first two parties are of the same agent */
    NAMES = 2,
    VERSIONS = 2,
    IDS = 6, /* the last one: none, the broker gives it */
    NO_ID = IDS - 1,
    CALLS_MAX = 64,
    WAITERS_MAX = 64,
    PENDING_MAX = 7,
    CACHE_MAX = 4,
    DEADLINE_MS = 100,
    TTL_MS = 80,
    STEPS = 60000
};

typedef struct model_waiter {
    int party;
    uint64_t granted; /* chunks */
} model_waiter;

typedef struct model_call {
    bool open, idempotent, streams;
    int agent, id, name, version; /* version: -1: any */
    int provider;
    uint64_t ref, ends_ms, idle_ms, at_ms;
    uint64_t credit, used;
    uint32_t attempts;
    model_waiter waiters[WAITERS_MAX];
    int waiter_count;
} model_call;

typedef struct model_cached {
    int agent, id, name, version;
    uint64_t expires_ms;
} model_cached;

typedef struct tally {
    uint64_t results[IDS][ACTION_OUTCOMES];
    uint64_t requests, cancels, progresses;
} tally;

typedef struct model {
    bool offered[PARTIES][NAMES][VERSIONS];
    uint64_t used[PARTIES][NAMES][VERSIONS]; /* when */
    model_call calls[CALLS_MAX];
    model_cached cache[CACHE_MAX]; /* the oldest first */
    int cache_count;
    tally party[PARTIES];
    uint64_t clock, last_ref, now_ms, late, invalid;
} model;

typedef struct world {
    loop_clock clock;
    actionbroker *broker;
    action_party *handles[PARTIES];
    tally seen[PARTIES];
    model model;
    uint64_t random;
} world;

static const char *const agent_names[AGENTS] = {"a", "b", "c", "d"};
static const char *const names[NAMES] = {"x", "y"};
static const char *const versions[VERSIONS] = {"1", "2"};

static int agent_of(int party)
{
    return party == 0 ? 0 : party - 1;
}

static uint32_t pick(world *w, uint32_t below)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(w->random >> 33) % below;
}

/* ---- the model ---- */

static uint32_t outstanding(const model *m, int party)
{
    uint32_t count = 0;
    for (int i = 0; i < CALLS_MAX; i++) {
        count += m->calls[i].open && m->calls[i].provider == party;
    }
    return count;
}

static uint32_t pending(const model *m, int party)
{
    uint32_t count = 0;
    for (int i = 0; i < CALLS_MAX; i++) {
        for (int j = 0; m->calls[i].open && j < m->calls[i].waiter_count; j++) {
            count += party < 0 || m->calls[i].waiters[j].party == party;
        }
    }
    return count;
}

static bool is_offered(const model *m, int name, int version)
{
    for (int p = 0; p < PARTIES; p++) {
        if (m->offered[p][name][version]) {
            return true;
        }
    }
    return false;
}

/* -1: nobody. */
static int choose(model *m, int name, int version)
{
    for (int v = VERSIONS - 1; version < 0 && v >= 0; v--) {
        version = is_offered(m, name, v) ? v : -1;
    }
    int best = -1;
    for (int p = 0; version >= 0 && p < PARTIES; p++) {
        if (!m->offered[p][name][version]) {
            continue;
        }
        if (best < 0 || outstanding(m, p) < outstanding(m, best) ||
            (outstanding(m, p) == outstanding(m, best) && m->used[p][name][version] < m->used[best][name][version])) {
            best = p;
        }
    }
    if (best >= 0) {
        m->used[best][name][version] = ++m->clock;
    }
    return best;
}

static void model_attempt(model *m, model_call *c, int provider)
{
    c->provider = provider;
    c->ref = ++m->last_ref;
    c->attempts++;
    c->at_ms = c->idle_ms > 0 && m->now_ms + c->idle_ms < c->ends_ms ? m->now_ms + c->idle_ms : c->ends_ms;
    m->party[provider].requests++;
}

static void model_end(model *m, model_call *c, frame_call_outcome outcome)
{
    for (int i = 0; i < c->waiter_count; i++) {
        m->party[c->waiters[i].party].results[c->id][outcome]++;
    }
    c->open = false;
    if (outcome == FRAME_CALL_OK && c->used == 0) {
        if (m->cache_count == CACHE_MAX) {
            m->cache_count--;
            memmove(m->cache, m->cache + 1, (size_t)m->cache_count * sizeof m->cache[0]);
        }
        m->cache[m->cache_count++] = (model_cached){c->agent, c->id, c->name, c->version, m->now_ms + TTL_MS};
    }
}

static void model_abort(model *m, model_call *c, frame_call_outcome outcome)
{
    m->party[c->provider].cancels++;
    model_end(m, c, outcome);
}

static void model_expire_cache(model *m)
{
    while (m->cache_count > 0 && m->cache[0].expires_ms <= m->now_ms) {
        m->cache_count--;
        memmove(m->cache, m->cache + 1, (size_t)m->cache_count * sizeof m->cache[0]);
    }
}

static model_call *model_find(model *m, int agent, int id)
{
    for (int i = 0; id != NO_ID && i < CALLS_MAX; i++) {
        if (m->calls[i].open && m->calls[i].agent == agent && m->calls[i].id == id) {
            return &m->calls[i];
        }
    }
    return NULL;
}

static void model_begin(model *m, int party, const model_call *asked)
{
    tally *caller = &m->party[party];
    if (pending(m, party) >= PENDING_MAX) {
        caller->results[asked->id][FRAME_CALL_DENIED]++;
        return;
    }
    const int provider = choose(m, asked->name, asked->version);
    if (provider < 0) {
        caller->results[asked->id][FRAME_CALL_NO_RESPONDERS]++;
        return;
    }
    int free_call = 0;
    while (m->calls[free_call].open) {
        free_call++;
        assert_true(free_call < CALLS_MAX);
    }
    model_call *c = &m->calls[free_call];
    *c = *asked;
    c->open = true;
    c->waiters[c->waiter_count++] = (model_waiter){party, 0};
    model_attempt(m, c, provider);
}

static void model_invoke(model *m, int party, const model_call *asked)
{
    tally *caller = &m->party[party];
    model_call *running = model_find(m, asked->agent, asked->id);
    if (running != NULL && running->at_ms <= m->now_ms) {
        model_abort(m, running, FRAME_CALL_TIMEOUT);
        running = NULL;
    }
    if (running != NULL) {
        if (running->name != asked->name || running->version != asked->version || pending(m, party) >= PENDING_MAX) {
            caller->results[asked->id][FRAME_CALL_DENIED]++;
        } else {
            assert_true(running->waiter_count < WAITERS_MAX);
            running->waiters[running->waiter_count++] = (model_waiter){party, 0};
        }
        return;
    }
    model_expire_cache(m);
    for (int i = 0; asked->id != NO_ID && i < m->cache_count; i++) {
        const model_cached *cached = &m->cache[i];
        if (cached->agent == asked->agent && cached->id == asked->id) {
            const bool same = cached->name == asked->name && cached->version == asked->version;
            caller->results[asked->id][same ? FRAME_CALL_OK : FRAME_CALL_DENIED]++;
            return;
        }
    }
    model_begin(m, party, asked);
}

/* NULL: what is said comes too late. */
static model_call *model_attempt_of(model *m, int party, uint64_t ref)
{
    for (int i = 0; i < CALLS_MAX; i++) {
        model_call *c = &m->calls[i];
        if (c->open && c->ref == ref && c->provider == party) {
            if (c->at_ms > m->now_ms) {
                return c;
            }
            model_abort(m, c, FRAME_CALL_TIMEOUT);
        }
    }
    m->late++;
    return NULL;
}

static void model_pass_credit(model_call *c)
{
    if (c->streams && c->waiters[0].granted > c->credit) {
        c->credit = c->waiters[0].granted;
    }
}

static void model_take_out(model_call *c, int waiter)
{
    c->waiter_count--;
    memmove(&c->waiters[waiter], &c->waiters[waiter + 1], (size_t)(c->waiter_count - waiter) * sizeof c->waiters[0]);
}

/* As a caller. count: results for it, too. Returns whether it waited. */
static bool model_leave_call(model *m, model_call *c, int party, bool count)
{
    bool waited = false;
    for (int i = c->waiter_count; i-- > 0;) {
        if (c->waiters[i].party == party) {
            m->party[party].results[c->id][FRAME_CALL_CANCELLED] += count;
            model_take_out(c, i);
            waited = true;
        }
    }
    if (waited && c->waiter_count == 0) {
        model_abort(m, c, FRAME_CALL_CANCELLED);
    } else if (waited) {
        model_pass_credit(c);
    }
    return waited;
}

static void model_lose_provider(model *m, model_call *c)
{
    c->provider = -1;
    if (c->at_ms <= m->now_ms) {
        model_end(m, c, FRAME_CALL_TIMEOUT);
        return;
    }
    int provider = -1;
    if (c->idempotent && c->used == 0 && c->attempts < ACTION_ATTEMPTS_MAX) {
        provider = choose(m, c->name, c->version);
    }
    if (provider < 0) {
        model_end(m, c, FRAME_CALL_ERROR);
    } else {
        model_attempt(m, c, provider);
    }
}

static void model_close(model *m, int party)
{
    const uint64_t cancels = m->party[party].cancels;
    memset(m->offered[party], 0, sizeof m->offered[party]);
    for (;;) {
        model_call *oldest = NULL; /* the oldest attempt moves on first */
        for (int i = 0; i < CALLS_MAX; i++) {
            model_call *c = &m->calls[i];
            if (c->open && c->provider == party && (oldest == NULL || c->ref < oldest->ref)) {
                oldest = c;
            }
        }
        if (oldest == NULL) {
            break;
        }
        (void)model_leave_call(m, oldest, party, false);
        if (oldest->open) {
            model_lose_provider(m, oldest);
        }
    }
    for (int i = 0; i < CALLS_MAX; i++) {
        if (m->calls[i].open) {
            (void)model_leave_call(m, &m->calls[i], party, false);
        }
    }
    m->party[party].cancels = cancels; /* it hears nothing of its own end */
}

/* ---- what the broker says ---- */

static void on_request(void *user, const action_request *request)
{
    (void)request;
    ((tally *)user)->requests++;
}

static void on_cancel(void *user, uint64_t ref, loom_str reason)
{
    (void)ref;
    (void)reason;
    ((tally *)user)->cancels++;
}

static void on_result(void *user, loom_bytes call_id, const action_result *result)
{
    ((tally *)user)->results[call_id.len == 1 ? call_id.data[0] - '0' : NO_ID][result->outcome]++;
}

static void on_progress(void *user, loom_bytes call_id, action_progress_kind kind, uint64_t number, loom_bytes payload)
{
    (void)call_id;
    (void)kind;
    (void)number;
    (void)payload;
    ((tally *)user)->progresses++;
}

static void open_party(world *w, int party)
{
    static const action_handlers handlers = {.request = on_request, .cancel = on_cancel, .result = on_result, .progress = on_progress};
    assert_status(LOOM_OK, action_party_open(w->broker, &w->handles[party], &handlers, &w->seen[party],
                                             str_of(agent_names[agent_of(party)])));
}

/* ---- steps ---- */

static void step_invoke(world *w)
{
    const int party = (int)pick(w, PARTIES);
    model_call asked = {
        .agent = agent_of(party),
        .id = (int)pick(w, IDS),
        .name = (int)pick(w, 8) == 0,
        .version = (int)pick(w, 6) == 0 ? (int)pick(w, VERSIONS) : -1,
        .idempotent = pick(w, 2) == 0,
        .streams = pick(w, 2) == 0,
        .idle_ms = pick(w, 2) == 0 ? 0 : 10 + pick(w, 50),
    };
    const uint64_t deadline_ms = pick(w, 3) == 0 ? 0 : 1 + pick(w, 2 * DEADLINE_MS);
    asked.ends_ms = w->model.now_ms + (deadline_ms == 0 || deadline_ms > DEADLINE_MS ? DEADLINE_MS : deadline_ms);
    model_invoke(&w->model, party, &asked);

    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t")}));
    uint8_t wire[256];
    envelope_view view = *envelope_as_view(env);
    memcpy(wire, view.data, view.len);
    view.data = wire;
    loom_envelope_unref(env);
    const uint8_t id = (uint8_t)('0' + asked.id);
    assert_status(LOOM_OK, action_invoke(w->handles[party], &(action_call){
        .call_id = {&id, asked.id == NO_ID ? 0 : 1},
        .capability = str_of(names[asked.name]),
        .version = str_of(asked.version < 0 ? "" : versions[asked.version]),
        .deadline_ms = deadline_ms,
        .idle_ms = asked.idle_ms,
        .idempotent = asked.idempotent,
        .streams = asked.streams}, &view, wire, NULL, NULL));
}

/* Mostly of a call that runs; otherwise of one that does not, or for somebody else. */
static uint64_t pick_ref(world *w, int *party)
{
    const model_call *c = &w->model.calls[pick(w, CALLS_MAX)];
    for (int i = 0; i < CALLS_MAX && !c->open; i++) {
        c = &w->model.calls[i];
    }
    if (pick(w, 8) == 0 || !c->open) {
        *party = (int)pick(w, PARTIES);
        return pick(w, 2) == 0 ? c->ref : pick(w, 1000);
    }
    *party = c->provider;
    return c->ref;
}

static void step_answer(world *w)
{
    model *m = &w->model;
    int party;
    const uint64_t ref = pick_ref(w, &party);
    const uint32_t dice = pick(w, 2 * ACTION_OUTCOMES);
    const frame_call_outcome outcome = dice > ACTION_OUTCOMES ? FRAME_CALL_OK : (frame_call_outcome)dice;
    loom_status expected = LOOM_ENOTFOUND;
    model_call *c = model_attempt_of(m, party, ref);
    if (c != NULL && (unsigned)outcome >= ACTION_OUTCOMES) {
        m->invalid++;
        model_end(m, c, FRAME_CALL_ERROR);
        expected = LOOM_EINVAL;
    } else if (c != NULL) {
        model_end(m, c, outcome);
        expected = LOOM_OK;
    }
    assert_status(expected, action_answer(w->handles[party], ref, &(action_result){.outcome = outcome, .payload = BYTES("r")}));
}

static void step_report(world *w)
{
    model *m = &w->model;
    int party;
    const uint64_t ref = pick_ref(w, &party);
    const bool chunk = pick(w, 2) == 0;
    loom_status expected = LOOM_ENOTFOUND;
    model_call *c = model_attempt_of(m, party, ref);
    const uint64_t number = c != NULL ? c->used + (pick(w, 12) == 0) : 0;
    if (c != NULL && chunk && (!c->streams || number != c->used || c->used >= c->credit || c->used >= c->waiters[0].granted)) {
        m->invalid++;
        expected = c->streams && number == c->used ? LOOM_EFULL : LOOM_EINVAL;
        if (c->streams) {
            model_abort(m, c, FRAME_CALL_ERROR);
        }
    } else if (c != NULL) {
        expected = LOOM_OK;
        c->used += chunk;
        c->at_ms = c->idle_ms > 0 && m->now_ms + c->idle_ms < c->ends_ms ? m->now_ms + c->idle_ms : c->ends_ms;
        m->party[c->waiters[0].party].progresses++;
    }
    assert_status(expected, action_report(w->handles[party], ref, chunk ? ACTION_CHUNK : ACTION_PROGRESS, number, BYTES("p")));
}

static bool model_waits(const model_call *c, int party)
{
    for (int i = 0; i < c->waiter_count; i++) {
        if (c->waiters[i].party == party) {
            return true;
        }
    }
    return false;
}

static void step_grant_or_cancel(world *w, bool cancel)
{
    const int party = (int)pick(w, PARTIES);
    const int id = (int)pick(w, NO_ID);
    const uint64_t chunks = pick(w, 6);
    model_call *c = model_find(&w->model, agent_of(party), id);
    bool found = false;
    if (c != NULL && c->at_ms <= w->model.now_ms && model_waits(c, party)) {
        model_abort(&w->model, c, FRAME_CALL_TIMEOUT);
        c = NULL;
    }
    if (c != NULL && cancel) {
        found = model_leave_call(&w->model, c, party, true);
    }
    for (int i = 0; c != NULL && !cancel && !found && i < c->waiter_count; i++) {
        if (c->waiters[i].party == party) {
            found = true;
            c->waiters[i].granted = chunks > c->waiters[i].granted ? chunks : c->waiters[i].granted;
            model_pass_credit(c);
        }
    }
    const uint8_t text = (uint8_t)('0' + id);
    const loom_bytes call_id = {&text, 1};
    assert_status(found ? LOOM_OK : LOOM_ENOTFOUND, cancel ? action_cancel(w->handles[party], call_id, STR("why"))
                                                           : action_grant(w->handles[party], call_id, chunks, 1000000));
}

static void step_provide(world *w, bool withdraw)
{
    model *m = &w->model;
    const int p = (int)pick(w, PARTIES), n = (int)pick(w, NAMES), v = (int)pick(w, VERSIONS);
    if (withdraw) {
        assert_status(m->offered[p][n][v] ? LOOM_OK : LOOM_ENOTFOUND,
                      action_withdraw(w->handles[p], str_of(names[n]), str_of(versions[v])));
    } else {
        assert_status(LOOM_OK, action_provide(w->handles[p], &(action_capability){.name = str_of(names[n]), .version = str_of(versions[v])}));
        if (!m->offered[p][n][v]) {
            m->used[p][n][v] = ++m->clock;
        }
    }
    m->offered[p][n][v] = !withdraw;
}

static void step_time(world *w)
{
    model *m = &w->model;
    m->now_ms += pick(w, 20);
    w->clock.now_ms = m->now_ms;
    if (pick(w, 3) == 0) {
        return; /* nobody looks at the deadlines yet */
    }
    for (int i = 0; i < CALLS_MAX; i++) {
        if (m->calls[i].open && m->calls[i].at_ms <= m->now_ms) {
            model_abort(m, &m->calls[i], FRAME_CALL_TIMEOUT);
        }
    }
    model_expire_cache(m);
    do { /* some at a time */
        actionbroker_expire(w->broker);
    } while (actionbroker_next_deadline_ms(w->broker) <= m->now_ms);
}

static void step_reopen(world *w)
{
    const int party = (int)pick(w, PARTIES);
    model_close(&w->model, party);
    action_party_close(w->handles[party]);
    open_party(w, party);
}

static void compare(world *w)
{
    const model *m = &w->model;
    const action_stats stats = actionbroker_get_stats(w->broker);
    assert_memory_equal(m->party, w->seen, sizeof w->seen);
    assert_int_equal(pending(m, -1), stats.pending);
    assert_int_equal(m->last_ref, stats.attempts);
    assert_int_equal(m->cache_count, stats.cache_entries);
    assert_int_equal(m->late, stats.late);
    assert_int_equal(m->invalid, stats.invalid);
    uint64_t next = m->cache_count > 0 ? m->cache[0].expires_ms : UINT64_MAX;
    uint32_t running = 0;
    for (int i = 0; i < CALLS_MAX; i++) {
        running += m->calls[i].open;
        next = m->calls[i].open && m->calls[i].at_ms < next ? m->calls[i].at_ms : next;
    }
    assert_int_equal(running, stats.running);
    assert_int_equal(next, actionbroker_next_deadline_ms(w->broker));
    assert_calls_conserved(w->broker);
}

static void run(uint64_t seed)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->random = seed;
    assert_status(LOOM_OK, actionbroker_create(&w->broker, &w->clock, &(actionbroker_options){
        .default_deadline_ms = DEADLINE_MS, .max_deadline_ms = DEADLINE_MS, .max_pending = PENDING_MAX,
        .cache_entries = CACHE_MAX, .cache_ttl_ms = TTL_MS, .first_ref = 1}));
    for (int p = 0; p < PARTIES; p++) {
        open_party(w, p);
    }
    for (int i = 0; i < STEPS; i++) {
        const uint32_t what = pick(w, 100);
        if (what < 38) {
            step_invoke(w);
        } else if (what < 58) {
            step_answer(w);
        } else if (what < 72) {
            step_report(w);
        } else if (what < 85) {
            step_grant_or_cancel(w, what >= 81);
        } else if (what < 92) {
            step_provide(w, what >= 90);
        } else if (what < 98) {
            step_time(w);
        } else {
            step_reopen(w);
        }
        compare(w);
    }
    for (int p = 0; p < PARTIES; p++) {
        action_party_close(w->handles[p]);
    }
    assert_int_equal(0, actionbroker_get_stats(w->broker).pending);
    assert_calls_conserved(w->broker);
    actionbroker_destroy(w->broker);
    free(w);
}

static void broker_does_what_its_model_does(void **state)
{
    (void)state;
    run(1);
    run(20240229);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broker_does_what_its_model_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
