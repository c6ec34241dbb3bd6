/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of conversation, as closing sees them. */
#ifndef LOOM_SDK_THREAD_H
#define LOOM_SDK_THREAD_H

#include "sdk-c/collaboration/mailbox.h"

/* The exchanges are closed: frees the threads that were not left. Lock not held. */
void threads_close(loom_agent *a);

#endif
