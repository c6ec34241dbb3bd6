/* SPDX-License-Identifier: Apache-2.0 */
/* Names under "system." are the broker's: nobody else publishes there or provides such a capability, and a filter selects
 * such a topic only when it names that first segment. Who subscribes to everything does not want the broker's own news. */
#ifndef LOOM_ENVELOPE_RESERVED_H
#define LOOM_ENVELOPE_RESERVED_H

#include <string.h>

#include <loom/api.h>

/* name: of a topic or a capability. */
static inline bool broker_name_reserved(loom_str name)
{
    static const char prefix[] = "system.";
    return name.len >= sizeof prefix - 1 && memcmp(name.data, prefix, sizeof prefix - 1) == 0;
}

#endif
