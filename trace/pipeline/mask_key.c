/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys name a secret. A key is taken as its words: "http.request.header.x-api-key", "userPassword", "API_KEY". */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

#define WORD_MAX 24u   /* bytes; longer words are none of ours */
#define KEY_LOOKED_AT 512u /* bytes */

typedef struct key_word {
    char text[WORD_MAX]; /* in lower case, NUL-terminated; empty when it is too long */
} key_word;

/* Before this byte a word begins: after what is neither letter nor digit, and at a capital after a small letter. */
static bool word_ends(loom_str key, size_t at)
{
    const char c = key.data[at], before = key.data[at - 1];
    return (!is_letter(c) && !is_digit(c)) || (c >= 'A' && c <= 'Z' && before >= 'a' && before <= 'z');
}

/* The next word of the key from *at on. false: there is none. */
static bool next_word(loom_str key, size_t *at, key_word *word)
{
    while (*at < key.len && !is_letter(key.data[*at]) && !is_digit(key.data[*at])) {
        ++*at;
    }
    if (*at == key.len) {
        return false;
    }
    size_t len = 0;
    do {
        const char c = key.data[*at];
        if (len < WORD_MAX) {
            word->text[len] = str_lower(c);
        }
        len++;
        ++*at;
    } while (*at < key.len && !word_ends(key, *at));
    word->text[len < WORD_MAX ? len : 0] = '\0';
    return true;
}

static bool is_among(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (word[0] == list[i][0] && strcmp(word, list[i]) == 0) { /* nearly always the first letter tells */
            return true;
        }
    }
    return false;
}
#define AMONG(word, list) is_among((word), (list), sizeof(list) / sizeof *(list))

/* A secret wherever they stand, but for what describes one. */
static bool is_secret_word(const char *word)
{
    static const char *const words[] = {"password", "passwd", "passwords", "pwd", "passphrase", "passcode", "secret", "secrets",
                                        "credential", "credentials", "authorization", "cookie", "cookies", "apikey", "ssn"};
    return AMONG(word, words);
}

static bool is_secret_pair(const char *first, const char *second)
{
    if (strcmp(second, "key") != 0 && strcmp(second, "number") != 0) {
        return false;
    }
    static const char *const pairs[][2] = {{"api", "key"},        {"private", "key"}, {"access", "key"},      {"secret", "key"},
                                           {"signing", "key"},    {"auth", "key"},    {"encryption", "key"},  {"account", "key"},
                                           {"card", "number"},    {"cc", "number"},   {"security", "number"}, {"passport", "number"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (strcmp(first, pairs[i][0]) == 0 && strcmp(second, pairs[i][1]) == 0) {
            return true;
        }
    }
    return false;
}

/* A secret as the last word: a token, but neither tokens nor a token_count. */
static bool is_secret_at_end(const char *word)
{
    static const char *const words[] = {"token", "jwt", "cvv", "cvc", "pan", "auth", "bearer"};
    return AMONG(word, words);
}

/* What is said about a secret: its length is none. */
static bool describes(const char *word)
{
    static const char *const words[] = {"count", "counts", "length", "len", "size", "type", "kind", "name", "id", "ids", "enabled",
                                        "present", "required", "policy", "version", "age", "expiry", "expires", "expired",
                                        "ttl", "status", "scheme", "url", "uri", "path", "host", "format", "algorithm", "alg",
                                        "strength", "attempts", "changed", "source", "valid", "method"};
    return AMONG(word, words);
}

static bool names_a_secret(loom_str key)
{
    key_word word, before = {""};
    bool secret = false;
    for (size_t at = 0; next_word(key, &at, &word); before = word) {
        secret = secret || is_secret_word(word.text) || is_secret_pair(before.text, word.text);
    }
    return (secret && !describes(before.text)) || is_secret_at_end(before.text);
}

bool mask_key(const mask_rules *rules, loom_str key)
{
    if ((rules->kinds & LOOM_MASK_KEYS) == 0) {
        return pattern_list_matches(&rules->keys, key);
    }
    const loom_str looked_at = {key.data, key.len < KEY_LOOKED_AT ? key.len : KEY_LOOKED_AT};
    return names_a_secret(looked_at) || pattern_list_matches(&rules->keys, key);
}
