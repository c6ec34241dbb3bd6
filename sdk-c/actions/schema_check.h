/* SPDX-License-Identifier: Apache-2.0 */
/* The schemas of a capability: checked when it is announced, and on request what is sent by them. libloom-schema does it
 * (sdk-c/schema/schema.h), which is loaded when the first capability with a schema is announced. */
#ifndef LOOM_SDK_SCHEMA_CHECK_H
#define LOOM_SDK_SCHEMA_CHECK_H

#include <loom/action.h>

#include "sdk-c/schema/schema.h"

typedef struct capability_schemas {
    loom_schema *input, *output; /* NULL: nothing is checked */
} capability_schemas;

/* Checks the schemas of a capability, and compiles them if it wants to validate. Without libloom-schema only that fails.
 * LOOM_EINVAL: loom_last_error() says why. *out is empty then. */
LOOM_MUST_CHECK loom_status capability_schemas_init(capability_schemas *out, const loom_capability *given);
void capability_schemas_fini(capability_schemas *schemas);

/* schema NULL: all is valid. */
bool schema_allows(const loom_schema *schema, loom_bytes payload, char problem[LOOM_SCHEMA_PROBLEM_SIZE]);

#endif
