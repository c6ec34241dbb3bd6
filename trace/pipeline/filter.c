/* SPDX-License-Identifier: Apache-2.0 */
/* The attribute filter: for each attribute the first rule whose key matches. */
#include "base/glob.h"
#include "base/hex.h"
#include "base/last_error.h"
#include "base/str.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/read.h"
#include "trace/pipeline/span_edit.h"
#include "trace/pipeline/stage.h"

#include <sodium.h>
#include <stdlib.h>

#define HASH_SHOWN 16u /* bytes of it, as hex */

typedef struct filter_rule {
    loom_filter_action action;
    char *key;
    char *rename_to; /* NULL but for RENAME */
} filter_rule;

typedef struct filter_stage {
    loom_span_stage base;
    filter_rule *rules;
    size_t count;
    char *hash_key; /* NULL: plain SHA-256 */
} filter_stage;

/* The walk stands on the attribute; its key and value are copied, what else it has is not. */
static void put_attr(edit_walk *w, const edit_attr *attr, loom_str key, loom_bytes value)
{
    pb_buf *out = edit_replace(w);
    const size_t kv = pb_open(out, attr->number);
    pb_bytes_field(out, KEYVALUE_KEY, key.data, key.len);
    pb_bytes_field(out, KEYVALUE_VALUE, value.data, value.len);
    pb_close(out, kv);
}

static void hash_value(const filter_stage *filter, edit_walk *w, const edit_attr *attr)
{
    const otlp_any any = otlp_read_any(attr->value);
    const loom_bytes what = any.type == OTLP_ANY_STRING ? any.bytes : attr->value;
    uint8_t digest[crypto_hash_sha256_BYTES];
    if (filter->hash_key != NULL) {
        crypto_auth_hmacsha256_state state;
        crypto_auth_hmacsha256_init(&state, (const unsigned char *)filter->hash_key, strlen(filter->hash_key));
        crypto_auth_hmacsha256_update(&state, what.data, what.len);
        crypto_auth_hmacsha256_final(&state, digest);
    } else {
        crypto_hash_sha256(digest, what.data, what.len);
    }
    uint8_t value[2 + 2 * HASH_SHOWN] = {ANY_STRING << 3 | PB_LENGTH, 2 * HASH_SHOWN};
    hex_encode((char *)value + 2, digest, HASH_SHOWN);
    put_attr(w, attr, attr->key, (loom_bytes){value, sizeof value});
}

static void rename_key(const filter_rule *rule, edit_walk *w, const edit_attr *attr)
{
    const loom_str name = str_of(rule->rename_to);
    if (edit_has_key(attr->holder, attr->number, name)) {
        (void)edit_replace(w);
    } else {
        put_attr(w, attr, name, attr->value);
    }
}

static void on_attr(void *self, edit_walk *w, const edit_attr *attr)
{
    const filter_stage *filter = self;
    for (size_t i = 0; i < filter->count; i++) {
        const filter_rule *rule = &filter->rules[i];
        if (!glob_match(str_of(rule->key), attr->key, false)) {
            continue;
        }
        switch (rule->action) {
        case LOOM_FILTER_DROP:
            (void)edit_replace(w);
            break;
        case LOOM_FILTER_RENAME:
            rename_key(rule, w, attr);
            break;
        case LOOM_FILTER_HASH:
            hash_value(filter, w, attr);
            break;
        case LOOM_FILTER_KEEP:
            break;
        }
        return;
    }
}

static bool filter_rewrite(const loom_span_stage *self, loom_bytes span, pb_buf *out)
{
    const span_editor editor = {.on_attr = on_attr, .self = (void *)(uintptr_t)self};
    return span_edit(&editor, span, out);
}

static void filter_free(loom_span_stage *self)
{
    filter_stage *filter = (filter_stage *)self;
    for (size_t i = 0; i < filter->count; i++) {
        free(filter->rules[i].key);
        free(filter->rules[i].rename_to);
    }
    free(filter->rules);
    if (filter->hash_key != NULL) {
        sodium_memzero(filter->hash_key, strlen(filter->hash_key));
    }
    free(filter->hash_key);
    free(filter);
}

loom_status filter_rules_check(const loom_filter_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        loom_status st = pattern_check(rules[i].key);
        const bool renames = rules[i].action == LOOM_FILTER_RENAME;
        if (st == LOOM_OK && renames) {
            st = strpbrk(rules[i].key, "*?") == NULL ? pattern_check(rules[i].rename_to)
                                                     : last_error(LOOM_EINVAL, "rule %zu renames \"%s\", a pattern", i, rules[i].key);
        }
        if (st != LOOM_OK || (int)rules[i].action < 0 || rules[i].action > LOOM_FILTER_HASH) {
            return st != LOOM_OK ? st : last_error(LOOM_EINVAL, "rule %zu has no such action", i);
        }
        for (size_t j = 0; renames && j < i; j++) {
            if (rules[j].action == LOOM_FILTER_RENAME && strcmp(rules[j].rename_to, rules[i].rename_to) == 0) {
                return last_error(LOOM_EINVAL, "two rules rename to \"%s\"", rules[i].rename_to);
            }
        }
    }
    return LOOM_OK;
}

/* false: no memory. */
static bool copy_rules(filter_stage *filter, const loom_filter_rule *rules, size_t count)
{
    filter->rules = calloc(count > 0 ? count : 1, sizeof *filter->rules);
    for (size_t i = 0; filter->rules != NULL && i < count; i++) {
        filter_rule *rule = &filter->rules[filter->count++];
        const bool renames = rules[i].action == LOOM_FILTER_RENAME;
        *rule = (filter_rule){rules[i].action, strdup(rules[i].key), renames ? strdup(rules[i].rename_to) : NULL};
        if (rule->key == NULL || (renames && rule->rename_to == NULL)) {
            return false;
        }
    }
    return filter->rules != NULL;
}

loom_status loom_attr_filter_create(loom_span_stage **out, const loom_filter_rule *rules, size_t rule_count, const char *hash_key)
{
    if (out == NULL) {
        return last_error_null("the place for the stage");
    }
    *out = NULL;
    if (rules == NULL || rule_count == 0) {
        return last_error(LOOM_EINVAL, "the filter has no rules");
    }
    loom_status st = rule_count <= LOOM_PATTERNS_MAX ? filter_rules_check(rules, rule_count) : LOOM_ETOOBIG;
    if (st != LOOM_OK) {
        return st;
    }
    filter_stage *filter = calloc(1, sizeof *filter);
    if (filter == NULL) {
        return LOOM_ENOMEM;
    }
    stage_init(&filter->base, filter_rewrite, filter_free);
    filter->hash_key = hash_key != NULL ? strdup(hash_key) : NULL;
    if ((hash_key != NULL && filter->hash_key == NULL) || !copy_rules(filter, rules, rule_count)) {
        filter_free(&filter->base);
        return LOOM_ENOMEM;
    }
    *out = &filter->base;
    return LOOM_OK;
}
