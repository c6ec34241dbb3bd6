/* SPDX-License-Identifier: Apache-2.0 */
#include "host/config/config.h"

#include "base/number.h"
#include "base/str.h"
#include "base/url.h"
#include "host/config/units.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void *field(const config *c, size_t key)
{
    return (char *)c->values + c->keys[key].offset;
}

static bool holds_strings(config_type type)
{
    return type == CONFIG_STRINGS || type == CONFIG_COMMAND || type == CONFIG_VARIABLES;
}

/* Lists in defaults and in the environment: separated by commas, blanks around them dropped. */
static size_t split_list(loom_str *out, size_t max, const char *text)
{
    size_t count = 0;
    while (count < max) {
        text += strspn(text, " \t");
        size_t length = strcspn(text, ",");
        const char *next = text[length] == ',' ? text + length + 1 : NULL;
        while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) {
            length--;
        }
        if (length > 0 || next != NULL || count > 0) {
            out[count++] = (loom_str){text, length};
        }
        if (next == NULL) {
            break;
        }
        text = next;
    }
    return count;
}

static loom_status put_joined(config *c, size_t key, const char *text, const config_place *place, problems *list)
{
    loom_str parts[CONFIG_LIST_MAX + 1];
    size_t count = 1;
    parts[0] = str_of(text);
    if (holds_strings(c->keys[key].type)) {
        count = split_list(parts, CONFIG_LIST_MAX + 1, text);
    }
    return config_put_texts(c, key, parts, count, place, list);
}

static loom_status put_fallback(config *c, size_t key, problems *scratch)
{
    static const config_place place = {.source = CONFIG_FROM_DEFAULT, .name = "default"};
    return put_joined(c, key, c->keys[key].fallback, &place, scratch);
}

loom_status config_init(config *c, const config_key *keys, size_t count, void *values)
{
    *c = (config){.keys = keys, .count = count, .values = values};
    loom_status st = LOOM_OK;
    problems *scratch = malloc(sizeof *scratch);
    c->places = calloc(count, sizeof *c->places);
    if (scratch == NULL || c->places == NULL) {
        st = LOOM_ENOMEM;
        goto done;
    }
    problems_init(scratch);
    for (size_t i = 0; i < count && st == LOOM_OK; i++) {
        st = put_fallback(c, i, scratch);
        assert(st != LOOM_EINVAL);
    }
done:
    free(scratch);
    if (st != LOOM_OK) {
        config_fini(c);
    }
    return st;
}

static void free_field(const config *c, size_t key)
{
    if (c->keys[key].type == CONFIG_STRING) {
        char **text = field(c, key);
        free(*text);
        *text = NULL;
    } else if (holds_strings(c->keys[key].type)) {
        config_strings *strings = field(c, key);
        for (size_t i = 0; i < strings->count; i++) {
            free(strings->items[i]);
        }
        free(strings->items);
        *strings = (config_strings){0};
    }
}

void config_fini(config *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free_field(c, i);
    }
    free(c->places);
    free(c->file);
    *c = (config){0};
}

size_t config_find(const config *c, loom_str section, loom_str name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (str_is(section, c->keys[i].section) && str_is(name, c->keys[i].name)) {
            return i;
        }
    }
    return c->count;
}

bool config_has_section(const config *c, loom_str section)
{
    for (size_t i = 0; i < c->count; i++) {
        if (str_is(section, c->keys[i].section)) {
            return true;
        }
    }
    return false;
}

void config_env_name(char *out, size_t size, const config_key *key)
{
    snprintf(out, size, "LOOM_%s_%s", key->section, key->name);
    for (char *at = out; *at != '\0'; at++) {
        *at = (char)toupper((unsigned char)*at);
    }
}

static loom_status load_variable(config *c, size_t key, const char *name, bool *taken, problems *list)
{
    const char *text = getenv(name);
    if (text == NULL || text[0] == '\0') {
        return LOOM_OK;
    }
    bool foreign = strncmp(name, "OTEL_", 5) == 0;
    config_place place = {.source = CONFIG_FROM_ENV, .severity = foreign ? PROBLEM_WARNING : PROBLEM_ERROR};
    snprintf(place.name, sizeof place.name, "%s", name);
    loom_status st = put_joined(c, key, text, &place, list);
    *taken = st == LOOM_OK;
    return st == LOOM_EINVAL && foreign ? LOOM_OK : st;
}

loom_status config_load_env(config *c, problems *list)
{
    loom_status result = LOOM_OK;
    for (size_t i = 0; i < c->count; i++) {
        char own[64];
        config_env_name(own, sizeof own, &c->keys[i]);
        const char *names = c->keys[i].env != NULL ? c->keys[i].env : own;
        bool taken = false;
        while (*names != '\0' && !taken) {
            char name[64];
            size_t length = strcspn(names, " ");
            snprintf(name, sizeof name, "%.*s", (int)length, names);
            names += length + strspn(names + length, " ");
            loom_status st = load_variable(c, i, name, &taken, list);
            if (st == LOOM_ENOMEM) {
                return st;
            }
            result = st != LOOM_OK ? st : result;
        }
    }
    return result;
}

void config_describe_place(const config *c, const config_place *place, char *out, size_t size)
{
    const char *name = place->source == CONFIG_FROM_FILE && c->file != NULL ? c->file : place->name;
    if (place->line > 0) {
        snprintf(out, size, "%s:%u:%u", name, place->line, place->column);
    } else {
        snprintf(out, size, "%s", name);
    }
}

static void print_double(double number, FILE *out)
{
    char text[NUMBER_SIZE];
    double read = 0;
    size_t len = number_format(text, number, 15);
    if (!number_parse((loom_str){text, len}, &read) || read < number || read > number) {
        (void)number_format(text, number, 17);
    }
    /* TOML tells 1 and 1.0 apart */
    fprintf(out, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}

/* A URL without its password and its query, which is where secrets are. */
static void print_text(const config_key *key, const char *text, FILE *out)
{
    char shown[URL_SHOWN_SIZE];
    if ((config_is_url(key) || strstr(text, "://") != NULL) && strpbrk(text, "@?") != NULL) {
        url_show(shown, text);
        text = shown;
    }
    config_print_quoted(out, str_of(text));
}

void config_print_value(const config *c, size_t key, FILE *out)
{
    const void *at = field(c, key);
    char units[CONFIG_UNITS_SIZE];
    switch (c->keys[key].type) {
    case CONFIG_BOOL:
        fputs(*(const bool *)at ? "true" : "false", out);
        break;
    case CONFIG_INT:
        fprintf(out, "%" PRId64, *(const int64_t *)at);
        break;
    case CONFIG_DOUBLE:
        print_double(*(const double *)at, out);
        break;
    case CONFIG_STRING: {
        const char *text = *(char *const *)at;
        print_text(&c->keys[key], text, out);
        break;
    }
    case CONFIG_STRINGS:
    case CONFIG_COMMAND:
    case CONFIG_VARIABLES: {
        const config_strings *strings = at;
        fputc('[', out);
        for (size_t i = 0; i < strings->count; i++) {
            fputs(i > 0 ? ", " : "", out);
            print_text(&c->keys[key], strings->items[i], out);
        }
        fputc(']', out);
        break;
    }
    case CONFIG_DURATION:
        config_format_duration(units, *(const uint32_t *)at);
        fprintf(out, "\"%s\"", units);
        break;
    case CONFIG_SIZE:
        config_format_size(units, (int64_t) * (const size_t *)at);
        fprintf(out, "\"%s\"", units);
        break;
    }
}

/* ---- reloading ---- */

static char *value_text(const config *c, size_t key)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL) {
        return NULL;
    }
    config_print_value(c, key, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

bool config_same_value(const config *a, const config *b, size_t key)
{
    char *one = value_text(a, key), *other = value_text(b, key);
    const bool same = one == NULL || other == NULL || strcmp(one, other) == 0;
    free(one);
    free(other);
    return same;
}

static size_t size_of(config_type type)
{
    switch (type) {
    case CONFIG_BOOL: return sizeof(bool);
    case CONFIG_INT: return sizeof(int64_t);
    case CONFIG_DOUBLE: return sizeof(double);
    case CONFIG_STRING: return sizeof(char *);
    case CONFIG_DURATION: return sizeof(uint32_t);
    case CONFIG_SIZE: return sizeof(size_t);
    case CONFIG_STRINGS:
    case CONFIG_COMMAND:
    case CONFIG_VARIABLES: break;
    }
    return sizeof(config_strings);
}

void config_swap_value(config *a, config *b, size_t key)
{
    unsigned char kept[sizeof(config_strings) > sizeof(double) ? sizeof(config_strings) : sizeof(double)];
    const size_t size = size_of(a->keys[key].type);
    memcpy(kept, field(a, key), size);
    memcpy(field(a, key), field(b, key), size);
    memcpy(field(b, key), kept, size);
    const config_place place = a->places[key];
    a->places[key] = b->places[key];
    b->places[key] = place;
}
