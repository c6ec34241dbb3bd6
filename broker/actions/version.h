/* SPDX-License-Identifier: Apache-2.0 */
/* The order of versions of a capability.
 *
 * Dotted parts, from the left: numbers by value, whatever their length, and below text; text by its bytes. A missing part
 * is 0. What follows the first '-' marks a pre-release, which comes before its release; of two, parts decide as above, and
 * the one with more parts is the later. What follows a '+' says how it was built, and does not order.
 * 1.9 < 1.10-rc.2 < 1.10-rc.10 < 1.10 < 1.10.1 < 2 */
#ifndef LOOM_BROKER_ACTIONS_VERSION_H
#define LOOM_BROKER_ACTIONS_VERSION_H

#include <loom/api.h>

/* Below, at or above 0, as memcmp. A total order on bytes: 0 only when they are the same; versions of equal rank, such as
 * 1 and 1.0, are in the order of their bytes. */
int action_version_compare(loom_str a, loom_str b);

#endif
