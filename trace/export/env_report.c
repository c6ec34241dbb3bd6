/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/env_report.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUE_SHOWN_MAX 100u /* bytes */

const char *env_get(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static env_variable get(const char *name)
{
    return (env_variable){name, env_get(name)};
}

env_variable env_get_either(const char *name, const char *fallback)
{
    env_variable v = get(name);
    return v.value != NULL ? v : get(fallback);
}

env_variable env_first(const env_names *names)
{
    env_variable v = {.value = NULL};
    for (size_t i = 0; i < ENV_NAMES_MAX && names->name[i] != NULL && v.value == NULL; i++) {
        v = get(names->name[i]);
    }
    return v;
}

void env_report_value(const env_report *report, const char *name, loom_str value, const char *fault, const char *instead)
{
    if (report == NULL) {
        return;
    }
    char shown[VALUE_SHOWN_MAX + 1], text[VALUE_SHOWN_MAX + 300];
    const size_t len = value.len < VALUE_SHOWN_MAX ? value.len : VALUE_SHOWN_MAX;
    for (size_t i = 0; i < len; i++) {
        shown[i] = value.data[i] >= ' ' && value.data[i] < 0x7f ? value.data[i] : '?';
    }
    shown[len] = '\0';
    (void)snprintf(text, sizeof text, "%s: \"%s%s\" %s; using %s", name, shown, len < value.len ? "..." : "", fault, instead);
    report->tell(report->user, text);
}

/* Digits and nothing else: no sign, no unit, and no locale. */
static bool parse_number(uint32_t *out, loom_str text)
{
    uint64_t value = 0;
    text = str_trim(text);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
        if (value > UINT32_MAX) {
            return false;
        }
    }
    *out = (uint32_t)value;
    return text.len > 0;
}

const char *env_instead(const env_names *names, size_t i, const char *instead)
{
    for (i++; i < ENV_NAMES_MAX && names->name[i] != NULL; i++) {
        if (env_get(names->name[i]) != NULL) {
            return names->name[i];
        }
    }
    return instead;
}

bool env_read_number(uint32_t *out, const env_names *names, uint32_t min, env_fault fault, const env_report *report)
{
    for (size_t i = 0; i < ENV_NAMES_MAX && names->name[i] != NULL; i++) {
        const env_variable v = get(names->name[i]);
        uint32_t value;
        if (v.value == NULL) {
            continue;
        }
        if (parse_number(&value, str_of(v.value)) && value >= min) {
            *out = value;
            return true;
        }
        env_report_value(report, v.name, str_of(v.value), fault.fault, env_instead(names, i, fault.instead));
    }
    return false;
}

bool env_read_choice(size_t *out, const env_names *names, const char *const *choices, env_fault fault,
                     const env_report *report)
{
    for (size_t i = 0; i < ENV_NAMES_MAX && names->name[i] != NULL; i++) {
        const env_variable v = get(names->name[i]);
        if (v.value == NULL) {
            continue;
        }
        for (size_t j = 0; choices[j] != NULL; j++) {
            if (str_is_any_case(str_trim(str_of(v.value)), choices[j])) {
                *out = j;
                return true;
            }
        }
        env_report_value(report, v.name, str_of(v.value), fault.fault, env_instead(names, i, fault.instead));
    }
    return false;
}

bool env_read_bool(bool *out, const env_names *names, const char *instead, const env_report *report)
{
    static const char *const choices[] = {"false", "true", NULL};
    size_t at;
    if (!env_read_choice(&at, names, choices, (env_fault){"is neither true nor false", instead}, report)) {
        return false;
    }
    *out = at == 1;
    return true;
}
