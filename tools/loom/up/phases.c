/* SPDX-License-Identifier: Apache-2.0 */
/* What is started and stopped when: kind by kind, the next one when the one before is ready, or gone. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tools/loom/up/supervisor_internal.h"

enum { ASK_TICKS = 10, GRACE_MS = 200 /* for output that others still hold */ };

static void set_deadline(supervisor *s, uint32_t ms)
{
    s->deadline_ms = uv_now(&s->loop) + ms;
}

static bool is_late(const supervisor *s)
{
    return uv_now(&s->loop) >= s->deadline_ms;
}

static bool settled(const service *v)
{
    const bool tried = v->state == SERVICE_BACKOFF && v->item->kind == PLAN_VIEW; /* the agents do without */
    return tried || (v->state != SERVICE_WAITING && v->state != SERVICE_RUNNING && v->state != SERVICE_BACKOFF);
}

/* Whether every service of the kind is ready, or will not be. */
static bool kind_settled(const supervisor *s, plan_kind kind)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->services[i].item->kind == kind && !settled(&s->services[i])) {
            return false;
        }
    }
    return true;
}

static void start_kind(supervisor *s, plan_kind kind)
{
    s->at = (int)kind;
    set_deadline(s, s->options->settings->up.ready_timeout_ms);
    for (size_t i = 0; i < s->count; i++) {
        if (s->services[i].item->kind == kind) {
            service_start(&s->services[i]);
        }
    }
}

static void fail(supervisor *s, const char *text)
{
    supervisor_say(s, "%s", text);
    s->exit_code = VERB_FAILED;
    phases_stop(s, false);
}

/* ---- readiness ---- */

static void look_at(supervisor *s, service *v)
{
    char url[URL_SIZE];
    if (v->state != SERVICE_RUNNING) {
        return;
    }
    if (v->item->kind == PLAN_BROKER && surroundings_read_broker(s)) {
        const bool for_agents = s->url[0] != '\0';
        supervisor_say(s, "broker is ready%s%s", for_agents ? ": " : "; [broker] listen has no address for agents, so LOOM_URL is not set", s->url);
        service_set_state(v, SERVICE_READY);
    } else if (v->item->kind == PLAN_VIEW && surroundings_read_view(s, url)) {
        supervisor_say(s, "view: %s", url);
        service_set_state(v, SERVICE_READY);
    } else if (v->item->kind == PLAN_AGENT && !v->item->ready_on_bus) {
        service_set_state(v, SERVICE_READY);
    }
}

static void look(supervisor *s)
{
    for (size_t i = 0; i < s->count; i++) {
        look_at(s, &s->services[i]);
    }
    if (s->ticks % ASK_TICKS == 0) {
        on_bus_ask(s);
    }
}

/* The whole has started: says so where somebody waits for it. */
static void report(supervisor *s, unsigned char late)
{
    s->phase = PHASE_RUNNING;
    surroundings_write_state(s);
    if (s->report < 0) {
        return;
    }
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    s->console.fd = -1; /* from here on, `loom logs` */
    for (int fd = 0; fd <= STDERR_FILENO && nothing >= 0; fd++) {
        (void)dup2(nothing, fd);
    }
    (void)!write(s->report, &late, 1);
    close(s->report);
    s->report = -1;
}

static void say_late(supervisor *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const service *v = &s->services[i];
        if (!settled(v)) {
            supervisor_say(s, "%s is not ready after %u ms: it is %s", v->item->name, s->options->settings->up.ready_timeout_ms,
                           service_state_name(v->state));
        }
    }
}

static bool any_failed(const supervisor *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->services[i].state == SERVICE_FAILED) {
            return true;
        }
    }
    return false;
}

static void go_on_starting(supervisor *s)
{
    const bool done = kind_settled(s, (plan_kind)s->at), late = !done && is_late(s);
    if (!done && !late) {
        return;
    }
    if (late) {
        say_late(s);
    }
    if (late && s->at == PLAN_BROKER) {
        fail(s, "the broker did not become ready; giving up");
    } else if (s->at < PLAN_AGENT) {
        start_kind(s, (plan_kind)(s->at + 1));
    } else {
        if (!late && !any_failed(s)) {
            supervisor_say(s, "everything is ready");
        }
        report(s, late || any_failed(s));
    }
}

/* Without its broker nothing here has a purpose. At the start nobody waits for its restarts. */
static void check_broker(supervisor *s)
{
    const service *broker = s->count > 0 && s->services[0].item->kind == PLAN_BROKER ? &s->services[0] : NULL;
    if (broker == NULL) {
        return;
    }
    if (s->phase == PHASE_STARTING && s->at == PLAN_BROKER && broker->state == SERVICE_BACKOFF) {
        fail(s, "the broker ended before it was ready, see above; giving up");
    } else if (broker->state == SERVICE_FAILED) {
        fail(s, "the broker has failed; giving up");
    }
}

/* ---- stop ---- */

static void signal_kind(supervisor *s, int kind, int signal)
{
    for (size_t i = s->count; i-- > 0;) {
        if ((int)s->services[i].item->kind == kind) {
            service_stop(&s->services[i], signal);
        }
    }
}

static bool kind_runs(const supervisor *s, int kind)
{
    for (size_t i = 0; i < s->count; i++) {
        if ((int)s->services[i].item->kind == kind && service_runs(&s->services[i])) {
            return true;
        }
    }
    return false;
}

static void stop_kind(supervisor *s, int kind)
{
    s->at = kind;
    s->killed = s->hurried;
    set_deadline(s, s->options->settings->up.stop_timeout_ms);
    signal_kind(s, kind, s->hurried ? SIGKILL : SIGTERM);
}

static void say_killed(supervisor *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if ((int)s->services[i].item->kind == s->at && service_runs(&s->services[i])) {
            supervisor_say(s, "%s did not end within %u ms; killing it", s->services[i].item->name,
                           s->options->settings->up.stop_timeout_ms);
        }
    }
}

static void end(supervisor *s)
{
    s->phase = PHASE_ENDING;
    set_deadline(s, GRACE_MS);
}

static void go_on_stopping(supervisor *s)
{
    if (kind_runs(s, s->at)) {
        if (!s->killed && is_late(s)) {
            say_killed(s);
            s->killed = true;
            signal_kind(s, s->at, SIGKILL);
        }
    } else if (s->at > PLAN_BROKER) {
        stop_kind(s, s->at - 1);
    } else {
        end(s);
    }
}

void phases_stop(supervisor *s, bool hurry)
{
    if (s->phase < PHASE_STOPPING) {
        s->phase = PHASE_STOPPING;
        s->host.stopping = true;
        s->hurried = hurry;
        uv_timer_set_repeat(&s->tick, TICK_MS);
        supervisor_say(s, hurry ? "killing everything" : "stopping; once more (ctrl-C) kills everything at once");
        stop_kind(s, PLAN_AGENT);
        surroundings_write_state(s);
        (void)uv_timer_again(&s->tick);
    } else if (s->phase == PHASE_STOPPING && !s->hurried) {
        supervisor_say(s, "killing everything");
        s->hurried = s->killed = true;
        for (int kind = PLAN_AGENT; kind >= PLAN_BROKER; kind--) {
            signal_kind(s, kind, SIGKILL);
        }
    }
}

/* ---- all of it ---- */

void phases_begin(supervisor *s)
{
    start_kind(s, PLAN_BROKER);
}

static bool is_idle(const supervisor *s, bool unread)
{
    bool idle = s->phase == PHASE_RUNNING && !unread;
    for (size_t i = 0; i < s->count && idle; i++) {
        idle = s->services[i].state != SERVICE_RUNNING;
    }
    return idle;
}

void phases_tick(supervisor *s)
{
    s->ticks++;
    const bool unread = console_flush(&s->console);
    if (s->phase <= PHASE_RUNNING) {
        look(s);
        check_broker(s);
        if (!console_has_reader(&s->console)) {
            phases_stop(s, false);
        }
    }
    if (s->phase == PHASE_STARTING) {
        go_on_starting(s);
    } else if (s->phase == PHASE_STOPPING) {
        go_on_stopping(s);
    } else if (s->phase == PHASE_ENDING && ((s->host.runs == 0 && !unread) || is_late(s)) && !s->question.pending) {
        uv_stop(&s->loop);
    }
    uv_timer_set_repeat(&s->tick, is_idle(s, unread) ? IDLE_TICK_MS : TICK_MS);
}
