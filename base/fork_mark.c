/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fork_mark.h"

#include <pthread.h>
#include <stdlib.h>

unsigned fork_mark_now; /* a process has one such count, as it has one id */

static pthread_once_t watched = PTHREAD_ONCE_INIT;

static void count_child(void)
{
    fork_mark_now++;
}

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, count_child) != 0) {
        abort(); /* no memory at the start; a child that speaks for its parent would be worse */
    }
}

unsigned fork_mark_take(void)
{
    pthread_once(&watched, watch_forks);
    return fork_mark_now;
}
