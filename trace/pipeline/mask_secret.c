/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that can be told by how they begin: tokens, keys, PEM blocks. */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

#define BEARER_MIN 6u    /* characters behind "Bearer " */
#define BASIC_MIN 8u     /* and behind "Basic ", unless they are a user and a password in base64 */
#define BASIC_MAX 256u   /* characters that are decoded */
#define SCHEME_PLAIN 24u /* as many are a token even without a digit or a capital among them */
#define JWT_PART_MIN 8u  /* characters of header and payload */
#define PEM_LABEL_MAX 64u /* characters between BEGIN and the dashes */

/* base64url, and what else is found in tokens (RFC 6750, b64token) */
static bool of_token(char c)
{
    return is_letter(c) || is_digit(c) || (c != '\0' && strchr("-._~+/=", c) != NULL);
}

static bool of_base64url(char c)
{
    return is_letter(c) || is_digit(c) || c == '-' || c == '_';
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
    if (len >= SCHEME_PLAIN || has_digit(text, from, len)) {
        return true;
    }
    for (size_t i = from + 1; i < from + len; i++) {
        if (text.data[i] >= 'A' && text.data[i] <= 'Z' && text.data[i - 1] >= 'a' && text.data[i - 1] <= 'z') {
            return true;
        }
    }
    return false;
}

static int base64_value(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : is_digit(c)          ? c - '0' + 52
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
                                  : -1;
}

/* user:password in base64 (RFC 7617, 2): what comes out is text with a colon in it. */
static bool is_basic_credential(loom_str text, size_t from, size_t len)
{
    uint32_t bits = 0;
    unsigned count = 0;
    bool colon = false;
    while (len > 0 && text.data[from + len - 1] == '=') {
        len--;
    }
    for (size_t i = 0; i < len && i < BASIC_MAX; i++) {
        const int value = base64_value(text.data[from + i]);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            const uint8_t byte = (uint8_t)(bits >> count);
            if (byte < ' ' || byte == 0x7f) {
                return false;
            }
            colon = colon || byte == ':';
        }
    }
    return colon;
}

/* Blanks between a scheme and its token, also as they are encoded. */
static size_t scheme_gap(loom_str text, size_t at)
{
    if (starts_with(text, at, "%20")) {
        return 3;
    }
    size_t n = 0;
    while (n < 4 && (char_at(text, at + n) == ' ' || char_at(text, at + n) == '\t' || char_at(text, at + n) == '+')) {
        n++;
    }
    return n;
}

/* "Bearer x" and "Basic x": the token alone. */
static mask_hit scheme_token(loom_str text, size_t at)
{
    static const char *const schemes[] = {"Bearer", "Basic"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const size_t n = strlen(schemes[i]);
        if (text.len - at <= n || !str_is_any_case((loom_str){text.data + at, n}, schemes[i])) {
            continue;
        }
        const size_t gap = scheme_gap(text, at + n), from = at + n + gap, len = gap > 0 ? run_of(text, from, of_token) : 0;
        const bool bearer = schemes[i][1] == 'e';
        if ((len >= (bearer ? BEARER_MIN : BASIC_MIN) && looks_random(text, from, len)) ||
            (!bearer && len >= 4 && is_basic_credential(text, from, len))) {
            return (mask_hit){from, from + len, "[token]"};
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

/* Keys that their makers begin with a mark of their own. */
static const struct {
    const char *prefix;
    unsigned rest; /* characters behind it, at least */
    bool digit;    /* one of them is a digit: without it words would do */
} makers[] = {
    {"sk-", 20, true},          {"sk_live_", 16, false},   {"sk_test_", 16, false}, {"rk_live_", 16, false},    {"rk_test_", 16, false},
    {"whsec_", 20, true},       {"ghp_", 30, false},       {"gho_", 30, false},     {"ghu_", 30, false},        {"ghs_", 30, false},
    {"ghr_", 30, false},        {"github_pat_", 30, true}, {"glpat-", 20, false},   {"gldt-", 20, false},       {"glrt-", 20, false},
    {"glptt-", 20, false},      {"xoxb-", 10, true},       {"xoxa-", 10, true},     {"xoxp-", 10, true},        {"xoxr-", 10, true},
    {"xoxs-", 10, true},        {"xoxe-", 10, true},       {"xoxe.", 10, true},     {"xoxc-", 10, true},        {"xoxd-", 10, true},
    {"xapp-", 10, true},        {"AKIA", 16, false},       {"ASIA", 16, false},     {"ABIA", 16, false},        {"ACCA", 16, false},
    {"AIza", 35, false},        {"ya29.", 20, false},      {"GOCSPX-", 20, false},  {"npm_", 36, false},        {"hf_", 30, false},
    {"SG.", 30, true},          {"SK", 32, true},          {"dop_v1_", 60, false},  {"doo_v1_", 60, false},     {"dor_v1_", 60, false},
    {"pypi-", 50, true},        {"EAAC", 60, true},        {"dckr_pat_", 20, false}, {"hvs.", 24, true},        {"hvb.", 24, true},
    {"shpat_", 32, false},      {"shpss_", 32, false},     {"shpca_", 32, false},   {"shppa_", 32, false},      {"sq0atp-", 20, false},
    {"sq0csp-", 30, false},     {"dapi", 32, true},        {"lin_api_", 30, false}, {"figd_", 30, true},        {"PMAK-", 40, true},
    {"rubygems_", 40, true},    {"NRAK-", 25, false},      {"ATATT3", 60, false},   {"glsa_", 30, true},        {"xkeysib-", 60, true},
    {"sntrys_", 40, true},      {"AGE-SECRET-KEY-1", 50, false}, {"ntn_", 40, true}, {"gsk_", 40, true},        {"xai-", 60, true},
    {"pplx-", 40, true},        {"tskey-", 20, true},      {"r8_", 36, true},       {"key-", 32, true},
};

/* What one of them, or the webhook below, begins with. */
static bool begins_key(char c)
{
    switch (c) {
    case 'A':
    case 'E':
    case 'G':
    case 'N':
    case 'P':
    case 'S':
    case 'd':
    case 'f':
    case 'g':
    case 'h':
    case 'k':
    case 'l':
    case 'n':
    case 'p':
    case 'r':
    case 's':
    case 't':
    case 'w':
    case 'x':
    case 'y':
        return true;
    default:
        return false;
    }
}

static mask_hit key_of_maker(loom_str text, size_t at)
{
    static const char webhook[] = "hooks.slack.com/services/";
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        if (makers[i].prefix[0] != text.data[at] || !starts_with(text, at, makers[i].prefix)) {
            continue;
        }
        const size_t from = at + strlen(makers[i].prefix);
        size_t len = run_of(text, from, of_base64url);
        if (char_at(text, from + len) == '.') { /* SG. has two parts */
            len += 1 + run_of(text, from + len + 1, of_base64url);
        }
        if (len >= makers[i].rest && (!makers[i].digit || has_digit(text, from, len))) {
            return (mask_hit){at, from + len, "[token]"};
        }
    }
    const size_t path = at + sizeof webhook - 1;
    const size_t len = starts_with(text, at, webhook) ? run_of(text, path, of_token) : 0;
    return len > 0 ? (mask_hit){path, path + len, "[token]"} : (mask_hit){0};
}

/* From "-----BEGIN … PRIVATE KEY-----" to the dashes behind END, or the end of the text; also PGP's and SSH2's. */
static mask_hit private_key(loom_str text, size_t at)
{
    static const char label_end[] = "PRIVATE KEY";
    const size_t dashes = starts_with(text, at, "-----BEGIN ") ? 5 : starts_with(text, at, "---- BEGIN ") ? 4 : 0;
    if (dashes == 0) {
        return (mask_hit){0};
    }
    const size_t label = at + 11;
    const size_t most = text.len - label < PEM_LABEL_MAX ? text.len - label : PEM_LABEL_MAX;
    const char *found = memmem(text.data + label, most, label_end, sizeof label_end - 1);
    if (found == NULL || memchr(text.data + label, '-', (size_t)(found - text.data) - label) != NULL) {
        return (mask_hit){0};
    }
    const char *end = dashes == 5 ? "-----END " : "---- END ";
    const char *stop = memmem(found, text.len - (size_t)(found - text.data), end, strlen(end));
    if (stop == NULL) {
        return (mask_hit){at, text.len, "[token]"};
    }
    const size_t tail = (size_t)(stop - text.data) + strlen(end);
    const size_t left = text.len - tail < PEM_LABEL_MAX ? text.len - tail : PEM_LABEL_MAX;
    const char *last = memmem(text.data + tail, left, "-----", dashes);
    return (mask_hit){at, last != NULL ? (size_t)(last - text.data) + dashes : tail, "[token]"};
}

/* Inside a longer run nothing begins: what is looked at for one place is then not looked at again for the next. */
static bool begins(const mask_place *p)
{
    const char before = p->at > 0 && p->at != p->fresh ? p->text.data[p->at - 1] : ' ';
    return !of_base64url(before) && before != '.';
}

mask_hit mask_token(const mask_place *p)
{
    const char c = p->text.data[p->at];
    if (c == '-') {
        return p->at > 0 && p->text.data[p->at - 1] == '-' ? (mask_hit){0} : private_key(p->text, p->at);
    }
    const bool scheme = c == 'b' || c == 'B';
    if ((!scheme && c != 'e' && !begins_key(c)) || !begins(p)) {
        return (mask_hit){0};
    }
    if (scheme) {
        return scheme_token(p->text, p->at);
    }
    return starts_with(p->text, p->at, "eyJ") ? web_token(p->text, p->at) : key_of_maker(p->text, p->at);
}
