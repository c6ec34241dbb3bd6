/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/up/lines.h"

#include <string.h>

static void give(loom_str line, void (*take)(void *user, loom_str line), void *user)
{
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    take(user, line);
}

void lines_finish(line_splitter *l, void (*take)(void *user, loom_str line), void *user)
{
    if (l->used > 0) {
        give((loom_str){l->text, l->used}, take, user);
        l->used = 0;
    }
}

void lines_feed(line_splitter *l, loom_str bytes, void (*take)(void *user, loom_str line), void *user)
{
    while (bytes.len > 0) {
        const char *end = memchr(bytes.data, '\n', bytes.len);
        size_t len = end != NULL ? (size_t)(end - bytes.data) : bytes.len;
        const size_t room = LINE_SIZE - l->used;
        const bool cut = len > room;
        len = cut ? room : len;
        memcpy(l->text + l->used, bytes.data, len);
        l->used += len;
        bytes.data += len;
        bytes.len -= len;
        if (cut) {
            lines_finish(l, take, user);
        } else if (end != NULL) {
            give((loom_str){l->text, l->used}, take, user);
            l->used = 0;
            bytes.data++;
            bytes.len--;
        }
    }
}
