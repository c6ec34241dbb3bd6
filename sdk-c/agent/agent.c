/* SPDX-License-Identifier: Apache-2.0 */
/* Makes an agent of its parts, and ends it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/thread.h"
#include "sdk-c/actions/action_home.h"
#include "sdk-c/actions/actions.h"
#include "sdk-c/agent/keeper.h"
#include "sdk-c/agent/options.h"
#include "sdk-c/agent/report.h"
#include "sdk-c/agent/round.h"
#include "sdk-c/agent/keeps.h"
#include "sdk-c/agent/spans.h"
#include "sdk-c/agent/telemetry.h"
#include "sdk-c/agent/wiring.h"
#include "sdk-c/collaboration/collaboration.h"
#include "sdk-c/events/events.h"

#define SEND_BUFFER_BYTES (16u * 1024u * 1024u)
#define RECEIVE_MESSAGES 8192u /* at 1024 a fast stream waits for credit: a tenth slower */
#define RECEIVE_BYTES (4u * 1024u * 1024u)
#define CLOSE_TIMEOUT_MS 5000u

/* ---- open ---- */

/* Everything but the thread; also of an agent half made. */
static void free_agent(loom_agent *a)
{
    events_free(a->events);
    actions_free(a->actions);
    session_fini(&a->session);
    free((char *)(uintptr_t)a->options.tls_ca_file);
    free((char *)(uintptr_t)a->options.id);
    free(a);
}

/* Copies what is kept of the caller's options. */
static loom_status set_options(loom_agent *a, const loom_agent_options *options)
{
    a->options = *options;
    a->options.url = NULL;
    a->options.topics = NULL;
    a->options.id = strdup(options->id);
    a->options.tls_ca_file = options->tls_ca_file != NULL ? strdup(options->tls_ca_file) : NULL;
    if (a->options.id == NULL || (options->tls_ca_file != NULL && a->options.tls_ca_file == NULL)) {
        return LOOM_ENOMEM;
    }
    if (a->options.send_buffer_bytes == 0) {
        a->options.send_buffer_bytes = SEND_BUFFER_BYTES;
    }
    if (a->options.receive_messages == 0) {
        a->options.receive_messages = RECEIVE_MESSAGES;
    }
    if (a->options.receive_bytes == 0) {
        a->options.receive_bytes = RECEIVE_BYTES;
    }
    a->id = str_of(a->options.id);
    return LOOM_OK;
}

static loom_status create_parts(loom_agent *a, const loom_agent_options *options)
{
    loom_status st = set_options(a, options);
    if (st != LOOM_OK || (st = events_create(&a->events, a->id, options)) != LOOM_OK ||
        (st = actions_create(&a->actions)) != LOOM_OK) {
        return st;
    }
    a->rounds = &agent_rounds;
    a->session.agent = a;
    a->session.loop = &a->loop;
    a->session.ops = &agent_session_ops;
    a->session.options = &a->options;
    a->session.id = a->id;
    session_start(&a->session);
    return LOOM_OK;
}

/* By whoever drives it, once it closes: no handler runs any more, and what those that ran want kept is told before the goodbye. */
static bool is_over(loom_agent *a)
{
    agent_keeps_flush(a);
    return session_closed(&a->session, clock_monotonic_ns());
}

static void *agent_thread(void *arg)
{
    loom_agent *a = arg;
    if (!loop_enter(&a->loop)) {
        agent_spans_loop_ended(a);
        return NULL; /* cannot be: nobody else drives a thread's agent */
    }
    while (!atomic_load_explicit(&a->loop.closing_seen, memory_order_acquire) || !is_over(a)) {
        agent_round(a, -1);
    }
    actions_close(a);
    agent_spans_loop_ended(a);
    loop_leave(&a->loop);
    return NULL;
}

static loom_status start_threads(loom_agent *a)
{
    loom_status st = keeper_start(a);
    if (st == LOOM_OK) {
        a->has_thread = thread_start(&a->thread, NULL, agent_thread, a) == 0;
        st = a->has_thread ? LOOM_OK : LOOM_EIO;
    }
    return st;
}

/* Says what failed, where it is more than the status says. */
static loom_status start(loom_agent *a)
{
    loom_status st = loop_init(&a->loop, a->options.send_buffer_bytes);
    if (st != LOOM_OK) {
        if (st == LOOM_EIO) {
            return last_error(st, "no descriptor for the agent: %s", strerror(errno));
        }
        return st;
    }
    if ((st = telemetry_open(a)) != LOOM_OK) {
        goto close_telemetry;
    }
    agent_spans_open(a);
    agent_keeps_open(a);
    if (!a->options.poll_mode && (st = start_threads(a)) != LOOM_OK) {
        (void)last_error(st, "no thread for the agent");
        loop_close_within(&a->loop, 0);
        keeper_join(a);
        goto close_telemetry;
    }
    return LOOM_OK;

close_telemetry:
    agent_keeps_close(a);
    agent_spans_close(a);
    telemetry_close(a, 0);
    loop_fini(&a->loop);
    return st;
}

loom_status loom_agent_open(loom_agent **out, const loom_agent_options *options)
{
    if (out == NULL) {
        return last_error_null("the place for the agent");
    }
    *out = NULL;
    last_error_clear();
    if (options == NULL) {
        return last_error(LOOM_EINVAL, "the options are missing");
    }
    loom_agent *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return last_error(LOOM_ENOMEM, "%s", loom_status_text(LOOM_ENOMEM));
    }
    atomic_flag_clear(&a->exporter_told);
    loom_status st = agent_options_check(options, &a->session.urls, &a->session.url_count);
    if (st == LOOM_OK && (st = create_parts(a, options)) == LOOM_OK) {
        st = start(a);
    }
    if (st != LOOM_OK) {
        free_agent(a);
        return loom_last_error()[0] != '\0' ? st : last_error(st, "%s", loom_status_text(st));
    }
    *out = a;
    return LOOM_OK;
}

const char *loom_agent_open_error(void)
{
    return loom_last_error();
}

/* ---- close ---- */

/* What is left unsent is reported, never dropped in silence. */
static loom_status report_unsent(loom_agent *a)
{
    char text[64];
    uint64_t unsent = a->loop.out.queued - a->loop.out.handed;
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
        agent_spans_flush(a);
        pthread_join(a->thread, NULL);
        return;
    }
    pthread_t flusher;
    bool flushing;
    agent_spans_flush_aside(a, &flusher, &flushing);
    if (loop_enter(&a->loop)) {
        while (!is_over(a)) {
            agent_round(a, -1);
        }
        actions_close(a);
        loop_leave(&a->loop);
    }
    agent_spans_loop_ended(a);
    if (flushing) {
        pthread_join(flusher, NULL);
    }
}

loom_status loom_agent_close_within(loom_agent *a, uint32_t timeout_ms)
{
    if (a == NULL) {
        return LOOM_OK;
    }
    if (agent_check(a) != LOOM_OK) {
        loop_abandon(&a->loop); /* the agent goes on in the parent */
        return LOOM_OK;
    }
    if (loop_is_this_thread(&a->loop)) {
        return LOOM_EBUSY;
    }
    uint64_t deadline = clock_monotonic_ns() + timeout_ms * MS_NS;
    loop_close_within(&a->loop, deadline);
    keeper_join(a);
    loop_see_guests_off(&a->loop); /* one of them may be the loop, in poll mode */
    drain(a);
    action_home_close(a->actions->home);
    loop_see_guests_off(&a->loop);
    collaboration_close(a);
    loom_status st = report_unsent(a);
    uint64_t now = clock_monotonic_ns();
    agent_keeps_close(a);
    agent_spans_close(a);
    telemetry_close(a, now < deadline ? (uint32_t)((deadline - now) / MS_NS) + 1 : 1);
    loop_fini(&a->loop);
    free_agent(a);
    return st;
}

loom_status loom_agent_close(loom_agent *a)
{
    return loom_agent_close_within(a, CLOSE_TIMEOUT_MS);
}

/* ---- about the agent ---- */

const char *loom_agent_id(const loom_agent *a)
{
    return a != NULL ? a->id.data : "";
}

loom_tracer *loom_agent_tracer(const loom_agent *a)
{
    return a != NULL ? a->tracer : NULL;
}

loom_agent_state loom_agent_get_state(const loom_agent *agent)
{
    loom_agent *a = (loom_agent *)(uintptr_t)agent; /* only the lock changes */
    if (agent_check(a) != LOOM_OK) {
        return LOOM_AGENT_CLOSED;
    }
    pthread_mutex_lock(&a->loop.lock);
    loom_agent_state state = a->session.state;
    pthread_mutex_unlock(&a->loop.lock);
    return state;
}

static uint64_t value_of(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

loom_agent_stats loom_agent_get_stats(const loom_agent *agent)
{
    loom_agent *a = (loom_agent *)(uintptr_t)agent; /* only the lock changes */
    if (agent_check(a) != LOOM_OK) {
        return (loom_agent_stats){0};
    }
    pthread_mutex_lock(&a->loop.lock);
    loom_agent_stats stats = {.emitted = a->events->emitted,
                              .refused = a->events->refused,
                              .sent = a->loop.out.handed,
                              .lost = a->loop.out.lost,
                              .buffered_bytes = a->loop.out.bytes,
                              .calls_made = a->actions->made,
                              .calls_failed = a->actions->failed,
                              .late_results = a->actions->late};
    pthread_mutex_unlock(&a->loop.lock);
    stats.received = value_of(&a->counters.received);
    stats.failed = value_of(&a->counters.failed);
    stats.reconnects = value_of(&a->session.reconnects);
    stats.calls_handled = value_of(&a->counters.calls_handled);
    stats.invalid_context = value_of(&a->counters.invalid_context);
    return stats;
}
