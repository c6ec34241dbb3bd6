/* SPDX-License-Identifier: Apache-2.0 */
/* An agent from open to close, and its subscriptions. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/random.h"
#include "sdk-c/actions/actions.h"
#include "sdk-c/agent/options.h"
#include "sdk-c/collaboration/collaboration.h"

#define SEND_BUFFER_BYTES (16u * 1024u * 1024u)
#define RECEIVE_MESSAGES 8192u /* at 1024 a fast stream waits for credit: a tenth slower */
#define RECEIVE_BYTES (4u * 1024u * 1024u)
#define CLOSE_TIMEOUT_MS 5000u
#define KEEP_NS (1000 * MS_NS) /* until a welcome says more */

/* ---- open ---- */

static loom_status open_descriptors(loom_agent *a)
{
    a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->run_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (a->epoll_fd < 0 || a->wake_fd < 0 || a->run_fd < 0 || a->timer_fd < 0) {
        return LOOM_EIO;
    }
    /* Each write to an eventfd is an edge: nobody has to read it. */
    struct epoll_event wake = {.events = EPOLLIN | EPOLLET, .data.u32 = WAKE_TAG};
    struct epoll_event timer = {.events = EPOLLIN, .data.u32 = TIMER_TAG};
    if (epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->wake_fd, &wake) != 0 ||
        epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->timer_fd, &timer) != 0) {
        return LOOM_EIO;
    }
    /* Due at once, so that a poll-mode descriptor is readable from the beginning. */
    struct itimerspec now = {.it_value.tv_nsec = 1};
    timerfd_settime(a->timer_fd, TFD_TIMER_ABSTIME, &now, NULL);
    return LOOM_OK;
}

static void close_descriptors(loom_agent *a)
{
    const int fds[] = {a->timer_fd, a->run_fd, a->wake_fd, a->epoll_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

static loom_status subscribe_topics(loom_agent *a, const loom_agent_options *options)
{
    char mailbox[sizeof "agent..replies" + LOOM_AGENT_ID_MAX];
    subscription *sub;
    snprintf(mailbox, sizeof mailbox, "agent.%s.replies", a->id);
    loom_status st = subscriptions_add(&a->subs, &sub, mailbox, NULL, options->on_event, options->user);
    if (st == LOOM_OK) {
        sub->internal = true;
    }
    for (size_t i = 0; st == LOOM_OK && options->topics != NULL && options->topics[i] != NULL; i++) {
        st = subscriptions_add(&a->subs, &sub, options->topics[i], NULL, options->on_event, options->user);
    }
    return st;
}

static void set_defaults(loom_agent *a, const loom_agent_options *options)
{
    a->options = *options;
    a->options.id = a->options.url = NULL;
    a->options.topics = NULL;
    if (a->options.receive_messages == 0) {
        a->options.receive_messages = RECEIVE_MESSAGES;
    }
    if (a->options.receive_bytes == 0) {
        a->options.receive_bytes = RECEIVE_BYTES;
    }
    a->id_len = strlen(options->id);
    a->max_payload = LOOM_PAYLOAD_MAX;
    a->state = LOOM_AGENT_CONNECTING;
    a->keep_ns = KEEP_NS;
    random_take(a->instance, sizeof a->instance);
    send_queue_init(&a->out, options->send_buffer_bytes != 0 ? options->send_buffer_bytes : SEND_BUFFER_BYTES);
    session_start(a);
}

/* Held for less than it takes to put a thread to sleep and wake it: who finds it taken looks again a few times first.
 * Without that, a fast emitter and the loop that writes for it wake each other for every batch. */
static bool init_mutex(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    if (pthread_mutexattr_init(&attr) != 0) {
        return false;
    }
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP /* of glibc */
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    const bool made = pthread_mutex_init(lock, &attr) == 0;
    pthread_mutexattr_destroy(&attr);
    return made;
}

static loom_status init_lock(loom_agent *a)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) {
        return LOOM_ENOMEM;
    }
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    loom_status st = LOOM_ENOMEM;
    if (pthread_cond_init(&a->changed, &attr) != 0) {
        goto destroy_attr;
    }
    if (pthread_cond_init(&a->keeper_wakes, &attr) != 0) {
        goto destroy_changed;
    }
    if (!init_mutex(&a->lock)) {
        goto destroy_keeper_wakes;
    }
    st = LOOM_OK;
    goto destroy_attr;

destroy_keeper_wakes:
    pthread_cond_destroy(&a->keeper_wakes);
destroy_changed:
    pthread_cond_destroy(&a->changed);
destroy_attr:
    pthread_condattr_destroy(&attr);
    return st;
}

static void destroy_lock(loom_agent *a)
{
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->keeper_wakes);
    pthread_cond_destroy(&a->changed);
}

static void *agent_thread(void *arg)
{
    loom_agent *a = arg;
    if (!agent_loop_enter(a)) {
        return NULL; /* cannot be: nobody else drives a thread's agent */
    }
    while (!atomic_load_explicit(&a->closing_seen, memory_order_acquire) || !session_closed(a, clock_monotonic_ns())) {
        agent_round(a, -1);
    }
    actions_close(a);
    agent_loop_leave(a);
    return NULL;
}

static loom_status start_thread(loom_agent *a)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are the program's own threads' business */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    loom_status st = agent_keeper_start(a);
    if (st == LOOM_OK) {
        a->has_thread = pthread_create(&a->thread, NULL, agent_thread, a) == 0;
        st = a->has_thread ? LOOM_OK : LOOM_EIO;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return st;
}

/* Lock not held. */
static void end_keeper(loom_agent *a)
{
    pthread_mutex_lock(&a->lock);
    a->closing = true;
    pthread_cond_signal(&a->keeper_wakes);
    pthread_mutex_unlock(&a->lock);
    if (a->has_keeper) {
        pthread_join(a->keeper, NULL);
    }
}

/* Everything but the lock, telemetry and thread; also of an agent half made. */
static void free_agent(loom_agent *a)
{
    if (a->link != NULL) {
        a->link->ops->close(a->link);
    }
    send_queue_fini(&a->out);
    subscriptions_fini(&a->subs);
    loom_envelope_unref(a->event);
    kept_free(&a->kept);
    kept_free(&a->kept_immediate);
    free(a->in.data);
    heap_fini(&a->timers);
    actions_fini(a);
    held_buffers_free(&a->held, NULL);
    close_descriptors(a);
    free(a->tls_ca_file);
    free(a->id);
    free(a);
}

static loom_status open_parts(loom_agent *a, const loom_agent_options *options)
{
    a->id = strdup(options->id);
    a->tls_ca_file = options->tls_ca_file != NULL ? strdup(options->tls_ca_file) : NULL;
    if (a->id == NULL || (options->tls_ca_file != NULL && a->tls_ca_file == NULL)) {
        return LOOM_ENOMEM;
    }
    loom_status st = subscribe_topics(a, options);
    if (st != LOOM_OK) {
        return st;
    }
    st = open_descriptors(a);
    if (st != LOOM_OK) {
        agent_open_error_set("no descriptor for the agent: %s", strerror(errno));
    }
    return st;
}

loom_status loom_agent_open(loom_agent **out, const loom_agent_options *options)
{
    *out = NULL;
    agent_open_error_clear();
    if (options == NULL) {
        agent_open_error_set("the options are missing");
        return LOOM_EINVAL;
    }
    loom_agent *a = calloc(1, sizeof *a);
    if (a == NULL) {
        agent_open_error_set("%s", loom_status_text(LOOM_ENOMEM));
        return LOOM_ENOMEM;
    }
    a->epoll_fd = a->wake_fd = a->run_fd = a->timer_fd = -1;
    atomic_flag_clear(&a->exporter_told);
    actions_init(a);
    loom_status st = agent_options_check(options, &a->url);
    if (st != LOOM_OK) {
        free(a);
        return st;
    }
    set_defaults(a, options);
    if ((st = open_parts(a, options)) != LOOM_OK || (st = init_lock(a)) != LOOM_OK) {
        goto free_parts;
    }
    if ((st = telemetry_open(a)) != LOOM_OK) {
        goto close_telemetry;
    }
    if (!options->poll_mode && (st = start_thread(a)) != LOOM_OK) {
        agent_open_error_set("no thread for the agent");
        end_keeper(a);
        goto close_telemetry;
    }
    *out = a;
    return LOOM_OK;

close_telemetry:
    telemetry_close(a, 0);
    destroy_lock(a);
free_parts:
    free_agent(a);
    if (loom_agent_open_error()[0] == '\0') {
        agent_open_error_set("%s", loom_status_text(st));
    }
    return st;
}

/* ---- close ---- */

/* What is left unsent is told, never dropped in silence. */
static loom_status tell_unsent(loom_agent *a)
{
    char text[64];
    uint64_t unsent = a->out.queued - a->out.handed;
    if (unsent == 0) {
        return LOOM_OK;
    }
    snprintf(text, sizeof text, "closed with %llu messages unsent", (unsigned long long)unsent);
    report_refusal(a, LOOM_ETIMEDOUT, text);
    return LOOM_ETIMEDOUT;
}

static void drain(loom_agent *a)
{
    if (a->has_thread) {
        pthread_join(a->thread, NULL);
    } else if (agent_loop_enter(a)) {
        while (!session_closed(a, clock_monotonic_ns())) {
            agent_round(a, -1);
        }
        actions_close(a);
        agent_loop_leave(a);
    }
}

/* They have been told that the agent is closing. */
static void see_guests_off(loom_agent *a)
{
    pthread_mutex_lock(&a->lock);
    while (a->guests > 0) {
        agent_wait_change(a, NEVER);
    }
    pthread_mutex_unlock(&a->lock);
}

loom_status loom_agent_close_within(loom_agent *a, uint32_t timeout_ms)
{
    if (a == NULL) {
        return LOOM_OK;
    }
    if (agent_on_loop(a)) {
        return LOOM_EBUSY;
    }
    uint64_t deadline = clock_monotonic_ns() + timeout_ms * MS_NS;
    pthread_mutex_lock(&a->lock);
    a->closing = true;
    a->close_deadline = deadline;
    atomic_store_explicit(&a->closing_seen, true, memory_order_release);
    agent_changed(a);
    agent_wake(a);
    pthread_mutex_unlock(&a->lock);
    end_keeper(a);
    see_guests_off(a); /* one of them may be the loop, in poll mode */
    drain(a);
    action_home_close(a->actions.home);
    see_guests_off(a);
    collaboration_close(a);
    loom_status st = tell_unsent(a);
    uint64_t now = clock_monotonic_ns();
    telemetry_close(a, now < deadline ? (uint32_t)((deadline - now) / MS_NS) + 1 : 1);
    destroy_lock(a);
    free_agent(a);
    return st;
}

loom_status loom_agent_close(loom_agent *a)
{
    return loom_agent_close_within(a, CLOSE_TIMEOUT_MS);
}

/* ---- subscriptions ---- */

loom_status loom_agent_subscribe(loom_agent *a, const char *filter, const loom_subscribe_options *options,
                                 uint64_t *number)
{
    const char *reason;
    if (a == NULL || agent_subscription_check(filter, options, &reason) != LOOM_OK ||
        (a->options.on_event == NULL && (options == NULL || options->on_event == NULL))) {
        return LOOM_EINVAL;
    }
    subscription *sub;
    pthread_mutex_lock(&a->lock);
    loom_status st = a->closing || a->state == LOOM_AGENT_CLOSED ? LOOM_ECLOSED : LOOM_OK;
    if (st == LOOM_OK) {
        st = subscriptions_add(&a->subs, &sub, filter, options, a->options.on_event, a->options.user);
    }
    if (st == LOOM_OK && a->out.up) {
        st = session_subscribe(a, sub);
        if (st == LOOM_OK) {
            agent_write_soon(a, loom_time_unix_ns());
        } else {
            (void)subscriptions_remove(&a->subs, sub->number);
        }
    }
    if (st == LOOM_OK && number != NULL) {
        *number = sub->number;
    }
    pthread_mutex_unlock(&a->lock);
    return st;
}

loom_status loom_agent_unsubscribe(loom_agent *a, uint64_t number)
{
    pthread_mutex_lock(&a->lock);
    const subscription *sub = subscriptions_find(&a->subs, number);
    loom_status st = sub == NULL || sub->internal ? LOOM_ENOTFOUND : LOOM_OK;
    if (st == LOOM_OK && a->out.up) {
        st = session_unsubscribe(a, number);
    }
    if (st == LOOM_OK) {
        (void)subscriptions_remove(&a->subs, number);
        atomic_fetch_add(&a->removals, 1);
        agent_changed(a);
        agent_write_soon(a, loom_time_unix_ns());
    }
    pthread_mutex_unlock(&a->lock);
    return st;
}

/* ---- about the agent ---- */

const char *loom_agent_id(const loom_agent *a)
{
    return a->id;
}

loom_tracer *loom_agent_tracer(const loom_agent *a)
{
    return a->tracer;
}

loom_agent_state loom_agent_get_state(const loom_agent *agent)
{
    loom_agent *a = (loom_agent *)(uintptr_t)agent; /* only the lock changes */
    pthread_mutex_lock(&a->lock);
    loom_agent_state state = a->state;
    pthread_mutex_unlock(&a->lock);
    return state;
}

loom_agent_stats loom_agent_get_stats(const loom_agent *agent)
{
    loom_agent *a = (loom_agent *)(uintptr_t)agent; /* only the lock changes */
    pthread_mutex_lock(&a->lock);
    loom_agent_stats stats = {.emitted = a->emitted,
                              .refused = a->refused,
                              .sent = a->out.handed,
                              .lost = a->out.lost,
                              .buffered_bytes = a->out.bytes,
                              .calls_made = a->actions.made,
                              .calls_failed = a->actions.failed,
                              .late_results = a->actions.late};
    pthread_mutex_unlock(&a->lock);
    stats.received = atomic_load_explicit(&a->counters.received, memory_order_relaxed);
    stats.failed = atomic_load_explicit(&a->counters.failed, memory_order_relaxed);
    stats.reconnects = atomic_load_explicit(&a->counters.reconnects, memory_order_relaxed);
    stats.calls_handled = atomic_load_explicit(&a->counters.calls_handled, memory_order_relaxed);
    stats.invalid_context = atomic_load_explicit(&a->counters.invalid_context, memory_order_relaxed);
    return stats;
}
