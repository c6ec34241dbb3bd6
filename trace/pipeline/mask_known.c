/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/pipeline/mask_known.h"

#include <stdlib.h>
#include <string.h>

enum { PLACES = 4 /* that are looked at for a key */ };

typedef struct mask_known_key {
    uint8_t verdict, len;
    char text[];
} mask_known_key;

/* Of the length, the first and the last eight bytes: texts of one program seldom share them all. It is not empty. */
static size_t place_of(loom_str text)
{
    uint64_t first = 0, last = 0;
    const size_t n = text.len < sizeof first ? text.len : sizeof first;
    memcpy(&first, text.data, n);
    memcpy(&last, text.data + text.len - n, n);
    const uint64_t mixed = (first ^ (last << 23 | last >> 41) ^ text.len) * 0x9e3779b97f4a7c15u;
    return (size_t)(mixed >> 48);
}

/* ---- keys ---- */

static mask_verdict judge(const mask_rules *rules, loom_str key)
{
    return pattern_list_matches(&rules->allow_keys, key) ? MASK_KEY_ALLOWED : mask_key(rules, key) ? MASK_KEY_SECRET : MASK_KEY_OTHER;
}

static void keep(struct mask_known_key *_Atomic *place, loom_str key, mask_verdict verdict)
{
    mask_known_key *k = malloc(sizeof *k + key.len), *none = NULL;
    if (k == NULL) {
        return;
    }
    k->verdict = (uint8_t)verdict;
    k->len = (uint8_t)key.len;
    memcpy(k->text, key.data, key.len);
    if (!atomic_compare_exchange_strong(place, &none, k)) {
        free(k); /* another thread was faster */
    }
}

mask_verdict mask_judge(mask_known *known, const mask_rules *rules, loom_str key)
{
    if (key.len == 0 || key.len > MASK_KNOWN_KEY_MAX) {
        return judge(rules, key);
    }
    const size_t first = place_of(key);
    for (size_t i = 0; i < PLACES; i++) {
        struct mask_known_key *_Atomic *place = &known->keys[(first + i) % MASK_KNOWN_KEYS];
        const mask_known_key *k = atomic_load_explicit(place, memory_order_acquire);
        if (k == NULL) {
            const mask_verdict verdict = judge(rules, key);
            keep(place, key, verdict);
            return verdict;
        }
        if (k->len == key.len && memcmp(k->text, key.data, key.len) == 0) {
            return (mask_verdict)k->verdict;
        }
    }
    return judge(rules, key);
}

/* ---- texts ---- */

static bool fits(loom_str key, loom_str text)
{
    return text.len > 0 && text.len <= MASK_KNOWN_TEXT_MAX && key.len <= MASK_KNOWN_TEXT_MAX - text.len;
}

static bool lock(mask_known *known)
{
    return !atomic_flag_test_and_set_explicit(&known->busy, memory_order_acquire);
}

static void unlock(mask_known *known)
{
    atomic_flag_clear_explicit(&known->busy, memory_order_release);
}

bool mask_is_clean(mask_known *known, loom_str key, loom_str text)
{
    if (!fits(key, text) || !lock(known)) {
        return false;
    }
    const mask_known_text *t = &known->texts[place_of(text) % MASK_KNOWN_TEXTS];
    const bool same = t->len == text.len && t->key_len == key.len && memcmp(t->bytes, text.data, text.len) == 0 &&
                      (key.len == 0 || memcmp(t->bytes + text.len, key.data, key.len) == 0);
    unlock(known);
    return same;
}

void mask_note_clean(mask_known *known, loom_str key, loom_str text)
{
    if (!fits(key, text) || !lock(known)) {
        return;
    }
    mask_known_text *t = &known->texts[place_of(text) % MASK_KNOWN_TEXTS];
    t->len = (uint8_t)text.len;
    t->key_len = (uint8_t)key.len;
    memcpy(t->bytes, text.data, text.len);
    if (key.len > 0) {
        memcpy(t->bytes + text.len, key.data, key.len);
    }
    unlock(known);
}

/* ---- life ---- */

void mask_known_init(mask_known *known)
{
    atomic_flag_clear(&known->busy);
}

void mask_known_fini(mask_known *known)
{
    for (size_t i = 0; i < MASK_KNOWN_KEYS; i++) {
        free(atomic_load_explicit(&known->keys[i], memory_order_relaxed));
    }
}
