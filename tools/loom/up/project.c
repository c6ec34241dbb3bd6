/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/up/project.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/runtime_dir.h"
#include "base/sha1.h"
#include "base/utf8.h"

enum { HASH_BYTES = 8, LOCK_LOOK_US = 20000 };

static bool make_dir(const char *dir, char why[PROJECT_WHY_SIZE])
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        snprintf(why, PROJECT_WHY_SIZE, "cannot make %s: %s", dir, strerror(errno));
        return false;
    }
    return paths_check_private(dir, why, PROJECT_WHY_SIZE) == LOOM_OK;
}

static bool make_state_dir(project *p, char why[PROJECT_WHY_SIZE])
{
    char runtime[PATHS_DIR_SIZE], up[PATHS_DIR_SIZE + 8], hash[HASH_BYTES * 2 + 1] = "";
    uint8_t digest[SHA1_SIZE];
    paths_runtime_dir(runtime);
    snprintf(up, sizeof up, "%s/up", runtime);
    sha1(digest, p->file, strlen(p->file));
    hex_encode(hash, digest, HASH_BYTES);
    snprintf(p->dir, sizeof p->dir, "%s/%s", up, hash);
    return make_dir(runtime, why) && make_dir(up, why) && make_dir(p->dir, why);
}

bool project_open(project *p, const char *file, char why[PROJECT_WHY_SIZE])
{
    *p = (project){.lock = -1};
    file = file != NULL ? file : "loom.toml";
    p->file = realpath(file, NULL);
    if (p->file == NULL) {
        snprintf(why, PROJECT_WHY_SIZE, "%s: %s; name the project's file, or make a project with `loom new NAME --lang c`", file,
                 strerror(errno));
        return false;
    }
    if (!utf8_valid((loom_str){p->file, strlen(p->file)})) {
        snprintf(why, PROJECT_WHY_SIZE, "the path of %s is not UTF-8; move the project elsewhere", file);
        project_close(p);
        return false;
    }
    const char *slash = strrchr(p->file, '/');
    p->folder = strndup(p->file, slash > p->file ? (size_t)(slash - p->file) : 1);
    if (p->folder == NULL || !make_state_dir(p, why)) {
        project_close(p);
        return false;
    }
    return true;
}

void project_close(project *p)
{
    if (p->lock >= 0) {
        close(p->lock);
    }
    free(p->file);
    free(p->folder);
    *p = (project){.lock = -1};
}

char *project_path(const project *p, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", p->dir, name) < 0 ? NULL : path;
}

static int open_lock(const project *p)
{
    char *path = project_path(p, "lock");
    const int fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    free(path);
    return fd;
}

project_lock_result project_lock(project *p, unsigned wait_ms)
{
    const uint64_t end = clock_monotonic_ms() + wait_ms;
    const int fd = open_lock(p);
    if (fd < 0) {
        return PROJECT_FAILED;
    }
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || clock_monotonic_ms() >= end) {
            const int error = errno;
            close(fd);
            errno = error;
            return error == EWOULDBLOCK ? PROJECT_BUSY : PROJECT_FAILED;
        }
        usleep(LOCK_LOOK_US);
    }
    p->lock = fd;
    return PROJECT_LOCKED;
}

bool project_is_up(const project *p)
{
    project probe = *p;
    const int fd = open_lock(&probe);
    if (fd < 0) {
        return false;
    }
    const bool up = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return up;
}
