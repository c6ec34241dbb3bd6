/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that read a source map. */
#ifndef LOOM_TRACE_PROCESS_SOURCE_MAP_INTERNAL_H
#define LOOM_TRACE_PROCESS_SOURCE_MAP_INTERNAL_H

#include <jansson.h>

#include "trace/process/syscalls/source_map.h"

/* Texts are the JSON's; NULL: unknown. */
typedef struct map_place {
    uint32_t line, column; /* generated, from 1 */
    uint32_t original_line; /* from 1; 0: unknown */
    const char *generated_file, *file, *function, *decision;
} map_place;

struct source_map {
    json_t *json, *kept; /* kept: an array of texts that are not in json */
    const char *language, *file, *generated_file;
    map_place *places; /* sorted by line and column */
    size_t count, capacity;
};

bool source_map_add(source_map *map, const map_place *place); /* false: no memory */
/* The first of the keys, which end with NULL, whose value is text. */
const char *source_map_text(const json_t *object, const char *const *keys);
/* "mappings" of version 3. */
loom_status source_map_read_vlq(source_map *map, const char *mappings, char *problem, size_t problem_size);

#endif
