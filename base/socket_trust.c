/* SPDX-License-Identifier: Apache-2.0 */
#include "base/socket_trust.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/runtime_dir.h"

enum { PATH_SIZE = 128 }; /* more than a Unix address holds */

/* "." for a path without a slash. */
static void directory_of(char out[PATH_SIZE], const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        snprintf(out, PATH_SIZE, ".");
    } else {
        snprintf(out, PATH_SIZE, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    }
}

static bool is_runtime_dir(const char *dir)
{
    char runtime[PATHS_DIR_SIZE];
    paths_runtime_dir(runtime);
    return strcmp(dir, runtime) == 0;
}

loom_status socket_trust_path(const char *path, char *why, size_t why_size)
{
    char dir[PATH_SIZE];
    struct stat info;
    directory_of(dir, path);
    if (path[0] == '\0' || !is_runtime_dir(dir) || (lstat(dir, &info) != 0 && errno == ENOENT)) {
        return LOOM_OK;
    }
    return paths_check_private(dir, why, why_size) == LOOM_OK ? LOOM_OK : LOOM_EDENIED;
}

loom_status socket_trust_uid(const char *path, uid_t uid, char *why, size_t why_size)
{
    if (uid == geteuid() || uid == 0) {
        return LOOM_OK;
    }
    char dir[PATH_SIZE];
    struct stat info;
    directory_of(dir, path);
    const char *because = path[0] == '\0'                                          ? "abstract sockets are open to every user"
                          : is_runtime_dir(dir)                                    ? "it is in this user's runtime directory"
                          : stat(dir, &info) != 0 || (info.st_mode & S_IWOTH) != 0 ? "every user may write to its directory"
                                                                                   : NULL;
    if (because == NULL) {
        return LOOM_OK;
    }
    snprintf(why, why_size, "the server belongs to another user (uid %lu), and %s", (unsigned long)uid, because);
    return LOOM_EDENIED;
}

loom_status socket_trust_peer(const char *path, int fd, char *why, size_t why_size)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
        snprintf(why, why_size, "cannot tell whose server this is: %s", strerror(errno));
        return LOOM_EIO;
    }
    return socket_trust_uid(path, peer.uid, why, why_size);
}
