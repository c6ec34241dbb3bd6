/* SPDX-License-Identifier: Apache-2.0 */
/* Getting connected, or saying why not. The agent itself never gives up; a command does, at the first failure. */
#include "tools/loom/bus_client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/clock.h"
#include "trace/view/text.h"

enum { SILENCE_MS = 5000 }; /* who has not refused by then does not answer */
#define MS 1000000u

void bus_state_init(bus_state *s)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    s->state = LOOM_AGENT_CONNECTING;
}

void bus_state_fini(bus_state *s)
{
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}

/* Lock held. How long the broker has been away, when it is back. */
static void tell_outage(const bus_client *client, uint64_t lost_at)
{
    char away[TEXT_DURATION_SIZE];
    if (client->link.state == LOOM_AGENT_DISCONNECTED) {
        fprintf(stderr, "%s: lost the connection to %s: %s; trying again\n", client->command->manual.program, client->address,
                client->link.reason);
    } else if (client->link.state == LOOM_AGENT_CONNECTED && lost_at != 0) {
        text_duration(away, clock_monotonic_ns() - lost_at);
        fprintf(stderr, "%s: connected to %s again after %s%s\n", client->command->manual.program, client->address, away,
                client->on_return);
    }
}

void bus_on_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    (void)agent;
    bus_client *client = user;
    bus_state *s = &client->link;
    pthread_mutex_lock(&s->lock);
    const uint64_t lost_at = s->lost_at;
    s->state = state;
    if (state == LOOM_AGENT_CONNECTED) {
        s->lost_at = 0;
    } else if (state == LOOM_AGENT_DISCONNECTED) {
        s->why = why;
        s->lost_at = clock_monotonic_ns();
        snprintf(s->reason, sizeof s->reason, "%s", text);
    }
    if (s->opened && client->on_return != NULL) {
        tell_outage(client, lost_at);
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (state == LOOM_AGENT_CLOSED && why != LOOM_OK) {
        fprintf(stderr, "%s: %s\n", client->command->manual.program, text);
    }
    if (state == LOOM_AGENT_CLOSED) {
        bus_client_wake(client);
    }
}

void bus_client_wake(bus_client *client)
{
    while (client->wake_fd >= 0 && eventfd_write(client->wake_fd, 1) != 0 && errno == EINTR) {
    }
}

bool bus_client_is_closed(bus_client *client)
{
    pthread_mutex_lock(&client->link.lock);
    const bool closed = client->link.state == LOOM_AGENT_CLOSED;
    pthread_mutex_unlock(&client->link.lock);
    return closed;
}

static bool is_decided(const bus_state *s, bool patient)
{
    return s->state == LOOM_AGENT_CONNECTED || s->state == LOOM_AGENT_CLOSED || (s->state == LOOM_AGENT_DISCONNECTED && !patient);
}

/* Until the first success or failure, or with patience the first success. */
static loom_agent_state wait_for_news(bus_state *s, bool patient, uint64_t deadline)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline / 1000000000u), .tv_nsec = (long)(deadline % 1000000000u)};
    int error = 0;
    pthread_mutex_lock(&s->lock);
    while (error != ETIMEDOUT && !is_decided(s, patient)) {
        error = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    loom_agent_state state = s->state;
    s->opened = state == LOOM_AGENT_CONNECTED;
    pthread_mutex_unlock(&s->lock);
    return state;
}

/* What can be done about it. */
static const char *remedy(const bus_client *client, loom_status why)
{
    const bool tls = strncmp(client->address, "tls", 3) == 0 || strncmp(client->address, "wss", 3) == 0;
    switch (why) {
    case LOOM_ENOTCONN:
        return "; start one with `loom-broker`, name another with --url or LOOM_URL, or ask for patience with --wait 10s";
    case LOOM_EDENIED: return tls ? "; LOOM_TLS_CA names the file of an authority to trust" : "";
    case LOOM_EPROTO: return "; agents connect to one of the broker's `listen` addresses, which it logs when it starts";
    case LOOM_EFULL: return strstr(client->link.reason, strerror(EMFILE)) != NULL ? "; raise the limit with `ulimit -n`" : "";
    default: return "";
    }
}

int bus_client_explain(const bus_client *client, loom_status st, const char *format, ...)
{
    char text[BUS_WHY_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (client->why != NULL) {
        (void)snprintf(client->why, client->why_size, "%s", text);
        return st == LOOM_EINVAL ? VERB_USAGE : verb_exit_of(st);
    }
    return st == LOOM_EINVAL ? command_misuse(client->command, "%s", text) : command_fail_with(client->command, st, "%s", text);
}

/* Lock not held: the agent's thread may still change the reason until it is closed. */
static int tell_failure(bus_client *client, loom_agent_state state)
{
    bus_state *s = &client->link;
    pthread_mutex_lock(&s->lock);
    int exit_code;
    if (state == LOOM_AGENT_CONNECTING) { /* neither yes nor no */
        exit_code = bus_client_explain(client, LOOM_ETIMEDOUT, "no answer from %s; is that the address of a Loom broker?", client->address);
    } else if (s->why == LOOM_ENOTCONN) {
        exit_code = bus_client_explain(client, s->why, "no broker at %s: %s%s", client->address, s->reason, remedy(client, s->why));
    } else {
        exit_code = bus_client_explain(client, s->why, "cannot connect to %s: %s%s", client->address, s->reason, remedy(client, s->why));
        exit_code = exit_code == VERB_FAILED ? VERB_NOT_CONNECTED : exit_code;
    }
    pthread_mutex_unlock(&s->lock);
    return exit_code;
}

int bus_connect(bus_client *client, uint32_t patience_ms)
{
    const bool patient = patience_ms > 0;
    const uint64_t deadline = clock_monotonic_ns() + (uint64_t)(patient ? patience_ms : SILENCE_MS) * MS;
    loom_agent_state state = wait_for_news(&client->link, patient, deadline);
    if (state != LOOM_AGENT_CONNECTED) {
        return tell_failure(client, state);
    }
    const uint64_t now = clock_monotonic_ns();
    loom_status st = loom_agent_wait_connected(client->agent, (uint32_t)(now < deadline ? (deadline - now) / MS : 0));
    return st == LOOM_OK ? VERB_OK : bus_client_explain(client, st, "%s does not answer: %s", client->address, loom_status_text(st));
}
