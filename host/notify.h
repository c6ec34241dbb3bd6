/* SPDX-License-Identifier: Apache-2.0 */
/* Words to the service manager: sd_notify(3), spoken by ourselves, since it is a datagram with lines of text and libsystemd
 * would be a library of a megabyte for it. Without NOTIFY_SOCKET all of this does nothing.
 *
 * Threads: any. */
#ifndef LOOM_HOST_NOTIFY_H
#define LOOM_HOST_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

bool notify_is_wanted(void);
/* "READY=1\nSTATUS=…". False: nobody was told. Never waits. */
bool notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* How often the manager wants to hear WATCHDOG=1 from this process, in ms; 0: it does not. */
uint64_t notify_watchdog_ms(void);

#endif
