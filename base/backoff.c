/* SPDX-License-Identifier: Apache-2.0 */
#include "base/backoff.h"

#include <assert.h>

#include "base/random.h"

uint64_t backoff_delay(uint64_t first, uint64_t max, unsigned attempt)
{
    assert(first > 0 && first <= max);
    const uint64_t full = attempt < 64 && first <= max >> attempt ? first << attempt : max;
    return full / 2 + random_word() % (full - full / 2 + 1);
}
