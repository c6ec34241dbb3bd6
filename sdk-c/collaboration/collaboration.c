/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/collaboration/collaboration.h"

#include <stdlib.h>

#include "sdk-c/collaboration/thread.h"

void collaboration_close(loom_agent *a)
{
    collaboration *c = a->collaboration;
    if (c == NULL) {
        return;
    }
    exchanges_close(a);
    threads_close(a);
    a->collaboration = NULL;
    free(c->buckets);
    free(c);
}
