/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span/thread.h"

#include "trace/record/recorder.h"
#include "trace/span/plain.h"

#include <pthread.h>
#include <stdlib.h>

_Thread_local span_thread span_this_thread = {.stack.on_exit.run = context_stack_free,
                                              .plain.on_exit.run = plain_spans_abandon,
                                              .plain.current = &plain_no_slab,
                                              .on_exit.run = span_list_park,
                                              .on_exit_hand.run = span_hand_give_back};

void span_hand_give_back(void)
{
    record_hand_give_back(&span_thread_here()->hand);
}

static void forget_in_child(void)
{
    recorder_forget_in_child();
    span_thread_here()->hand = (record_hand){.chunk = NULL};
}

static void watch(void)
{
    if (pthread_atfork(NULL, NULL, forget_in_child) != 0) {
        abort(); /* no memory at the start, as base/fork_mark.c */
    }
}

void span_thread_watch_forks(void)
{
    static pthread_once_t watched = PTHREAD_ONCE_INIT;
    (void)pthread_once(&watched, watch);
}
