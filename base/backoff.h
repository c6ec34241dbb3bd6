/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before trying again: exponential, with jitter. */
#ifndef LOOM_BASE_BACKOFF_H
#define LOOM_BASE_BACKOFF_H

#include <stdint.h>

/* Between half and all of first · 2^attempt, or of max where that is less: those who lost the same thing at the same
 * moment do not all come back at once. attempt counts from 0; first is above 0, and the unit is that of first and max.
 * Never below first / 2, never above max. Any thread. */
uint64_t backoff_delay(uint64_t first, uint64_t max, unsigned attempt);

#endif
