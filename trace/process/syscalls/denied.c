/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/denied.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/process/syscalls/memory.h"

/* A number of a line of /proc/PID/status, or -1. */
static long number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at != NULL ? strtol(at + strlen(key), NULL, 10) : -1;
}

static int yama_scope(void)
{
    int scope = 0;
    FILE *in = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (in != NULL) {
        scope = fscanf(in, "%d", &scope) == 1 ? scope : 0;
        fclose(in);
    }
    return scope;
}

void denied_explain(pid_t pid, int error, char *problem, size_t size)
{
    char text[2049];
    text[memory_file(pid, "status", text, sizeof text - 1)] = '\0';
    const long tracer = number_after(text, "\nTracerPid:");
    if (error == EPIPE || error == ETIMEDOUT) {
        (void)snprintf(problem, size, "their tracer has gone");
    } else if (error == ESRCH) {
        (void)snprintf(problem, size, "process %d has ended", (int)pid);
    } else if (error != EPERM) {
        (void)snprintf(problem, size, "ptrace: %s", strerror(error));
    } else if (strstr(text, "\nState:\tZ") != NULL) {
        (void)snprintf(problem, size, "process %d has ended, and waits for its parent to take note of it", (int)pid);
    } else if (tracer > 0) {
        (void)snprintf(problem, size, "process %ld (a debugger, strace, or another loom exec --syscalls) "
                                      "traces process %d already, and only one can", tracer, (int)pid);
    } else if (yama_scope() > 0) {
        (void)snprintf(problem, size, "kernel.yama.ptrace_scope is %d; run as root, give CAP_SYS_PTRACE, "
                                      "or set it to 0 with sysctl", yama_scope());
    } else {
        (void)snprintf(problem, size, "ptrace is not permitted; a container needs CAP_SYS_PTRACE "
                                      "(--cap-add=SYS_PTRACE), a process of another user root");
    }
}
