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
    bytes_table_fini(&c->by_correlation);
    hash_index_fini(&c->by_number);
    free(c);
}
