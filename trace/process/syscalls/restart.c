/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/restart.h"

#if defined(__x86_64__)
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "trace/process/syscalls/memory.h"

enum { STATUS_MAX = 4096, SYSCALL_SIZE = 2 /* bytes of the instruction */ };

/* A set of signals of /proc/TID/status; all of them if it is not there. */
static uint64_t signals(const char *status, const char *key)
{
    const char *at = strstr(status, key);
    return at != NULL ? strtoull(at + strlen(key), NULL, 16) : UINT64_MAX;
}

static bool signal_waits(pid_t tid)
{
    char status[STATUS_MAX + 1];
    status[memory_file(tid, "status", status, STATUS_MAX)] = '\0';
    const uint64_t pending = signals(status, "\nSigPnd:") | signals(status, "\nShdPnd:");
    return (pending & ~signals(status, "\nSigBlk:")) != 0 || pending == UINT64_MAX;
}

/* The descriptor is closed in any case; the connection goes on being made. */
static bool has_done_something(uint64_t number)
{
    return number == SYS_close || number == SYS_connect;
}

static bool is_syscall(pid_t tid, uint64_t address)
{
    static const uint8_t instruction[SYSCALL_SIZE] = {0x0f, 0x05};
    memory_view view = {.tid = tid};
    uint8_t there[SYSCALL_SIZE];
    return memory_read(&view, address, there, sizeof there) == sizeof there && memcmp(there, instruction, sizeof there) == 0;
}

void restart_interrupted_call(pid_t tid)
{
    struct user_regs_struct r;
    struct iovec all = {&r, sizeof r};
    if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &all) != 0 || all.iov_len != sizeof r || /* 32 bits have fewer */
        (int64_t)r.rax != -EINTR || (int64_t)r.orig_rax < 0 || has_done_something(r.orig_rax) ||
        !is_syscall(tid, r.rip - SYSCALL_SIZE) || signal_waits(tid)) {
        return;
    }
    r.rax = r.orig_rax;
    r.rip -= SYSCALL_SIZE;
    r.orig_rax = UINT64_MAX; /* it is in no call now */
    (void)ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &all);
}
#else
void restart_interrupted_call(pid_t tid)
{
    (void)tid;
}
#endif
