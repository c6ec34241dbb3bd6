/* SPDX-License-Identifier: Apache-2.0 */
#include "host/resources.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* /proc is memory: nothing here waits for a disk. */
static void read_stat(process_resources *out)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL) {
        return;
    }
    const size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *behind = strrchr(text, ')'); /* the name of the program may hold anything */
    unsigned long long threads, start, size;
    long long pages;
    /* fields 20, 22, 23, 24 of proc(5); the first behind the name is 3 */
    if (behind != NULL && sscanf(behind + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %llu %*d %llu %llu %lld",
                                 &threads, &start, &size, &pages) == 4) {
        struct timespec since_boot, now;
        clock_gettime(CLOCK_BOOTTIME, &since_boot);
        clock_gettime(CLOCK_REALTIME, &now);
        const double boot = (double)now.tv_sec - (double)since_boot.tv_sec + (double)(now.tv_nsec - since_boot.tv_nsec) / 1e9;
        out->threads = threads;
        out->start_seconds = boot + (double)start / (double)sysconf(_SC_CLK_TCK);
        out->virtual_bytes = size;
        out->resident_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
}

static uint64_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    uint64_t count = 0;
    if (folder == NULL) {
        return 0;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count - 1; /* the folder's own */
}

void process_resources_read(process_resources *out)
{
    struct rusage used;
    struct rlimit limit;
    *out = (process_resources){0};
    read_stat(out);
    out->open_fds = count_descriptors();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        out->max_fds = limit.rlim_cur;
    }
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        out->cpu_seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    }
}
