/* SPDX-License-Identifier: Apache-2.0 */
/* `loom exec --container` and `--image`: the command line becomes that of an engine. */
#ifndef LOOM_TOOLS_EXEC_CONTAINER_H
#define LOOM_TOOLS_EXEC_CONTAINER_H

#include <loom/trace.h>

#include "tools/loom/verb.h"
#include "trace/process/container/engine.h"

#define OPTIONS_CONTAINER                                                                                            \
    {.name = "container", .kind = OPTION_VALUE, .value = "NAME", .group = "Container",                               \
     .help = "Run the command in this container, which runs already"},                                               \
    {.name = "image", .kind = OPTION_VALUE, .value = "IMAGE", .group = "Container",                                  \
     .help = "Run the command in a new container of this image, which is removed at its end"},                       \
    {.name = "engine", .kind = OPTION_VALUE, .value = "NAME", .group = "Container",                                  \
     .help = "Container engine: podman, docker, or the path of one that has their command line; default: the first in PATH"}, \
    {.name = "engine-arg", .kind = OPTION_VALUE, .repeatable = true, .value = "ARGUMENT", .group = "Container",      \
     .help = "Pass an argument to the engine, before its verb"},                                                     \
    {.name = "run-arg", .kind = OPTION_VALUE, .repeatable = true, .value = "ARGUMENT", .group = "Container",         \
     .help = "Pass an argument to the engine's run or exec, such as --network=none"},                                \
    {.name = "with-libs", .kind = OPTION_FLAG, .group = "Container",                                                 \
     .help = "Bring the trace libraries into the container, and append them to PYTHONPATH, NODE_PATH and RUBYLIB"}

bool exec_container_is_wanted(const options *o);
/* The engine for that command, with an environment that is about the trace. NULL: *exit_code, which is the engine's own code
 * for what is wrong with it; it has been said. */
engine *exec_container_open(const command *c, const options *o, char *const *argv, char *const *environment, int *exit_code);
/* What the command's span says of it. */
void exec_container_describe(engine *e, const options *o, loom_span *span);

#endif
