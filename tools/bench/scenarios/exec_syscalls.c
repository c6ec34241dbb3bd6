/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs to trace system calls: each command by itself, under strace and under loom, one after the other, again and
 * again, so that whatever else the machine does meets all three. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/bench/histogram.h"
#include "tools/bench/otlp_sink.h"
#include "tools/bench/scenarios/exec_programs.h"

#define SET  "file"
#define LOAD "import os, sqlite3\n" \
             "if os.path.exists('load.db'): os.remove('load.db')\n" \
             "c = sqlite3.connect('load.db', isolation_level=None)\n" \
             "c.execute('pragma synchronous = off'); c.execute('create table t (k integer primary key, v text)')\n" \
             "for i in range(3000): c.execute('insert into t (v) values (?)', (str(i) * 20,))\n"

enum { FOLDERS = 100, FILES = 1000, ARGUMENTS_MAX = 16, NFTW_FILES = 16, VARIABLE_SIZE = SITE_URL_SIZE + 64 };

typedef enum tracer { TRACER_NONE, TRACER_STRACE, TRACER_LOOM, TRACER_COUNT } tracer;

typedef struct workload {
    bench_site site;
    const char *command[6]; /* ends with NULL */
    char python[SITE_URL_SIZE], strace[SITE_URL_SIZE], loom[SITE_URL_SIZE], find[SITE_URL_SIZE];
    bool has_strace;
    char path[VARIABLE_SIZE], endpoint[VARIABLE_SIZE]; /* variables */
    histogram took[TRACER_COUNT];
} workload;

/* ---- what it works on ---- */

static bool make_folder(const char *path)
{
    const int folder = mkdir(path, 0700) == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool ok = folder >= 0;
    for (unsigned i = 0; ok && i < FILES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        const int file = openat(folder, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ok = file >= 0;
        if (ok) {
            close(file);
        }
    }
    if (folder >= 0) {
        close(folder);
    }
    return ok;
}

static bool make_tree(const bench_site *site)
{
    char path[SITE_URL_SIZE], folder[SITE_URL_SIZE + 16];
    site_path(site, path, "tree");
    bool ok = mkdir(path, 0700) == 0;
    for (unsigned i = 0; ok && i < FOLDERS; i++) {
        snprintf(folder, sizeof folder, "%s/%u", path, i);
        ok = make_folder(folder);
    }
    if (!ok) {
        bench_complain("cannot make a tree of files in %s: %s", path, strerror(errno));
    }
    return ok;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    (void)remove(path);
    return 0;
}

static void remove_tree(const bench_site *site)
{
    char path[SITE_URL_SIZE];
    site_path(site, path, "tree");
    (void)nftw(path, remove_entry, NFTW_FILES, FTW_DEPTH | FTW_PHYS);
}

/* The system's interpreter before one in PATH, which may be a script that finds another. */
static bool find_python(char out[SITE_URL_SIZE])
{
    snprintf(out, SITE_URL_SIZE, "/usr/bin/python3");
    return access(out, X_OK) == 0 || site_find_program(out, "python3");
}

static bool choose_command(workload *w, bench_work work)
{
    if (work == WORK_FIND ? !site_find_program(w->find, "find") : !find_python(w->python)) {
        bench_complain("there is no %s", work == WORK_FIND ? "find" : "python3");
        return false;
    }
    switch (work) {
    case WORK_FIND: memcpy(w->command, (const char *[]){w->find, "tree", "-size", "+1G"}, 4 * sizeof(char *)); return make_tree(&w->site);
    case WORK_SQLITE: memcpy(w->command, (const char *[]){w->python, "-c", LOAD}, 3 * sizeof(char *)); return true;
    default: memcpy(w->command, (const char *[]){w->python, "-c", "import json, sqlite3, http.client, unittest"}, 3 * sizeof(char *)); return true;
    }
}

/* ---- one run ---- */

static size_t put_prefix(const workload *w, tracer by, const char *argv[ARGUMENTS_MAX])
{
    static const char of_strace[] = "trace=" SET, of_loom[] = "--syscalls=" SET;
    const char *const strace[] = {w->strace, "-f", "-e", of_strace, "-o", "strace.out"};
    const char *const loom[] = {w->loom, "exec", of_loom, "--"};
    switch (by) {
    case TRACER_STRACE: memcpy(argv, strace, sizeof strace); return sizeof strace / sizeof strace[0];
    case TRACER_LOOM: memcpy(argv, loom, sizeof loom); return sizeof loom / sizeof loom[0];
    default: return 0;
    }
}

static int spawn(const workload *w, const char *const *argv, pid_t *pid)
{
    static char exporter[] = "OTEL_TRACES_EXPORTER=otlp", protocol[] = "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf";
    char *const environment[] = {(char *)w->path, (char *)w->endpoint, exporter, protocol, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    if (posix_spawn_file_actions_init(&files) != 0) {
        return ENOMEM;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return ENOMEM;
    }
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK); /* ours are blocked */
    posix_spawnattr_setsigmask(&attributes, &none);
    int error = posix_spawn_file_actions_addchdir_np(&files, w->site.dir);
    if (error == 0) {
        error = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    }
    if (error == 0) {
        error = posix_spawn(pid, argv[0], &files, &attributes, (char *const *)argv, environment);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static bool run(workload *w, tracer by)
{
    const char *argv[ARGUMENTS_MAX] = {0};
    pid_t pid;
    int status = 0;
    memcpy(argv + put_prefix(w, by, argv), w->command, sizeof w->command);
    const uint64_t begin = clock_monotonic_ns();
    const int error = spawn(w, argv, &pid);
    if (error != 0) {
        bench_complain("cannot run %s: %s", argv[0], strerror(error));
        return false;
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        bench_complain(WIFSIGNALED(status) ? "%s was killed by signal %d" : "%s ended with exit code %d", argv[0],
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        return false;
    }
    histogram_add(&w->took[by], clock_monotonic_ns() - begin);
    return true;
}

/* ---- the round ---- */

static void report(const workload *w, bench_sample *out)
{
    double ms[TRACER_COUNT];
    for (tracer by = TRACER_NONE; by < TRACER_COUNT; by++) {
        ms[by] = (double)histogram_quantile(&w->took[by], 0.5) / 1e6;
    }
    out->sent = w->took[TRACER_LOOM].count;
    out->values[METRIC_P50_US] = ms[TRACER_LOOM] * 1e3;
    out->values[METRIC_OVERHEAD_MS] = ms[TRACER_LOOM] - ms[TRACER_NONE];
    if (w->has_strace && ms[TRACER_STRACE] > ms[TRACER_NONE]) {
        out->values[METRIC_OF_STRACE] = (ms[TRACER_LOOM] - ms[TRACER_NONE]) / (ms[TRACER_STRACE] - ms[TRACER_NONE]);
    }
}

static bool has_spans(const bench_site *site)
{
    return atomic_load(&site->shared->spans) > 0;
}

static bool measure(workload *w, const bench_setup *setup)
{
    char url[SITE_URL_SIZE];
    const char *path = getenv("PATH");
    w->has_strace = site_find_program(w->strace, "strace");
    if (!site_sibling(w->loom, "loom") || !otlp_sink_start(&w->site, url) || !choose_command(w, setup->shape.work)) {
        return false;
    }
    snprintf(w->endpoint, sizeof w->endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT=%s", url);
    snprintf(w->path, sizeof w->path, "PATH=%s", path != NULL && strlen(path) < SITE_URL_SIZE ? path : "/usr/bin:/bin");
    const uint64_t end = clock_monotonic_ns() + (uint64_t)(setup->seconds * 1e9);
    do {
        for (tracer by = TRACER_NONE; by < TRACER_COUNT; by++) {
            if ((by != TRACER_STRACE || w->has_strace) && ((!run(w, by) && by != TRACER_STRACE) || !site_sleep(&w->site, 0))) {
                return false; /* a run of strace that failed is told, and left out: it is not strace that is on trial */
            }
        }
    } while (clock_monotonic_ns() < end);
    return site_wait(&w->site, has_spans, "a span at the receiver");
}

bool exec_syscalls_round(const bench_setup *setup, bench_sample *out)
{
    workload *w = calloc(1, sizeof *w);
    if (w == NULL || !site_open(&w->site, setup)) {
        free(w);
        return false;
    }
    const bool ok = measure(w, setup);
    if (ok) {
        report(w, out);
    }
    remove_tree(&w->site);
    out->interrupted = site_close(&w->site);
    free(w);
    return ok;
}
