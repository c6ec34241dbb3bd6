/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command to its end: bytes in on its standard input, bytes out from its standard output, what it complains about
 * kept from its standard error. Any thread; several at once. */
#ifndef LOOM_TOOLS_COMMAND_RUN_H
#define LOOM_TOOLS_COMMAND_RUN_H

#include <loom/envelope.h>

enum { COMMAND_COMPLAINT_SIZE = 1024 };

typedef struct command_run {
    char *const *argv;                /* argv[0] is looked for in PATH */
    char *const *environment;         /* NULL-terminated, the whole of it */
    loom_bytes input;
    size_t output_max;
    /* Asked a few times a second: true kills the command. */
    bool (*give_up)(void *user);
    /* Output as it comes, in pieces of any size; NULL: it collects in output. False kills the command. */
    bool (*piece)(void *user, loom_bytes piece);
    void *user;
} command_run;

typedef struct command_end {
    enum { COMMAND_EXITED, COMMAND_SIGNALLED, COMMAND_GIVEN_UP, COMMAND_TOO_MUCH, COMMAND_NOT_STARTED } how;
    int number;                       /* exit code, signal, or errno of not starting */
    uint8_t *output;                  /* free() it */
    size_t output_len;
    char complaint[COMMAND_COMPLAINT_SIZE]; /* the last of its standard error, NUL-terminated */
} command_end;

/* The command gets a process group of its own, all of which is killed when it is given up. */
void command_run_to_end(const command_run *run, command_end *end);

#endif
