/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of each system call, whatever its number. */
#ifndef LOOM_TRACE_PROCESS_TABLE_H
#define LOOM_TRACE_PROCESS_TABLE_H

#include <loom/api.h>

/* Which errors are an answer and no failure to who makes the call, besides those that are so for every call (quiet.c). */
typedef enum syscall_quiet {
    QUIET_NONE,
    QUIET_PROBE,   /* is it there? */
    QUIET_OPEN,    /* a search through the folders of libraries and their data */
    QUIET_EXEC,    /* a search through PATH */
    QUIET_LINK,    /* is it a link? */
    QUIET_XATTR,   /* has it such an attribute? */
    QUIET_TIMED,   /* the time is up */
    QUIET_CHILD,   /* are there children? */
    QUIET_TTY,     /* is it a terminal? */
    QUIET_EXISTS,  /* mkdir -p */
    QUIET_SEEK,    /* is it a pipe? */
    QUIET_PROCESS, /* does it live? */
    QUIET_PEER     /* is it connected? */
} syscall_quiet;

typedef struct syscall_spec {
    const char *name, *classes, *args; /* table_rows.h */
    syscall_quiet quiet;
} syscall_spec;

enum { SYSCALL_SPECS_MAX = 384, SYSCALL_NUMBERS_MAX = 512, SYSCALL_ARGS_MAX = 6 };

extern const syscall_spec syscall_specs[];
extern const size_t syscall_spec_count; /* at most SYSCALL_SPECS_MAX */

/* A class by the name that strace gives it. */
typedef struct syscall_class {
    const char *name, *letters; /* a call with any of them belongs to it */
} syscall_class;

extern const syscall_class syscall_classes[];
extern const size_t syscall_class_count;

#endif
