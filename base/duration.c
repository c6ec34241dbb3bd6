/* SPDX-License-Identifier: Apache-2.0 */
#include "base/duration.h"

#include "base/number.h"
#include "base/str.h"

bool duration_parse(uint64_t *ns, loom_str text)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
    double number;
    if (!number_take(&text, &number)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (str_is_any_case(text, units[i].name)) {
            const double scaled = number * units[i].ns + 0.5; /* rounded: 1.1s is 1100 ms, although binary fractions miss it */
            *ns = scaled < 0x1p63 ? (uint64_t)scaled : 0;
            return scaled < 0x1p63;
        }
    }
    return false;
}
