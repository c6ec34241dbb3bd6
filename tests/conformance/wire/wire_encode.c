/* SPDX-License-Identifier: Apache-2.0 */
/* Writes what Loom encodes for the fields of vectors.json, as JSON for check_encodings.py: [{name, fields, hex}, …]. */
#include <stdlib.h>

#include "tests/conformance/wire/vectors.h"

static char *to_hex(loom_bytes bytes)
{
    char *hex = malloc(2 * bytes.len + 1);
    assert_non_null(hex);
    for (size_t i = 0; i < bytes.len; i++) {
        snprintf(hex + 2 * i, 3, "%02x", bytes.data[i]);
    }
    return hex;
}

int main(void)
{
    json_t *vectors = vectors_load(), *out = json_array(), *vector;
    size_t i;
    json_array_foreach(json_object_get(vectors, "envelopes"), i, vector) {
        vector_fields fields;
        vector_fields_init(&fields, json_object_get(vector, "fields"));
        loom_envelope *env;
        const loom_status st = loom_envelope_create(&env, &fields.fields);
        vector_fields_fini(&fields);
        if (st != LOOM_OK) {
            fprintf(stderr, "%s: %s\n", vector_string(vector, "name"), loom_status_text(st));
            return EXIT_FAILURE;
        }
        char *hex = to_hex(loom_envelope_wire(env));
        json_array_append_new(out, json_pack("{s:O, s:O, s:s}", "name", json_object_get(vector, "name"), "fields",
                                             json_object_get(vector, "fields"), "hex", hex));
        free(hex);
        loom_envelope_unref(env);
    }
    int result = json_dumpf(out, stdout, JSON_INDENT(0) | JSON_COMPACT);
    json_decref(out);
    json_decref(vectors);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
