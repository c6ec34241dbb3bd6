/* SPDX-License-Identifier: Apache-2.0 */
/* The signals that end a program, on its loop. */
#ifndef LOOM_HOST_END_SIGNALS_H
#define LOOM_HOST_END_SIGNALS_H

#include <uv.h>

/* Watches count signals, each by a handle that the caller closes. SIGHUP is left alone where it is ignored already: nohup has
 * a reason. data: of every handle. The loop's thread. */
void end_signals_watch(uv_loop_t *loop, uv_signal_t *handles, const int *numbers, size_t count, uv_signal_cb on_signal, void *data);

#endif
