/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/query.h"

#include <string.h>

#include "base/hex.h"
#include "base/str.h"
#include "base/utf8.h"

bool http_query_next(loom_str *rest, http_parameter *out)
{
    loom_str item;
    while (str_next_item(rest, '&', &item)) {
        if (item.len == 0) {
            continue;
        }
        const char *equals = memchr(item.data, '=', item.len);
        const size_t name = equals != NULL ? (size_t)(equals - item.data) : item.len;
        *out = (http_parameter){.name = {item.data, name},
                                .value = equals != NULL ? (loom_str){equals + 1, item.len - name - 1} : (loom_str){"", 0},
                                .has_value = equals != NULL};
        return true;
    }
    return false;
}

bool http_query_only(loom_str query, const char *name, loom_str *value)
{
    http_parameter p;
    unsigned count = 0;
    while (http_query_next(&query, &p)) {
        if (str_is(p.name, name)) {
            *value = p.value;
            count++;
        }
    }
    return count == 1;
}

/* Those that no name of the bus may hold (loom/topic.h): C0, DEL and C1. What shows a name escapes the bidirectional ones. */
static bool has_control(loom_str text)
{
    uint32_t code_point;
    for (size_t taken; text.len > 0; text.data += taken, text.len -= taken) {
        taken = utf8_next(text, &code_point);
        if (code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0)) {
            return true;
        }
    }
    return false;
}

bool http_decode_text(char *out, size_t size, loom_str text, bool plus, const char **why)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        if (byte == '%') {
            if (text.len - i < 3 || !hex_decode_any_case(&byte, text.data + i + 1, 1)) {
                *why = "has a '%' without two hexadecimal digits behind it";
                return false;
            }
            i += 2;
        } else if (byte == '+' && plus) {
            byte = ' ';
        }
        if (len + 1 >= size) {
            *why = "is too long";
            return false;
        }
        out[len++] = (char)byte;
    }
    out[len] = '\0';
    *why = !utf8_valid((loom_str){out, len}) ? "is not UTF-8" : "holds a control character";
    return utf8_valid((loom_str){out, len}) && !has_control((loom_str){out, len});
}

bool http_decode_number(uint64_t *out, loom_str text, uint64_t min, uint64_t max)
{
    enum { DIGITS_MAX = 18 }; /* which never overflow */
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i == DIGITS_MAX) {
            return false;
        }
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = number;
    return text.len > 0 && number >= min && number <= max;
}
