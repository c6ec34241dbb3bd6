/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/set.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "base/str.h"
#include "base/suggest.h"

enum { REGEX_MAX = 128, SHOWN_MAX = 64 };

typedef struct set_parser {
    syscall_set *set;
    char *problem;
    size_t problem_size;
} set_parser;

static bool has_any(const char *classes, const char *letters)
{
    return strpbrk(classes, letters) != NULL;
}

/* Classes and "all", with or without a '%'. */
static bool apply_class(syscall_set *set, loom_str name, bool chosen)
{
    const char *letters = NULL;
    const bool all = str_is(name, "all");
    if (name.len > 1 && name.data[0] == '%') {
        name = str_tail(name, 1);
    }
    for (size_t i = 0; i < syscall_class_count && letters == NULL; i++) {
        letters = str_is(name, syscall_classes[i].name) ? syscall_classes[i].letters : NULL;
    }
    for (size_t i = 0; i < syscall_spec_count && (all || letters != NULL); i++) {
        if (all || has_any(syscall_specs[i].classes, letters)) {
            set->chosen[i] = chosen;
        }
    }
    return all || letters != NULL || str_is(name, "none");
}

static bool apply_name(syscall_set *set, loom_str name, bool chosen)
{
    for (size_t i = 0; i < syscall_spec_count; i++) {
        if (str_is(name, syscall_specs[i].name)) {
            set->chosen[i] = chosen;
            return true;
        }
    }
    return false;
}

static loom_status apply_regex(const set_parser *p, loom_str pattern, bool chosen)
{
    char text[REGEX_MAX], why[REGEX_MAX];
    regex_t regex;
    if (pattern.len >= sizeof text) {
        (void)snprintf(p->problem, p->problem_size, "a pattern may have %d characters at most", REGEX_MAX - 1);
        return LOOM_EINVAL;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)pattern.len, pattern.data);
    int bad = regcomp(&regex, text, REG_EXTENDED | REG_NOSUB);
    if (bad != 0) {
        (void)regerror(bad, &regex, why, sizeof why);
        (void)snprintf(p->problem, p->problem_size, "\"/%s\": %s", text, why);
        return LOOM_EINVAL;
    }
    bool any = false;
    for (size_t i = 0; i < syscall_spec_count; i++) {
        if (regexec(&regex, syscall_specs[i].name, 0, NULL, 0) == 0) {
            p->set->chosen[i] = chosen;
            any = true;
        }
    }
    regfree(&regex);
    if (!any) {
        (void)snprintf(p->problem, p->problem_size, "no system call matches \"/%s\"", text);
    }
    return any ? LOOM_OK : LOOM_EINVAL;
}

static loom_status unknown(const set_parser *p, loom_str item)
{
    char shown[SHOWN_MAX];
    suggestion near;
    printable_copy(shown, sizeof shown, item);
    suggestion_init(&near, item);
    for (size_t i = 0; i < syscall_class_count; i++) {
        suggestion_consider(&near, syscall_classes[i].name);
    }
    for (size_t i = 0; i < syscall_spec_count; i++) {
        suggestion_consider(&near, syscall_specs[i].name);
    }
    const char *best = suggestion_result(&near);
    (void)snprintf(p->problem, p->problem_size, "\"%s\" is neither a system call nor a class of system calls%s%s%s", shown,
                   best != NULL ? "; did you mean \"" : " (file, network, process, desc, memory, signal, ipc, creds, clock, all)",
                   best != NULL ? best : "", best != NULL ? "\"?" : "");
    return LOOM_EINVAL;
}

static loom_status apply(const set_parser *p, loom_str item, bool negated)
{
    bool chosen = !negated, may_be_unknown = false;
    if (item.len > 0 && item.data[0] == '!') {
        chosen = false;
        item = str_tail(item, 1);
    }
    if (item.len > 0 && item.data[0] == '?') {
        may_be_unknown = true;
        item = str_tail(item, 1);
    }
    if (item.len == 0) {
        (void)snprintf(p->problem, p->problem_size, "an item of the set of system calls is empty");
        return LOOM_EINVAL;
    }
    if (item.data[0] == '/') {
        return apply_regex(p, str_tail(item, 1), chosen);
    }
    if (apply_class(p->set, item, chosen) || apply_name(p->set, item, chosen) || may_be_unknown) {
        return LOOM_OK;
    }
    return unknown(p, item);
}

loom_status syscall_set_parse(syscall_set *set, const char *text, char *problem, size_t problem_size)
{
    const set_parser parser = {set, problem, problem_size};
    loom_str rest = str_trim(str_of(text)), item;
    *set = (syscall_set){0};
    static const char *const prefixes[] = {"trace=", "t="};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        const size_t len = strlen(prefixes[i]);
        if (rest.len >= len && memcmp(rest.data, prefixes[i], len) == 0) {
            rest = str_tail(rest, len);
            break;
        }
    }
    if (rest.len == 0) {
        (void)apply_class(set, str_of("default"), true);
        return LOOM_OK;
    }
    const bool negated = rest.data[0] == '!';
    if (negated) {
        (void)apply_class(set, str_of("all"), true);
    }
    loom_status st = LOOM_OK;
    while (st == LOOM_OK && str_next_item(&rest, ',', &item)) {
        st = apply(&parser, str_trim(item), negated);
    }
    return st;
}
