/* SPDX-License-Identifier: Apache-2.0 */
/* Durations as people write them, in settings, options and variables alike. */
#ifndef LOOM_BASE_DURATION_H
#define LOOM_BASE_DURATION_H

#include <loom/api.h>

/* A number and its unit, ns, us, µs, ms, s, m, h or d in any letter case: "10m", "1.5h". All of text, and nothing around it.
 * false: it is something else, or 2^63 ns and more. */
bool duration_parse(uint64_t *ns, loom_str text);

#endif
