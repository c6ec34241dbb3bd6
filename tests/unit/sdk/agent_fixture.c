/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/agent_fixture.h"

#include <stdarg.h>
#include <stdlib.h>

static void note(fixture *f, char *log, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void note(fixture *f, char *log, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&f->lock);
    size_t used = strlen(log);
    vsnprintf(log + used, sizeof f->events - used, format, args);
    pthread_mutex_unlock(&f->lock);
    va_end(args);
}

bool noted(fixture *f, const char *log, const char *text)
{
    pthread_mutex_lock(&f->lock);
    bool found = strstr(log, text) != NULL;
    pthread_mutex_unlock(&f->lock);
    return found;
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    fixture *f = user;
    loom_bytes payload = loom_envelope_payload(event);
    note(f, f->events, "%s=%.*s,", topic, (int)payload.len, (const char *)payload.data);
    atomic_fetch_add(&f->handled, 1);
    return atomic_load(&f->answer);
}

static void on_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    static const char *const names[] = {"CONNECTING", "CONNECTED", "DISCONNECTED", "CLOSED"};
    (void)agent;
    fixture *f = user;
    note(f, f->states, "%s:%s:%s,", names[state], loom_status_name(why), text);
}

static void on_error(loom_agent *agent, loom_status why, const char *text, void *user)
{
    (void)agent;
    fixture *f = user;
    note(f, f->errors, "%s:%s,", loom_status_name(why), text);
}

loom_agent_options options_of(fixture *f)
{
    static const char *const topics[] = {"sensor.data", NULL};
    return (loom_agent_options){.id = "tester",
                                .url = f->bridge.url,
                                .topics = topics,
                                .on_event = on_event,
                                .on_state = on_state,
                                .on_error = on_error,
                                .user = f};
}

int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    pthread_mutex_init(&f->lock, NULL);
    fake_bridge_open(&f->bridge);
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    fixture *f = *state;
    fake_bridge_drop(&f->bridge); /* nobody waits for a goodbye */
    loom_agent_close_within(f->agent, 100);
    fake_bridge_close(&f->bridge);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

void open_agent(fixture *f)
{
    loom_agent_options options = options_of(f);
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
}

uint64_t open_session(fixture *f)
{
    open_agent(f);
    uint64_t number = fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    return number;
}

void emit(fixture *f, const char *text)
{
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "out", text, NULL));
}
