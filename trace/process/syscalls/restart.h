/* SPDX-License-Identifier: Apache-2.0 */
/* A call that ended early because we stopped its thread. */
#ifndef LOOM_TRACE_PROCESS_RESTART_H
#define LOOM_TRACE_PROCESS_RESTART_H

#include <sys/types.h>

/* The thread has stopped because we asked for it (PTRACE_INTERRUPT). The kernel begins most calls again that a stop has
 * interrupted; epoll_wait(), sigtimedwait(), semop() and sockets with a timeout fail with EINTR (signal(7)), for which many
 * programs are not made. Such a call is begun again, with the whole of its timeout, unless a signal waits to be delivered, or
 * the call has done something already. On x86-64 alone: elsewhere the first argument is lost by then. */
void restart_interrupted_call(pid_t tid);

#endif
