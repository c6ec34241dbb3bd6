/* SPDX-License-Identifier: Apache-2.0 */
/* Asking many at once: an exchange for each topic, a call for each capability, one join for their answers.
 *
 * A fan-out ends with its function, but the outcome of a call that was given up arrives later: its asked_call belongs to the
 * loop, and is detached before. Guard: the loop's lock. */
#include <stdlib.h>
#include <string.h>

#include <loom/topic.h>

#include "base/str.h"
#include "sdk-c/actions/result.h"
#include "sdk-c/agent/current.h"
#include "sdk-c/collaboration/joining.h"

typedef struct fanout fanout;

typedef struct asked_call {
    fanout *of;      /* NULL: nobody waits any more */
    size_t target;
    uint64_t number;
} asked_call;

typedef struct asked {
    exchange x;      /* first; of a topic */
    asked_call *call; /* of a capability; NULL: it has ended, or never began */
    fanout *of;
    size_t target;
} asked;

struct fanout {
    const loom_target *targets;
    size_t count;
    loom_bytes payload;
    const loom_join_rule *rule;
    const loom_request_options *options;
    bool one_topic;  /* every responder contributes */
    uint64_t deadline_ns;
    asked *asked;
    join *join;
    size_t sent;
    loom_status failure; /* there was no memory for an answer */
    bool over;
    loom_join_outcome outcome;
};

/* ---- answers ---- */

/* Lock held. Whether it was accepted, which consumes its result. */
static bool contribute(loom_agent *a, fanout *f, loom_str source, size_t target, loom_status status, loom_envelope *event,
                       loom_result *result)
{
    if (f->over || f->failure != LOOM_OK) {
        return false;
    }
    loom_status st = join_add(f->join, source, target, status, event, result);
    if (st != LOOM_OK) {
        f->failure = st;
    } else {
        f->over = join_tally_over(&f->join->tally, &f->outcome);
    }
    loop_changed(&a->loop);
    return st == LOOM_OK;
}

static void on_answer(loom_agent *a, exchange *x, loom_envelope *event)
{
    asked *from = (asked *)x;
    fanout *f = from->of;
    loom_str source = loom_envelope_sender(event);
    if (source.len == 0) {
        source.data = "";
    }
    if (!join_source_counts(f->rule->sources, source) || (f->one_topic && join_has_source(f->join, source))) {
        f->join->joined.ignored += !f->over;
        return;
    }
    (void)contribute(a, f, source, from->target, LOOM_OK, event, NULL);
    if (!f->one_topic) {
        exchange_close(a, x, false);
    }
}

static void on_nobody(loom_agent *a, exchange *x, uint64_t found)
{
    const asked *from = (const asked *)x;
    fanout *f = from->of;
    const loom_str source = str_of(f->targets[from->target].topic);
    if (found > 0 || f->one_topic || !join_source_counts(f->rule->sources, source)) {
        return;
    }
    (void)contribute(a, f, source, from->target, LOOM_ENORESPONDERS, NULL, NULL);
    exchange_close(a, x, false);
}

static void on_result(loom_agent *a, loom_result *result, void *user)
{
    asked_call *call = user;
    bool taken = false;
    pthread_mutex_lock(&a->loop.lock);
    fanout *f = call->of;
    if (f != NULL) {
        loom_str source = str_of(f->targets[call->target].capability);
        f->asked[call->target].call = NULL;
        if (!join_source_counts(f->rule->sources, source)) {
            f->join->joined.ignored++;
        } else if (clock_monotonic_ns() < f->deadline_ns) { /* its deadline is that of the join, which tells it better */
            taken = contribute(a, f, source, call->target, outcome_status(loom_result_outcome(result)), NULL, result);
        }
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (!taken) {
        loom_result_free(result);
    }
    free(call);
}

/* ---- asking ---- */

static loom_status ask_topic(loom_agent *a, fanout *f, size_t i, loom_bytes payload)
{
    const loom_emit_options emit = emit_options_of(f->options);
    exchange *x = &f->asked[i].x;
    exchange_address address;
    x->take = on_answer;
    x->matched = on_nobody;
    pthread_mutex_lock(&a->loop.lock);
    loom_status st = exchange_open(a, x, NULL);
    if (st == LOOM_OK) {
        address = exchange_address_of(a, x);
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (st != LOOM_OK) {
        return st;
    }
    st = exchange_emit(a, &address, f->targets[i].topic, payload, &emit);
    pthread_mutex_lock(&a->loop.lock);
    a->collaboration->stats.requests += st == LOOM_OK;
    if (st != LOOM_OK) {
        exchange_close(a, x, false);
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

/* Rounded up: what times out there does so after the join. */
static uint32_t ms_left(uint64_t deadline_ns)
{
    uint64_t now = clock_monotonic_ns();
    return deadline_ns > now ? (uint32_t)((deadline_ns - now) / MS_NS) + 1 : 1;
}

static loom_status ask_capability(loom_agent *a, fanout *f, size_t i, loom_bytes payload)
{
    const loom_request_options *o = f->options;
    asked_call *call = malloc(sizeof *call);
    if (call == NULL) {
        return LOOM_ENOMEM;
    }
    *call = (asked_call){.of = f, .target = i};
    f->asked[i].call = call;
    loom_status st = loom_agent_invoke_async(a, f->targets[i].capability, payload,
                                             &(loom_invoke_options){.deadline_ms = ms_left(f->deadline_ns),
                                                                    .type = o->type,
                                                                    .thread_id = o->thread_id,
                                                                    .content_type = o->content_type,
                                                                    .baggage = o->baggage,
                                                                    .headers = o->headers,
                                                                    .header_count = o->header_count},
                                             on_result, call, &call->number);
    if (st != LOOM_OK) {
        f->asked[i].call = NULL;
        free(call);
    }
    return st;
}

/* LOOM_OK when at least one could be asked. */
static loom_status ask_all(loom_agent *a, fanout *f)
{
    loom_status first = LOOM_OK;
    for (size_t i = 0; i < f->count; i++) {
        const loom_target *target = &f->targets[i];
        loom_bytes payload = target->payload.data != NULL ? target->payload : f->payload;
        loom_status st = target->topic != NULL ? ask_topic(a, f, i, payload) : ask_capability(a, f, i, payload);
        f->sent += st == LOOM_OK;
        if (st != LOOM_OK) {
            first = first != LOOM_OK ? first : st;
            const char *name = target->topic != NULL ? target->topic : target->capability;
            pthread_mutex_lock(&a->loop.lock);
            (void)contribute(a, f, str_of(name), i, st, NULL, NULL);
            pthread_mutex_unlock(&a->loop.lock);
        }
    }
    return f->sent > 0 ? LOOM_OK : first;
}

/* ---- waiting ---- */

static bool is_connected(void *user)
{
    return ((const loom_agent *)user)->session.state == LOOM_AGENT_CONNECTED;
}

/* Calls need no mailbox, which might be refused. */
static loom_status wait_ready(loom_agent *a, const fanout *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->targets[i].topic != NULL) {
            return collaboration_wait_ready(a, f->deadline_ns);
        }
    }
    loom_status st = agent_wait_for(a, is_connected, a, f->deadline_ns);
    return st == LOOM_ETIMEDOUT ? LOOM_ENOTCONN : st;
}

static bool is_over(void *user)
{
    const fanout *f = user;
    return f->over || f->failure != LOOM_OK;
}

/* Nothing points to the fan-out any more. */
static void let_go(loom_agent *a, fanout *f)
{
    bool timed_out = f->over && f->outcome == LOOM_JOIN_TIMEOUT;
    for (size_t i = 0; i < f->count; i++) {
        uint64_t number = 0;
        pthread_mutex_lock(&a->loop.lock);
        exchange_close(a, &f->asked[i].x, timed_out);
        if (f->asked[i].call != NULL) {
            number = f->asked[i].call->number;
            f->asked[i].call->of = NULL;
        }
        pthread_mutex_unlock(&a->loop.lock);
        if (number != 0) {
            (void)loom_agent_cancel(a, number, "its answer is not needed any more"); /* or it has just ended */
        }
    }
}

static loom_status run(loom_agent *a, fanout *f)
{
    loom_status st = agent_may_wait(a);
    if (st != LOOM_OK || (st = wait_ready(a, f)) != LOOM_OK) {
        return st;
    }
    st = ask_all(a, f);
    if (st == LOOM_OK) {
        st = agent_wait_for(a, is_over, f, f->deadline_ns);
    }
    pthread_mutex_lock(&a->loop.lock);
    if (st == LOOM_ETIMEDOUT && f->sent > 0) {
        f->outcome = f->over ? f->outcome : LOOM_JOIN_TIMEOUT;
        f->over = true;
        st = LOOM_OK;
    }
    st = st == LOOM_OK ? f->failure : st;
    pthread_mutex_unlock(&a->loop.lock);
    let_go(a, f);
    return st;
}

/* ---- all of it ---- */

static loom_status check(const loom_agent *a, const loom_target *targets, size_t count, loom_bytes payload,
                         const loom_join_rule *rule)
{
    loom_status st = agent_check_payload(a, payload);
    if (st != LOOM_OK || rule == NULL) {
        return st != LOOM_OK ? st : last_error_null("the join rule");
    }
    if (targets == NULL || count == 0) {
        return last_error(LOOM_EINVAL, "there are no targets");
    }
    if (count > LOOM_CONTRIBUTIONS_MAX) {
        return last_error(LOOM_EFULL, "there are %zu targets, and at most %u are allowed", count, LOOM_CONTRIBUTIONS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const loom_target *t = &targets[i];
        const char *name = t->topic != NULL ? t->topic : t->capability, *reason = "it has no name";
        if ((t->topic != NULL) == (t->capability != NULL)) {
            return last_error(LOOM_EINVAL, "target %zu is not either a topic or a capability", i);
        }
        if ((t->payload.len > 0 && t->payload.data == NULL) || loom_topic_check(str_of(name), &reason) != LOOM_OK) {
            return last_error(LOOM_EINVAL, "target %zu, \"%.100s\": %s", i, name,
                              t->payload.len > 0 && t->payload.data == NULL ? "its payload has no data" : reason);
        }
    }
    return LOOM_OK;
}

/* In a handler of a call, what is left of that is all there is. */
static uint64_t deadline_of(const loom_join_rule *rule)
{
    uint64_t deadline = deadline_in(rule->deadline_ms, WAIT_DEFAULT_MS), limit = current_get().deadline_ns;
    return limit != 0 && limit < deadline ? limit : deadline;
}

static loom_status fan_out(loom_agent *a, fanout *f, loom_joined **out)
{
    current_span span = fanout_span_begin(a, f->count);
    loom_status st = join_set_parent(f->join, NULL, NULL);
    if (st == LOOM_OK) {
        st = run(a, f);
    }
    if (st == LOOM_OK) {
        *out = join_finish(f->join, f->outcome);
        current_span joined = join_span_begin(a, f->join);
        current_span_end(&joined);
        f->join = NULL;
    } else {
        loom_span_record_error(span.span, loom_status_name(st), loom_status_text(st));
    }
    current_span_end(&span);
    return st;
}

loom_status loom_agent_fanout(loom_agent *a, const loom_target *targets, size_t count, loom_bytes payload,
                              const loom_join_rule *rule, const loom_request_options *options, loom_joined **out)
{
    static const loom_request_options none;
    join_tally tally;
    if (out == NULL) {
        return last_error_null("the place for what is joined");
    }
    *out = NULL;
    loom_status st = check(a, targets, count, payload, rule);
    if (st != LOOM_OK) {
        return st;
    }
    bool one_topic = count == 1 && targets[0].topic != NULL;
    if (join_tally_init(&tally, rule, one_topic ? join_source_count(rule->sources) : count) != LOOM_OK) {
        return LOOM_EINVAL;
    }
    fanout f = {.targets = targets,
                .count = count,
                .payload = payload,
                .rule = rule,
                .options = options != NULL ? options : &none,
                .one_topic = one_topic,
                .deadline_ns = deadline_of(rule),
                .asked = calloc(count, sizeof(asked)),
                .join = join_create((loom_str){0}, &tally)};
    if (f.asked == NULL || f.join == NULL) {
        free(f.asked);
        join_free(f.join);
        return LOOM_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        f.asked[i].of = &f;
        f.asked[i].target = i;
    }
    loop_guest_enter(&a->loop);
    st = fan_out(a, &f, out);
    loop_guest_leave(&a->loop);
    free(f.asked);
    join_free(f.join);
    return st;
}
