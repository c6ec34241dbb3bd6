/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOM_TOOLS_COMPLETION_H
#define LOOM_TOOLS_COMPLETION_H

#include "tools/loom/verb.h"

/* Prints what the last of these words may become, which are typed behind `loom`, the last one unfinished. c, o: of the command that
 * asks, and so asks the bus. */
void completion_offer(const command *c, const options *o, const char *const *words, size_t count);

#endif
