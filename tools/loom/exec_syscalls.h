/* SPDX-License-Identifier: Apache-2.0 */
/* `loom exec --syscalls` and `--pid`: system calls as spans below the command's, and their summary. */
#ifndef LOOM_TOOLS_EXEC_SYSCALLS_H
#define LOOM_TOOLS_EXEC_SYSCALLS_H

#include "tools/loom/exec_trace.h"
#include "trace/process/run/run.h"
#include "trace/process/syscalls/syscall_trace.h"

#define OPTIONS_SYSCALLS                                                                                             \
    {.name = "syscalls", .kind = OPTION_VALUE, .value = "SET", .bare = "default", .group = "System calls",           \
     .help = "Make spans of system calls: names and classes as strace has them, such as file,network or !memory; "   \
             "without SET, those that open something or wait"},                                                       \
    {.name = "pid", .kind = OPTION_VALUE, .value = "PID", .group = "System calls",                                   \
     .help = "Follow a running process instead of starting a command, until it ends or Ctrl-C"},                  \
    {.name = "min-duration", .kind = OPTION_VALUE, .value = "TIME", .group = "System calls",                         \
     .help = "Only calls that took at least this long, such as 100us"},                                                \
    {.name = "errors-only", .kind = OPTION_FLAG, .group = "System calls", .help = "Only calls that failed"},         \
    {.name = "sample", .kind = OPTION_VALUE, .value = "SHARE", .group = "System calls",                              \
     .help = "Only a random share of the calls, such as 0.01"},                                                             \
    {.name = "summary", .letter = 'c', .kind = OPTION_FLAG, .group = "System calls",                                 \
     .help = "Print a table on standard error at the end: calls, errors, times"},                                    \
    {.name = "json", .kind = OPTION_FLAG, .group = "System calls", .help = "Print the summary as JSON"},             \
    {.name = "source", .kind = OPTION_FLAG, .group = "System calls",                                                 \
     .help = "Add the file, line and function that made each call; slow"},                                                     \
    {.name = "source-map", .kind = OPTION_VALUE, .value = "FILE", .group = "System calls",                           \
     .help = "Map places in a transpiled program back to the original by this source map; implies --source"}

typedef struct exec_syscalls {
    const command *command;
    syscall_trace *trace; /* NULL: off */
    loom_trace_context parent;
    process_tracer tracer;
    bool summary, json, source, attached;
} exec_syscalls;

bool exec_syscalls_attaches(const options *o);
/* The process of --pid. False: not a process id; exit with *exit_code. */
bool exec_syscalls_pid(const command *c, const options *o, pid_t *pid, int *exit_code);
/* That process's command line, one block to free(); "?" if it cannot be read. NULL: out of memory. */
char **exec_syscalls_command_line(pid_t pid);
/* False: the command line is wrong; exit with *exit_code, there is nothing to close. Any other failure is
 * reported, and nothing is traced. span: the parent of the processes' spans; if it is not sampled, there is a summary at most. */
bool exec_syscalls_open(exec_syscalls *x, const command *c, const options *o, const exec_trace *trace,
                        const loom_trace_context *span, int *exit_code);
/* For process_options; NULL: off. */
const process_tracer *exec_syscalls_tracer(const exec_syscalls *x);
/* Follows a process until it ends, or SIGINT, SIGTERM or SIGHUP comes. 0, or an errno value, after the reason has been printed. */
int exec_syscalls_attach(exec_syscalls *x, pid_t pid);
/* Exports what was seen, then prints the summary and what was lost. timeout_ms bounds the export. */
void exec_syscalls_close(exec_syscalls *x, uint32_t timeout_ms);

#endif
