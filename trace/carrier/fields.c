/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/carrier/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "base/str.h"

void field_variable(char out[FIELD_NAME_SIZE], const char *name)
{
    size_t len = 0;
    for (; name[len] != '\0' && len < FIELD_NAME_SIZE - 1; len++) {
        char c = name[len];
        bool lower = c >= 'a' && c <= 'z', other = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        out[len] = (char)(lower ? c - 'a' + 'A' : other ? c : '_'); /* not toupper(): a locale's i may have a dot */
    }
    out[len] = '\0';
}

void field_tell(const field_source *from, const char *name, loom_str value, const char *fault, const char *consequence)
{
    char variable[FIELD_NAME_SIZE], shown[96], text[256];
    if (from->report == NULL || from->report->tell == NULL) {
        return;
    }
    if (from->environment) {
        field_variable(variable, name);
        name = variable;
    }
    printable_copy(shown, sizeof shown, value);
    snprintf(text, sizeof text, "%s: \"%s\" %s; %s", name, shown, fault, consequence);
    from->report->tell(from->report->user, text);
}

size_t field_first(const field_source *from, const char *name, loom_str *value)
{
    *value = (loom_str){0};
    size_t count = from->carrier->get != NULL ? from->carrier->get(from->carrier->user, name, value, 1) : 0;
    *value = str_trim(*value);
    return count;
}

static loom_str join(field_source *from, const loom_str *values, size_t count, size_t size)
{
    char *text = malloc(size);
    if (text == NULL) {
        from->no_memory = true;
        return (loom_str){0};
    }
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            text[len++] = ',';
        }
        if (values[i].len > 0) {
            memcpy(text + len, values[i].data, values[i].len);
            len += values[i].len;
        }
    }
    return (loom_str){text, len};
}

bool field_joined(field_source *from, const char *name, loom_str *out)
{
    loom_str values[FIELD_VALUES_MAX];
    *out = (loom_str){0};
    size_t count = from->carrier->get != NULL ? from->carrier->get(from->carrier->user, name, values, FIELD_VALUES_MAX) : 0;
    if (count == 0) {
        return false;
    }
    size_t size = 0;
    for (size_t i = 0; count <= FIELD_VALUES_MAX && i < count && size <= FIELD_JOINED_MAX; i++) {
        size += (values[i].len < FIELD_JOINED_MAX ? values[i].len : FIELD_JOINED_MAX) + 1;
    }
    if (count > FIELD_VALUES_MAX || size > FIELD_JOINED_MAX) {
        field_report(from, name, values[0], "and the other values of that name are too many");
        return false;
    }
    *out = join(from, values, count, size);
    return out->data != NULL;
}

loom_str field_keep(field_source *from, loom_str text)
{
    char *copy = text.len > 0 ? strndup(text.data, text.len) : NULL;
    if (copy == NULL) {
        from->no_memory |= text.len > 0;
        return (loom_str){0};
    }
    return (loom_str){copy, text.len};
}

void field_drop(loom_str *kept)
{
    free((char *)(uintptr_t)kept->data);
    *kept = (loom_str){0};
}
