/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/actions/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/actions/version.h"

typedef struct action_name action_name;

struct action_version {
    action_name *name;
    action_offer *first, *last; /* the least recently used first; never empty once linked */
    uint16_t len;
    char text[];
};

struct action_name {
    hash_node node;            /* first */
    action_version **versions; /* in their order, the highest last */
    uint32_t count, capacity;
    uint16_t len;
    char text[];
};

void action_registry_init(action_registry *registry)
{
    memset(registry, 0, sizeof *registry);
    hash_index_init(&registry->names);
    crypto_shorthash_keygen(registry->key);
}

void action_registry_fini(action_registry *registry)
{
    assert(registry->offers == 0 && registry->names.count == 0);
    hash_index_fini(&registry->names);
}

/* ---- names ---- */

static uint64_t name_hash(const action_registry *registry, loom_str name)
{
    return hash_under_secret(registry->key, name.data, name.len);
}

static action_name *find_name(const action_registry *registry, loom_str text, uint64_t hash)
{
    for (hash_node *node = hash_index_first(&registry->names, hash); node != NULL; node = hash_index_next(node)) {
        action_name *name = (action_name *)node;
        if (name->len == text.len && memcmp(name->text, text.data, text.len) == 0) {
            return name;
        }
    }
    return NULL;
}

static action_name *add_name(action_registry *registry, loom_str text, uint64_t hash)
{
    action_name *name = calloc(1, sizeof *name + text.len);
    if (name == NULL) {
        return NULL;
    }
    name->len = (uint16_t)text.len;
    memcpy(name->text, text.data, text.len);
    hash_index_insert(&registry->names, &name->node, hash);
    return name;
}

static void remove_name_if_unused(action_registry *registry, action_name *name)
{
    if (name->count == 0) {
        hash_index_remove(&registry->names, &name->node);
        free(name->versions);
        free(name);
    }
}

/* ---- versions of a name ---- */

static loom_str version_text(const action_version *version)
{
    return (loom_str){version->text, version->len};
}

/* Where the version is, or would have to be. */
static uint32_t version_place(const action_name *name, loom_str text, bool *found)
{
    uint32_t low = 0;
    uint32_t high = name->count;
    *found = false;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = action_version_compare(version_text(name->versions[middle]), text);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool reserve_version(action_name *name)
{
    if (name->count < name->capacity) {
        return true;
    }
    const uint32_t capacity = name->capacity == 0 ? 1 : name->capacity * 2;
    action_version **versions = realloc(name->versions, capacity * sizeof(action_version *));
    if (versions == NULL) {
        return false;
    }
    name->versions = versions;
    name->capacity = capacity;
    return true;
}

static action_version *find_or_add_version(action_name *name, loom_str text)
{
    bool found;
    const uint32_t place = version_place(name, text, &found);
    if (found) {
        return name->versions[place];
    }
    if (!reserve_version(name)) {
        return NULL;
    }
    action_version *version = calloc(1, sizeof *version + text.len);
    if (version == NULL) {
        return NULL;
    }
    version->name = name;
    version->len = (uint16_t)text.len;
    memcpy(version->text, text.data, text.len);
    memmove(name->versions + place + 1, name->versions + place, (name->count - place) * sizeof(action_version *));
    name->versions[place] = version;
    name->count++;
    return version;
}

static void remove_version_if_unused(action_version *version)
{
    if (version->first != NULL) {
        return;
    }
    action_name *name = version->name;
    bool found;
    const uint32_t place = version_place(name, version_text(version), &found);
    assert(found && name->versions[place] == version);
    name->count--;
    memmove(name->versions + place, name->versions + place + 1, (name->count - place) * sizeof(action_version *));
    free(version);
}

static loom_str version_or_zero(loom_str version)
{
    return version.len > 0 ? version : (loom_str){"0", 1};
}

action_version *action_registry_find(const action_registry *registry, loom_str name_text, loom_str version)
{
    if (name_text.len == 0 || name_text.len > ACTION_CAPABILITY_MAX || version.len > ACTION_VERSION_MAX) {
        return NULL;
    }
    const action_name *name = find_name(registry, name_text, name_hash(registry, name_text));
    if (name == NULL) {
        return NULL;
    }
    bool found;
    const uint32_t place = version_place(name, version_or_zero(version), &found);
    return found ? name->versions[place] : NULL;
}

action_version *action_registry_resolve(const action_registry *registry, loom_str name_text, loom_str version)
{
    if (version.len > 0) {
        return action_registry_find(registry, name_text, version);
    }
    if (name_text.len == 0 || name_text.len > ACTION_CAPABILITY_MAX) {
        return NULL;
    }
    const action_name *name = find_name(registry, name_text, name_hash(registry, name_text));
    return name != NULL ? name->versions[name->count - 1] : NULL;
}

/* ---- what an offer says ---- */

static loom_str copy_str(char **at, loom_str text)
{
    if (text.len == 0) {
        return (loom_str){0};
    }
    memcpy(*at, text.data, text.len);
    const loom_str copy = {*at, text.len};
    *at += text.len;
    return copy;
}

static size_t texts_size(const action_capability *c)
{
    size_t size = c->metadata_count * sizeof(loom_header) + c->name.len + c->version.len + c->description.len + c->kind.len +
                  c->input_schema.len + c->output_schema.len;
    for (size_t i = 0; i < c->metadata_count; i++) {
        size += c->metadata[i].key.len + c->metadata[i].value.len;
    }
    return size;
}

/* The name and the version are kept a second time; both may be of this offer alone. */
size_t action_capability_size(const action_capability *capability)
{
    enum { UPKEEP = 5 * 16 /* malloc's */ + 2 * sizeof(void *) /* tables */ };
    return texts_size(capability) + sizeof(action_offer) + sizeof(action_name) + sizeof(action_version) + capability->name.len +
           capability->version.len + UPKEEP;
}

loom_status action_offer_reword(action_offer *offer, const action_capability *capability)
{
    action_capability info = *capability;
    info.version = version_or_zero(capability->version);
    info.kind = capability->kind.len > 0 ? capability->kind : (loom_str){"plain", 5};
    loom_str *const fields[] = {&info.name, &info.version, &info.description, &info.kind, &info.input_schema,
                                &info.output_schema};
    const size_t headers_size = capability->metadata_count * sizeof(loom_header);
    void *text = malloc(texts_size(&info));
    if (text == NULL) {
        return LOOM_ENOMEM;
    }
    loom_header *headers = text;
    char *at = (char *)text + headers_size;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        *fields[i] = copy_str(&at, *fields[i]);
    }
    for (size_t i = 0; i < capability->metadata_count; i++) {
        headers[i].key = copy_str(&at, capability->metadata[i].key);
        headers[i].value = copy_str(&at, capability->metadata[i].value);
    }
    info.metadata = capability->metadata_count > 0 ? headers : NULL;
    free(offer->text);
    offer->text = text;
    offer->info = info;
    offer->size = action_capability_size(capability);
    return LOOM_OK;
}

/* ---- offers of a version ---- */

static void link_last(action_offer *offer)
{
    action_version *version = offer->version;
    offer->prev = version->last;
    offer->next = NULL;
    *(offer->prev != NULL ? &offer->prev->next : &version->first) = offer;
    version->last = offer;
}

static void unlink_offer(action_offer *offer)
{
    action_version *version = offer->version;
    *(offer->prev != NULL ? &offer->prev->next : &version->first) = offer->next;
    *(offer->next != NULL ? &offer->next->prev : &version->last) = offer->prev;
}

static loom_status link_to_version(action_registry *registry, action_offer *offer)
{
    const uint64_t hash = name_hash(registry, offer->info.name);
    action_name *name = find_name(registry, offer->info.name, hash);
    if (name == NULL && (name = add_name(registry, offer->info.name, hash)) == NULL) {
        return LOOM_ENOMEM;
    }
    offer->version = find_or_add_version(name, offer->info.version);
    if (offer->version == NULL) {
        remove_name_if_unused(registry, name);
        return LOOM_ENOMEM;
    }
    link_last(offer);
    return LOOM_OK;
}

loom_status action_registry_add(action_registry *registry, action_offer **out, action_party *party, const uint32_t *load,
                                const action_capability *capability)
{
    *out = NULL;
    action_offer *offer = calloc(1, sizeof *offer);
    if (offer == NULL) {
        return LOOM_ENOMEM;
    }
    offer->party = party;
    offer->load = load;
    loom_status st = action_offer_reword(offer, capability);
    if (st == LOOM_OK) {
        st = link_to_version(registry, offer);
    }
    if (st != LOOM_OK) {
        free(offer->text);
        free(offer);
        return st;
    }
    registry->offers++;
    *out = offer;
    return LOOM_OK;
}

static void free_if_unused(action_offer *offer)
{
    if (offer->withdrawn && offer->outstanding == 0) {
        free(offer);
    }
}

void action_registry_remove(action_registry *registry, action_offer *offer)
{
    action_name *name = offer->version->name;
    unlink_offer(offer);
    remove_version_if_unused(offer->version);
    remove_name_if_unused(registry, name);
    free(offer->text);
    offer->text = NULL;
    offer->info = (action_capability){0};
    offer->withdrawn = true;
    registry->offers--;
    free_if_unused(offer);
}

void action_offer_done(action_offer *offer)
{
    offer->outstanding--;
    free_if_unused(offer);
}

action_offer *action_version_pick(const action_version *version)
{
    action_offer *best = version->first;
    for (action_offer *offer = best->next; *best->load > 0 && offer != NULL; offer = offer->next) {
        if (*offer->load < *best->load) {
            best = offer;
        }
    }
    return best;
}

void action_offer_use(action_offer *offer)
{
    if (offer->next != NULL) {
        unlink_offer(offer);
        link_last(offer);
    }
}
