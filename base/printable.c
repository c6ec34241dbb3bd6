/* SPDX-License-Identifier: Apache-2.0 */
#include "base/printable.h"

#include <string.h>

#include "base/str.h"
#include "base/utf8.h"

#define DOT "\xc2\xb7"
#define REPLACEMENT "\xef\xbf\xbd"

void printable_copy(char *out, size_t size, loom_str text)
{
    size_t used = 0;
    while (text.len > 0) {
        uint32_t code_point;
        size_t step = utf8_next(text, &code_point);
        loom_str shown = {text.data, step};
        if (code_point == UTF8_INVALID) {
            shown = (loom_str){REPLACEMENT, sizeof REPLACEMENT - 1};
        } else if (utf8_is_control(code_point)) {
            shown = (loom_str){DOT, sizeof DOT - 1};
        }
        if (shown.len >= size - used) {
            break;
        }
        memcpy(out + used, shown.data, shown.len);
        used += shown.len;
        text = str_tail(text, step);
    }
    out[used] = '\0';
}
