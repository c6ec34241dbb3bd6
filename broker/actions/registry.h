/* SPDX-License-Identifier: Apache-2.0 */
/* Who provides what: name → versions in their order → offers, one for each party that provides that version. */
#ifndef LOOM_BROKER_ACTIONS_REGISTRY_H
#define LOOM_BROKER_ACTIONS_REGISTRY_H

#include <sodium.h>

#include "broker/actions/actionbroker.h"
#include "base/hash_index.h"

typedef struct action_offer action_offer;
typedef struct action_version action_version; /* there as long as somebody offers it */

struct action_offer {
    action_party *party;
    const uint32_t *load;                        /* calls outstanding of the whole party */
    action_version *version;
    action_offer *prev, *next;                   /* of the version, the least recently used first */
    action_offer *prev_of_party, *next_of_party; /* the party's own list */
    uint32_t outstanding;
    bool withdrawn;                              /* of no list any more, and without its text: freed with the last call of it */
    uint64_t calls, errors;
    flow_memory flow;                            /* of the calls */
    size_t size;                                 /* action_capability_size() */
    action_capability info;                      /* its strings are in text */
    void *text;
};

typedef struct action_registry {
    hash_index names;
    uint32_t offers;
    uint8_t key[crypto_shorthash_KEYBYTES]; /* agents choose the names */
} action_registry;

void action_registry_init(action_registry *registry);
void action_registry_fini(action_registry *registry); /* all offers must be removed */

/* Exactly this version; NULL: nobody offers it. */
action_version *action_registry_find(const action_registry *registry, loom_str name, loom_str version);
/* The same, and for the empty version the highest. */
action_version *action_registry_resolve(const action_registry *registry, loom_str name, loom_str version);

/* Memory that an offer of it takes. */
size_t action_capability_size(const action_capability *capability);
/* What is offered must have been checked; an empty version or kind becomes "0" or "plain". LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status action_registry_add(action_registry *registry, action_offer **out, action_party *party,
                                                const uint32_t *load, const action_capability *capability);
/* It stays for the calls that are outstanding, until action_offer_done() was called for the last. */
void action_registry_remove(action_registry *registry, action_offer *offer);
/* One of the calls outstanding is over. */
void action_offer_done(action_offer *offer);
/* New words for the same name and version. LOOM_ENOMEM: the old ones stay. */
LOOM_MUST_CHECK loom_status action_offer_reword(action_offer *offer, const action_capability *capability);

/* The offer of the party with the fewest calls outstanding; of several, the one used longest ago. Stops at an idle one, so
 * it is slow only where many are busy. */
action_offer *action_version_pick(const action_version *version);
/* It becomes the one used last. */
void action_offer_use(action_offer *offer);

#endif
