/* SPDX-License-Identifier: Apache-2.0 */
/* Copies a command's standard error to ours, through a filter that may remove lines.
 *
 * The command gets a pipe, or, where ours is a terminal, a pseudo-terminal of the same size, so that it keeps its colours.
 * Where our standard output is the same pipe or file as our standard error (2>&1), the command gets the relay for both, so that
 * what it writes stays in order.
 *
 * When the command has ended, what it wrote is here, and relay_finish() does not wait for others that still hold the stream: a
 * process is left behind that passes their bytes on as long as they write, as they would without us. Likewise one stands by
 * that passes the command's bytes on when we are killed (SIGKILL), so that the command is not.
 *
 * Threads: open, start, handed_over, finish and close in one; the filter runs on the relay's own from start until finish, then in finish. */
#ifndef LOOM_TRACE_PROCESS_RUN_RELAY_H
#define LOOM_TRACE_PROCESS_RUN_RELAY_H

#include <loom/api.h>

typedef struct relay relay;

/* The filter passes bytes on with relay_write(). */
typedef struct relay_filter {
    void (*feed)(void *user, loom_bytes bytes);
    void (*idle)(void *user);       /* no input for a while */
    bool (*waits)(const void *user); /* whether idle would do anything */
    void (*end)(void *user);
    void (*mute)(void *user);       /* this is the process left behind: pass bytes on, do nothing else */
    void (*forget)(void *user);     /* what has come of an unfinished line is for another process to pass on */
    void *user;
} relay_filter;

/* 0, or an errno value; *out is NULL then. */
int relay_open(relay **out);
/* What the command gets as its standard output and error; PROCESS_INHERIT: ours. */
int relay_stdout(const relay *r);
int relay_stderr(const relay *r);
/* Before the command is started: starts copying. An errno value: nothing would be copied, and nobody may get the streams. */
int relay_start(relay *r, const relay_filter *filter);
/* The command has the streams, or could not be started: they are its own from here on. */
void relay_handed_over(relay *r);
/* The terminal has a new size. */
void relay_resize(relay *r);
/* For the filter. Blocks while the reader of our standard error does not read, as the command would. */
void relay_write(relay *r, loom_bytes bytes);
/* The command has ended: passes on what it has written, and ends the filter. If `interrupt` (-1: none) becomes readable while
 * the reader of our standard error is stalled, it gives up a second later. false: the thread still runs, and relay and filter
 * must stay until the process ends. */
LOOM_MUST_CHECK bool relay_finish(relay *r, int interrupt);
/* NULL is allowed. The filter is no longer called. Not after a relay_finish() that gave up. */
void relay_close(relay *r);

#endif
