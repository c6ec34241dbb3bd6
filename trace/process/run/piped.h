/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command to its end behind pipes: feeds its standard input, collects its standard output, and keeps the end of its
 * standard error. Any thread; several at once. */
#ifndef LOOM_TRACE_PROCESS_RUN_PIPED_H
#define LOOM_TRACE_PROCESS_RUN_PIPED_H

#include "trace/process/run/guard.h"
#include "trace/process/run/run.h"

#include <loom/api.h>

enum { PIPED_COMPLAINT_SIZE = 1024 };

typedef struct piped_end piped_end;

typedef struct piped_run {
    char *const *argv;                /* as process_options */
    char *const *environment;
    loom_bytes input;
    size_t output_max;
    const guard *guard;               /* ends it when we are killed; NULL: nobody does */
    /* Asked a few times a second: true ends the command. */
    bool (*give_up)(void *user);
    /* Output as it comes, in pieces of any size; NULL: it collects in output. False ends the command. */
    bool (*piece)(void *user, loom_bytes piece);
    /* It is running; may be NULL. */
    void (*started)(void *user, pid_t pid);
    /* Its standard error as it comes, which gives what is kept of it to piped_complain(); NULL: all of it is kept. */
    void (*errors)(void *user, piped_end *end, loom_bytes bytes);
    void *user;
} piped_run;

struct piped_end {
    enum { PIPED_EXITED, PIPED_SIGNALLED, PIPED_GIVEN_UP, PIPED_TOO_MUCH, PIPED_NOT_STARTED } how;
    int number;                       /* exit code, signal, or errno of not starting */
    int status;                       /* as waitpid() has it; of one that was started */
    uint8_t *output;                  /* free() it */
    size_t output_len;
    size_t complaint_len;
    char complaint[PIPED_COMPLAINT_SIZE]; /* the last of its standard error, NUL-terminated */
};

/* The command gets a process group of its own, all of which is ended when it is given up: by SIGTERM, and what is left of it
 * after GUARD_GRACE_MS by SIGKILL. Processes it leaves behind are not
 * waited for: their output counts up to the moment the command ends. */
void piped_run_to_end(const piped_run *run, piped_end *end);
/* Keeps the last of what it is given. */
void piped_complain(piped_end *end, loom_bytes bytes);

#endif
