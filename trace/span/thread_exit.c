/* SPDX-License-Identifier: Apache-2.0 */
/* One key of pthread_key_create() for all hooks: the key is this module's only process-wide state. */
#include "trace/span/thread_exit.h"

#include <pthread.h>

static _Thread_local thread_exit_hook *hooks;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_made;

/* A destructor that runs after this one may start spans: its hooks are attached anew, and the C library comes back. */
static void run_hooks(void *unused)
{
    (void)unused;
    while (hooks != NULL) {
        thread_exit_hook *hook = hooks;
        hooks = hook->next;
        hook->attached = false;
        hook->run();
    }
}

static void make_key(void)
{
    key_made = pthread_key_create(&key, run_hooks) == 0;
}

bool thread_exit_attach_first(thread_exit_hook *hook)
{
    (void)pthread_once(&key_once, make_key);
    if (!key_made || pthread_setspecific(key, &hooks) != 0) {
        return false;
    }
    hook->next = hooks;
    hooks = hook;
    hook->attached = true;
    return true;
}
