/* SPDX-License-Identifier: Apache-2.0 */
#include <loom/version.h>

const char *loom_version(void)
{
    return LOOM_VERSION;
}

uint32_t loom_version_number(void)
{
    return LOOM_VERSION_NUMBER;
}
