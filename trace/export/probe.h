/* SPDX-License-Identifier: Apache-2.0 */
/* Whether anybody listens, before libcurl and thirty libraries are loaded to find out. */
#ifndef LOOM_TRACE_EXPORT_PROBE_H
#define LOOM_TRACE_EXPORT_PROBE_H

#include <loom/api.h>

/* endpoint is plain HTTP on this machine, and every address of it refuses connections. Waits 40 ms at most, where
 * this machine is too busy to say so at once. */
bool probe_is_refused(const char *endpoint);

#endif
