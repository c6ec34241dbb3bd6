/* SPDX-License-Identifier: Apache-2.0 */
#include "demos/trace-test/reading.h"

#include <jansson.h>

static bool read_number(const json_t *object, const char *key, double *out)
{
    const json_t *value = json_object_get(object, key);
    *out = json_number_value(value);
    return json_is_number(value);
}

loom_status reading_parse(reading *out, loom_bytes json, const char *value_key, const char *processed_key)
{
    *out = (reading){0};
    json_t *object = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *counter = json_object_get(object, "counter");
    bool whole = json_is_integer(counter) && read_number(object, value_key, &out->value) &&
                 (processed_key == NULL || read_number(object, processed_key, &out->processed));
    out->counter = json_integer_value(counter);
    json_decref(object);
    return whole ? LOOM_OK : LOOM_EMALFORMED;
}
