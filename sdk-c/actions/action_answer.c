/* SPDX-License-Identifier: Apache-2.0 */
/* What a provider says about a call: progress, chunks, and the one answer. Dropping the last reference without having
 * answered is an answer, too. Any thread. */
#include "sdk-c/actions/action.h"
#include "sdk-c/agent/waiting.h"

#include "base/last_error.h"
#include "base/str.h"
#include "base/utf8.h"

static loom_bytes id_of(const loom_action *act)
{
    return act->id.node.key;
}

/* Lock held: whether anything can still be said about the call. */
static loom_status check_open(const loom_agent *a, const loom_action *act)
{
    if (act->answered) {
        return LOOM_EEXIST;
    }
    return act->connection == a->session.connection && a->loop.out.up ? LOOM_OK : LOOM_ENOTCONN;
}

/* Lock held. */
static loom_status put_answer(loom_agent *a, loom_action *act, const frame_result *result)
{
    loom_status st = check_open(a, act);
    if (st != LOOM_OK) {
        return st;
    }
    if (result->payload.len > a->session.max_payload) {
        return LOOM_ETOOBIG;
    }
    if ((st = frame_put_result(&a->loop.out.control, result)) == LOOM_OK) {
        act->answered = true;
        action_delist(a, act);
        loop_write_soon(&a->loop, clock_unix_ns());
    }
    return st;
}

loom_status action_answer(loom_action *act, loom_outcome outcome, loom_str code, loom_str text, loom_bytes payload)
{
    frame_result result = {.call_id = id_of(act),
                           .outcome = outcome,
                           .code = utf8_cut(code, FRAME_TEXT_MAX),
                           .text = utf8_cut(text, FRAME_TEXT_MAX),
                           .payload = payload};
    loom_status st = LOOM_ENOTCONN;
    loom_agent *a = action_home_enter(act->home);
    if (a != NULL) {
        pthread_mutex_lock(&a->loop.lock);
        st = put_answer(a, act, &result);
        pthread_mutex_unlock(&a->loop.lock);
        action_home_leave(act->home);
    }
    if (st == LOOM_OK) {
        action_end_span(act, outcome, code, text);
    } else if (st == LOOM_ENOTCONN) {
        const call_end_facts *gone = call_end_facts_of(CALL_END_SESSION_GONE);
        action_end_span(act, gone->outcome, gone->code, gone->text);
    }
    return st;
}

/* LOOM_EINVAL.  LOOM_ECLOSED: the call came to the process that this one was forked from. */
static loom_status check_action(const loom_action *act, loom_bytes payload)
{
    if (act == NULL) {
        return last_error_null("the action");
    }
    if (payload.len > 0 && payload.data == NULL) {
        return last_error(LOOM_EINVAL, "the payload has a length of %zu bytes and no data", payload.len);
    }
    return fork_mark_is_foreign(act->home->mark) ? LOOM_ECLOSED : LOOM_OK;
}

/* Nobody has answered, and nobody can any more. */
static void give_up(loom_action *act)
{
    bool cancelled = atomic_load(&act->cancelled);
    const call_end_facts *end = call_end_facts_of(cancelled ? CALL_END_CANCELLED_DROPPED : CALL_END_DROPPED);
    if (action_answer(act, end->outcome, end->code, end->text, (loom_bytes){0}) != LOOM_OK) {
        action_end_span(act, end->outcome, end->code, end->text);
    }
    loom_agent *a = action_home_enter(act->home);
    if (a != NULL) {
        pthread_mutex_lock(&a->loop.lock);
        action_delist(a, act);
        pthread_mutex_unlock(&a->loop.lock);
        action_home_leave(act->home);
    }
}

void loom_action_unref(loom_action *act)
{
    if (act == NULL || atomic_fetch_sub_explicit(&act->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (fork_mark_is_foreign(act->home->mark)) {
        return; /* the parent has it, and answers */
    }
    if (!act->answered) {
        give_up(act);
    }
    action_free(act);
}

loom_status loom_action_reply(loom_action *act, loom_bytes payload)
{
    loom_status st = check_action(act, payload);
    if (st != LOOM_OK) {
        return st;
    }
    char problem[LOOM_SCHEMA_PROBLEM_SIZE];
    if (act->chunks == 0 && !schema_allows(act->cap->schemas.output, payload, problem)) {
        return last_error(LOOM_EINVAL, "output_schema of capability \"%.100s\" does not allow the reply: %s",
                          act->cap->about.name.data, problem);
    }
    return action_answer(act, LOOM_OUTCOME_OK, (loom_str){0}, (loom_str){0}, payload);
}

loom_status loom_action_fail(loom_action *act, const char *code, const char *text)
{
    loom_status st = check_action(act, (loom_bytes){0});
    if (st != LOOM_OK || code == NULL) {
        return st != LOOM_OK ? st : last_error_null("the code");
    }
    return action_answer(act, LOOM_OUTCOME_ERROR, str_of(code), str_of(text), (loom_bytes){0});
}

/* Lock held. */
static loom_status put_report(loom_agent *a, loom_action *act, frame_report_kind kind, loom_bytes payload)
{
    uint64_t *count = kind == FRAME_CHUNK ? &act->chunks : &act->reports;
    if (a->loop.out.control.len + payload.len > a->loop.out.limit) {
        return LOOM_EFULL; /* the kernel takes no more, and reports are not worth all memory */
    }
    frame_report report = {.call_id = id_of(act), .kind = kind, .number = *count, .payload = payload};
    loom_status st = frame_put_report(&a->loop.out.control, &report);
    if (st == LOOM_OK) {
        ++*count;
        act->chunk_bytes += kind == FRAME_CHUNK ? payload.len : 0;
        loop_write_soon(&a->loop, clock_unix_ns()); /* last: it gives up the lock, and another thread may report meanwhile */
    }
    return st;
}

loom_status loom_action_progress(loom_action *act, loom_bytes payload)
{
    loom_status st = check_action(act, payload);
    if (st != LOOM_OK) {
        return st;
    }
    loom_agent *a = action_home_enter(act->home);
    if (a == NULL) {
        return LOOM_ENOTCONN;
    }
    pthread_mutex_lock(&a->loop.lock);
    st = check_open(a, act);
    if (st == LOOM_OK) {
        st = payload.len > a->session.max_payload ? LOOM_ETOOBIG : put_report(a, act, FRAME_PROGRESS, payload);
    }
    pthread_mutex_unlock(&a->loop.lock);
    action_home_leave(act->home);
    return st;
}

/* ---- chunks ---- */

/* Lock held. LOOM_EFULL: no credit yet. */
static loom_status put_chunk(loom_agent *a, loom_action *act, loom_bytes payload)
{
    loom_status st = check_open(a, act);
    if (st != LOOM_OK) {
        return st;
    }
    if (atomic_load(&act->cancelled)) {
        return LOOM_ECANCELED;
    }
    if (payload.len > a->session.max_payload) {
        return LOOM_ETOOBIG;
    }
    if (act->chunks >= act->credit_chunks || act->chunk_bytes >= act->credit_bytes) {
        return LOOM_EFULL;
    }
    return put_report(a, act, FRAME_CHUNK, payload);
}

typedef struct chunk_wait {
    loom_agent *agent;
    loom_action *act;
    loom_bytes payload;
    loom_status st;
} chunk_wait;

static bool chunk_is_put(void *user)
{
    chunk_wait *w = user;
    w->st = put_chunk(w->agent, w->act, w->payload);
    return w->st != LOOM_EFULL;
}

loom_status loom_action_chunk(loom_action *act, loom_bytes payload, uint32_t timeout_ms)
{
    loom_status checked = check_action(act, payload);
    if (checked != LOOM_OK || !act->streams) {
        return checked != LOOM_OK ? checked : last_error(LOOM_EINVAL, "the caller accepts no chunks");
    }
    loom_agent *a = action_home_enter(act->home);
    if (a == NULL) {
        return LOOM_ENOTCONN;
    }
    chunk_wait wait = {a, act, payload, LOOM_EFULL};
    pthread_mutex_lock(&a->loop.lock);
    bool put = chunk_is_put(&wait);
    pthread_mutex_unlock(&a->loop.lock);
    if (!put && timeout_ms > 0) {
        loom_status st = agent_wait_for(a, chunk_is_put, &wait, clock_monotonic_ns() + timeout_ms * MS_NS);
        wait.st = st == LOOM_OK ? wait.st : st == LOOM_ECLOSED ? LOOM_ENOTCONN : st == LOOM_ENOMEM ? st : LOOM_EFULL;
    }
    action_home_leave(act->home);
    return wait.st;
}
