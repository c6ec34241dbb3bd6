/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span/thread.h"

#include "trace/span/plain.h"

_Thread_local span_thread span_this_thread = {.stack.on_exit.run = context_stack_free,
                                              .plain.on_exit.run = plain_spans_abandon,
                                              .plain.current = &plain_no_slab,
                                              .on_exit.run = span_list_park,
                                              .on_exit_hand.run = span_hand_give_back};

void span_hand_give_back(void)
{
    record_hand_give_back(&span_thread_here()->hand);
}
