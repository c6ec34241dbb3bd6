/* SPDX-License-Identifier: Apache-2.0 */
/* Version 3 (ECMA-426): lines of the generated file between ';', segments between ',', each 1, 4 or 5 numbers in base 64 VLQ,
 * as differences to those before. What transpilers add is in "x_transpiler": {"source_language": …, "decisions":
 * [{"line": generated line, "id": …}]}. */
#include <stdio.h>
#include <string.h>

#include "trace/process/syscalls/source_map_internal.h"

typedef struct vlq_state {
    const char *at;
    int64_t column, source, line, original_column, name; /* running sums, from 0 */
} vlq_state;

static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static bool add_number(vlq_state *s, int64_t *to)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift <= 30; shift += 5) {
        const int digit = base64_value(*s->at);
        if (digit < 0) {
            return false;
        }
        s->at++;
        value |= (uint64_t)(digit & 31) << shift;
        if ((digit & 32) == 0) {
            *to += (value & 1) != 0 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
            return *to >= 0 && *to < UINT32_MAX;
        }
    }
    return false;
}

static bool at_end(const vlq_state *s)
{
    return *s->at == ',' || *s->at == ';' || *s->at == '\0';
}

/* How many numbers it had; -1: malformed. */
static int read_segment(vlq_state *s)
{
    int64_t *const fields[] = {&s->column, &s->source, &s->line, &s->original_column, &s->name};
    int count = 0;
    while (!at_end(s)) {
        if (count == 5 || !add_number(s, fields[count])) {
            return -1;
        }
        count++;
    }
    return count == 1 || count == 4 || count == 5 ? count : -1;
}

/* An id for the lines from here on to the next. */
static const char *decision_for(const json_t *decisions, uint32_t line)
{
    const char *id = NULL;
    for (size_t i = 0; i < json_array_size(decisions); i++) {
        const json_t *d = json_array_get(decisions, i);
        if (json_integer_value(json_object_get(d, "line")) == (json_int_t)line) {
            id = source_map_text(d, (const char *const[]){"id", "decision_id", NULL});
        }
    }
    return id;
}

static loom_status add_segment(source_map *map, const vlq_state *s, uint32_t line, bool named, const json_t *decisions)
{
    const json_t *sources = json_object_get(map->json, "sources"), *names = json_object_get(map->json, "names");
    const map_place place = {.line = line,
                             .column = (uint32_t)s->column + 1,
                             .original_line = (uint32_t)s->line + 1,
                             .file = json_string_value(json_array_get(sources, (size_t)s->source)),
                             .function = named ? json_string_value(json_array_get(names, (size_t)s->name)) : NULL,
                             .decision = decision_for(decisions, line)};
    return source_map_add(map, &place) ? LOOM_OK : LOOM_ENOMEM;
}

loom_status source_map_read_vlq(source_map *map, const char *mappings, char *problem, size_t problem_size)
{
    const json_t *more = json_object_get(map->json, "x_transpiler");
    const json_t *decisions = json_object_get(more, "decisions");
    vlq_state s = {.at = mappings};
    uint32_t line = 1;
    if (map->language == NULL) {
        map->language = source_map_text(more, (const char *const[]){"source_language", NULL});
    }
    while (*s.at != '\0') {
        if (*s.at == ';') {
            line++;
            s.column = 0;
            s.at++;
            continue;
        }
        if (*s.at == ',') {
            s.at++;
            continue;
        }
        const int count = read_segment(&s);
        if (count < 0) {
            (void)snprintf(problem, problem_size, "\"mappings\" is malformed at line %u of the generated file", line);
            return LOOM_EMALFORMED;
        }
        if (count > 1 && add_segment(map, &s, line, count == 5, decisions) != LOOM_OK) {
            return LOOM_ENOMEM;
        }
    }
    return LOOM_OK;
}
