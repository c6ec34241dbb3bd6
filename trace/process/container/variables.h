/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of the environment, the engine's and those that a container gets. */
#ifndef LOOM_TRACE_PROCESS_CONTAINER_VARIABLES_H
#define LOOM_TRACE_PROCESS_CONTAINER_VARIABLES_H

#include "trace/process/container/engine.h"

/* environment: NAME=VALUE, ends with NULL; may be NULL. NULL: it is not there. */
const char *variable_value(char *const *environment, const char *name);
/* What it is in the container: known has what that was made with, in lines of NAME=VALUE; arguments of the caller's own for the
 * engine (--env, -e) come before it. Empty: it is not there. */
loom_str variable_in_container(const engine_options *o, const char *known, const char *name);

#endif
