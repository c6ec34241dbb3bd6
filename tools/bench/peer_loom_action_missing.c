/* SPDX-License-Identifier: Apache-2.0 */
/* Actions in a build whose libloom has none. */
#include "tools/bench/peer_loom.h"

bool loom_action_provide(loom_client *c)
{
    (void)c;
    bench_complain("this libloom has no actions");
    return false;
}

bool loom_action_request(loom_client *c, const uint8_t *data, size_t size, uint8_t *answer)
{
    (void)data;
    (void)size;
    (void)answer;
    return loom_action_provide(c);
}
