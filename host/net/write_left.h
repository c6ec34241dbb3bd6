/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOM_HOST_NET_WRITE_LEFT_H
#define LOOM_HOST_NET_WRITE_LEFT_H

#include <uv.h>

static inline size_t write_left_of(const uv_buf_t *bufs, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        left += bufs[i].len;
    }
    return left;
}

/* In the callback of a write that failed: how many of its bytes the socket has not taken. By then libuv has taken them out of
 * the size of its queue, but its own copy of the buffers, which lies in the request when there are at most four, still says. */
static inline size_t write_left(const uv_write_t *req)
{
    return write_left_of(req->bufsml + req->write_index, req->nbufs - req->write_index);
}

#endif
