/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a broker's control socket (envelope/WIRE.md, 5.3): a msgpack map there, a msgpack map back. */
#ifndef LOOM_TOOLS_CONTROL_H
#define LOOM_TOOLS_CONTROL_H

#include <jansson.h>

#include "tools/loom/verb.h"

#define OPTIONS_CONTROL                                                                                              \
    {.name = "control", .kind = OPTION_VALUE, .value = "URL", .group = "Connection",                                 \
     .help = "The broker's bus_control; without it LOOM_CONTROL, else the broker of this machine"}

/* Asks op and gives the answer as JSON; the caller owns it. NULL: said on standard error, *exit_code tells. */
json_t *control_ask(const command *c, const options *o, const char *op, int *exit_code);

#endif
