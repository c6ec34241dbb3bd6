/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing bytes: a chain of pieces. Nothing is moved when some have been written, and an empty one holds no memory. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "host/net/sp/internal.h"

enum { AT_ONCE = 64 }; /* pieces in one system call: 1 MiB */

static void put(sp_out *o, loom_bytes bytes)
{
    o->len += bytes.len;
    while (bytes.len > 0) {
        sp_piece *at = o->last;
        assert(at != NULL); /* sp_out_add() made room */
        size_t room = at->cap - at->end, some = bytes.len < room ? bytes.len : room;
        if (some == 0) { /* only the last but one can be full */
            o->last = at->next;
            continue;
        }
        memcpy(at->data + at->end, bytes.data, some);
        at->end += some;
        bytes.data += some;
        bytes.len -= some;
    }
}

size_t sp_parts_len(const loom_bytes *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    return len;
}

loom_status sp_out_add(sp_out *o, sp_hub *hub, loom_bytes head, const loom_bytes *parts, size_t count)
{
    size_t len = head.len + sp_parts_len(parts, count);
    size_t room = o->last != NULL ? o->last->cap - o->last->end : 0;
    if (len > room) {
        sp_piece *piece = sp_piece_get(hub, len - room);
        if (piece == NULL) {
            return LOOM_ENOMEM;
        }
        if (o->last != NULL) {
            o->last->next = piece;
        } else {
            o->first = o->last = piece;
        }
    }
    put(o, head);
    for (size_t i = 0; i < count; i++) {
        put(o, parts[i]);
    }
    return LOOM_OK;
}

static void written(sp_out *o, sp_hub *hub, size_t len)
{
    o->len -= len;
    while (o->first != NULL) {
        sp_piece *piece = o->first;
        size_t some = piece->end - piece->start;
        if (len < some) {
            piece->start += len;
            return;
        }
        len -= some;
        o->first = piece->next;
        sp_piece_put(hub, piece);
    }
    o->last = NULL;
}

int sp_out_write(sp_out *o, sp_hub *hub, int fd)
{
    while (o->len > 0) {
        struct iovec iov[AT_ONCE];
        size_t count = 0, len = 0;
        for (sp_piece *piece = o->first; piece != NULL && count < AT_ONCE; piece = piece->next) {
            iov[count++] = (struct iovec){piece->data + piece->start, piece->end - piece->start};
            len += piece->end - piece->start;
        }
        const struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        written(o, hub, (size_t)sent);
        if ((size_t)sent < len) {
            return EAGAIN; /* asking again would only be told so */
        }
    }
    return 0;
}

void sp_out_clear(sp_out *o, sp_hub *hub)
{
    for (sp_piece *piece = o->first, *next; piece != NULL; piece = next) {
        next = piece->next;
        sp_piece_put(hub, piece);
    }
    *o = (sp_out){NULL, NULL, 0};
}
