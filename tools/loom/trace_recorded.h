/* SPDX-License-Identifier: Apache-2.0 */
/* loom trace ls --recorded: what the broker's flight recorder holds now. */
#ifndef LOOM_TOOLS_TRACE_RECORDED_H
#define LOOM_TOOLS_TRACE_RECORDED_H

#include "tools/loom/verb.h"

/* Returns the exit code. limit: of traces. */
int trace_recorded_list(const command *c, const options *o, uint64_t limit);

#endif
