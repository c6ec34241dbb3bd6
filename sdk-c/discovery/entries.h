/* SPDX-License-Identifier: Apache-2.0 */
/* A directory in the making: entries as the broker packs them, and the memory they live in. */
#ifndef LOOM_SDK_DISCOVERY_ENTRIES_H
#define LOOM_SDK_DISCOVERY_ENTRIES_H

#include <loom/discovery.h>

#include "envelope/msgpack_bytes.h"

typedef struct kept_block kept_block;

typedef struct entries {
    loom_directory shown; /* first: what the caller holds */
    loom_agent_entry *agents;
    loom_capability_entry *capabilities;
    size_t capacity;      /* of the one that is filled */
    kept_block *kept;     /* texts and lists of providers */
} entries;

void entries_free(entries *e); /* NULL is allowed */

/* What else an answer says. */
typedef struct entries_page {
    uint64_t status;
    loom_str text;
    bool more;
    const char *last; /* the id or name of its last entry; NULL: it has none */
} entries_page;

/* Adds an answer's entries of one kind, under this key. LOOM_EPROTO: it cannot be read.  LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status entries_add_page(entries *e, loom_bytes answer, const char *key, entries_page *page);

#endif
