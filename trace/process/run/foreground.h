/* SPDX-License-Identifier: Apache-2.0 */
/* Represents a command in the foreground: signals are forwarded to it, and what stops it stops this process, so that the
 * shell's job control works. Command and wrapper are in one process group; what the terminal sends (Ctrl-C, Ctrl-Z, a new
 * size) reaches both, and is not forwarded.
 *
 * Threads: the main thread alone, from open to close; other threads must have the signals blocked (base/thread.h). */
#ifndef LOOM_TRACE_PROCESS_RUN_FOREGROUND_H
#define LOOM_TRACE_PROCESS_RUN_FOREGROUND_H

#include "trace/process/run/run.h"

typedef struct foreground {
    int fd;           /* a signalfd; once the command has ended, of SIGHUP, SIGINT, SIGQUIT and SIGTERM alone */
    sigset_t handled; /* blocked in this process and forwarded to the command */
    sigset_t before;  /* what was blocked when it began, and is in the command: process_options.mask */
    bool suspended;   /* the terminal has asked to stop */
    bool interrupted; /* the terminal has sent SIGINT */
    bool told_to_end; /* a signal came that ends most programs */
    void (*resized)(void *user); /* the terminal's size changed; may be NULL */
    /* Sends it to a command that the process started is only the client of, whoever it came from. False: it is for the client
     * to pass on. May be NULL. */
    bool (*forward)(void *user, int signal);
    void *user;
} foreground;

/* Before process_start(). Signals that are ignored stay so, as nohup and background jobs want it. 0, or an errno value. */
int foreground_open(foreground *f);
/* Forwards signals and follows stops until the command has ended. */
void foreground_attend(foreground *f, process *p, int *status);
/* Signals end this process again. */
void foreground_close(foreground *f);
/* Ends this process as the command has ended: after a Ctrl-C that killed the command by SIGINT, so that a shell script that
 * called us stops, too; else it returns the exit code. */
int foreground_finish(const foreground *f, int status);

#endif
