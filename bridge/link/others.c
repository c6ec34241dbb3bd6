/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a turn should end for others. Asked in the middle of a round, so libuv cannot tell: its own set of descriptors is
 * looked at. They are polled level-triggered, so what is seen here is told to libuv again. */
#include <sys/epoll.h>

#include "bridge/link/link.h"

/* Two tell, of which one may be the link's own. */
enum { READY = 2 };

bool link_others_wait(void *link)
{
    const link_t *l = link;
    struct epoll_event ready[READY];
    if (l->server->held.first != NULL) {
        return true;
    }
    const int count = epoll_wait(uv_backend_fd(l->server->loop), ready, READY, 0);
    return count > 1 || (count == 1 && ready[0].data.fd != l->fd);
}
