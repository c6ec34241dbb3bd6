/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups by the id and the start time of the process that leads them, since a process id alone may be another one's
 * by now. Linux: /proc/PID/stat. */
#ifndef LOOM_TOOLS_UP_GROUPS_H
#define LOOM_TOOLS_UP_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct process_id {
    pid_t pid;
    uint64_t start; /* clock ticks since boot */
} process_id;

/* False: there is no such process. */
bool process_id_of(process_id *out, pid_t pid);
/* Whether it still runs; one that has ended and that nobody has waited for does not. */
bool process_id_runs(const process_id *p);
/* Whether anything in the group runs. */
bool group_runs(pid_t group);
/* Ends groups: SIGTERM, up to wait_ms, SIGKILL. */
void groups_end(const pid_t *groups, size_t count, unsigned wait_ms);

#endif
