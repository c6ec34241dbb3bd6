/* SPDX-License-Identifier: Apache-2.0 */
#include "host/json_text.h"

#include <stdlib.h>

#include "base/utf8.h"

json_t *json_text(loom_str text)
{
    if (utf8_valid(text)) {
        return json_stringn_nocheck(text.data != NULL ? text.data : "", text.len);
    }
    size_t len;
    char *repaired = utf8_repair(text, &len);
    json_t *value = repaired != NULL ? json_stringn_nocheck(repaired, len) : NULL;
    free(repaired);
    return value;
}

bool json_set_any_key(json_t *object, loom_str key, json_t *value)
{
    if (utf8_valid(key)) {
        return json_object_setn_new_nocheck(object, key.data != NULL ? key.data : "", key.len, value) == 0;
    }
    size_t len;
    char *repaired = utf8_repair(key, &len);
    if (repaired == NULL) {
        json_decref(value);
        return false;
    }
    const bool set = json_object_setn_new_nocheck(object, repaired, len, value) == 0;
    free(repaired);
    return set;
}
