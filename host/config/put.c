/* SPDX-License-Identifier: Apache-2.0 */
/* The one gate every value passes, wherever it was written: type, range, choices, the key's own check. */
#include "host/config/config.h"

#include "base/number.h"
#include "base/runtime_dir.h"
#include "base/suggest.h"
#include "base/url.h"
#include "host/config/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One value on its way in. */
typedef struct putting {
    config *c;
    const config_key *key;
    void *field;
    const config_place *place;
    problems *list;
} putting;

/* "loom.toml:7:3: [broker] ttl ", "--ttl ": a key in a file is named, a flag or a variable names itself. */
__attribute__((format(printf, 2, 3))) static loom_status refuse(const putting *p, const char *format, ...)
{
    char where[PROBLEM_TEXT_SIZE / 2], what[PROBLEM_TEXT_SIZE];
    config_describe_place(p->c, p->place, where, sizeof where);
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (p->place->severity == PROBLEM_WARNING) { /* the program goes on, and says with what */
        size_t used = strlen(what);
        const char *instead = p->key->instead;
        if (instead == NULL) {
            instead = p->key->fallback != NULL && p->key->fallback[0] != '\0' ? p->key->fallback : "the default";
        }
        snprintf(what + used, sizeof what - used, "; using %s", instead);
    }
    if (p->place->source == CONFIG_FROM_FILE) {
        problems_add_at(p->list, p->place->severity, p->place->line, p->place->column, "%s: [%s] %s %s", where,
                        p->c->label != NULL ? p->c->label : p->key->section, p->key->name, what);
    } else {
        problems_add(p->list, p->place->severity, "%s %s", where, what);
    }
    return LOOM_EINVAL;
}

static const char *kind_text(const config_value *value)
{
    switch (value->kind) {
    case CONFIG_KIND_BOOL:
        return value->boolean ? "true" : "false";
    case CONFIG_KIND_INT:
        return "an integer";
    case CONFIG_KIND_DOUBLE:
        return "a float";
    case CONFIG_KIND_TEXT:
        return "a string";
    case CONFIG_KIND_LIST:
        return "a list";
    case CONFIG_KIND_OTHER:
        break;
    }
    return value->other;
}

static loom_status wrong_kind(const putting *p, const char *wanted, const config_value *value)
{
    if (value->kind == CONFIG_KIND_TEXT) {
        int shown = value->text.len > 64 ? 64 : (int)value->text.len;
        return refuse(p, "has to be %s, not \"%.*s\"", wanted, shown, value->text.data != NULL ? value->text.data : "");
    }
    return refuse(p, "has to be %s, not %s", wanted, kind_text(value));
}

static void format_number(const putting *p, char out[CONFIG_UNITS_SIZE], int64_t number)
{
    if (p->key->type == CONFIG_DURATION) {
        config_format_duration(out, number);
    } else if (p->key->type == CONFIG_SIZE) {
        config_format_size(out, number);
    } else {
        snprintf(out, CONFIG_UNITS_SIZE, "%" PRId64, number);
    }
}

static loom_status check_range(const putting *p, int64_t number)
{
    if (number >= p->key->min && number <= p->key->max) {
        return LOOM_OK;
    }
    char min[CONFIG_UNITS_SIZE], max[CONFIG_UNITS_SIZE], got[CONFIG_UNITS_SIZE];
    format_number(p, min, p->key->min);
    format_number(p, max, p->key->max);
    format_number(p, got, number);
    return refuse(p, "is %s, and has to be from %s to %s", got, min, max);
}

static loom_status put_bool(const putting *p, const config_value *value)
{
    if (value->kind != CONFIG_KIND_BOOL) {
        return wrong_kind(p, "true or false", value);
    }
    *(bool *)p->field = value->boolean;
    return LOOM_OK;
}

static loom_status put_int(const putting *p, const config_value *value)
{
    if (value->kind != CONFIG_KIND_INT) {
        return wrong_kind(p, "an integer", value);
    }
    loom_status st = check_range(p, value->integer);
    if (st == LOOM_OK) {
        *(int64_t *)p->field = value->integer;
    }
    return st;
}

static loom_status put_double(const putting *p, const config_value *value)
{
    if (value->kind != CONFIG_KIND_DOUBLE && value->kind != CONFIG_KIND_INT) {
        return wrong_kind(p, "a number", value);
    }
    double number = value->kind == CONFIG_KIND_INT ? (double)value->integer : value->real;
    if (!(number >= (double)p->key->min && number <= (double)p->key->max)) {
        char text[NUMBER_SIZE];
        (void)number_format(text, number, 6);
        return refuse(p, "is %s, and has to be from %" PRId64 " to %" PRId64, text, p->key->min, p->key->max);
    }
    *(double *)p->field = number;
    return LOOM_OK;
}

static loom_status put_duration(const putting *p, const config_value *value)
{
    int64_t ms = 0;
    if (value->kind == CONFIG_KIND_INT && value->integer != 0) {
        return refuse(p, "needs a unit, such as \"%" PRId64 "s\" or \"%" PRId64 "ms\"", value->integer, value->integer);
    }
    if (value->kind != CONFIG_KIND_INT
        && (value->kind != CONFIG_KIND_TEXT || !config_parse_duration(&ms, value->text))) {
        return wrong_kind(p, "a duration such as \"5s\", \"250ms\" or \"2m\"", value);
    }
    loom_status st = check_range(p, ms);
    if (st == LOOM_OK) {
        *(uint32_t *)p->field = (uint32_t)ms;
    }
    return st;
}

static loom_status put_size(const putting *p, const config_value *value)
{
    int64_t bytes = value->integer;
    if (value->kind != CONFIG_KIND_INT
        && (value->kind != CONFIG_KIND_TEXT || !config_parse_size(&bytes, value->text))) {
        return wrong_kind(p, "a size such as 4096, \"64KiB\" or \"1MiB\"", value);
    }
    loom_status st = check_range(p, bytes);
    if (st == LOOM_OK) {
        *(size_t *)p->field = (size_t)bytes;
    }
    return st;
}

/* choices is "a|b|c"; an empty member, as in "|a|b", allows the empty string. */
static bool is_choice(const char *choices, loom_str text, bool any_case)
{
    for (const char *at = choices;; at++) {
        size_t length = strcspn(at, "|");
        if (length == text.len && (length == 0 || memcmp(at, text.data, length) == 0 ||
                                   (any_case && strncasecmp(at, text.data, length) == 0))) {
            return true;
        }
        at += length;
        if (*at == '\0') {
            return false;
        }
    }
}

static loom_status refuse_choice(const putting *p, loom_str text)
{
    char names[256], shown[256] = "";
    suggestion near;
    suggestion_init(&near, text);
    snprintf(names, sizeof names, "%s", p->key->choices);
    char *save = NULL;
    for (char *name = strtok_r(names, "|", &save); name != NULL; name = strtok_r(NULL, "|", &save)) {
        size_t used = strlen(shown);
        snprintf(shown + used, sizeof shown - used, "%s%s", used > 0 ? ", " : "", name);
        suggestion_consider(&near, name);
    }
    const char *guess = suggestion_result(&near);
    int length = text.len > 64 ? 64 : (int)text.len;
    return refuse(p, "is \"%.*s\", and has to be one of %s%s%s%s", length, text.len > 0 ? text.data : "", shown,
                  guess != NULL ? "; did you mean \"" : "", guess != NULL ? guess : "", guess != NULL ? "\"?" : "");
}

/* A copy of text in which "{runtime}" has become this user's runtime directory. NULL: no memory. */
static char *expand(loom_str text)
{
    static const char mark[] = "{runtime}";
    char dir[PATHS_DIR_SIZE];
    paths_runtime_dir(dir);
    size_t marks = 0;
    const char *end = text.data + text.len, *found;
    for (const char *at = text.data; (found = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)) != NULL;) {
        marks++;
        at = found + sizeof mark - 1;
    }
    char *out = malloc(text.len + marks * strlen(dir) + 1);
    if (out == NULL) {
        return NULL;
    }
    char *to = out;
    const char *at = text.data;
    while (marks-- > 0) {
        found = memmem(at, (size_t)(end - at), mark, sizeof mark - 1);
        to = stpcpy(mempcpy(to, at, (size_t)(found - at)), dir);
        at = found + sizeof mark - 1;
    }
    *(char *)mempcpy(to, at, (size_t)(end - at)) = '\0';
    return out;
}

/* *out is a copy that the caller owns. */
static loom_status take_text(const putting *p, char **out, loom_str text)
{
    if (text.len > CONFIG_TEXT_MAX) {
        return refuse(p, "has %zu bytes, and takes %d", text.len, CONFIG_TEXT_MAX);
    }
    if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL) {
        return refuse(p, "holds a NUL character");
    }
    /* OpenTelemetry's own variables name their values in any case */
    if (p->key->choices != NULL && !is_choice(p->key->choices, text, p->place->severity == PROBLEM_WARNING)) {
        return refuse_choice(p, text);
    }
    char *copy = expand(text.len > 0 ? text : (loom_str){"", 0});
    if (copy == NULL) {
        return LOOM_ENOMEM;
    }
    char why[CONFIG_CHECK_SIZE] = "";
    if (p->key->check != NULL && !p->key->check(copy, why)) {
        char shown[URL_SHOWN_SIZE];
        url_show(shown, copy);
        loom_status st = refuse(p, "\"%.128s\": %s", config_is_url(p->key) || strstr(copy, "://") != NULL ? shown : copy, why);
        free(copy);
        return st;
    }
    *out = copy;
    return LOOM_OK;
}

static loom_status put_string(const putting *p, const config_value *value)
{
    if (value->kind != CONFIG_KIND_TEXT) {
        return wrong_kind(p, "a string", value);
    }
    char *copy = NULL;
    loom_status st = take_text(p, &copy, value->text);
    if (st == LOOM_OK) {
        char **text = p->field;
        free(*text);
        *text = copy;
    }
    return st;
}

static void free_strings(config_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++) {
        free(strings->items[i]);
    }
    free(strings->items);
    *strings = (config_strings){0};
}

/* A list of nothing but one empty string is the empty list: the way to say "none" in a flag. */
static loom_status put_strings(const putting *p, const config_value *value)
{
    const loom_str *items = value->kind == CONFIG_KIND_TEXT ? &value->text : value->list;
    size_t count = value->kind == CONFIG_KIND_TEXT ? 1 : value->list_count;
    if (value->kind != CONFIG_KIND_TEXT && value->kind != CONFIG_KIND_LIST) {
        return wrong_kind(p, "a list of strings", value);
    }
    if (count > CONFIG_LIST_MAX) {
        return refuse(p, "lists more than %d strings", CONFIG_LIST_MAX);
    }
    if (count == 1 && items[0].len == 0) {
        count = 0;
    }
    config_strings fresh = {0};
    if (count > 0 && (fresh.items = calloc(count, sizeof *fresh.items)) == NULL) {
        return LOOM_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        loom_status st = take_text(p, &fresh.items[i], items[i]);
        if (st != LOOM_OK) {
            free_strings(&fresh);
            return st;
        }
        fresh.count++;
    }
    config_strings *strings = p->field;
    free_strings(strings);
    *strings = fresh;
    return LOOM_OK;
}

static loom_status put_command(const putting *p, const config_value *value)
{
    if (value->kind != CONFIG_KIND_TEXT && value->kind != CONFIG_KIND_LIST) {
        return wrong_kind(p, "a shell command, or a list of a program and its arguments", value);
    }
    if (value->kind == CONFIG_KIND_TEXT ? value->text.len == 0 : value->list_count > 0 && value->list[0].len == 0) {
        return refuse(p, "is empty");
    }
    const loom_str shell[] = {{"/bin/sh", 7}, {"-c", 2}, value->text};
    const config_value line = {.kind = CONFIG_KIND_LIST, .list = shell, .list_count = 3};
    return put_strings(p, value->kind == CONFIG_KIND_TEXT ? &line : value);
}

static loom_status put_variables(const putting *p, const config_value *value)
{
    return value->kind == CONFIG_KIND_LIST ? put_strings(p, value) : wrong_kind(p, "a table of strings, such as { MODE = \"test\" }", value);
}

loom_status config_put(config *c, size_t key, const config_value *value, const config_place *place, problems *list)
{
    static loom_status (*const put[])(const putting *, const config_value *) = {
        [CONFIG_BOOL] = put_bool,       [CONFIG_INT] = put_int,           [CONFIG_DOUBLE] = put_double,
        [CONFIG_STRING] = put_string,   [CONFIG_STRINGS] = put_strings,   [CONFIG_DURATION] = put_duration,
        [CONFIG_SIZE] = put_size,       [CONFIG_COMMAND] = put_command,   [CONFIG_VARIABLES] = put_variables,
    };
    putting p = {.c = c, .key = &c->keys[key], .field = (char *)c->values + c->keys[key].offset, .place = place, .list = list};
    loom_status st = put[p.key->type](&p, value);
    if (st == LOOM_OK) {
        c->places[key] = *place;
    }
    return st;
}

loom_status config_put_texts(config *c, size_t key, const loom_str *texts, size_t count, const config_place *place,
                             problems *list)
{
    config_value value = {.kind = CONFIG_KIND_LIST, .list = texts, .list_count = count};
    if (c->keys[key].type != CONFIG_STRINGS && c->keys[key].type != CONFIG_COMMAND && c->keys[key].type != CONFIG_VARIABLES) {
        value = (config_value){.kind = CONFIG_KIND_TEXT, .text = texts[count - 1]};
    }
    if (c->keys[key].type == CONFIG_BOOL && config_parse_bool(&value.boolean, value.text)) {
        value.kind = CONFIG_KIND_BOOL;
    } else if (c->keys[key].type == CONFIG_INT && config_parse_int(&value.integer, value.text)) {
        value.kind = CONFIG_KIND_INT;
    } else if (c->keys[key].type == CONFIG_DOUBLE && config_parse_double(&value.real, value.text)) {
        value.kind = CONFIG_KIND_DOUBLE;
    }
    return config_put(c, key, &value, place, list);
}
