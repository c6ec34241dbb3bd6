/* SPDX-License-Identifier: Apache-2.0 */
/* Text of others in JSON. What is no UTF-8 no JSON can hold, and jansson leaves it out, or the whole object around it. */
#ifndef LOOM_HOST_JSON_TEXT_H
#define LOOM_HOST_JSON_TEXT_H

#include <jansson.h>
#include <loom/api.h>

/* text as a string, with U+FFFD for what is ill-formed. The caller's. NULL: out of memory. */
json_t *json_text(loom_str text);
/* Sets a member whose key is of others, too; takes the reference, which may be NULL. false: that, or out of memory. */
bool json_set_any_key(json_t *object, loom_str key, json_t *value);

#endif
