/* SPDX-License-Identifier: Apache-2.0 */
/* A baggage is one block of memory: the object, its members, their properties, the text, and the values whose text is
 * percent-encoded. Everything else is a slice of the text. set and remove write the text of the result and parse it. */
#include <loom/baggage.h>

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "envelope/context/baggage_text.h"
#include "base/last_error.h"
#include "base/str.h"
#include "base/utf8.h"

typedef struct member {
    loom_baggage_member shown; /* what the caller sees */
    loom_str text;             /* "key=value;property", as in the text of the whole */
} member;

struct loom_baggage {
    atomic_size_t refs;
    loom_str text;
    size_t count;
    member members[]; /* then the properties, the text, the decoded values */
};

/* The members of a text that a baggage keeps, and the room they take in it. */
typedef struct selection {
    baggage_text_member members[LOOM_BAGGAGE_MAX_MEMBERS];
    size_t count;
    size_t property_count;
    size_t text_size;
    size_t decoded_size; /* at most */
    size_t dropped;
} selection;

static void select_members(selection *s, loom_str text)
{
    s->count = s->property_count = s->text_size = s->decoded_size = s->dropped = 0;
    baggage_text_member m;
    for (bool valid; baggage_text_next(&text, &m, &valid);) {
        const size_t size = m.size + (s->count > 0 ? 1 : 0);
        if (!valid || s->count == LOOM_BAGGAGE_MAX_MEMBERS || size > LOOM_BAGGAGE_MAX - s->text_size) {
            s->dropped++;
            continue;
        }
        s->members[s->count++] = m;
        s->property_count += m.property_count;
        s->text_size += size;
        s->decoded_size += baggage_is_encoded(m.value) ? m.value.len : 0;
    }
}

static char *put(char *out, loom_str text)
{
    if (text.len > 0) {
        memcpy(out, text.data, text.len);
    }
    return out + text.len;
}

/* Where the next part of each kind goes while a baggage is being filled. */
typedef struct filler {
    loom_baggage_property *property;
    char *text;
    char *decoded;
} filler;

/* Copies text to the end of f's text; returns the copy. */
static loom_str copy_text(filler *f, loom_str text)
{
    const loom_str copy = {.data = f->text, .len = text.len};
    f->text = put(f->text, text);
    return copy;
}

static void fill_properties(loom_baggage_member *shown, filler *f, loom_str rest)
{
    shown->properties = f->property;
    loom_baggage_property from;
    while (baggage_text_next_property(&rest, &from)) {
        *f->text++ = ';';
        loom_baggage_property *to = f->property++;
        to->key = copy_text(f, from.key);
        to->has_value = from.has_value;
        if (from.has_value) {
            *f->text++ = '=';
        }
        to->value = copy_text(f, from.value);
        shown->property_count++;
    }
}

static void fill_member(member *to, filler *f, const baggage_text_member *from)
{
    to->text.data = f->text;
    to->shown = (loom_baggage_member){.key = copy_text(f, from->key)};
    *f->text++ = '=';
    to->shown.value = copy_text(f, from->value);
    if (baggage_is_encoded(to->shown.value)) {
        const size_t len = baggage_decode(f->decoded, from->value);
        to->shown.value = (loom_str){.data = f->decoded, .len = len};
        f->decoded += len;
    }
    fill_properties(&to->shown, f, from->properties);
    to->text.len = (size_t)(f->text - to->text.data);
}

loom_status loom_baggage_parse(loom_baggage **out, loom_str text, size_t *dropped)
{
    if (out == NULL) {
        return last_error_null("the place for the baggage");
    }
    *out = NULL;
    selection s;
    select_members(&s, text);
    if (dropped != NULL) {
        *dropped = s.dropped;
    }
    const size_t members_size = s.count * sizeof(member);
    const size_t properties_size = s.property_count * sizeof(loom_baggage_property);
    loom_baggage *b = malloc(sizeof *b + members_size + properties_size + s.text_size + 1 + s.decoded_size);
    if (b == NULL) {
        return LOOM_ENOMEM;
    }
    atomic_init(&b->refs, 1);
    b->count = s.count;
    filler f = {.property = (loom_baggage_property *)(void *)(b->members + s.count)};
    f.text = (char *)(f.property + s.property_count);
    f.decoded = f.text + s.text_size + 1;
    b->text = (loom_str){.data = f.text, .len = s.text_size};
    for (size_t i = 0; i < s.count; i++) {
        if (i > 0) {
            *f.text++ = ',';
        }
        fill_member(&b->members[i], &f, &s.members[i]);
    }
    assert(f.text == b->text.data + b->text.len);
    *f.text = '\0';
    *out = b;
    return LOOM_OK;
}

loom_baggage *loom_baggage_ref(loom_baggage *baggage)
{
    if (baggage != NULL) {
        atomic_fetch_add_explicit(&baggage->refs, 1, memory_order_relaxed);
    }
    return baggage;
}

void loom_baggage_unref(loom_baggage *baggage)
{
    if (baggage != NULL && atomic_fetch_sub_explicit(&baggage->refs, 1, memory_order_acq_rel) == 1) {
        free(baggage);
    }
}

size_t loom_baggage_count(const loom_baggage *baggage)
{
    return baggage == NULL ? 0 : baggage->count;
}

const loom_baggage_member *loom_baggage_at(const loom_baggage *baggage, size_t index)
{
    return index < loom_baggage_count(baggage) ? &baggage->members[index].shown : NULL;
}

const loom_baggage_member *loom_baggage_find(const loom_baggage *baggage, loom_str key)
{
    for (size_t i = loom_baggage_count(baggage); i-- > 0;) {
        if (str_equal(baggage->members[i].shown.key, key)) {
            return &baggage->members[i].shown;
        }
    }
    return NULL;
}

loom_str loom_baggage_text(const loom_baggage *baggage)
{
    return baggage == NULL ? (loom_str){0} : baggage->text;
}

/* ---- making a changed one ---- */

/* The text of a baggage in the making. It grows by whole members, each checked for room before it is written. */
typedef struct writer {
    char text[LOOM_BAGGAGE_MAX];
    size_t len;
    size_t count;
} writer;

/* Makes room for one more member of size bytes, and writes its comma; NULL: there is none. */
static char *writer_begin(writer *w, size_t size)
{
    const size_t comma = w->count > 0 ? 1 : 0;
    if (w->count == LOOM_BAGGAGE_MAX_MEMBERS || size > sizeof w->text - w->len ||
        size + comma > sizeof w->text - w->len) {
        return NULL;
    }
    if (comma != 0) {
        w->text[w->len++] = ',';
    }
    char *out = w->text + w->len;
    w->len += size;
    w->count++;
    return out;
}

static bool writer_add_text(writer *w, loom_str text)
{
    char *out = writer_begin(w, text.len);
    if (out == NULL) {
        return false;
    }
    put(out, text);
    return true;
}

/* Bytes m takes in the text; SIZE_MAX when it is over the limit already, so that no sum can wrap. */
static size_t encoded_member_size(const loom_baggage_member *m)
{
    if (m->key.len > LOOM_BAGGAGE_MAX || m->value.len > LOOM_BAGGAGE_MAX) {
        return SIZE_MAX;
    }
    size_t size = m->key.len + 1 + baggage_encoded_size(m->value);
    for (size_t i = 0; i < m->property_count; i++) {
        const loom_baggage_property *p = &m->properties[i];
        if (size > LOOM_BAGGAGE_MAX || p->key.len > LOOM_BAGGAGE_MAX || p->value.len > LOOM_BAGGAGE_MAX) {
            return SIZE_MAX;
        }
        size += 1 + p->key.len + (p->has_value ? 1 + p->value.len : 0);
    }
    return size;
}

static bool writer_add_member(writer *w, const loom_baggage_member *m)
{
    char *out = writer_begin(w, encoded_member_size(m));
    if (out == NULL) {
        return false;
    }
    out = put(out, m->key);
    *out++ = '=';
    out = baggage_encode(out, m->value);
    for (size_t i = 0; i < m->property_count; i++) {
        *out++ = ';';
        out = put(out, m->properties[i].key);
        if (m->properties[i].has_value) {
            *out++ = '=';
            out = put(out, m->properties[i].value);
        }
    }
    return true;
}

static bool member_valid(const loom_baggage_member *m)
{
    if (!baggage_key_valid(m->key) || !utf8_valid(m->value)) {
        return false;
    }
    for (size_t i = 0; i < m->property_count; i++) {
        const loom_baggage_property *p = &m->properties[i];
        if (!baggage_key_valid(p->key) || (p->has_value && !baggage_octets_valid(p->value))) {
            return false;
        }
    }
    return true;
}

/* base without key's members; replacement, when there is one, goes where the first of them was, or last. */
static loom_status rewrite(loom_baggage **out, const loom_baggage *base, loom_str key,
                           const loom_baggage_member *replacement)
{
    writer w;
    w.len = w.count = 0;
    for (size_t i = 0; i < loom_baggage_count(base); i++) {
        const member *m = &base->members[i];
        if (!str_equal(m->shown.key, key)) {
            if (!writer_add_text(&w, m->text)) {
                return LOOM_ETOOBIG;
            }
        } else if (replacement != NULL) {
            if (!writer_add_member(&w, replacement)) {
                return LOOM_ETOOBIG;
            }
            replacement = NULL;
        }
    }
    if (replacement != NULL && !writer_add_member(&w, replacement)) {
        return LOOM_ETOOBIG;
    }
    return loom_baggage_parse(out, (loom_str){.data = w.text, .len = w.len}, NULL);
}

loom_status loom_baggage_set(loom_baggage **out, const loom_baggage *base, const loom_baggage_member *m)
{
    if (out == NULL || m == NULL) {
        return last_error_null(out == NULL ? "the place for the baggage" : "the member");
    }
    *out = NULL;
    if (!member_valid(m)) {
        return last_error(LOOM_EINVAL, "baggage member \"%.*s\": its key is no token, its value not UTF-8, or a property's "
                          "value off the grammar", (int)(m->key.len < 64 ? m->key.len : 64), m->key.data);
    }
    return rewrite(out, base, m->key, m);
}

loom_status loom_baggage_remove(loom_baggage **out, const loom_baggage *base, loom_str key)
{
    if (out == NULL) {
        return last_error_null("the place for the baggage");
    }
    *out = NULL;
    return rewrite(out, base, key, NULL);
}
