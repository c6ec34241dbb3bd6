/* SPDX-License-Identifier: Apache-2.0 */
/* Two formats, told apart by their version: 3 is what browsers read (ECMA-426: "mappings" in base 64 VLQ), 1 is what
 * transpilers to compiled languages write: a list of {generated_line, original_file, original_line, original_function, …}.
 * Both become one list of places, by generated line and column. */
#include "trace/process/syscalls/source_map.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "trace/process/syscalls/source_map_internal.h"

enum { FILE_MAX_BYTES = 64 * 1024 * 1024 };

/* ---- places ---- */

bool source_map_add(source_map *map, const map_place *place)
{
    if (map->count == map->capacity) {
        const size_t capacity = map->capacity > 0 ? map->capacity * 2 : 64;
        map_place *places = realloc(map->places, capacity * sizeof *places);
        if (places == NULL) {
            return false;
        }
        map->places = places;
        map->capacity = capacity;
    }
    map->places[map->count++] = *place;
    return true;
}

static int by_place(const void *a, const void *b)
{
    const map_place *x = a, *y = b;
    return x->line != y->line ? (x->line < y->line ? -1 : 1) : x->column != y->column ? (x->column < y->column ? -1 : 1) : 0;
}

/* The last place of that line that is not behind the column; column 0: its first. NULL: nothing of that line. */
static const map_place *find(const source_map *map, uint32_t line, uint32_t column)
{
    size_t from = 0, to = map->count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        if (map->places[middle].line < line) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    const map_place *best = NULL;
    for (; from < map->count && map->places[from].line == line; from++) {
        if (best != NULL && map->places[from].column > column) {
            break;
        }
        best = &map->places[from];
    }
    return best;
}

/* ---- reading ---- */

const char *source_map_text(const json_t *object, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        const json_t *value = json_object_get(object, *keys);
        if (json_is_string(value)) {
            return json_string_value(value);
        }
    }
    return NULL;
}

static uint32_t number_of(const json_t *object, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        const json_int_t value = json_integer_value(json_object_get(object, *keys));
        if (value > 0 && value < UINT32_MAX) {
            return (uint32_t)value;
        }
    }
    return 0;
}

/* An id that is text or a number. */
static const char *decision_of(source_map *map, const json_t *entry)
{
    static const char *const names[] = {"decision_id", "id", "optimization", NULL};
    const json_t *decision = json_object_get(entry, "transpiler_decision");
    const json_t *id = json_object_get(entry, "decision_id");
    if (json_is_integer(id)) {
        char text[32];
        (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(id));
        json_t *kept = json_string(text);
        return kept != NULL && json_array_append_new(map->kept, kept) == 0 ? json_string_value(kept) : NULL;
    }
    return json_is_string(decision) ? json_string_value(decision)
           : json_is_object(decision) ? source_map_text(decision, names)
                                      : source_map_text(entry, (const char *const[]){"decision_id", NULL});
}

static loom_status read_list(source_map *map, const json_t *list, char *problem, size_t problem_size)
{
    static const char *const lines[] = {"generated_line", "rust_line", "line", NULL};
    static const char *const original_lines[] = {"original_line", "source_line", "python_line", NULL};
    static const char *const files[] = {"original_file", "source_file", NULL};
    static const char *const functions[] = {"original_function", "source_function", "python_function", NULL};
    static const char *const generated[] = {"generated_file", NULL};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const map_place place = {.line = number_of(entry, lines),
                                 .original_line = number_of(entry, original_lines),
                                 .generated_file = source_map_text(entry, generated),
                                 .file = source_map_text(entry, files),
                                 .function = source_map_text(entry, functions),
                                 .decision = decision_of(map, entry)};
        if (place.line == 0) {
            (void)snprintf(problem, problem_size, "mapping %zu has no generated_line", i + 1);
            return LOOM_EMALFORMED;
        }
        if (!source_map_add(map, &place)) {
            return LOOM_ENOMEM;
        }
    }
    return LOOM_OK;
}

static loom_status read_map(source_map *map, char *problem, size_t problem_size)
{
    const json_int_t version = json_integer_value(json_object_get(map->json, "version"));
    const json_t *mappings = json_object_get(map->json, "mappings");
    static const char *const languages[] = {"source_language", "x_source_language", NULL};
    map->language = source_map_text(map->json, languages);
    map->generated_file = source_map_text(map->json, (const char *const[]){"generated_file", "file", NULL});
    map->file = source_map_text(map->json, (const char *const[]){"source_file", NULL});
    if (json_object_get(map->json, "sections") != NULL) {
        (void)snprintf(problem, problem_size, "an index map with sections is not supported");
        return LOOM_EMALFORMED;
    }
    if (version == 1 && json_is_array(mappings)) {
        return read_list(map, mappings, problem, problem_size);
    }
    if (version == 3 && json_is_string(mappings)) {
        return source_map_read_vlq(map, json_string_value(mappings), problem, problem_size);
    }
    (void)snprintf(problem, problem_size, "neither version 3 with \"mappings\" as text nor version 1 with a list of them");
    return LOOM_EMALFORMED;
}

static loom_status load(source_map *map, const char *path, char *problem, size_t problem_size)
{
    struct stat st;
    json_error_t error;
    if (stat(path, &st) != 0) {
        (void)snprintf(problem, problem_size, "%s", strerror(errno));
        return LOOM_ENOTFOUND;
    }
    if (st.st_size > FILE_MAX_BYTES) {
        (void)snprintf(problem, problem_size, "a source map may have 64 MiB at most");
        return LOOM_ETOOBIG;
    }
    map->kept = json_array();
    map->json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (map->json == NULL) {
        (void)snprintf(problem, problem_size, "line %d: %s", error.line, error.text);
        return LOOM_EMALFORMED;
    }
    if (map->kept == NULL) {
        return LOOM_ENOMEM;
    }
    return read_map(map, problem, problem_size);
}

loom_status source_map_open(source_map **out, const char *path, char *problem, size_t problem_size)
{
    char why[160] = "out of memory";
    *out = NULL;
    source_map *map = calloc(1, sizeof *map);
    loom_status st = map != NULL ? load(map, path, why, sizeof why) : LOOM_ENOMEM;
    if (st != LOOM_OK) {
        (void)snprintf(problem, problem_size, "source map %s: %s", path, why);
        source_map_free(map);
        return st;
    }
    if (map->count > 0) {
        qsort(map->places, map->count, sizeof map->places[0], by_place);
    }
    *out = map;
    return LOOM_OK;
}

void source_map_free(source_map *map)
{
    if (map != NULL) {
        json_decref(map->json);
        json_decref(map->kept);
        free(map->places);
        free(map);
    }
}

/* ---- using it ---- */

/* "Python" for app.py: what the attribute is to be when the map does not say it. */
static const char *language_of(const source_map *map, const char *file)
{
    static const char *const languages[][2] = {{".py", "Python"}, {".ts", "TypeScript"}, {".tsx", "TypeScript"}, {".js", "JavaScript"},
                                               {".rb", "Ruby"},   {".c", "C"},           {".rs", "Rust"},        {".sh", "Shell"},
                                               {".kt", "Kotlin"}, {".go", "Go"},         {".dart", "Dart"},      {".ruchy", "Ruchy"}};
    const char *dot = file != NULL ? strrchr(file, '.') : NULL;
    for (size_t i = 0; map->language == NULL && dot != NULL && i < sizeof languages / sizeof languages[0]; i++) {
        if (strcmp(dot, languages[i][0]) == 0) {
            return languages[i][1];
        }
    }
    return map->language;
}

static const loom_attr *attr_of(const decoded *d, const char *key)
{
    for (size_t i = 0; i < d->count; i++) {
        if (strcmp(d->attrs[i].key, key) == 0) {
            return &d->attrs[i];
        }
    }
    return NULL;
}

/* By its last part: debug information has the path of the machine that compiled it. */
static bool is_generated_file(const char *wanted, loom_str file)
{
    return wanted == NULL || str_equal(decode_basename(str_of(wanted)), decode_basename(file));
}

void source_map_apply(const source_map *map, decoded *to)
{
    if (map == NULL) {
        return;
    }
    const loom_attr *file = attr_of(to, "code.file.path"), *line = attr_of(to, "code.line.number"), *column = attr_of(to, "code.column.number");
    if (file == NULL || line == NULL) {
        return;
    }
    const map_place *place = find(map, (uint32_t)line->value.integer, column != NULL ? (uint32_t)column->value.integer : 0);
    if (place == NULL || !is_generated_file(place->generated_file != NULL ? place->generated_file : map->generated_file, file->value.string)) {
        return;
    }
    const char *original = place->file != NULL ? place->file : map->file;
    decoded_str(to, "transpiler.source_language", str_of(language_of(map, original)));
    decoded_str(to, "transpiler.original_file", str_of(original));
    if (place->original_line > 0) {
        decoded_int(to, "transpiler.original_line", place->original_line);
    }
    decoded_str(to, "transpiler.original_function", str_of(place->function));
    decoded_str(to, "transpiler.decision_id", str_of(place->decision));
}
