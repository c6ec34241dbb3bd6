/* SPDX-License-Identifier: Apache-2.0 */
/* `loom exec --container` and `--image`: the command line becomes that of an engine. */
#ifndef LOOM_TOOLS_EXEC_CONTAINER_H
#define LOOM_TOOLS_EXEC_CONTAINER_H

#include <loom/trace.h>

#include "tools/loom/verb.h"
#include "trace/process/container/engine.h"

enum { EXIT_ENGINE = 125 }; /* the engine failed, as podman run and docker run have it */

#define OPTIONS_CONTAINER                                                                                            \
    {.name = "container", .kind = OPTION_VALUE, .value = "NAME", .group = "Container",                               \
     .help = "Run the command in this running container"},                                               \
    {.name = "image", .kind = OPTION_VALUE, .value = "IMAGE", .group = "Container",                                  \
     .help = "Run the command in a new container of this image, and remove it afterwards"},                       \
    {.name = "engine", .kind = OPTION_VALUE, .value = "NAME", .group = "Container",                                  \
     .help = "Container engine: podman, docker, or the path of a compatible one; default: the first in PATH"}, \
    {.name = "engine-arg", .kind = OPTION_VALUE, .repeatable = true, .value = "ARGUMENT", .group = "Container",      \
     .help = "Pass an argument to the engine, before its verb"},                                                     \
    {.name = "run-arg", .kind = OPTION_VALUE, .repeatable = true, .value = "ARGUMENT", .group = "Container",         \
     .help = "Pass an argument to the engine's run or exec, such as --network=none"},                                \
    {.name = "with-libs", .kind = OPTION_FLAG, .group = "Container",                                                 \
     .help = "Make the trace libraries available in the container, by PYTHONPATH, NODE_PATH and RUBYLIB; " \
             "LOOM_LIBRARIES_DIR names others than those installed with loom"}

bool exec_container_is_wanted(const options *o);
/* False: an option for containers was given without one; exit with *exit_code. */
bool exec_container_check(const command *c, const options *o, int *exit_code);
/* The engine that will run the command with these variables of the trace. NULL: the reason has been printed; exit with
 * *exit_code. */
engine *exec_container_open(const command *c, const options *o, char *const *argv, char *const *environment, int *exit_code);
/* Sets the container's attributes on the command's span. */
void exec_container_describe(engine *e, const options *o, loom_span *span);

#endif
