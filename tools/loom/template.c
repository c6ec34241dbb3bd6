/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/template.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/rfc3339.h"
#include "base/str.h"
#include "base/suggest.h"
#include "envelope/id.h"

typedef enum part_kind { PART_TEXT, PART_COUNT, PART_TIME, PART_UUID, PART_RANDOM } part_kind;

struct template_part {
    part_kind kind;
    loom_bytes text;   /* PART_TEXT: borrowed from the template or the environment */
    uint64_t from, to; /* PART_RANDOM */
};

static loom_status add(template *t, template_part part)
{
    if ((t->count & (t->count + 1)) == 0) { /* room for 1, 3, 7 … */
        template_part *grown = realloc(t->parts, (2 * t->count + 1) * sizeof *grown);
        if (grown == NULL) {
            return LOOM_ENOMEM;
        }
        t->parts = grown;
    }
    t->parts[t->count++] = part;
    return LOOM_OK;
}

static loom_status fail(char why[TEMPLATE_ERROR_SIZE], loom_str word, const char *what)
{
    snprintf(why, TEMPLATE_ERROR_SIZE, "{{%.*s}}: %s", word.len < 40 ? (int)word.len : 40, word.data, what);
    return LOOM_EINVAL;
}

/* What stands in quotes; false: nothing does. */
static bool unquote(loom_str *s)
{
    if (s->len < 2 || s->data[0] != '"' || s->data[s->len - 1] != '"') {
        return false;
    }
    *s = (loom_str){s->data + 1, s->len - 2};
    return true;
}

static loom_status add_variable(template *t, loom_str word, loom_str name, char why[TEMPLATE_ERROR_SIZE])
{
    char text[128];
    if (!unquote(&name) || name.len == 0 || name.len >= sizeof text) {
        return fail(why, word, "write {{env \"NAME\"}}");
    }
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    const char *value = getenv(text);
    if (value == NULL) {
        return fail(why, word, "there is no such environment variable");
    }
    return add(t, (template_part){.kind = PART_TEXT, .text = bytes_of(value)});
}

static loom_status add_random(template *t, loom_str word, loom_str range, char why[TEMPLATE_ERROR_SIZE])
{
    char text[64];
    int end = 0;
    template_part part = {.kind = PART_RANDOM};
    snprintf(text, sizeof text, "%.*s", (int)range.len, range.data);
    if (range.len >= sizeof text || memchr(range.data, '-', range.len) != NULL ||
        sscanf(text, "%" SCNu64 " %" SCNu64 "%n", &part.from, &part.to, &end) != 2 || text[end] != '\0' || part.from > part.to) {
        return fail(why, word, "write {{random FROM TO}} with two whole numbers, the smaller one first");
    }
    return add(t, part);
}

static loom_status unknown(loom_str word, loom_str name, char why[TEMPLATE_ERROR_SIZE])
{
    char text[96];
    suggestion s;
    suggestion_init(&s, name);
    static const char *const names[] = {"count", "time", "uuid", "random", "env"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        suggestion_consider(&s, names[i]);
    }
    const char *nearest = suggestion_result(&s);
    snprintf(text, sizeof text, nearest != NULL ? "no such word; did you mean \"%s\"?" : "the words are count, time, uuid, random, env%s",
             nearest != NULL ? nearest : "");
    return fail(why, word, text);
}

/* word: what stands between the braces. */
static loom_status add_word(template *t, loom_str word, char why[TEMPLATE_ERROR_SIZE])
{
    loom_str rest = str_trim(word), name = rest;
    if (unquote(&name)) {
        return add(t, (template_part){.kind = PART_TEXT, .text = {(const uint8_t *)name.data, name.len}});
    }
    const char *space = name.len > 0 ? memchr(name.data, ' ', name.len) : NULL;
    name.len = space != NULL ? (size_t)(space - name.data) : name.len;
    rest = str_trim(str_tail(rest, name.len));
    if (str_is(name, "env")) {
        return add_variable(t, word, rest, why);
    }
    if (str_is(name, "random")) {
        return add_random(t, word, rest, why);
    }
    const part_kind kind = str_is(name, "count") ? PART_COUNT
                           : str_is(name, "time") ? PART_TIME
                           : str_is(name, "uuid") ? PART_UUID : PART_TEXT;
    if (kind == PART_TEXT) {
        return unknown(word, name, why);
    }
    return rest.len == 0 ? add(t, (template_part){.kind = kind}) : fail(why, word, "it takes nothing behind it");
}

loom_status template_parse(template *t, loom_bytes text, char why[TEMPLATE_ERROR_SIZE])
{
    const uint8_t *at = text.data, *end = text.data + text.len;
    loom_status st = LOOM_OK;
    *t = (template){0};
    while (st == LOOM_OK && at < end) {
        const uint8_t *open = memmem(at, (size_t)(end - at), "{{", 2);
        const uint8_t *stop = open != NULL ? open : end;
        if (stop > at) {
            st = add(t, (template_part){.kind = PART_TEXT, .text = {at, (size_t)(stop - at)}});
        }
        if (st != LOOM_OK || open == NULL) {
            break;
        }
        const uint8_t *close = memmem(open + 2, (size_t)(end - open - 2), "}}", 2);
        const loom_str word = {(const char *)open + 2, (size_t)((close != NULL ? close : end) - open - 2)};
        st = close != NULL ? add_word(t, word, why) : fail(why, word, "the closing braces are missing");
        at = close != NULL ? close + 2 : end;
    }
    if (st != LOOM_OK) {
        template_fini(t);
    }
    return st;
}

void template_fini(template *t)
{
    free(t->parts);
    free(t->text);
    *t = (template){0};
}

static loom_status append(template *t, const void *data, size_t len)
{
    if (t->cap - t->len < len) {
        const size_t cap = 2 * t->cap + len + 64;
        char *grown = realloc(t->text, cap);
        if (grown == NULL) {
            return LOOM_ENOMEM;
        }
        t->text = grown;
        t->cap = cap;
    }
    if (len > 0) {
        memcpy(t->text + t->len, data, len);
    }
    t->len += len;
    return LOOM_OK;
}

/* Uniform: what would favour small numbers is drawn again. */
static uint64_t random_between(uint64_t from, uint64_t to)
{
    const uint64_t width = to - from + 1, over = width == 0 ? 0 : (UINT64_MAX % width + 1) % width;
    uint64_t word;
    do {
        word = random_word();
    } while (over != 0 && word > UINT64_MAX - over);
    return width == 0 ? word : from + word % width;
}

loom_status template_fill(template *t, uint64_t count, loom_bytes *out)
{
    loom_status st = LOOM_OK;
    t->len = 0;
    for (size_t i = 0; i < t->count && st == LOOM_OK; i++) {
        const template_part *part = &t->parts[i];
        char text[LOOM_UUID_TEXT_SIZE + 24];
        uint8_t id[LOOM_UUID_SIZE];
        size_t len = 0;
        switch (part->kind) {
        case PART_TEXT: st = append(t, part->text.data, part->text.len); continue;
        case PART_COUNT: len = (size_t)snprintf(text, sizeof text, "%" PRIu64, count); break;
        case PART_TIME: len = rfc3339_put(text, clock_unix_ns(), 6); break;
        case PART_UUID:
            loom_uuid7_generate(id);
            loom_uuid_to_text(text, id);
            len = strlen(text);
            break;
        case PART_RANDOM: len = (size_t)snprintf(text, sizeof text, "%" PRIu64, random_between(part->from, part->to)); break;
        }
        st = append(t, text, len);
    }
    *out = (loom_bytes){(const uint8_t *)t->text, t->len};
    return st;
}
