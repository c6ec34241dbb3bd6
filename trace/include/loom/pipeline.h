/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a span between its end and its exporter: personal data and secrets masked, attributes added, dropped,
 * renamed, hashed.
 *
 *     loom_span_stage *mask;
 *     if (loom_mask_create(&mask, NULL) != LOOM_OK) { … }
 *     loom_span_processor_options options = {.stages = &mask, .stage_count = 1, …};
 *     loom_span_processor_create(&processor, &options);
 *     loom_span_stage_unref(mask);        // the processor has its own reference
 *
 * Stages run in their order, on the exporter thread: ending a span costs nothing more. They see every span that is about
 * to be exported, whatever the exporter. Those of the environment (LOOM_TRACE_ATTRIBUTES, LOOM_TRACE_FILTER,
 * LOOM_TRACE_MASK; trace/pipeline/README.md) come behind those of the program: it cannot get round a mask the operator set.
 * The resource (service.name, host.name …) is not touched. A span that a stage cannot rewrite for want of memory loses its
 * name, texts, attributes, events and links and keeps its ids, times and kind: nothing leaves unmasked.
 *
 * A stage never changes after it is created; any number of processors and threads may share it. */
#ifndef LOOM_PIPELINE_H
#define LOOM_PIPELINE_H

#include <loom/trace.h>

LOOM_BEGIN_DECLS

LOOM_API loom_span_stage *loom_span_stage_ref(loom_span_stage *stage); /* returns stage */
LOOM_API void loom_span_stage_unref(loom_span_stage *stage);           /* NULL is allowed */

#define LOOM_PATTERN_MAX 256u   /* bytes of a key, or of a pattern: '*' is any number of characters, '?' one */
#define LOOM_PATTERNS_MAX 1024u /* patterns or rules of one stage */

/* ---- masking ---- */

/* What is looked for, in span names, attribute values (also in arrays and nested ones), event names and attributes, link
 * attributes and status descriptions. What is found gives way to the word in brackets; the text around it stays. Numbers
 * are left as they are unless their key is masked; so are UUIDs, hex ids, addresses of machines, versions, dates, times
 * since the epoch and article numbers. Keys are left as they are. */
enum {
    LOOM_MASK_KEYS = 1 << 0,        /* [masked] all of a value whose key says that it is a secret (password, dbpassword1, api_keys,
                                       authorization, cookie, accessToken, token.value …; not tokens, token_count, secret.name,
                                       keyboard), arrays and nested values included, and such pairs in text: of logs, URLs, JSON,
                                       YAML, XML, source code, HTTP headers and command lines (password=…, password: …,
                                       {'api_key': …}, --token …, Authorization: …, curl -u user:…). true, null and the like stay */
    LOOM_MASK_MAIL = 1 << 1,        /* [mail] an address, also with %40 */
    LOOM_MASK_PHONE = 1 << 2,       /* [phone] +49 30 1234567, 0049…, %2B49…, (415) 555-2671, 415-555-2671, (030) 1234567,
                                       01.23.45.67.89; any that is called one (tel 4155552671), none that is called an article */
    LOOM_MASK_CARD = 1 << 3,        /* [card] 14 to 19 digits, whole or in the groups that are printed on cards, of a known
                                       issuer, with a right check digit (ISO/IEC 7812-1) */
    LOOM_MASK_NATIONAL_ID = 1 << 4, /* [id] US social security numbers 123-45-6789 that can have been issued (without hyphens
                                       when called so: ssn 123 45 6789); British national insurance numbers AB 12 34 56 C,
                                       AB123456C; French NIR of 15 digits with their key */
    LOOM_MASK_TOKEN = 1 << 5,       /* [token] Bearer … and Basic …, JSON Web Tokens, keys of known makers (sk-…, ghp_…,
                                       AKIA…, xoxb-… and others), PEM, PGP and SSH private keys */
    LOOM_MASK_URL = 1 << 6,         /* [masked] the password in scheme://user:password@host, also where it is encoded in a query */
    LOOM_MASK_ALL = (1 << 7) - 1
};

typedef struct loom_mask_options {
    unsigned kinds;                  /* of LOOM_MASK_…; 0: all */
    const char *const *keys;         /* patterns of more keys whose values are masked whole, in any case of letters */
    size_t key_count;
    const char *const *allow_keys;   /* patterns of keys whose values are left alone; before all others */
    size_t allow_key_count;
    const char *const *allow_values; /* patterns of what may be found and left: "*@example.com" */
    size_t allow_value_count;
} loom_mask_options;

/* options NULL: all kinds. LOOM_EINVAL: an unknown kind, or a pattern that is empty. LOOM_ETOOBIG: a limit above. LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_mask_create(loom_span_stage **out, const loom_mask_options *options);

/* ---- attribute filters ---- */

typedef enum loom_filter_action {
    LOOM_FILTER_DROP,
    LOOM_FILTER_KEEP,   /* as it is: for a rule before a wider one */
    LOOM_FILTER_RENAME, /* to rename_to; dropped when the span, event or link has an attribute of that key already */
    LOOM_FILTER_HASH    /* 32 hex digits in place of the value: the same for the same value */
} loom_filter_action;

typedef struct loom_filter_rule {
    loom_filter_action action;
    const char *key;       /* a pattern; for RENAME one key, without '*' and '?' */
    const char *rename_to; /* for RENAME */
} loom_filter_rule;

/* For each attribute of spans, events and links the first rule counts whose key matches; without one it is kept. To keep
 * a few and no others, end with {LOOM_FILTER_DROP, "*"}.
 * A hash is the first half of HMAC-SHA-256 of a string's bytes (of other values: their OTLP encoding) under hash_key. With
 * hash_key NULL it is plain SHA-256: equal values can be found, and short ones guessed. hash_key is copied.
 * LOOM_EINVAL: a rule without a key, two rules that rename to one key. LOOM_ETOOBIG, LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_attr_filter_create(loom_span_stage **out, const loom_filter_rule *rules,
                                                             size_t rule_count, const char *hash_key);

/* ---- enrichment ---- */

/* A span that has ended, during the callback below. What it returns is valid as long. */
typedef struct loom_ended_span loom_ended_span;
LOOM_API loom_str loom_ended_span_name(const loom_ended_span *span);
LOOM_API loom_span_kind loom_ended_span_kind(const loom_ended_span *span);
LOOM_API loom_span_status loom_ended_span_status(const loom_ended_span *span);
LOOM_API uint64_t loom_ended_span_duration_ns(const loom_ended_span *span);
LOOM_API loom_trace_context loom_ended_span_context(const loom_ended_span *span);
/* The value of an attribute that is a string; empty when there is none. */
LOOM_API loom_str loom_ended_span_string(const loom_ended_span *span, const char *key);
/* Adds an attribute, or overwrites the one of that key. */
LOOM_API void loom_ended_span_set(loom_ended_span *span, const loom_attr *attr);

typedef struct loom_enrich_options {
    const loom_attr *attrs; /* for every span that has no attribute of that key; copied */
    size_t attr_count;
    /* Called for each span, in an exporter thread; NULL: not. It must not block, and traces nothing itself. */
    void (*on_span)(void *user, loom_ended_span *span);
    void *user;
} loom_enrich_options;

/* LOOM_EINVAL: neither attributes nor a callback, or an attribute without a key. LOOM_ETOOBIG: more than 128. LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_enrich_create(loom_span_stage **out, const loom_enrich_options *options);

LOOM_END_DECLS
#endif
