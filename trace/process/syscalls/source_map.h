/* SPDX-License-Identifier: Apache-2.0 */
/* Where a place in a transpiler's output comes from. */
#ifndef LOOM_TRACE_PROCESS_SOURCE_MAP_H
#define LOOM_TRACE_PROCESS_SOURCE_MAP_H

#include <loom/status.h>

#include "trace/process/syscalls/decode.h"

typedef struct source_map source_map;

/* Reads a source map (revision 3, ECMA-426) of at most 64 MiB; an index map with sections is not one of these.
 * LOOM_ENOTFOUND: no such file. LOOM_EMALFORMED, LOOM_ETOOBIG, LOOM_ENOMEM; problem says what is wrong. */
LOOM_MUST_CHECK loom_status source_map_open(source_map **out, const char *path, char *problem, size_t problem_size);
void source_map_free(source_map *map); /* NULL is allowed */

/* Adds the transpiler.* attributes of the place in code.file.path and code.line.number, when the map has it. map NULL does
 * nothing. */
void source_map_apply(const source_map *map, decoded *to);

#endif
