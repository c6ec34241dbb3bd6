/* SPDX-License-Identifier: Apache-2.0 */
/* LOOM_TRACE_RECORDER and LOOM_TRACE_SLOW. */
#include "base/number.h"
#include "base/str.h"
#include "trace/record/internal.h"

#define BYTES_MAX 1e12

/* "16MiB", "512k", "8388608". The units are powers of two, as those of loom.toml are. */
static bool parse_size(loom_str text, size_t *bytes)
{
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"K", 1024.0}, {"M", 1048576.0},
                 {"G", 1073741824.0}, {"B", 1.0}};
    double factor = 1.0, value;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const size_t len = strlen(units[i].unit);
        if (text.len > len && strncasecmp(text.data + text.len - len, units[i].unit, len) == 0) {
            factor = units[i].factor;
            text.len -= len;
            break;
        }
    }
    if (!number_parse(str_trim(text), &value) || value * factor < LOOM_RECORDER_BYTES_MIN || value * factor > BYTES_MAX) {
        return false;
    }
    *bytes = (size_t)(value * factor);
    return true;
}

static bool is_off(loom_str text)
{
    static const char *const words[] = {"off", "none", "false", "0"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (text.len == strlen(words[i]) && strncasecmp(text.data, words[i], text.len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_on(loom_str text)
{
    return (text.len == 2 && strncasecmp(text.data, "on", 2) == 0) || (text.len == 4 && strncasecmp(text.data, "true", 4) == 0);
}

recorder_settings recorder_settings_from_env(const env_report *report)
{
    static const char size[] = "LOOM_TRACE_RECORDER", slow[] = "LOOM_TRACE_SLOW";
    recorder_settings out = {.bytes = RECORDER_BYTES_UNSET, .slow = env_get(slow)};
    const loom_str text = str_trim(str_of(env_get(size)));
    slow_rules rules = {.count = 0};
    const char *fault;
    if (is_off(text)) {
        out.bytes = 0;
    } else if (is_on(text)) {
        out.bytes = LOOM_RECORDER_BYTES_DEFAULT;
    } else if (text.len > 0 && !parse_size(text, &out.bytes)) {
        env_report_value(report, size, text, "is neither on, off nor a size from 512KiB to 900GiB", "off");
    }
    if (out.slow != NULL && slow_rules_parse(&rules, str_of(out.slow), &fault) != LOOM_OK) {
        env_report_value(report, slow, str_of(out.slow), fault, "no rule");
        out.slow = NULL;
    }
    slow_rules_fini(&rules);
    return out;
}
