/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys name a secret. A key is taken as its words: "http.request.header.x-api-key", "userPassword", "API_KEY". Words
 * that are written as one are known by how they end ("dbpassword", "accesstoken", but "keyboard", "monkey", "secretary"),
 * and a number at the end of a word is not looked at ("password1"). */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

#define KEY_LOOKED_AT 512u /* bytes, the last ones of a longer key */

/* Before this byte a word begins: after what is neither letter nor digit, and at a capital after a small letter. */
static bool word_ends(loom_str key, size_t at)
{
    const char c = key.data[at], before = key.data[at - 1];
    return (!is_letter(c) && !is_digit(c)) || (c >= 'A' && c <= 'Z' && before >= 'a' && before <= 'z');
}

/* The next word of the key from *at on, without the digits it ends with, unless it has nothing else. false: there is none. */
static bool next_word(loom_str key, size_t *at, loom_str *word)
{
    while (*at < key.len && !is_letter(key.data[*at]) && !is_digit(key.data[*at])) {
        ++*at;
    }
    if (*at == key.len) {
        return false;
    }
    const size_t from = *at;
    do {
        ++*at;
    } while (*at < key.len && !word_ends(key, *at));
    size_t len = *at - from;
    while (len > 0 && is_digit(key.data[from + len - 1])) {
        len--;
    }
    *word = (loom_str){key.data + from, len > 0 ? len : *at - from};
    return true;
}

static bool ends_with(loom_str word, const char *end)
{
    const size_t n = strlen(end);
    return word.len >= n && str_is_any_case((loom_str){word.data + word.len - n, n}, end);
}

static bool is_among(loom_str word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_lower(word.data[0]) == list[i][0] && str_is_any_case(word, list[i])) { /* nearly always the first letter tells */
            return true;
        }
    }
    return false;
}
#define AMONG(word, list) is_among((word), (list), sizeof(list) / sizeof *(list))

static bool ends_among(loom_str word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ends_with(word, list[i])) {
            return true;
        }
    }
    return false;
}
#define ENDS_AMONG(word, list) ends_among((word), (list), sizeof(list) / sizeof *(list))

/* A secret wherever they stand, also as the end of a word, but for what describes one. */
static bool is_secret_word(loom_str word)
{
    static const char *const ends[] = {"password", "passwords", "passwd",      "passphrase", "passphrases",   "passcode", "passwort", "pwd",
                                       "secret",   "secrets",   "credential", "credentials", "authorization", "cookie",   "cookies"};
    static const char *const whole[] = {"ssn", "creds", "jsessionid", "phpsessid", "requirepass", "masterauth"};
    return ENDS_AMONG(word, ends) || AMONG(word, whole);
}

/* Two words that are a secret together, whether or not something stands between them: api_key, apiKey, apikey, userapikeys.
 * The first may itself be the end of a word. */
static const struct {
    const char *seconds[5], *firsts[29]; /* the rest is NULL */
} secret_pairs[] = {
    {{"key", "keys"}, {"api",  "private", "access", "secret", "signing", "auth", "encryption", "decryption", "account", "master",  "ssh",    "pgp",
                       "gpg",  "rsa",     "hmac",   "license", "shared", "subscription", "deploy", "webhook", "session", "app",    "application"}},
    {{"number", "numbers", "nr", "no"}, {"card", "cc", "security", "passport", "insurance"}},
    {{"tokens"}, {"access", "refresh", "auth", "bearer", "csrf"}},
    {{"pass"}, {"db",   "database", "user", "mysql", "postgres", "pg",   "redis", "mongo", "smtp", "imap",  "ftp",    "ldap",
                "admin", "root",    "login", "sudo", "mail",    "email", "http",  "proxy", "wifi", "store", "account", "key"}},
    {{"code", "codes"}, {"security", "otp", "mfa", "recovery", "backup"}},
    {{"pin", "pan"}, {"card", "cc", "user", "atm"}},
    {{"security"}, {"social"}},
};

static bool ends_in_list(loom_str word, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (ends_with(word, *list)) {
            return true;
        }
    }
    return false;
}

static bool is_secret_pair(loom_str first, loom_str second)
{
    for (size_t i = 0; i < sizeof secret_pairs / sizeof *secret_pairs; i++) {
        for (const char *const *s = secret_pairs[i].seconds; *s != NULL; s++) {
            if (ends_with(second, *s)) {
                const size_t rest = second.len - strlen(*s);
                if (ends_in_list(rest > 0 ? (loom_str){second.data, rest} : first, secret_pairs[i].firsts)) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* A secret as the last word: a token, but neither tokens nor a token_count. */
static bool is_secret_at_end(loom_str word)
{
    static const char *const words[] = {"jwt", "cvv", "cvc", "auth", "bearer", "otp", "totp"};
    return ends_with(word, "token") || AMONG(word, words);
}

/* Words that say no more than that the value is here: token.value, token_1. */
static bool is_carrier(loom_str word)
{
    static const char *const words[] = {"value", "values", "val", "raw", "plain", "plaintext", "data", "hash", "hashed", "encrypted",
                                        "encoded", "new", "old", "current", "confirmation", "confirm", "repeat"};
    return is_digit(word.data[0]) || AMONG(word, words);
}

/* "passwordhash", "tokenvalue": a secret and a carrier in one word. */
static bool is_secret_with_carrier(loom_str word)
{
    static const char *const starts[] = {"password", "passwd", "secret", "token", "apikey"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        const size_t n = strlen(starts[i]);
        if (word.len > n && str_is_any_case((loom_str){word.data, n}, starts[i])) {
            return is_carrier((loom_str){word.data + n, word.len - n});
        }
    }
    return false;
}

/* What is said about a secret: its length is none. */
static bool describes(loom_str word)
{
    static const char *const words[] = {
        "accepted", "age",     "alg",      "algorithm", "arn",     "at",      "attempts", "banner",   "by",       "changed", "class",
        "consent",  "count",   "counts",   "created",   "decision", "dir",    "domain",   "enabled",  "endpoint", "env",     "error",
        "errors",   "exists",  "expired",  "expires",   "expiry",  "field",   "file",     "files",    "format",   "hint",    "host",
        "id",       "ids",     "in",       "issuer",    "kind",    "label",   "labels",   "len",      "length",   "manager", "method",
        "missing",  "mode",    "name",     "names",     "namespace", "outcome", "path",   "policy",   "present",  "prompt",  "provider",
        "realm",    "ref",     "required", "reset",     "result",  "role",    "roles",    "rule",     "rules",    "scheme",  "scope",
        "scopes",   "server",  "set",      "size",      "source",  "state",   "status",   "stdin",    "store",    "strength", "ttl",
        "type",     "types",   "updated",  "uri",       "url",     "usage",   "valid",    "validation", "version",
    };
    return AMONG(word, words);
}

static bool names_a_secret(loom_str key)
{
    loom_str word, before = {0}, last = {0};
    bool secret = false, pair = false, at_end = false;
    unsigned words = 0;
    for (size_t at = 0; next_word(key, &at, &word); before = word, words++) {
        pair = is_secret_pair(before, word);
        secret = secret || pair || is_secret_word(word) || is_secret_with_carrier(word);
        if (words == 0 || !is_carrier(word)) {
            last = word;
            at_end = is_secret_at_end(word);
        }
    }
    if (words == 1 && str_is_any_case(last, "pan")) {
        return true;
    }
    return at_end || pair || (secret && !describes(last));
}

bool mask_key(const mask_rules *rules, loom_str key)
{
    if ((rules->kinds & LOOM_MASK_KEYS) == 0) {
        return pattern_list_matches(&rules->keys, key);
    }
    const size_t skipped = key.len > KEY_LOOKED_AT ? key.len - KEY_LOOKED_AT : 0;
    return names_a_secret((loom_str){key.data + skipped, key.len - skipped}) || pattern_list_matches(&rules->keys, key);
}

bool mask_pair_key(const mask_rules *rules, loom_str key)
{
    return key.len > 0 && !pattern_list_matches(&rules->allow_keys, key) && mask_key(rules, key);
}

bool mask_pass_key(const mask_rules *rules, loom_str key)
{
    return (rules->kinds & LOOM_MASK_KEYS) != 0 && str_is_any_case(key, "pass") && !pattern_list_matches(&rules->allow_keys, key);
}
