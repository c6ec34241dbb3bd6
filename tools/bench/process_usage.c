/* SPDX-License-Identifier: Apache-2.0 */
/* What processes have used, as /proc tells it. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/bench/process.h"

/* Adds up the lines "name: number" of a file for each of two names; name2 may be NULL. */
static uint64_t sum_lines(const char *path, const char *name, const char *name2)
{
    char line[128];
    uint64_t sum = 0;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        unsigned long long n;
        if (colon != NULL && sscanf(colon + 1, "%llu", &n) == 1) {
            *colon = '\0';
            sum += strcmp(line, name) == 0 || (name2 != NULL && strcmp(line, name2) == 0) ? n : 0;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return sum;
}

/* Voluntary and other switches of all threads; one that ends meanwhile takes its own with it. */
static uint64_t switches_of(pid_t pid)
{
    char path[64];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        char file[sizeof path + sizeof task->d_name + 8];
        snprintf(file, sizeof file, "%s/%s/status", path, task->d_name);
        sum += task->d_name[0] == '.' ? 0 : sum_lines(file, "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches");
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return sum;
}

void processes_usage(const process_list *list, process_usage out[PROCESSES_MAX])
{
    for (size_t i = 0; i < list->count; i++) {
        clockid_t clock;
        struct timespec used = {0};
        if (clock_getcpuclockid(list->items[i].pid, &clock) == 0) {
            clock_gettime(clock, &used);
        }
        out[i].cpu_ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
        out[i].switches = switches_of(list->items[i].pid);
    }
}

static double kilobytes_of(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    return 1024.0 * (double)sum_lines(path, name, NULL);
}

double process_resident(pid_t pid)
{
    return kilobytes_of(pid, "VmRSS");
}

double process_peak(pid_t pid)
{
    return kilobytes_of(pid, "VmHWM");
}
