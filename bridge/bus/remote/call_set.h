/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of one session that have no outcome yet, by their ids, each as often as it was made.
 * Ids come from outside, so they are hashed with a secret key; two ids of one hash are taken for one, which does not happen
 * within 64 bits. */
#ifndef LOOM_BRIDGE_BUS_REMOTE_CALL_SET_H
#define LOOM_BRIDGE_BUS_REMOTE_CALL_SET_H

#include <loom/api.h>
#include <sodium.h>

#include "base/number_table.h"

typedef struct call_set {
    number_table calls;
} call_set; /* all zero: empty */

typedef uint8_t call_set_key[crypto_shorthash_KEYBYTES];

/* LOOM_ENOMEM. id: at most FRAME_CALL_ID_MAX bytes. */
LOOM_MUST_CHECK loom_status call_set_add(call_set *c, const call_set_key key, loom_bytes id);
bool call_set_has(const call_set *c, const call_set_key key, loom_bytes id);
/* One less of this id. False: there is none. */
bool call_set_take(call_set *c, const call_set_key key, loom_bytes id);
/* Empties it. over (may be NULL) hears of each call, as often as it was made. */
void call_set_clear(call_set *c, void (*over)(void *user, loom_bytes id), void *user);

#endif
