/* SPDX-License-Identifier: Apache-2.0 */
/* For a process that works in no trace, and starts others. */
#ifndef LOOM_TRACE_CARRIER_TRACE_VARIABLES_H
#define LOOM_TRACE_CARRIER_TRACE_VARIABLES_H

/* Takes what loom_child_environment_create() does not hand on out of this process's own environment. While there is one
 * thread. */
void trace_variables_unset(void);

#endif
