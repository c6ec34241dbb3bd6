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

#define W(literal) {literal, sizeof(literal) - 1}

static inline char last_of(loom_str word)
{
    return word.data[word.len - 1];
}

/* In any case of letters; nearly always the last letter tells. No list has an empty word. */
static inline bool ends_with(loom_str word, loom_str end)
{
    return str_lower(last_of(word)) == last_of(end) && word.len >= end.len &&
           str_equal_any_case((loom_str){word.data + word.len - end.len, end.len}, end);
}

static bool is_among(loom_str word, const loom_str *list, size_t count)
{
    const char last = str_lower(last_of(word));
    for (size_t i = 0; i < count; i++) {
        if (word.len == list[i].len && last == last_of(list[i]) && str_equal_any_case(word, list[i])) {
            return true;
        }
    }
    return false;
}
#define AMONG(word, list) is_among((word), (list), sizeof(list) / sizeof *(list))

static bool ends_among(loom_str word, const loom_str *list, size_t count)
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
    static const loom_str ends[] = {
        W("password"), W("passwords"), W("passwd"), W("passphrase"), W("passphrases"), W("passcode"), W("passwort"),
        W("pwd"), W("secret"), W("secrets"), W("credential"), W("credentials"), W("authorization"), W("cookie"),
        W("cookies"),
    };
    static const loom_str whole[] = {
        W("ssn"), W("creds"), W("jsessionid"), W("phpsessid"), W("requirepass"), W("masterauth"),
    };
    return ENDS_AMONG(word, ends) || AMONG(word, whole);
}

/* Two words that are a secret together, whether or not something stands between them: api_key, apiKey, apikey, userapikeys.
 * The first may itself be the end of a word. */
static const struct {
    loom_str seconds[5], firsts[29]; /* the rest is empty */
} secret_pairs[] = {
    {{W("key"), W("keys")},
     {W("api"), W("private"), W("access"), W("secret"), W("signing"), W("auth"), W("encryption"), W("decryption"),
      W("account"), W("master"), W("ssh"), W("pgp"), W("gpg"), W("rsa"), W("hmac"), W("license"), W("shared"),
      W("subscription"), W("deploy"), W("webhook"), W("session"), W("app"), W("application")}},
    {{W("number"), W("numbers"), W("nr"), W("no")},
     {W("card"), W("cc"), W("security"), W("passport"), W("insurance")}},
    {{W("tokens")},
     {W("access"), W("refresh"), W("auth"), W("bearer"), W("csrf")}},
    {{W("pass")},
     {W("db"), W("database"), W("user"), W("mysql"), W("postgres"), W("pg"), W("redis"), W("mongo"), W("smtp"), W("imap"),
      W("ftp"), W("ldap"), W("admin"), W("root"), W("login"), W("sudo"), W("mail"), W("email"), W("http"), W("proxy"),
      W("wifi"), W("store"), W("account"), W("key")}},
    {{W("code"), W("codes")},
     {W("security"), W("otp"), W("mfa"), W("recovery"), W("backup")}},
    {{W("pin"), W("pan")},
     {W("card"), W("cc"), W("user"), W("atm")}},
    {{W("security")},
     {W("social")}},
};

static bool ends_in_list(loom_str word, const loom_str *list)
{
    for (; list->len > 0; list++) {
        if (ends_with(word, *list)) {
            return true;
        }
    }
    return false;
}

static bool is_secret_pair(loom_str first, loom_str second)
{
    for (size_t i = 0; i < sizeof secret_pairs / sizeof *secret_pairs; i++) {
        for (const loom_str *s = secret_pairs[i].seconds; s->len > 0; s++) {
            if (ends_with(second, *s)) {
                const size_t rest = second.len - s->len;
                const loom_str owner = rest > 0 ? (loom_str){second.data, rest} : first;
                if (owner.len > 0 && ends_in_list(owner, secret_pairs[i].firsts)) {
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
    static const loom_str words[] = {
        W("jwt"), W("cvv"), W("cvc"), W("auth"), W("bearer"), W("otp"), W("totp"),
    };
    return ends_with(word, (loom_str)W("token")) || AMONG(word, words);
}

/* Words that say no more than that the value is here: token.value, token_1. */
static bool is_carrier(loom_str word)
{
    static const loom_str words[] = {
        W("value"), W("values"), W("val"), W("raw"), W("plain"), W("plaintext"), W("data"), W("hash"), W("hashed"),
        W("encrypted"), W("encoded"), W("new"), W("old"), W("current"), W("confirmation"), W("confirm"), W("repeat"),
    };
    return is_digit(word.data[0]) || AMONG(word, words);
}

/* "passwordhash", "tokenvalue": a secret and a carrier in one word. */
static bool is_secret_with_carrier(loom_str word)
{
    static const loom_str starts[] = {
        W("password"), W("passwd"), W("secret"), W("token"), W("apikey"),
    };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        const size_t n = starts[i].len;
        if (word.len > n && str_equal_any_case((loom_str){word.data, n}, starts[i])) {
            return is_carrier(str_tail(word, n));
        }
    }
    return false;
}

/* What is said about a secret: its length is none. */
static bool describes(loom_str word)
{
    static const loom_str words[] = {
        W("accepted"), W("age"), W("alg"), W("algorithm"), W("arn"), W("at"), W("attempts"), W("banner"), W("by"),
        W("changed"), W("class"), W("consent"), W("count"), W("counts"), W("created"), W("decision"), W("dir"), W("domain"),
        W("enabled"), W("endpoint"), W("env"), W("error"), W("errors"), W("exists"), W("expired"), W("expires"), W("expiry"),
        W("field"), W("file"), W("files"), W("format"), W("hint"), W("host"), W("id"), W("ids"), W("in"), W("issuer"),
        W("kind"), W("label"), W("labels"), W("len"), W("length"), W("manager"), W("method"), W("missing"), W("mode"),
        W("name"), W("names"), W("namespace"), W("outcome"), W("path"), W("policy"), W("present"), W("prompt"),
        W("provider"), W("realm"), W("ref"), W("required"), W("reset"), W("result"), W("role"), W("roles"), W("rule"),
        W("rules"), W("scheme"), W("scope"), W("scopes"), W("server"), W("set"), W("size"), W("source"), W("state"),
        W("status"), W("stdin"), W("store"), W("strength"), W("ttl"), W("type"), W("types"), W("updated"), W("uri"),
        W("url"), W("usage"), W("valid"), W("validation"), W("version"),
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
    const loom_str whole = key.len > 0 ? key : str_of(""); /* an empty one may have no address */
    const loom_str end = key.len > KEY_LOOKED_AT ? (loom_str){key.data + key.len - KEY_LOOKED_AT, KEY_LOOKED_AT} : whole;
    return names_a_secret(end) || pattern_list_matches(&rules->keys, key);
}

bool mask_pair_key(const mask_rules *rules, loom_str key)
{
    return key.len > 0 && !pattern_list_matches(&rules->allow_keys, key) && mask_key(rules, key);
}

bool mask_pass_key(const mask_rules *rules, loom_str key)
{
    return (rules->kinds & LOOM_MASK_KEYS) != 0 && str_is_any_case(key, "pass") && !pattern_list_matches(&rules->allow_keys, key);
}
