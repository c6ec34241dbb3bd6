/* SPDX-License-Identifier: Apache-2.0 */
/* All patterns of collaboration, as the agent sees them. */
#ifndef LOOM_SDK_COLLABORATION_H
#define LOOM_SDK_COLLABORATION_H

#include <loom/collaboration.h>

/* The loop has ended, and nobody else uses the agent: ends what is open, with LOOM_ECLOSED. Lock not held. */
void collaboration_close(loom_agent *a);

#endif
