/* SPDX-License-Identifier: Apache-2.0 */
/* Names that are on the bus now: what completion offers, and what was meant by one that nobody has. */
#ifndef LOOM_TOOLS_BUS_NAMES_H
#define LOOM_TOOLS_BUS_NAMES_H

#include "tools/loom/verb.h"

typedef enum bus_name_kind {
    BUS_AGENTS,
    BUS_CAPABILITIES,
    BUS_TOPICS,    /* that were published to */
    BUS_SUBSCRIBED /* that somebody receives, by a filter without wildcards */
} bus_name_kind;

/* Calls take with each, in no order; one may come twice. The broker is asked as the command would ask it. Nobody there: none. */
void bus_names_each(const command *c, const options *o, bus_name_kind kind, void (*take)(void *user, const char *name), void *user);

enum { BUS_HINT_SIZE = 192 };
/* `; did you mean "NAME"?` when one is near, else `otherwise`. *known, which may be NULL: it is one of them, and nothing is
 * near. Returns out. */
const char *bus_names_hint(char out[BUS_HINT_SIZE], const command *c, const options *o, bus_name_kind kind, const char *name,
                           const char *otherwise, bool *known);

#endif
