/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target of libloom-schema: a schema, a NUL, and a payload. */
#include "sdk-c/schema/schema.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[LOOM_SCHEMA_PROBLEM_SIZE] = "";
    const uint8_t *nul = size > 0 && size < 4096 ? memchr(data, '\0', size) : NULL;
    if (nul == NULL) {
        return 0;
    }
    const loom_str text = {(const char *)data, (size_t)(nul - data)};
    bool announced = loom_schema_check(text, problem);
    assert(announced || problem[0] != '\0');
    loom_schema *schema = loom_schema_compile(text, problem);
    assert(schema == NULL || announced);
    if (schema != NULL) {
        bool valid = loom_schema_validate(schema, (loom_bytes){nul + 1, size - text.len - 1}, problem);
        assert(valid || problem[0] != '\0');
        (void)valid;
    }
    (void)announced;
    loom_schema_free(schema);
    return 0;
}
