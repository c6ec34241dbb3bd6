/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/metrics/name.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

#define SUFFIX_SIZE 10 /* bytes of "_created", and NUL */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool metric_name_valid(const char *name)
{
    if (name == NULL || !is_letter(name[0])) {
        return false;
    }
    size_t len = 1;
    while (name[len] != '\0' && (is_letter(name[len]) || is_digit(name[len]) || strchr("_.-/", name[len]) != NULL)) {
        len++;
    }
    return name[len] == '\0' && len < METRIC_NAME_SIZE;
}

bool metric_unit_valid(const char *unit)
{
    size_t len = 0;
    while (unit != NULL && unit[len] > ' ' && unit[len] < 0x7f) {
        len++;
    }
    return unit == NULL || (unit[len] == '\0' && len < METRIC_UNIT_SIZE);
}

/* ---- units ---- */

typedef struct unit_word {
    const char *unit, *word;
} unit_word;

static const char *find_word(const unit_word *words, size_t count, loom_str unit)
{
    for (size_t i = 0; i < count; i++) {
        if (str_is(unit, words[i].unit)) {
            return words[i].word;
        }
    }
    return NULL;
}

static const char *unit_plural(loom_str unit)
{
    static const unit_word words[] = {
        {"d", "days"},        {"h", "hours"},       {"min", "minutes"},    {"s", "seconds"},      {"ms", "milliseconds"},
        {"us", "microseconds"}, {"ns", "nanoseconds"}, {"By", "bytes"},    {"KiBy", "kibibytes"}, {"MiBy", "mebibytes"},
        {"GiBy", "gibibytes"}, {"TiBy", "tibibytes"}, {"KBy", "kilobytes"}, {"kBy", "kilobytes"}, {"MBy", "megabytes"},
        {"GBy", "gigabytes"}, {"TBy", "terabytes"}, {"m", "meters"},       {"V", "volts"},        {"A", "amperes"},
        {"J", "joules"},      {"W", "watts"},       {"g", "grams"},        {"Cel", "celsius"},    {"Hz", "hertz"},
        {"%", "percent"},
    };
    return find_word(words, sizeof words / sizeof *words, unit);
}

static const char *unit_singular(loom_str unit)
{
    static const unit_word words[] = {{"s", "second"}, {"m", "minute"}, {"min", "minute"}, {"h", "hour"},
                                      {"d", "day"},    {"w", "week"},   {"mo", "month"},   {"y", "year"}};
    return find_word(words, sizeof words / sizeof *words, unit);
}

/* Whatever may not stand in a name becomes an underscore, and several of those one. */
static void put_clean(char *out, size_t size, loom_str text)
{
    size_t used = strlen(out);
    for (size_t i = 0; i < text.len && used + 1 < size; i++) {
        const char c = is_letter(text.data[i]) || is_digit(text.data[i]) || text.data[i] == ':' ? text.data[i] : '_';
        if (c != '_' || used == 0 || out[used - 1] != '_') {
            out[used++] = c;
        }
    }
    out[used] = '\0';
}

static void put_word(char *out, size_t size, const char *known, loom_str unit)
{
    put_clean(out, size, known != NULL ? str_of(known) : unit);
}

/* "By/s" is bytes_per_second; what stands in braces is a remark, and no unit. */
static void unit_words(char *out, size_t size, loom_str unit, loom_metric_kind kind)
{
    const char *slash = memchr(unit.data, '/', unit.len);
    const loom_str above = {unit.data, slash != NULL ? (size_t)(slash - unit.data) : unit.len};
    const loom_str below = {slash != NULL ? slash + 1 : NULL, slash != NULL ? unit.len - above.len - 1 : 0};
    out[0] = '\0';
    if (str_is(unit, "1")) {
        put_clean(out, size, kind == LOOM_GAUGE ? str_of("ratio") : (loom_str){0});
        return;
    }
    if (memchr(above.data, '{', above.len) == NULL) {
        put_word(out, size, unit_plural(above), above);
    }
    if (below.len > 0 && memchr(below.data, '{', below.len) == NULL) {
        put_clean(out, size, str_of(out[0] != '\0' ? "_per_" : "per_"));
        put_word(out, size, unit_singular(below), below);
    }
}

/* ---- families ---- */

/* Whether name is, or ends in, _words. */
static bool ends_in(const char *name, const char *words)
{
    const size_t len = strlen(name), n = strlen(words);
    return len >= n && strcmp(name + len - n, words) == 0 && (len == n || name[len - n - 1] == '_');
}

void metric_family_init(metric_family *out, loom_metric_kind kind, const char *name, const char *unit, const char *help)
{
    char words[METRIC_UNIT_SIZE * 2];
    *out = (metric_family){.kind = kind, .help = help != NULL ? help : ""};
    put_clean(out->name, sizeof out->name, str_of(name));
    if (kind == LOOM_COUNTER && ends_in(out->name, "total") && strlen(out->name) > strlen("_total")) {
        out->name[strlen(out->name) - strlen("_total")] = '\0';
    }
    if (unit == NULL || unit[0] == '\0') {
        return;
    }
    unit_words(words, sizeof words, str_of(unit), kind);
    if (words[0] != '\0' && !ends_in(out->name, words)) {
        put_clean(out->name, sizeof out->name, str_of("_"));
        put_clean(out->name, sizeof out->name, str_of(words));
    }
    if (words[0] != '\0' && ends_in(out->name, words) && strlen(out->name) > strlen(words)) { /* OpenMetrics wants a name before it */
        out->unit = out->name + strlen(out->name) - strlen(words);
    }
}

/* What follows a family's name in its samples, by its kind, in both formats; OpenMetrics reserves _created as well. The family
 * itself is among them: a TYPE line of that name would follow another. */
static const char *const *suffixes_of(loom_metric_kind kind)
{
    static const char *const counter[] = {"", "_total", "_created", NULL};
    static const char *const histogram[] = {"", "_bucket", "_sum", "_count", "_created", NULL};
    static const char *const plain[] = {"", NULL};
    return kind == LOOM_COUNTER ? counter : kind == LOOM_HISTOGRAM ? histogram : plain;
}

/* Whether a name with its suffix is the other with its own. */
static bool same_sample(const char *a, const char *a_suffix, const char *b, const char *b_suffix)
{
    char one[FAMILY_NAME_SIZE + SUFFIX_SIZE], other[FAMILY_NAME_SIZE + SUFFIX_SIZE];
    (void)snprintf(one, sizeof one, "%s%s", a, a_suffix);
    (void)snprintf(other, sizeof other, "%s%s", b, b_suffix);
    return strcmp(one, other) == 0;
}

bool metric_families_collide(const metric_family *a, const metric_family *b)
{
    for (const char *const *x = suffixes_of(a->kind); *x != NULL; x++) {
        for (const char *const *y = suffixes_of(b->kind); *y != NULL; y++) {
            if (same_sample(a->name, *x, b->name, *y)) {
                return true;
            }
        }
    }
    return false;
}
