/* SPDX-License-Identifier: Apache-2.0 */
#include "host/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads until the end or until one byte more than allowed has come: a file may grow while it is read. */
static loom_status read_all(int fd, char *buffer, size_t size, size_t *length)
{
    *length = 0;
    while (*length < size) {
        ssize_t got = read(fd, buffer + *length, size - *length);
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            return LOOM_EIO;
        }
        *length += got > 0 ? (size_t)got : 0;
    }
    return LOOM_OK;
}

static loom_status refuse(problems *list, const char *path, const char *why)
{
    problems_add(list, PROBLEM_ERROR, "%s: %s", path, why);
    return LOOM_EINVAL;
}

static loom_status read_file(int fd, const char *path, char **text, size_t *length, problems *list)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return refuse(list, path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return refuse(list, path, S_ISDIR(info.st_mode) ? "is a directory" : "is not a regular file");
    }
    if (info.st_size > CONFIG_FILE_MAX) {
        return refuse(list, path, "is over 1 MiB, which no configuration needs");
    }
    size_t size = (size_t)info.st_size + 1;
    *text = malloc(size);
    if (*text == NULL) {
        return LOOM_ENOMEM;
    }
    if (read_all(fd, *text, size, length) != LOOM_OK) {
        refuse(list, path, strerror(errno));
    } else if (*length == size) {
        refuse(list, path, "grew while it was read");
    } else {
        return LOOM_OK;
    }
    free(*text);
    *text = NULL;
    return LOOM_EINVAL;
}

loom_status config_load_file(config *c, const char *path, problems *list)
{
    /* O_NONBLOCK: opening a pipe must not wait for its writer */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return refuse(list, path, strerror(errno));
    }
    char *text = NULL;
    size_t length = 0;
    loom_status st = read_file(fd, path, &text, &length, list);
    close(fd);
    if (st == LOOM_OK) {
        st = config_load_toml(c, path, (loom_str){text, length}, list);
        free(text);
    }
    return st;
}
