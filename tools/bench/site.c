/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/site.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAIT_SECONDS 10.0
#define WAIT_STEP    0.002

enum { DIRS_SIZE = 4096 };

void bench_complain(const char *format, ...)
{
    va_list args;
    char line[512];
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    /* over the line that tells how far the run is, if there is one */
    fprintf(stderr, "%sloom-bench: %s\n", isatty(STDERR_FILENO) == 1 ? "\r\033[K" : "", line);
}

bool site_open(bench_site *site, const bench_setup *setup)
{
    memset(site, 0, sizeof *site);
    site->setup = setup;
    site->processes.placement = setup->placement;
    const char *tmp = getenv("TMPDIR");
    if (tmp == NULL || tmp[0] != '/' || strlen(tmp) > SITE_PATH_SIZE / 2) {
        tmp = "/tmp"; /* socket paths are short of room */
    }
    snprintf(site->dir, sizeof site->dir, "%s/loom-bench.XXXXXX", tmp);
    if (mkdtemp(site->dir) == NULL) {
        bench_complain("cannot make a directory in %s: %s", tmp, strerror(errno));
        site->dir[0] = '\0';
        return false;
    }
    site->shared = shared_create();
    if (site->shared == NULL) {
        bench_complain("no shared memory: %s", strerror(errno));
        site_close(site);
        return false;
    }
    return true;
}

static void remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(path);
}

bool site_close(bench_site *site)
{
    const bool interrupted = site->processes.interrupted;
    processes_end(&site->processes, false);
    shared_destroy(site->shared);
    site->shared = NULL;
    if (site->dir[0] != '\0') {
        remove_dir(site->dir);
    }
    return interrupted;
}

void site_path(const bench_site *site, char out[SITE_URL_SIZE], const char *name)
{
    snprintf(out, SITE_URL_SIZE, "%s/%s", site->dir, name);
}

bool site_sibling(char out[SITE_URL_SIZE], const char *name)
{
    char self[SITE_URL_SIZE];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL) {
        bench_complain("cannot tell where this program lies");
        return false;
    }
    *slash = '\0';
    if (snprintf(out, SITE_URL_SIZE, "%s/%s", self, name) >= SITE_URL_SIZE || access(out, X_OK) != 0) {
        bench_complain("there is no %s in %s; build it first", name, self);
        return false;
    }
    return true;
}

bool site_find_program(char out[SITE_URL_SIZE], const char *name)
{
    const char *path = getenv("PATH");
    char dirs[DIRS_SIZE];
    snprintf(dirs, sizeof dirs, "%s:/usr/sbin:/usr/local/sbin", path != NULL ? path : "/usr/bin");
    char *rest = dirs;
    for (char *dir; (dir = strsep(&rest, ":")) != NULL;) {
        if (snprintf(out, SITE_URL_SIZE, "%s/%s", dir, name) < SITE_URL_SIZE && access(out, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

bool site_sleep(bench_site *site, double seconds)
{
    return processes_sleep(&site->processes, seconds);
}

bool site_wait(bench_site *site, bool (*done)(const bench_site *site), const char *what)
{
    for (double waited = 0; !done(site); waited += WAIT_STEP) {
        if (!site_sleep(site, WAIT_STEP)) {
            return false;
        }
        if (waited > WAIT_SECONDS) {
            bench_complain("%s did not happen within %.0f s", what, WAIT_SECONDS);
            return false;
        }
    }
    return true;
}

bool site_wait_file(bench_site *site, const char *path)
{
    struct stat st;
    for (double waited = 0; stat(path, &st) != 0 || st.st_size == 0; waited += WAIT_STEP) {
        if (!site_sleep(site, WAIT_STEP)) {
            return false;
        }
        if (waited > WAIT_SECONDS) {
            bench_complain("%s was not written within %.0f s", path, WAIT_SECONDS);
            return false;
        }
    }
    return true;
}
