/* SPDX-License-Identifier: Apache-2.0 */
/* What was found out before: what the rules say of a key, and texts in which they find nothing. A program has some dozen keys and
 * says the same of itself again and again, and each look takes some thousand instructions. Any number of threads may ask. The
 * size never changes: keys for which there is no room are judged each time, and a text takes the place of another. */
#ifndef LOOM_TRACE_PIPELINE_MASK_KNOWN_H
#define LOOM_TRACE_PIPELINE_MASK_KNOWN_H

#include "trace/pipeline/mask_text.h"

#include <stdatomic.h>

enum {
    MASK_KNOWN_KEYS = 256,
    MASK_KNOWN_KEY_MAX = 64, /* bytes; longer ones are not kept */
    MASK_KNOWN_TEXTS = 64,
    MASK_KNOWN_TEXT_MAX = 120 /* bytes of a text and its key */
};

/* What the key of a pair says of its value; of any other the texts are looked at. */
typedef enum mask_verdict { MASK_KEY_ALLOWED = 1, MASK_KEY_SECRET, MASK_KEY_OTHER } mask_verdict;

typedef struct mask_known_text {
    uint8_t key_len, len;
    char bytes[MASK_KNOWN_TEXT_MAX]; /* the text, then its key */
} mask_known_text;

typedef struct mask_known {
    struct mask_known_key *_Atomic keys[MASK_KNOWN_KEYS]; /* NULL: free. What is there stays */
    atomic_flag busy;                                     /* somebody has the texts; nobody waits for them */
    mask_known_text texts[MASK_KNOWN_TEXTS];              /* len 0: free */
} mask_known;

void mask_known_init(mask_known *known); /* of zeros */
void mask_known_fini(mask_known *known);
mask_verdict mask_judge(mask_known *known, const mask_rules *rules, loom_str key);
/* Whether mask_scan() found nothing in this text of this key. false: it did, or nobody knows. */
bool mask_is_clean(mask_known *known, loom_str key, loom_str text);
void mask_note_clean(mask_known *known, loom_str key, loom_str text);

#endif
