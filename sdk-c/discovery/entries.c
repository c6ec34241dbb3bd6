/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/discovery/entries.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { DEPTH_MAX = 8 };

struct kept_block {
    kept_block *next;
    max_align_t data[];
};

void entries_free(entries *e)
{
    if (e == NULL) {
        return;
    }
    for (kept_block *block = e->kept, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(e->agents);
    free(e->capabilities);
    free(e);
}

static void *keep(entries *e, size_t size)
{
    kept_block *block = malloc(sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    block->next = e->kept;
    e->kept = block;
    return block->data;
}

/* ---- values ---- */

/* Any text is NUL-terminated here; one that holds a NUL ends there. */
static loom_status read_text(entries *e, mp_reader *r, const char **out)
{
    loom_str text;
    if (!mp_read_str(r, &text)) {
        return LOOM_EPROTO;
    }
    char *copy = keep(e, text.len + 1);
    if (copy == NULL) {
        return LOOM_ENOMEM;
    }
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    copy[text.len] = '\0';
    *out = copy;
    return LOOM_OK;
}

typedef enum field_kind { FIELD_TEXT, FIELD_UINT, FIELD_PROVIDERS } field_kind;

typedef struct field {
    const char *name;
    field_kind kind;
    size_t offset;
} field;

static const field agent_fields[] = {
    {"agent", FIELD_TEXT, offsetof(loom_agent_entry, id)},
    {"bridge", FIELD_TEXT, offsetof(loom_agent_entry, bridge)},
    {"software", FIELD_TEXT, offsetof(loom_agent_entry, software)},
    {"state", FIELD_TEXT, offsetof(loom_agent_entry, state)},
    {"since_unix_ns", FIELD_UINT, offsetof(loom_agent_entry, since_unix_ns)},
    {"heard_ms_ago", FIELD_UINT, offsetof(loom_agent_entry, heard_ms_ago)},
    {NULL, FIELD_TEXT, 0},
};

static const field capability_fields[] = {
    {"name", FIELD_TEXT, offsetof(loom_capability_entry, name)},
    {"version", FIELD_TEXT, offsetof(loom_capability_entry, version)},
    {"kind", FIELD_TEXT, offsetof(loom_capability_entry, kind)},
    {"description", FIELD_TEXT, offsetof(loom_capability_entry, description)},
    {"input_schema", FIELD_TEXT, offsetof(loom_capability_entry, input_schema)},
    {"output_schema", FIELD_TEXT, offsetof(loom_capability_entry, output_schema)},
    {"providers", FIELD_PROVIDERS, 0},
    {NULL, FIELD_TEXT, 0},
};

static const field provider_fields[] = {{"agent", FIELD_TEXT, 0}, {NULL, FIELD_TEXT, 0}};

static loom_status read_map(entries *e, mp_reader *r, const field *fields, void *into);

static loom_status read_providers(entries *e, mp_reader *r, loom_capability_entry *c)
{
    uint32_t count;
    if (!mp_read_array(r, &count) || count > (size_t)(r->end - r->at)) { /* each takes a byte at least */
        return LOOM_EPROTO;
    }
    const char **providers = keep(e, count * sizeof *providers);
    if (providers == NULL) {
        return LOOM_ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        providers[i] = "";
        const loom_status st = read_map(e, r, provider_fields, &providers[i]);
        if (st != LOOM_OK) {
            return st;
        }
    }
    c->providers = providers;
    c->provider_count = count;
    return LOOM_OK;
}

static loom_status read_value(entries *e, mp_reader *r, const field *f, void *into)
{
    void *place = (char *)into + f->offset;
    switch (f->kind) {
    case FIELD_TEXT: return read_text(e, r, place);
    case FIELD_UINT: return mp_read_uint(r, place) ? LOOM_OK : LOOM_EPROTO;
    case FIELD_PROVIDERS: return read_providers(e, r, into);
    }
    return LOOM_EPROTO;
}

static loom_status read_map(entries *e, mp_reader *r, const field *fields, void *into)
{
    uint32_t pairs;
    if (!mp_read_map(r, &pairs)) {
        return LOOM_EPROTO;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        loom_str name;
        const field *f = fields;
        if (!mp_read_str(r, &name)) {
            return LOOM_EPROTO;
        }
        while (f->name != NULL && !str_is(name, f->name)) {
            f++;
        }
        const loom_status st = f->name != NULL ? read_value(e, r, f, into) : mp_skip(r, DEPTH_MAX) ? LOOM_OK : LOOM_EPROTO;
        if (st != LOOM_OK) {
            return st;
        }
    }
    return LOOM_OK;
}

/* ---- entries ---- */

static bool has_room(size_t *capacity, size_t count, size_t size, void *items_at)
{
    if (count < *capacity) {
        return true;
    }
    void *items;
    const size_t wanted = *capacity > 0 ? 2 * *capacity : 32;
    memcpy(&items, items_at, sizeof items);
    if ((items = realloc(items, wanted * size)) == NULL) {
        return false;
    }
    memcpy(items_at, &items, sizeof items);
    *capacity = wanted;
    return true;
}

static loom_status add_agent(entries *e, mp_reader *r, const char **last)
{
    size_t *count = &e->shown.agent_count;
    if (!has_room(&e->capacity, *count, sizeof *e->agents, &e->agents)) {
        return LOOM_ENOMEM;
    }
    loom_agent_entry *entry = &e->agents[*count];
    *entry = (loom_agent_entry){.id = "", .bridge = "", .software = "", .state = ""};
    const loom_status st = read_map(e, r, agent_fields, entry);
    *count += st == LOOM_OK;
    *last = entry->id;
    e->shown.agents = e->agents;
    return st;
}

static loom_status add_capability(entries *e, mp_reader *r, const char **last)
{
    size_t *count = &e->shown.capability_count;
    if (!has_room(&e->capacity, *count, sizeof *e->capabilities, &e->capabilities)) {
        return LOOM_ENOMEM;
    }
    loom_capability_entry *entry = &e->capabilities[*count];
    *entry = (loom_capability_entry){.name = "", .version = "", .kind = "", .description = "", .input_schema = "", .output_schema = ""};
    const loom_status st = read_map(e, r, capability_fields, entry);
    *count += st == LOOM_OK;
    *last = entry->name;
    e->shown.capabilities = e->capabilities;
    return st;
}

static loom_status add_items(entries *e, mp_reader *r, bool agents, entries_page *page)
{
    uint32_t count;
    loom_status st = mp_read_array(r, &count) ? LOOM_OK : LOOM_EPROTO;
    for (uint32_t i = 0; st == LOOM_OK && i < count; i++) {
        st = agents ? add_agent(e, r, &page->last) : add_capability(e, r, &page->last);
    }
    return st;
}

loom_status entries_add_page(entries *e, loom_bytes answer, const char *key, entries_page *page)
{
    mp_reader r = {answer.data, answer.data + answer.len};
    uint32_t pairs;
    bool has_status = false;
    *page = (entries_page){0};
    loom_status st = mp_read_map(&r, &pairs) ? LOOM_OK : LOOM_EPROTO;
    for (uint32_t i = 0; st == LOOM_OK && i < pairs; i++) {
        loom_str name;
        bool fine = mp_read_str(&r, &name);
        if (fine && str_is(name, "status")) {
            fine = has_status = mp_read_uint(&r, &page->status);
        } else if (fine && str_is(name, "text")) {
            fine = mp_read_str(&r, &page->text);
        } else if (fine && str_is(name, "more")) {
            fine = mp_read_bool(&r, &page->more);
        } else if (fine && str_is(name, key)) {
            st = add_items(e, &r, strcmp(key, "agents") == 0, page);
        } else {
            fine = fine && mp_skip(&r, DEPTH_MAX);
        }
        st = st == LOOM_OK && !fine ? LOOM_EPROTO : st;
    }
    return st == LOOM_OK && !has_status ? LOOM_EPROTO : st;
}
