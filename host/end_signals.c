/* SPDX-License-Identifier: Apache-2.0 */
#include "host/end_signals.h"

#include <signal.h>
#include <stdbool.h>

static bool is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

void end_signals_watch(uv_loop_t *loop, uv_signal_t *handles, const int *numbers, size_t count, uv_signal_cb on_signal, void *data)
{
    for (size_t i = 0; i < count; i++) {
        uv_signal_init(loop, &handles[i]);
        handles[i].data = data;
        if (numbers[i] != SIGHUP || !is_ignored(SIGHUP)) {
            uv_signal_start(&handles[i], on_signal, numbers[i]);
        }
    }
}
