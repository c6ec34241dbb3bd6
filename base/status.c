/* SPDX-License-Identifier: Apache-2.0 */
#include <loom/status.h>

const char *loom_status_text(loom_status status)
{
    switch (status) {
#define X(name, value, text) \
    case LOOM_##name:        \
        return text;
        LOOM_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

const char *loom_status_name(loom_status status)
{
    switch (status) {
#define X(name, value, text) \
    case LOOM_##name:        \
        return #name;
        LOOM_STATUS_MAP(X)
#undef X
    }
    return "?";
}
