/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span/thread.h"

_Thread_local span_thread span_this_thread = {.stack.on_exit.run = context_stack_free, .lists.on_exit.run = span_lists_park};
