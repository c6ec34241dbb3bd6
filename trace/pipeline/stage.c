/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/pipeline/stage.h"

#include "base/glob.h"
#include "base/last_error.h"
#include "base/str.h"

#include <stdlib.h>

void stage_init(loom_span_stage *stage, bool (*rewrite)(const loom_span_stage *self, loom_bytes span, pb_buf *out),
                void (*release)(loom_span_stage *self))
{
    stage->rewrite = rewrite;
    stage->free = release;
    atomic_init(&stage->refs, 1);
}

loom_span_stage *loom_span_stage_ref(loom_span_stage *stage)
{
    if (stage != NULL) {
        atomic_fetch_add_explicit(&stage->refs, 1, memory_order_relaxed);
    }
    return stage;
}

void loom_span_stage_unref(loom_span_stage *stage)
{
    if (stage != NULL && atomic_fetch_sub_explicit(&stage->refs, 1, memory_order_acq_rel) == 1) {
        stage->free(stage);
    }
}

loom_status pattern_check(const char *pattern)
{
    if (pattern == NULL || pattern[0] == '\0') {
        return last_error(LOOM_EINVAL, "a key or pattern is missing or empty");
    }
    return strlen(pattern) > LOOM_PATTERN_MAX
               ? last_error(LOOM_ETOOBIG, "pattern \"%.40s…\" is over %u bytes", pattern, LOOM_PATTERN_MAX)
               : LOOM_OK;
}

void pattern_list_fini(pattern_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free((char *)(uintptr_t)list->items[i].data);
    }
    free(list->items);
    *list = (pattern_list){0};
}

loom_status pattern_list_init(pattern_list *list, const char *const *patterns, size_t count)
{
    *list = (pattern_list){0};
    if (count == 0) {
        return LOOM_OK;
    }
    if (patterns == NULL || count > LOOM_PATTERNS_MAX) {
        return patterns == NULL ? last_error_null("a list of patterns")
                                : last_error(LOOM_ETOOBIG, "there are more than %u patterns", LOOM_PATTERNS_MAX);
    }
    if ((list->items = calloc(count, sizeof *list->items)) == NULL) {
        return LOOM_ENOMEM;
    }
    loom_status st = LOOM_OK;
    for (size_t i = 0; st == LOOM_OK && i < count; i++) {
        if ((st = pattern_check(patterns[i])) != LOOM_OK) {
            break;
        }
        const char *copy = strdup(patterns[i]);
        if (copy == NULL) {
            st = LOOM_ENOMEM;
            break;
        }
        list->items[list->count++] = str_of(copy);
    }
    if (st != LOOM_OK) {
        pattern_list_fini(list);
    }
    return st;
}

bool pattern_list_matches(const pattern_list *list, loom_str text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (glob_match(list->items[i], text, true)) {
            return true;
        }
    }
    return false;
}
