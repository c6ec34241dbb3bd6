/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of a child: a copy of another one in which the trace is the child's. Every string is the copy's own, so that
 * it stays what it is when this process changes its environment. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/last_error.h"
#include "base/str.h"
#include "trace/carrier/fields.h"
#include "trace/carrier/trace_variables.h"

enum { ROOM_FIRST = 24 }; /* for what is set: all the fields below, and some of the caller's */

struct loom_child_environment {
    char **list; /* ends with NULL */
    size_t count, capacity; /* capacity: without the NULL */
};

/* Whatever tells a process of ours, or of others, which trace it works for. */
static const char *const variables[] = {
    "TRACEPARENT", "TRACESTATE", "BAGGAGE", "B3", "X_B3_TRACEID", "X_B3_SPANID", "X_B3_PARENTSPANID", "X_B3_SAMPLED",
    "X_B3_FLAGS", "X_TRACE_ID", "X_SPAN_ID", "OTEL_TRACEPARENT", "LOOM_TRACE_ID", "LOOM_SPAN_ID", "LOOM_TRACE_BAGGAGE",
};

void trace_variables_unset(void)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        (void)unsetenv(variables[i]);
    }
}

static bool is_named(const char *entry, const char *name)
{
    size_t len = strlen(name);
    return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

static bool is_ours(const char *entry)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        if (is_named(entry, variables[i])) {
            return true;
        }
    }
    return false;
}

/* Takes text, which may be NULL for want of memory. */
static bool append(loom_child_environment *env, char *text)
{
    if (text != NULL && env->count == env->capacity) {
        size_t capacity = env->capacity * 2;
        char **list = realloc(env->list, (capacity + 1) * sizeof *list);
        if (list == NULL) {
            free(text);
            return false;
        }
        env->list = list;
        env->capacity = capacity;
    }
    if (text == NULL) {
        return false;
    }
    env->list[env->count++] = text;
    env->list[env->count] = NULL;
    return true;
}

static bool copy_base(loom_child_environment *env, char *const *base)
{
    for (; *base != NULL; base++) {
        if (!is_ours(*base) && !append(env, strdup(*base))) {
            return false;
        }
    }
    return true;
}

loom_status loom_child_environment_set(loom_child_environment *env, const char *name, loom_str value)
{
    if (env == NULL || name == NULL) {
        return last_error_null(env == NULL ? "the environment" : "the name");
    }
    const size_t name_len = strlen(name);
    if (name_len == 0 || strchr(name, '=') != NULL || (value.len > 0 && memchr(value.data, '\0', value.len) != NULL)) {
        return last_error(LOOM_EINVAL, "variable \"%.100s\": its name is empty or has a '=', or its value holds a NUL", name);
    }
    char *text = malloc(name_len + value.len + 2);
    if (text == NULL) {
        return LOOM_ENOMEM;
    }
    memcpy(text, name, name_len);
    text[name_len] = '=';
    if (value.len > 0) {
        memcpy(text + name_len + 1, value.data, value.len);
    }
    text[name_len + 1 + value.len] = '\0';
    for (size_t i = 0; i < env->count; i++) {
        if (is_named(env->list[i], name)) {
            free(env->list[i]);
            env->list[i] = text;
            return LOOM_OK;
        }
    }
    return append(env, text) ? LOOM_OK : LOOM_ENOMEM;
}

/* Nothing of ours is in it yet, so there is nothing to take away. */
static loom_status carrier_set(void *user, const char *name, loom_str value)
{
    char variable[FIELD_NAME_SIZE];
    if (value.data == NULL) {
        return LOOM_OK;
    }
    field_variable(variable, name);
    return loom_child_environment_set(user, variable, value);
}

/* Loom's own variables cannot say that a trace is not sampled, so they are not there when it is not. */
static loom_status set_own(loom_child_environment *env, const loom_propagation *what, loom_str baggage)
{
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE];
    const loom_trace_context *ctx = &what->context;
    loom_status st = LOOM_OK;
    if (loom_trace_context_valid(ctx) && (ctx->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0) {
        loom_trace_id_to_hex(trace_id, ctx->trace_id);
        loom_span_id_to_hex(span_id, ctx->span_id);
        st = loom_child_environment_set(env, "LOOM_TRACE_ID", str_of(trace_id));
        st = st == LOOM_OK ? loom_child_environment_set(env, "LOOM_SPAN_ID", str_of(span_id)) : st;
    }
    if (st == LOOM_OK && baggage.len > 0) {
        st = loom_child_environment_set(env, "LOOM_TRACE_BAGGAGE", baggage);
    }
    return st;
}

static loom_str find_value(const loom_child_environment *env, const char *name)
{
    for (size_t i = 0; i < env->count; i++) {
        if (is_named(env->list[i], name)) {
            return str_of(env->list[i] + strlen(name) + 1);
        }
    }
    return (loom_str){0};
}

static loom_status put_trace(loom_child_environment *env, const loom_propagation *what, unsigned propagators)
{
    const loom_carrier carrier = {.set = carrier_set, .user = env};
    const loom_propagation current = propagation_current();
    what = what != NULL ? what : &current;
    loom_status st = loom_propagation_inject(&carrier, what, propagators);
    if (st != LOOM_OK || propagators == 0) {
        return st;
    }
    return set_own(env, what, find_value(env, "BAGGAGE")); /* as it was found to be valid */
}

loom_status loom_child_environment_create(loom_child_environment **out, char *const *base, const loom_propagation *what,
                                          unsigned propagators)
{
    static char *const nothing[] = {NULL};
    if (out == NULL) {
        return last_error_null("the place for the environment");
    }
    *out = NULL;
    base = base != NULL ? base : environ != NULL ? environ : nothing;
    size_t count = 0;
    while (base[count] != NULL) {
        count++;
    }
    loom_child_environment *env = calloc(1, sizeof *env);
    if (env == NULL) {
        return LOOM_ENOMEM;
    }
    env->capacity = count + ROOM_FIRST;
    env->list = calloc(env->capacity + 1, sizeof *env->list);
    loom_status st = env->list != NULL && copy_base(env, base) ? put_trace(env, what, propagators) : LOOM_ENOMEM;
    if (st != LOOM_OK) {
        loom_child_environment_free(env);
        return st;
    }
    *out = env;
    return LOOM_OK;
}

char *const *loom_child_environment_list(const loom_child_environment *env)
{
    static char *const nothing[] = {NULL};
    return env != NULL ? env->list : nothing;
}

void loom_child_environment_free(loom_child_environment *env)
{
    if (env == NULL) {
        return;
    }
    for (size_t i = 0; i < env->count; i++) {
        free(env->list[i]);
    }
    free(env->list);
    free(env);
}
