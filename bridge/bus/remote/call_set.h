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
    size_t credits; /* calls with credit that is kept */
} call_set; /* all zero: empty */

typedef uint8_t call_set_key[crypto_shorthash_KEYBYTES];

/* LOOM_ENOMEM. id: at most FRAME_CALL_ID_MAX bytes. */
LOOM_MUST_CHECK loom_status call_set_add(call_set *c, const call_set_key key, loom_bytes id);
bool call_set_has(const call_set *c, const call_set_key key, loom_bytes id);
/* One less of this id. False: there is none. */
bool call_set_take(call_set *c, const call_set_key key, loom_bytes id);
/* Whether a cancel of this call is worth passing on: not for a call that is not there, and once each time it was made. */
bool call_set_cancel(call_set *c, const call_set_key key, loom_bytes id);
/* Keeps the credit of a call's stream, the highest totals. False: there is no such call. */
bool call_set_keep_credit(call_set *c, const call_set_key key, loom_bytes id, uint64_t chunks, uint64_t bytes);
/* Gives out and forgets what was kept. */
void call_set_take_credit(call_set *c, void (*put)(void *user, loom_bytes id, uint64_t chunks, uint64_t bytes), void *user);
/* One step of emptying it: the set is not used for anything else any more. *at is 0 at first. False: it is empty. */
bool call_set_drop(call_set *c, size_t *at);
/* Empties it. over (may be NULL) hears of each call, as often as it was made. */
void call_set_clear(call_set *c, void (*over)(void *user, loom_bytes id), void *user);

#endif
