/* SPDX-License-Identifier: Apache-2.0 */
#include "base/runtime_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"

/* Whether it can stand in a URL, and that in a list of them. */
static bool fits_url(const char *dir)
{
    bool fits = utf8_valid((loom_str){dir, strlen(dir)});
    for (const char *at = dir; *at != '\0' && fits; at++) {
        fits = (unsigned char)*at > ' ' && *at != 0x7f && *at != ',';
    }
    return fits;
}

void paths_runtime_dir(char out[PATHS_DIR_SIZE])
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (base != NULL && base[0] == '/' && fits_url(base)) {
        int length = snprintf(out, PATHS_DIR_SIZE, "%s%sloom", base, base[strlen(base) - 1] == '/' ? "" : "/");
        /* 24 bytes are left for the longest of our socket names */
        if (length > 0 && length < PATHS_DIR_SIZE - 24) {
            return;
        }
    }
    snprintf(out, PATHS_DIR_SIZE, "/tmp/loom-%lu", (unsigned long)geteuid());
}

loom_status paths_runtime_url(char *out, size_t size, const char *name)
{
    char dir[PATHS_DIR_SIZE];
    paths_runtime_dir(dir);
    int length = snprintf(out, size, "ipc://%s/%s", dir, name);
    return length >= 0 && (size_t)length < size ? LOOM_OK : LOOM_ETOOBIG;
}

loom_status paths_check_private(const char *dir, char *why, size_t why_size)
{
    struct stat info;
    if (lstat(dir, &info) != 0) {
        snprintf(why, why_size, "%s: %s", dir, strerror(errno));
        return LOOM_EIO;
    }
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid()) {
        snprintf(why, why_size, "%s is not a directory of this user; remove it, or set XDG_RUNTIME_DIR", dir);
        return LOOM_EDENIED;
    }
    if ((info.st_mode & 077) != 0) {
        snprintf(why, why_size, "%s is open to other users; run: chmod 700 %s", dir, dir);
        return LOOM_EDENIED;
    }
    return LOOM_OK;
}

loom_status paths_prepare_socket_dir(const char *socket_path, char *why, size_t why_size)
{
    why[0] = '\0';
    const char *slash = strrchr(socket_path, '/');
    if (slash == NULL || slash == socket_path) {
        return LOOM_OK;
    }
    char *dir = strndup(socket_path, (size_t)(slash - socket_path));
    if (dir == NULL) {
        return LOOM_ENOMEM;
    }
    loom_status st = LOOM_OK;
    char runtime[PATHS_DIR_SIZE];
    paths_runtime_dir(runtime);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        snprintf(why, why_size, "%s: %s", dir, strerror(errno));
        st = LOOM_EIO;
    } else if (strcmp(dir, runtime) == 0) {
        st = paths_check_private(dir, why, why_size);
    }
    free(dir);
    return st;
}

/* Takes the candidate when it is there, even if unreadable: an error to tell, not a file to pass over. */
static loom_status try_config(char **out, const char *base, const char *rest)
{
    size_t size = strlen(base) + strlen(rest) + 1;
    char *path = malloc(size);
    if (path == NULL) {
        return LOOM_ENOMEM;
    }
    snprintf(path, size, "%s%s", base, rest);
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) {
        *out = path;
    } else {
        free(path);
    }
    return LOOM_OK;
}

loom_status paths_find_config(char **out)
{
    *out = NULL;
    loom_status st = try_config(out, "", "loom.toml");
    const char *home = getenv("XDG_CONFIG_HOME");
    if (st == LOOM_OK && *out == NULL) {
        if (home != NULL && home[0] == '/') {
            st = try_config(out, home, "/loom/loom.toml");
        } else if ((home = getenv("HOME")) != NULL && home[0] == '/') {
            st = try_config(out, home, "/.config/loom/loom.toml");
        }
    }
    if (st == LOOM_OK && *out == NULL) {
        st = try_config(out, "", "/etc/loom/loom.toml");
    }
    return st;
}
