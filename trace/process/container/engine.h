/* SPDX-License-Identifier: Apache-2.0 */
/* The command line that runs a command in a container: `podman exec` for a running one, `podman run` for a new one, or docker's.
 *
 * Variables are passed by name only (`--env TRACEPARENT`): the engine takes the values from its own environment, so they appear
 * in no process list. Standard input is passed on; there is no terminal inside, since engines then merge both outputs.
 *
 * Threads: one at a time, but for engine_container_id(). */
#ifndef LOOM_TRACE_PROCESS_CONTAINER_ENGINE_H
#define LOOM_TRACE_PROCESS_CONTAINER_ENGINE_H

#include <loom/status.h>

#define CONTAINER_ID_SIZE 129   /* bytes of an id with its NUL: 64 hex digits in all engines so far */
#define CONTAINER_PROBLEM_SIZE 512

typedef struct engine_options {
    const char *engine;             /* "podman", "docker", or a path; NULL: the first of them in PATH */
    const char *container;          /* a running one, or NULL: */
    const char *image;              /* the image of a new one, removed afterwards */
    const loom_str *engine_args;    /* before the engine's verb; each ends with a NUL */
    size_t engine_arg_count;
    const loom_str *run_args;       /* before the container or image */
    size_t run_arg_count;
    char *const *argv;              /* of the command */
    char *const *environment;       /* of the engine: NAME=VALUE; the variables of the trace are passed into the container */
    const char *libraries;          /* a folder with python/, node/ and ruby/ to make available inside; NULL: none */
} engine_options;

typedef struct engine engine;

/* Finds the engine, and the id of a running container, which takes some tenths of a second.
 * LOOM_ENOTFOUND: there is no engine, or no such container; LOOM_EINVAL: the options; LOOM_EIO, LOOM_ENOMEM. problem says what. */
LOOM_MUST_CHECK loom_status engine_open(engine **out, const engine_options *options, char problem[CONTAINER_PROBLEM_SIZE]);
void engine_close(engine *e); /* NULL is allowed */

/* The whole command line, and the engine's environment; both the engine's. */
char *const *engine_argv(const engine *e);
char *const *engine_environment(const engine *e);
/* The command line that sends the command in the container a signal, until the next call of this or of engine_end_argv(); NULL:
 * a new container's id is not known yet, or the command cannot be told by its environment. */
char *const *engine_signal_argv(engine *e, int signal);
/* The command line that ends what is left of the command, in some seconds; NULL as above. */
char *const *engine_end_argv(engine *e);
/* "podman" */
const char *engine_name(const engine *e);
/* NULL: a new container whose id is not known yet. Any thread; valid as long as the engine. */
const char *engine_container_id(engine *e);

#endif
