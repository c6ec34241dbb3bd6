/* SPDX-License-Identifier: Apache-2.0 */
/* One agent and the fake bridge it connects to, with a log of what its callbacks were told. */
#ifndef LOOM_TESTS_AGENT_FIXTURE_H
#define LOOM_TESTS_AGENT_FIXTURE_H

#include <loom/loom.h>

#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/sdk/fake_bridge.h"

typedef struct fixture {
    fake_bridge bridge;
    loom_agent *agent;
    pthread_mutex_t lock;
    /* guarded by lock */
    char events[4096];     /* "topic=payload," of what was handled */
    char states[4096];     /* "STATE:STATUS:text," */
    char errors[4096];     /* "STATUS:text," */
    atomic_uint handled;
    _Atomic loom_status answer; /* of the handler */
} fixture;

#define WITH_AGENT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int set_up(void **state);
int tear_down(void **state);

/* The mailbox and sensor.data, with the fixture's callbacks. */
loom_agent_options options_of(fixture *f);
void open_agent(fixture *f);
/* Open, and a session with the two subscriptions of options_of(); returns the number of sensor.data's. */
uint64_t open_session(fixture *f);
void emit(fixture *f, const char *text);
/* Whether a log of the fixture holds text. */
bool noted(fixture *f, const char *log, const char *text);

#endif
