/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of one round. Each is killed by the kernel when the conductor dies, and by processes_end() otherwise.
 * The conductor keeps its signals blocked (processes_block_signals) and takes them while it sleeps, so that an
 * interruption is an ordinary end. */
#ifndef LOOM_BENCH_PROCESS_H
#define LOOM_BENCH_PROCESS_H

#include <sys/types.h>

#include "tools/bench/series.h"
#include "tools/bench/setup.h"

enum { PROCESS_LOG_SIZE = 256, PROCESSES_MAX = 64 };

typedef struct process {
    pid_t pid;
    char role[SAMPLE_ROLE_SIZE];
    char log[PROCESS_LOG_SIZE]; /* file with its output; "": it has ours */
} process;

typedef struct process_list {
    process items[PROCESSES_MAX];
    size_t count;
    bool interrupted; /* by the user */
    bench_placement placement;
} process_list;

typedef struct process_usage {
    uint64_t cpu_ns;
    uint64_t switches;
} process_usage;

/* Whether it speaks to the servers under measurement, and is none of them. */
bool process_is_client(const char *role);
/* Once, before the first process. */
void processes_block_signals(void);
/* Like fork(): 0 in the new process, -1 with a complaint. */
pid_t processes_fork(process_list *list, const char *role);
/* Runs a program; its output goes to the file log. */
bool processes_run(process_list *list, const char *role, char *const argv[], const char *log);
/* Sleeps up to seconds. False, with a complaint, when a process has ended or the user interrupts. */
bool processes_sleep(process_list *list, double seconds);
/* Asks every process to end, then makes it; all are gone afterwards. orderly: clients end by themselves first, then the
 * others one after the other, the first one last, so that each can still hand on what it has. */
void processes_end(process_list *list, bool orderly);

/* What each has used since it began; zero for one that has ended. */
void processes_usage(const process_list *list, process_usage out[PROCESSES_MAX]);
/* Memory in bytes: resident now, or at its peak; 0 for one that has ended. */
double process_resident(pid_t pid);
double process_peak(pid_t pid);

#endif
