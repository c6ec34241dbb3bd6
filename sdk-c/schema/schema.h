/* SPDX-License-Identifier: Apache-2.0 */
/* The interface of libloom-schema, a library of its own: its functions are found by name at run time. No exception leaves it.
 *
 * JSON Schema up to draft 7 is validated against. What is announced may be of a later draft: to be sensible it has to be an
 * object or a boolean in which the keywords of draft 7 have the form that they have there.
 * Bounds, since payloads come from others: 64 levels; with pattern, patternProperties or format in the schema, strings of 4096
 * bytes (std::regex recurses for each of them); with uniqueItems, arrays of 2000 items (each is compared to each). */
#ifndef LOOM_SDK_SCHEMA_H
#define LOOM_SDK_SCHEMA_H

#include <loom/api.h>

LOOM_BEGIN_DECLS

#define LOOM_SCHEMA_PROBLEM_SIZE 256u

typedef struct loom_schema loom_schema; /* never changes; any number of threads may validate against one */

/* Whether text is JSON Schema. If not, problem says why. */
LOOM_API bool loom_schema_check(loom_str text, char problem[LOOM_SCHEMA_PROBLEM_SIZE]);
/* The same, to validate against: no later draft than 7, $ref within the schema only, no loops. NULL: problem says why. */
LOOM_API loom_schema *loom_schema_compile(loom_str text, char problem[LOOM_SCHEMA_PROBLEM_SIZE]);
LOOM_API void loom_schema_free(loom_schema *schema);
/* Whether payload is JSON that the schema allows. If not, problem names the place and what is wrong with it. */
LOOM_API bool loom_schema_validate(const loom_schema *schema, loom_bytes payload, char problem[LOOM_SCHEMA_PROBLEM_SIZE]);

LOOM_END_DECLS
#endif
