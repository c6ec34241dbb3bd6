/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that can be told by how they begin: tokens, keys, PEM blocks; and British national insurance numbers. */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

#define SCHEME_TOKEN_MIN 8u    /* characters behind "Bearer " or "Basic " */
#define SCHEME_TOKEN_PLAIN 24u /* as many are a token even without a digit or a capital among them */
#define JWT_PART_MIN 8u        /* characters of header and payload */
#define PEM_LABEL_MAX 48u      /* characters between BEGIN and the dashes */

/* base64url, and what else is found in tokens (RFC 6750, b64token) */
static bool of_token(char c)
{
    return is_letter(c) || is_digit(c) || (c != '\0' && strchr("-._~+/=", c) != NULL);
}

static bool of_base64url(char c)
{
    return is_letter(c) || is_digit(c) || c == '-' || c == '_';
}

static bool starts_with(loom_str text, size_t at, const char *start)
{
    const size_t n = strlen(start);
    return text.len - at >= n && memcmp(text.data + at, start, n) == 0;
}

static bool has_digit(loom_str text, size_t from, size_t len)
{
    for (size_t i = from; i < from + len; i++) {
        if (is_digit(text.data[i])) {
            return true;
        }
    }
    return false;
}

/* A word of a sentence has neither a digit nor a capital in it ("Bearer authentication is required"). */
static bool looks_random(loom_str text, size_t from, size_t len)
{
    if (len >= SCHEME_TOKEN_PLAIN || has_digit(text, from, len)) {
        return true;
    }
    for (size_t i = from + 1; i < from + len; i++) {
        if (text.data[i] >= 'A' && text.data[i] <= 'Z' && text.data[i - 1] >= 'a' && text.data[i - 1] <= 'z') {
            return true;
        }
    }
    return false;
}

/* "Bearer x" and "Basic x": the token alone. */
static mask_hit scheme_token(loom_str text, size_t at)
{
    static const char *const schemes[] = {"Bearer ", "Basic "};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const size_t n = strlen(schemes[i]);
        if (text.len - at <= n || !str_is_any_case((loom_str){text.data + at, n}, schemes[i])) {
            continue;
        }
        const size_t len = run_of(text, at + n, of_token);
        if (len >= SCHEME_TOKEN_MIN && looks_random(text, at + n, len)) {
            return (mask_hit){at + n, at + n + len, "[token]"};
        }
    }
    return (mask_hit){0};
}

/* header.payload.signature (RFC 7519); {" in base64url is eyJ. The two further parts of an encrypted one go along. */
static mask_hit web_token(loom_str text, size_t at)
{
    size_t to = at;
    unsigned parts = 0;
    while (parts < 5) {
        const size_t len = run_of(text, to, of_base64url);
        if (parts < 2 && len < JWT_PART_MIN) {
            return (mask_hit){0};
        }
        to += len;
        parts++;
        if (char_at(text, to) != '.') {
            break;
        }
        to++;
    }
    return parts >= 3 ? (mask_hit){at, to, "[token]"} : (mask_hit){0};
}

static mask_hit key_of_maker(loom_str text, size_t at)
{
    static const struct {
        const char *prefix;
        size_t rest; /* characters behind it, at least; one of them is a digit */
    } makers[] = {
        {"sk-", 20},         {"sk_live_", 16}, {"sk_test_", 16}, {"rk_live_", 16}, {"rk_test_", 16}, {"whsec_", 20},
        {"ghp_", 30},        {"gho_", 30},     {"ghu_", 30},     {"ghs_", 30},     {"ghr_", 30},     {"github_pat_", 30},
        {"glpat-", 20},      {"xoxb-", 10},    {"xoxa-", 10},    {"xoxp-", 10},    {"xoxr-", 10},    {"xoxs-", 10},
        {"xapp-", 10},       {"AKIA", 16},     {"ASIA", 16},     {"AIza", 35},     {"ya29.", 20},    {"npm_", 36},
        {"hf_", 30},         {"SG.", 30},      {"dop_v1_", 60},  {"pypi-", 50},    {"EAAC", 60},
    };
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        if (makers[i].prefix[0] != text.data[at] || !starts_with(text, at, makers[i].prefix)) {
            continue;
        }
        const size_t from = at + strlen(makers[i].prefix);
        size_t len = run_of(text, from, of_base64url);
        if (char_at(text, from + len) == '.') { /* SG. has two parts */
            len += 1 + run_of(text, from + len + 1, of_base64url);
        }
        if (len >= makers[i].rest && has_digit(text, from, len)) {
            return (mask_hit){at, from + len, "[token]"};
        }
    }
    return (mask_hit){0};
}

/* From "-----BEGIN … PRIVATE KEY-----" to the dashes behind END, or the end of the text. */
static mask_hit private_key(loom_str text, size_t at)
{
    static const char begin[] = "-----BEGIN ", label_end[] = "PRIVATE KEY-----", end[] = "-----END ";
    if (!starts_with(text, at, begin)) {
        return (mask_hit){0};
    }
    const size_t label = at + sizeof begin - 1;
    const size_t most = text.len - label < PEM_LABEL_MAX ? text.len - label : PEM_LABEL_MAX;
    const char *found = memmem(text.data + label, most, label_end, sizeof label_end - 1);
    if (found == NULL) {
        return (mask_hit){0};
    }
    const char *stop = memmem(found, text.len - (size_t)(found - text.data), end, sizeof end - 1);
    if (stop == NULL) {
        return (mask_hit){at, text.len, "[token]"};
    }
    const size_t tail = (size_t)(stop - text.data) + sizeof end - 1;
    const size_t left = text.len - tail < PEM_LABEL_MAX ? text.len - tail : PEM_LABEL_MAX;
    const char *dashes = memmem(text.data + tail, left, "-----", 5);
    return (mask_hit){at, dashes != NULL ? (size_t)(dashes - text.data) + 5 : tail, "[token]"};
}

/* Inside a longer run nothing begins: what is looked at for one place is then not looked at again for the next. */
static bool begins(loom_str text, size_t at)
{
    return at == 0 || !(of_base64url(text.data[at - 1]) || text.data[at - 1] == '.');
}

mask_hit mask_token(loom_str text, size_t at)
{
    if (!begins(text, at)) {
        return (mask_hit){0};
    }
    switch (text.data[at]) {
    case '-':
        return private_key(text, at);
    case 'b':
    case 'B':
        return scheme_token(text, at);
    case 'e':
        return starts_with(text, at, "eyJ") ? web_token(text, at) : (mask_hit){0};
    case 'A':
    case 'E':
    case 'S':
    case 'd':
    case 'g':
    case 'h':
    case 'n':
    case 'p':
    case 'r':
    case 's':
    case 'w':
    case 'x':
    case 'y':
        return key_of_maker(text, at);
    default:
        return (mask_hit){0};
    }
}

/* "AB 12 34 56 C", as it is printed; without the spaces article numbers look the same. The letters that HMRC never uses
 * make it no number (HMRC, National Insurance Manual, NIM39110). */
mask_hit mask_nino(loom_str text, size_t at)
{
    static const char shape[] = "LL 00 00 00 S";
    static const char *const never[] = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"};
    if (text.len - at < sizeof shape - 1) {
        return (mask_hit){0};
    }
    for (size_t i = 0; shape[i] != '\0'; i++) {
        const char c = text.data[at + i];
        const bool fits = shape[i] == 'L'   ? c >= 'A' && c <= 'Z' && strchr("DFIQUV", c) == NULL && !(i == 1 && c == 'O')
                          : shape[i] == '0' ? is_digit(c)
                          : shape[i] == 'S' ? c >= 'A' && c <= 'D'
                                            : c == ' ';
        if (!fits) {
            return (mask_hit){0};
        }
    }
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        if (starts_with(text, at, never[i])) {
            return (mask_hit){0};
        }
    }
    const size_t to = at + sizeof shape - 1;
    return is_word(char_at(text, to)) ? (mask_hit){0} : (mask_hit){at, to, "[id]"};
}
