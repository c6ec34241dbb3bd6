/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for personal data and secrets in a text. One pass, no memory; nothing is looked at more than a bounded number of
 * times, whatever the text. */
#ifndef LOOM_TRACE_PIPELINE_MASK_TEXT_H
#define LOOM_TRACE_PIPELINE_MASK_TEXT_H

#include "trace/pipeline/stage.h"

typedef struct mask_rules {
    unsigned kinds; /* LOOM_MASK_… */
    pattern_list keys, allow_keys, allow_values;
} mask_rules;

/* Whether the value of this key is a secret by its name: the rules' own patterns, then the names that everybody uses. */
bool mask_key(const mask_rules *rules, loom_str key);

/* The same for the name of a pair in a text, which may be on the list of names to be left alone. */
bool mask_pair_key(const mask_rules *rules, loom_str key);
/* Whether it is "pass", whose value is a secret only when it is no number: tests pass, too. */
bool mask_pass_key(const mask_rules *rules, loom_str key);
/* Whether this is --password or its like: what follows it in a list of arguments is a secret. */
bool mask_secret_option(const mask_rules *rules, loom_str argument);

typedef void mask_found(void *user, size_t from, size_t to, const char *replacement);
/* Calls found for each place, in order; they do not overlap. key: whose value the text is, so that "4155552671" is a phone
 * number under customer.phone; empty: unknown. */
void mask_scan(const mask_rules *rules, loom_str key, loom_str text, mask_found *found, void *user);

#define MASKED "[masked]"

#endif
