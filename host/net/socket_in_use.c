/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net/socket_in_use.h"

#include <stdio.h>
#include <string.h>

enum { LISTENS = 0x10000 }; /* the kernel's flag for a socket that accepts, __SO_ACCEPTCON */

/* proc(5): address, references, protocol, flags, type, state, inode, path. */
static bool is_listener(char *line, const char *path)
{
    unsigned flags;
    int path_at = 0;
    line[strcspn(line, "\n")] = '\0';
    return sscanf(line, "%*s %*s %*s %x %*s %*s %*s %n", &flags, &path_at) == 1 && path_at > 0 && (flags & LISTENS) != 0 &&
           strcmp(line + path_at, path) == 0;
}

bool socket_in_use(const char *path)
{
    char line[512];
    bool found = false;
    FILE *sockets = fopen("/proc/net/unix", "re");
    if (sockets == NULL) {
        return false;
    }
    while (!found && fgets(line, sizeof line, sockets) != NULL) {
        found = is_listener(line, path);
    }
    fclose(sockets);
    return found;
}
