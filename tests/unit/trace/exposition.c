/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/trace/exposition.h"

#include "base/number.h"
#include "base/str.h"
#include "tests/support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEN_MAX 4096u
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:"

typedef struct exposition {
    bool openmetrics;
    char family[512], type[32];
    char series[8192];    /* of the buckets before: name and labels but le */
    double le, count;     /* of these */
    char *seen[SEEN_MAX]; /* families, and samples with their labels */
    size_t seen_count;
} exposition;

static void wrong(const char *line, const char *why)
{
    fail_msg("%s: %.*s", why, (int)strcspn(line, "\n"), line);
}

static void once(exposition *e, const char *kind, const char *line, size_t len)
{
    char *entry = NULL;
    assert_true(asprintf(&entry, "%s %.*s", kind, (int)len, line) > 0);
    for (size_t i = 0; i < e->seen_count; i++) {
        if (strcmp(e->seen[i], entry) == 0) {
            wrong(line, "shown twice");
        }
    }
    assert_true(e->seen_count < SEEN_MAX);
    e->seen[e->seen_count++] = entry;
}

static size_t name_len(const char *at)
{
    return *at >= '0' && *at <= '9' ? 0 : strspn(at, NAME_CHARACTERS);
}

/* # HELP, # TYPE, # UNIT: of one family, before its samples. */
static void read_comment(exposition *e, const char *line)
{
    char what[8], family[512], rest[32];
    if (sscanf(line, "# %7s %511s %31[^\n]", what, family, rest) != 3 || name_len(family) != strlen(family)) {
        wrong(line, "no metadata");
    }
    once(e, what, family, strlen(family));
    if (strcmp(what, "TYPE") == 0) {
        (void)snprintf(e->family, sizeof e->family, "%s", family);
        (void)snprintf(e->type, sizeof e->type, "%s", rest);
        if (strcmp(rest, "counter") != 0 && strcmp(rest, "gauge") != 0 && strcmp(rest, "histogram") != 0) {
            wrong(line, "unknown type");
        }
    } else if (strcmp(what, "UNIT") == 0) {
        const size_t n = strlen(family), unit = strlen(rest);
        if (!e->openmetrics || strcmp(family, e->family) != 0 || n <= unit + 1 || strcmp(family + n - unit, rest) != 0 ||
            family[n - unit - 1] != '_') {
            wrong(line, "a unit that does not end the name");
        }
    } else if (strcmp(what, "HELP") != 0) {
        wrong(line, "unknown metadata");
    }
}

/* Behind the closing brace. le: the bucket's, else NULL. */
static const char *read_labels(const char *line, const char *at, const char **le)
{
    const char *first = at;
    while (*at != '}') {
        const size_t n = name_len(at);
        if (n == 0 || memchr(at, ':', n) != NULL || strncmp(at, "__", 2) == 0 || strncmp(at + n, "=\"", 2) != 0) {
            wrong(line, "no label");
        }
        for (const char *other = first; other < at; other = strchr(other, ',') != NULL ? strchr(other, ',') + 1 : at) {
            if (strncmp(other, at, n) == 0 && other[n] == '=') {
                wrong(line, "a label twice");
            }
        }
        *le = n == 2 && strncmp(at, "le", 2) == 0 ? at + 4 : *le;
        for (at += n + 2; *at != '"'; at++) {
            if (*at == '\0' || *at == '\n' || (*at == '\\' && strchr("\\\"n", *++at) == NULL)) {
                wrong(line, "no label value");
            }
        }
        at++;
        at += *at == ',' && at[1] != '}';
    }
    return at + 1;
}

static double read_number(const char *line, const char *at, const char **end)
{
    const loom_str text = {at, strcspn(at, " \n")};
    double value;
    *end = at + text.len;
    if (str_is(text, "+Inf") || str_is(text, "-Inf")) {
        return *at == '+' ? INFINITY : -INFINITY;
    }
    if (str_is(text, "NaN")) {
        return NAN;
    }
    if (!number_parse(text, &value)) {
        wrong(line, "no number");
    }
    return value;
}

static void read_bucket(exposition *e, const char *line, size_t key_len, const char *le, double value)
{
    char series[sizeof e->series];
    const size_t before = (size_t)(le - line) - 4;
    const char *stop;
    if (key_len >= sizeof series) {
        wrong(line, "too long");
    }
    (void)snprintf(series, sizeof series, "%.*s", (int)before, line);
    const char *quote = strchr(le, '"');
    char bound[64];
    (void)snprintf(bound, sizeof bound, "%.*s\n", (int)(quote - le), le);
    const double end = read_number(line, bound, &stop);
    const bool goes_on = strcmp(series, e->series) == 0;
    if (goes_on && (end <= e->le || value < e->count)) {
        wrong(line, "buckets do not grow");
    }
    if (!goes_on && e->series[0] != '\0' && !isinf(e->le)) {
        wrong(line, "the series before has no +Inf");
    }
    memcpy(e->series, series, sizeof series);
    e->le = end;
    e->count = value;
}

static void read_sample(exposition *e, const char *line)
{
    static const char *const suffixes[][4] = {{"_total"}, {""}, {"_bucket", "_sum", "_count"}};
    const size_t name = name_len(line), family = strlen(e->family);
    const bool counter = strcmp(e->type, "counter") == 0, histogram = strcmp(e->type, "histogram") == 0;
    const char *const *allowed = suffixes[counter && e->openmetrics ? 0 : histogram ? 2 : 1], *le = NULL;
    bool belongs = false;
    for (size_t i = 0; i < 4 && allowed[i] != NULL; i++) {
        belongs = belongs || (name == family + strlen(allowed[i]) && strncmp(line, e->family, family) == 0 &&
                              strncmp(line + family, allowed[i], strlen(allowed[i])) == 0);
    }
    if (!belongs) {
        wrong(line, "not of the family above");
    }
    const char *at = line[name] == '{' ? read_labels(line, line + name + 1, &le) : line + name, *end;
    once(e, "sample", line, (size_t)(at - line));
    if (*at != ' ') {
        wrong(line, "no value");
    }
    const double value = read_number(line, at + 1, &end);
    const bool bucket = histogram && strncmp(line + family, "_bucket", 7) == 0;
    if (bucket != (le != NULL && histogram)) {
        wrong(line, "a bucket has an upper end");
    }
    if (bucket) {
        read_bucket(e, line, (size_t)(at - line), le, value);
    }
    if (histogram && strncmp(line + family, "_count", 6) == 0 && value != e->count) { /* NOLINT: whole numbers */
        wrong(line, "not what is in +Inf");
    }
    if (*end != '\n' && (!e->openmetrics || strncmp(end, " # {", 4) != 0)) {
        wrong(line, "more behind the value");
    }
}

void exposition_check(const char *text, bool openmetrics)
{
    exposition *e = calloc(1, sizeof *e);
    assert_non_null(e);
    e->openmetrics = openmetrics;
    bool ended = false;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strchr(line, '\n') == NULL || ended) {
            wrong(line, "a line without an end, or behind # EOF");
        }
        ended = strncmp(line, "# EOF\n", 6) == 0;
        if (!ended && *line == '#') {
            read_comment(e, line);
        } else if (!ended) {
            read_sample(e, line);
        }
    }
    if (ended != openmetrics) {
        fail_msg("# EOF is OpenMetrics' last line");
    }
    for (size_t i = 0; i < e->seen_count; i++) {
        free(e->seen[i]);
    }
    free(e);
}
