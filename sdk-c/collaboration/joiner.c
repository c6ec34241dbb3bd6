/* SPDX-License-Identifier: Apache-2.0 */
/* Fan-in of events that were not asked for.
 *
 * Each key that is open has a join. All of them have the same deadline from their first contribution on, and so expire in the
 * order in which they were opened: a list, and one timer for the first of it. A key that is over gives its join away and
 * stays for a while, to know late contributions by.
 *
 * What is over waits in `done` for the loop, or is handed over at once by who completed it on the loop. Guard: the agent's
 * lock, for everything but what is fixed once open. on_joined runs on the loop, without it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes_table.h"
#include "base/str.h"
#include "sdk-c/agent/current.h"
#include "sdk-c/collaboration/joining.h"

#define MAX_OPEN_DEFAULT 1024u
#define REMEMBERED_DEFAULT 1024u

typedef struct joiner_key {
    bytes_node by_text;               /* first; its key is text */
    list_node node;                   /* of open, or of finished */
    join *join;                       /* NULL: finished */
    uint64_t deadline_ns;
    char text[];
} joiner_key;

typedef struct key_list {
    linked_list keys; /* the oldest first */
    size_t count;
} key_list;

struct loom_joiner {
    agent_timer timer; /* first: fire is given its address */
    /* fixed once open */
    loom_agent *agent;
    loom_on_joined on_joined;
    void *user;
    size_t max_open, remembered;
    uint64_t deadline_ns;             /* of each key, from its first contribution */
    join_tally tally;                 /* of a key without contributions */
    bool has_parent;
    loom_trace_context parent;
    char **sources;                   /* ended by NULL; NULL: everybody's count */

    /* guarded by the agent's lock */
    bytes_table keys;
    key_list open, finished;
    linked_list done;                      /* join: to be handed over */
    size_t done_count;
    bool armed;                       /* the timer is set, or about to fire */
    unsigned uses;                    /* the loop is in it */
    bool closed;
    bool loop_frees;                  /* closed by the loop while it was in it */
    loom_joiner_stats stats;
};

/* ---- keys ---- */

static joiner_key *find_key(const loom_joiner *j, loom_str text)
{
    return (joiner_key *)bytes_table_find(&j->keys, (loom_bytes){(const uint8_t *)text.data, text.len});
}

static void keys_add(key_list *list, joiner_key *key)
{
    list_append(&list->keys, &key->node);
    list->count++;
}

static void keys_remove(key_list *list, joiner_key *key)
{
    list_remove(&list->keys, &key->node);
    list->count--;
}

/* NULL: there is none. */
static joiner_key *oldest(const key_list *list)
{
    return list_item(list->keys.first, joiner_key, node);
}

/* Of no list any more. */
static void forget(loom_joiner *j, joiner_key *key)
{
    bytes_table_remove(&j->keys, &key->by_text);
    join_free(key->join);
    free(key);
}

/* Lock held. NULL: nothing is done. */
static join *take_done(loom_joiner *j)
{
    join *over = list_item(list_take_first(&j->done), join, node);
    j->done_count -= over != NULL;
    return over;
}

/* ---- the timer ---- */

static void on_timer(loom_agent *a, agent_timer *timer);

/* Lock held. For the first deadline, or for now when something is done. Earlier than needed does no harm. LOOM_ENOMEM only
 * when it was not armed. */
static loom_status arm(loom_joiner *j)
{
    const joiner_key *first = oldest(&j->open);
    if (j->done_count == 0 && first == NULL) {
        return LOOM_OK;
    }
    uint64_t at = j->done_count > 0 ? 1 : first->deadline_ns;
    if (j->armed && (!agent_timer_is_set(&j->timer) || j->timer.node.key <= at)) { /* not set: about to fire */
        return LOOM_OK;
    }
    loom_status st = loop_timer_set(&j->agent->loop, &j->timer, at);
    j->armed = j->armed || st == LOOM_OK;
    return st;
}

/* ---- opening and closing ---- */

static void free_sources(char **sources)
{
    for (size_t i = 0; sources != NULL && sources[i] != NULL; i++) {
        free(sources[i]);
    }
    free(sources);
}

static loom_status copy_sources(char ***out, const char *const *sources)
{
    *out = NULL;
    if (sources == NULL) {
        return LOOM_OK;
    }
    size_t count = join_source_count(sources);
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        if ((copy[i] = strdup(sources[i])) == NULL) {
            free_sources(copy);
            return LOOM_ENOMEM;
        }
    }
    *out = copy;
    return copy != NULL ? LOOM_OK : LOOM_ENOMEM;
}

static void free_list(loom_joiner *j, key_list *list)
{
    for (joiner_key *key; (key = oldest(list)) != NULL;) {
        keys_remove(list, key);
        forget(j, key);
    }
}

/* Nobody else has it. */
static void free_joiner(loom_joiner *j)
{
    free_list(j, &j->open);
    free_list(j, &j->finished);
    bytes_table_fini(&j->keys);
    for (join *over; (over = take_done(j)) != NULL;) {
        join_free(over);
    }
    free_sources(j->sources);
    free(j);
}

static bool is_closing(loom_agent *a)
{
    pthread_mutex_lock(&a->loop.lock);
    bool closing = a->loop.over;
    pthread_mutex_unlock(&a->loop.lock);
    return closing;
}

loom_status loom_joiner_open(loom_joiner **out, loom_agent *agent, const loom_joiner_options *options)
{
    join_tally tally;
    if (out == NULL) {
        return last_error_null("the place for the joiner");
    }
    *out = NULL;
    loom_status st = agent_check(agent);
    if (st != LOOM_OK || options == NULL || options->on_joined == NULL) {
        return st != LOOM_OK ? st : last_error(LOOM_EINVAL, "there is no on_joined to take what is joined");
    }
    if ((st = join_tally_init(&tally, &options->rule, join_source_count(options->rule.sources))) != LOOM_OK) {
        return st;
    }
    if (is_closing(agent)) {
        return LOOM_ECLOSED;
    }
    loom_joiner *j = calloc(1, sizeof *j);
    if (j == NULL) {
        return LOOM_ENOMEM;
    }
    j->timer.fire = on_timer;
    j->agent = agent;
    j->on_joined = options->on_joined;
    j->user = options->user;
    j->max_open = options->max_open != 0 ? options->max_open : MAX_OPEN_DEFAULT;
    j->remembered = options->remembered != 0 ? options->remembered : REMEMBERED_DEFAULT;
    j->deadline_ns = (options->rule.deadline_ms != 0 ? options->rule.deadline_ms : WAIT_DEFAULT_MS) * MS_NS;
    j->tally = tally;
    j->has_parent = options->parent != NULL;
    j->parent = options->parent != NULL ? *options->parent : j->parent;
    bytes_table_init(&j->keys);
    if (copy_sources(&j->sources, options->rule.sources) != LOOM_OK) {
        free_joiner(j);
        return LOOM_ENOMEM;
    }
    *out = j;
    return LOOM_OK;
}

/* Lock held. */
static bool is_unused(const loom_joiner *j)
{
    return j->uses == 0 && !j->armed;
}

void loom_joiner_close(loom_joiner *j)
{
    if (j == NULL || agent_check(j->agent) != LOOM_OK) {
        return;
    }
    loom_agent *a = j->agent;
    bool on_loop = loop_is_this_thread(&a->loop);
    loop_guest_enter(&a->loop);
    pthread_mutex_lock(&a->loop.lock);
    j->closed = true;
    if (agent_timer_is_set(&j->timer)) {
        loop_timer_clear(&a->loop, &j->timer);
        j->armed = false;
    }
    while (!on_loop && !is_unused(j)) { /* user may go when this returns */
        loop_wait_change(&a->loop, NEVER);
    }
    bool unused = is_unused(j);
    j->loop_frees = !unused;
    pthread_mutex_unlock(&a->loop.lock);
    loop_guest_leave(&a->loop);
    if (unused) {
        free_joiner(j);
    }
}

/* ---- what is over ---- */

/* Lock held. The join that the key gives away; the key is remembered. */
static join *end_key(loom_joiner *j, joiner_key *key, loom_join_outcome outcome)
{
    join *over = key->join;
    (void)join_finish(over, outcome);
    key->join = NULL;
    keys_remove(&j->open, key);
    keys_add(&j->finished, key);
    if (j->finished.count > j->remembered) {
        key = oldest(&j->finished);
        keys_remove(&j->finished, key);
        forget(j, key);
    }
    return over;
}

/* Lock held. For the loop. */
static void put_done(loom_joiner *j, join *over)
{
    list_append(&j->done, &over->node);
    j->done_count++;
}

/* The loop, lock not held. */
static void hand_over(loom_joiner *j, join *over)
{
    loom_agent *a = j->agent;
    bool handling = loop_handling_begin(&a->loop);
    loop_before_handler(&a->loop);
    set_aside aside = current_set_aside(); /* the handler that completed it is one contributor of many */
    (void)current_set((current_message){.envelope = join_first_event(over)});
    current_span span = join_span_begin(a, over);
    j->on_joined(a, &over->joined, j->user);
    current_span_end(&span);
    current_take_back(aside);
    join_free(over);
    loop_after_handler(&a->loop);
    loop_handling_end(&a->loop, handling);
}

/* The loop, lock held; given up while it is handed over. */
static void count_and_hand_over(loom_joiner *j, join *over)
{
    loom_agent *a = j->agent;
    j->stats.joined++;
    j->stats.timed_out += over->joined.outcome == LOOM_JOIN_TIMEOUT;
    pthread_mutex_unlock(&a->loop.lock);
    hand_over(j, over);
    pthread_mutex_lock(&a->loop.lock);
}

/* The loop, lock held; gives it up. What on_joined does may have closed it. */
static void leave(loom_joiner *j)
{
    loom_agent *a = j->agent;
    j->uses--;
    bool unused = j->loop_frees && is_unused(j);
    loop_changed(&a->loop);
    pthread_mutex_unlock(&a->loop.lock);
    if (unused) {
        free_joiner(j);
    }
}

/* Lock held. */
static void expire(loom_joiner *j, uint64_t now)
{
    for (joiner_key *key; (key = oldest(&j->open)) != NULL && key->deadline_ns <= now;) {
        put_done(j, end_key(j, key, LOOM_JOIN_TIMEOUT));
    }
}

static void on_timer(loom_agent *a, agent_timer *timer)
{
    loom_joiner *j = (loom_joiner *)timer;
    pthread_mutex_lock(&a->loop.lock);
    j->armed = false;
    j->uses++;
    if (!j->closed) {
        expire(j, clock_monotonic_ns());
    }
    while (!j->closed) {
        join *over = take_done(j);
        if (arm(j) != LOOM_OK) {
            expire(j, NEVER); /* without a timer nobody would end them: early is better than never */
        }
        if (over == NULL && (over = take_done(j)) == NULL) {
            break;
        }
        count_and_hand_over(j, over);
    }
    leave(j);
}

/* ---- adding ---- */

/* Lock held. Of no list yet. NULL: out of memory. */
static joiner_key *create_key(loom_joiner *j, loom_str text, const loom_envelope *event)
{
    joiner_key *key = calloc(1, sizeof *key + text.len + 1);
    if (key == NULL) {
        return NULL;
    }
    key->join = join_create(text, &j->tally);
    if (key->join == NULL || join_set_parent(key->join, j->has_parent ? &j->parent : NULL, event) != LOOM_OK) {
        join_free(key->join);
        free(key);
        return NULL;
    }
    memcpy(key->text, text.len > 0 ? text.data : "", text.len);
    key->deadline_ns = clock_monotonic_ns() + j->deadline_ns;
    return key;
}

/* Lock held. The key with its first contribution. */
static loom_status open_key(loom_joiner *j, joiner_key **out, loom_str text, loom_str source, loom_envelope *event)
{
    if (j->open.count + j->done_count >= j->max_open) {
        return LOOM_EFULL;
    }
    joiner_key *key = create_key(j, text, event);
    if (key == NULL) {
        return LOOM_ENOMEM;
    }
    bytes_table_add(&j->keys, &key->by_text, (loom_bytes){(const uint8_t *)key->text, text.len});
    keys_add(&j->open, key);
    loom_status st = join_add(key->join, source, 0, LOOM_OK, event, NULL);
    if (st == LOOM_OK) {
        st = arm(j);
    }
    if (st != LOOM_OK) {
        keys_remove(&j->open, key);
        forget(j, key);
        return st;
    }
    *out = key;
    return LOOM_OK;
}

static loom_status ignore(loom_joiner *j, joiner_key *key, loom_status why)
{
    j->stats.ignored++;
    if (key != NULL && key->join != NULL) {
        key->join->joined.ignored++;
    }
    return why;
}

/* Lock held. *key is open when it is LOOM_OK. */
static loom_status take_in(loom_joiner *j, joiner_key **key, loom_str text, loom_str source, loom_envelope *event)
{
    if (j->closed || j->agent->loop.over) {
        return LOOM_ECLOSED;
    }
    *key = find_key(j, text);
    if (!join_source_counts((const char *const *)j->sources, source)) {
        return ignore(j, *key, LOOM_EDENIED);
    }
    if (*key != NULL && (*key)->join == NULL) {
        j->stats.late++;
        return LOOM_EEXIST;
    }
    if (*key != NULL && join_has_source((*key)->join, source)) {
        return ignore(j, *key, LOOM_EEXIST);
    }
    loom_status st = *key != NULL ? join_add((*key)->join, source, 0, LOOM_OK, event, NULL)
                                  : open_key(j, key, text, source, event);
    j->stats.refused += st != LOOM_OK;
    return st;
}

/* Lock held; gives it up. */
static void end_if_over(loom_joiner *j, joiner_key *key)
{
    loom_agent *a = j->agent;
    loom_join_outcome outcome;
    if (!join_tally_over(&key->join->tally, &outcome)) {
        pthread_mutex_unlock(&a->loop.lock);
        return;
    }
    join *over = end_key(j, key, outcome);
    if (loop_is_this_thread(&a->loop)) {
        j->uses++;
        count_and_hand_over(j, over);
        leave(j);
        return;
    }
    put_done(j, over);
    loom_status st = arm(j); /* it is armed, since this key was opened */
    assert(st == LOOM_OK);
    (void)st;
    pthread_mutex_unlock(&a->loop.lock);
}

loom_status loom_joiner_add(loom_joiner *j, const char *key, const char *source, loom_envelope *event)
{
    char buf[LOOM_UUID_TEXT_SIZE];
    if (j == NULL || event == NULL) {
        return last_error_null(j == NULL ? "the joiner" : "the event");
    }
    loom_status st = agent_check(j->agent);
    if (st != LOOM_OK) {
        return st;
    }
    loom_str text = key != NULL ? str_of(key) : loom_envelope_correlation_id(event, buf);
    loom_str from = source != NULL ? str_of(source) : loom_envelope_sender(event);
    if (text.len > LOOM_THREAD_ID_MAX || from.len > LOOM_THREAD_ID_MAX) {
        return last_error(LOOM_EINVAL, "key or source is over %u bytes", LOOM_THREAD_ID_MAX);
    }
    if (from.len == 0) {
        from.data = ""; /* what was built by hand may have no sender */
    }
    joiner_key *into;
    pthread_mutex_lock(&j->agent->loop.lock);
    st = take_in(j, &into, text, from, event);
    if (st == LOOM_OK) {
        end_if_over(j, into);
    } else {
        pthread_mutex_unlock(&j->agent->loop.lock);
    }
    return st;
}

loom_joiner_stats loom_joiner_get_stats(const loom_joiner *joiner)
{
    if (joiner == NULL || agent_check(joiner->agent) != LOOM_OK) {
        return (loom_joiner_stats){0};
    }
    loom_agent *a = joiner->agent;
    pthread_mutex_lock(&a->loop.lock);
    loom_joiner_stats stats = joiner->stats;
    stats.open = joiner->open.count + joiner->done_count;
    pthread_mutex_unlock(&a->loop.lock);
    return stats;
}
