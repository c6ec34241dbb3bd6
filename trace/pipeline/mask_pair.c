/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in text that their own name announces, in the forms of logs, URLs, JSON, YAML, configuration files, source code,
 * HTTP headers and XML: password=…, "api_key" : "…", config["token"] = '…', Authorization: …, <secret>…</secret>. */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

#define NAME_MAX 64u     /* bytes of a name before '=' or ':' */
#define BLANKS_MAX 64u   /* between a name, its separator and its value */
#define SIBLING_MAX 128u /* bytes between "name": "password" and "value": … */
#define TAG_MAX 256u     /* bytes of an opening tag */
#define ELEMENT_MAX 512u /* bytes looked at for the closing one */
#define INDENT_MAX 64u

/* A name in front of a separator. */
typedef struct pair {
    loom_str name;
    size_t begin;   /* of the name in the text */
    size_t value;   /* where to look for the value: behind the separator */
    bool quoted, colon;
} pair;

static bool of_name(char c)
{
    return is_word(c) || c == '-' || c == '.';
}

static size_t back_over(loom_str text, size_t end, size_t floor, size_t most, bool (*belongs)(char c))
{
    size_t at = end;
    while (at > floor && end - at < most && belongs(text.data[at - 1])) {
        at--;
    }
    return at;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_over(loom_str text, size_t from, bool (*belongs)(char c))
{
    const size_t most = text.len - from < BLANKS_MAX ? text.len : from + BLANKS_MAX;
    return from + run_of((loom_str){text.data, most}, from, belongs);
}

static bool read_name(const mask_place *p, size_t end, pair *out)
{
    end = back_over(p->text, end, p->floor, BLANKS_MAX, str_is_space);
    if (end > p->floor && p->text.data[end - 1] == ']') {
        end--;
    }
    const size_t quote = mask_quote_before(p->text, end, p->floor);
    end -= quote;
    out->quoted = quote > 0;
    out->begin = back_over(p->text, end, p->floor, NAME_MAX, of_name);
    out->name = (loom_str){p->text.data + out->begin, end - out->begin};
    return out->name.len > 0;
}

/* "API key", "client secret": names of two words. */
static loom_str with_word_before(const mask_place *p, const pair *found)
{
    if (found->begin < p->floor + 2 || p->text.data[found->begin - 1] != ' ') {
        return (loom_str){0};
    }
    const size_t from = back_over(p->text, found->begin - 1, p->floor, NAME_MAX, is_word);
    return (loom_str){p->text.data + from, found->begin + found->name.len - from};
}

static bool is_secret_name(const mask_place *p, const pair *found)
{
    const loom_str both = mask_pair_key(p->rules, found->name) ? (loom_str){0} : with_word_before(p, found);
    return both.len == 0 ? mask_pair_key(p->rules, found->name) : mask_pair_key(p->rules, both);
}

static bool is_among(loom_str word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_is_any_case(word, list[i])) {
            return true;
        }
    }
    return false;
}
#define AMONG(word, list) is_among((word), (list), sizeof(list) / sizeof *(list))

bool mask_is_prose(loom_str text, size_t from)
{
    static const char *const words[] = {
        "an",       "and",      "are",     "argument", "as",      "bool",    "boolean", "bytes",   "can",   "cannot", "couldn",
        "does",     "doesn",  "empty",    "expired", "failed",   "field",   "flag",    "for",     "from",    "has",   "have",   "if",
        "in",       "incorrect", "instead", "int",   "integer",  "invalid", "is",      "isn",     "length",  "may",   "missing", "must",
        "mandatory", "needs", "not",      "of",      "ok",       "on",      "option",  "optional", "or",     "please", "prompt", "rejected",
        "required", "should", "str",      "string",  "text",     "that",    "the",     "this",    "to",      "too",   "try",    "unknown",
        "unauthorized", "varchar", "was", "when",    "will",     "with",    "wrong",
    };
    const size_t len = run_of(text, from, is_letter);
    const char after = char_at(text, from + len);
    const bool whole = !is_word(after) && after != '-' && after != '@' && after != '$' && after != '#';
    return len > 0 && whole && AMONG(((loom_str){text.data + from, len}), words);
}

/* Nothing but space and the dashes of a list is before it in its line. *indent: how much. */
static bool begins_line(const mask_place *p, size_t begin, size_t *indent)
{
    size_t at = begin;
    while (at > 0 && begin - at < INDENT_MAX && (p->text.data[at - 1] == ' ' || p->text.data[at - 1] == '-')) {
        at--;
    }
    *indent = begin - at;
    return at == 0 || p->text.data[at - 1] == '\n';
}

static size_t end_of_line(loom_str text, size_t from)
{
    const char *end = from < text.len ? memchr(text.data + from, '\n', text.len - from) : NULL;
    return end != NULL ? (size_t)(end - text.data) : text.len;
}

static bool in_document(const mask_place *p, const pair *found)
{
    return found->begin > 0 || end_of_line((loom_str){p->text.data, p->text.len < found->value + NAME_MAX ? p->text.len : found->value + NAME_MAX},
                                           found->value) < p->text.len;
}

/* The lines below a key of YAML that belong to it: they are indented more, or list items. `at` is the end of its line. */
static mask_hit yaml_block(const mask_place *p, size_t at, size_t indent)
{
    size_t from = 0, to = 0;
    while (at < p->text.len) {
        const size_t line = at + 1, end = end_of_line(p->text, line);
        const size_t blanks = run_of((loom_str){p->text.data, end}, line, str_is_space);
        const bool empty = line + blanks >= end || p->text.data[line + blanks] == '\r';
        const bool item = blanks == indent && char_at(p->text, line + blanks) == '-' && char_at(p->text, line + blanks + 1) == ' ';
        if (!empty && blanks <= indent && !item) {
            break;
        }
        if (!empty) {
            from = from == 0 ? line + blanks : from;
            to = end;
        }
        at = end;
    }
    return (mask_hit){from, to, MASKED};
}

/* A value of YAML to the end of its line, but for a comment or the next pair of a log line. */
static mask_hit yaml_line(const mask_place *p, size_t from)
{
    size_t to = from;
    while (to < p->text.len && p->text.data[to] != '\n' && p->text.data[to] != '\r') {
        const char c = p->text.data[to], next = char_at(p->text, to + 1);
        if (next == ' ' ? c == ',' || c == ';' : c == ' ' && next == '#') {
            break;
        }
        to++;
    }
    return (mask_hit){from, to, MASKED};
}

static bool is_block_mark(loom_str text, size_t from, size_t *end)
{
    size_t at = from;
    if (char_at(text, at) == '|' || char_at(text, at) == '>') {
        at += char_at(text, at + 1) == '-' || char_at(text, at + 1) == '+' ? 2 : 1;
    }
    at += char_at(text, at) == '\r';
    *end = at;
    return char_at(text, at) == '\n';
}

static bool contains_word(loom_str name, const char *word)
{
    const size_t n = strlen(word);
    for (size_t i = 0; i + n <= name.len; i++) {
        if (str_is_any_case((loom_str){name.data + i, n}, word)) {
            return true;
        }
    }
    return false;
}

/* name: value, where the name has no quotes: a header, YAML, or prose. */
static mask_hit colon_value(const mask_place *p, const pair *found)
{
    const loom_str text = p->text;
    size_t indent, end;
    const size_t from = skip_over(text, found->value, str_is_space);
    const bool line = begins_line(p, found->begin, &indent);
    if (found->begin > p->floor && text.data[found->begin - 1] == ':') {
        return (mask_hit){0}; /* of a path: arn:aws:secretsmanager:…:secret:name */
    }
    if (mask_ends_before(text, found->begin, p->floor, "expected ") || mask_is_prose(text, from)) {
        return (mask_hit){0};
    }
    if (line && is_block_mark(text, from, &end)) {
        return yaml_block(p, end, indent);
    }
    const bool header = contains_word(found->name, "authorization") || contains_word(found->name, "cookie");
    if (!header && line && from > found->value && in_document(p, found) && mask_quote_at(text, from) == 0 &&
        char_at(text, from) != '{' && char_at(text, from) != '[') {
        return yaml_line(p, from);
    }
    return mask_value(text, from, header ? VALUE_LINE : VALUE_PLAIN);
}

static mask_hit value_of(const mask_place *p, const pair *found)
{
    if (found->colon && !found->quoted) {
        return colon_value(p, found);
    }
    const bool cookie = !found->quoted && contains_word(found->name, "cookie");
    const size_t from = skip_over(p->text, found->value, found->quoted ? is_blank : str_is_space);
    return mask_value(p->text, from, found->quoted ? VALUE_DOCUMENT : cookie ? VALUE_LINE : VALUE_PLAIN);
}

/* "pass" is a password when it stands alone, and no count of tests. */
static mask_hit weak_value(const mask_place *p, const pair *found)
{
    const mask_hit hit = value_of(p, found);
    const bool apart = found->colon && !found->quoted && hit.from > found->value;
    return apart || hit.to - hit.from == run_of((loom_str){p->text.data, hit.to}, hit.from, is_digit) ? (mask_hit){0} : hit;
}

/* {"name": "DB_PASSWORD", "value": "…"}: remembers the name for the value. */
static void note_label(mask_place *p, const pair *found)
{
    static const char *const labels[] = {"name", "key", "header", "field", "param", "parameter", "variable"};
    if (!AMONG(found->name, labels)) {
        return;
    }
    size_t from = skip_over(p->text, found->value, is_blank);
    from += mask_quote_at(p->text, from);
    const size_t most = p->text.len - from < NAME_MAX ? p->text.len : from + NAME_MAX;
    const size_t len = run_of((loom_str){p->text.data, most}, from, of_name);
    p->value_until = mask_pair_key(p->rules, (loom_str){p->text.data + from, len}) ? from + len + SIBLING_MAX : 0;
}

static bool is_value_of_label(const mask_place *p, const pair *found)
{
    static const char *const names[] = {"value", "values", "val", "content", "default"};
    return found->begin < p->value_until && AMONG(found->name, names);
}

/* Parameters of signed URLs, which OpenTelemetry's conventions have masked in url.full and url.query. */
static bool is_query_secret(const mask_place *p, const pair *found)
{
    static const char *const names[] = {"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature", "X-Amz-Signature"};
    const char before = found->begin > p->floor ? p->text.data[found->begin - 1] : ' ';
    return !found->colon && (before == '?' || before == '&') && (p->rules->kinds & LOOM_MASK_KEYS) != 0 && AMONG(found->name, names) &&
           !pattern_list_matches(&p->rules->allow_keys, found->name);
}

/* The separator at p->at: what is before it and how long it is. false: none that separates a name and a value. */
static bool read_separator(const mask_place *p, pair *found)
{
    const loom_str text = p->text;
    const bool encoded = text.data[p->at] == '%';
    size_t end = p->at, value = p->at + (encoded ? 3 : 1);
    found->colon = encoded ? (text.data[p->at + 2] | 0x20) == 'a' : text.data[p->at] == ':';
    if (found->colon) {
        if (!encoded && (char_at(text, value) == ':' || char_at(text, value) == '=')) {
            return false; /* "::" is a path, and in ":=" the '=' counts */
        }
    } else if (!encoded) {
        const char before = end > p->floor ? text.data[end - 1] : ' ';
        if (before == '!' || before == '<' || before == '>' || char_at(text, value) == '=') {
            return false; /* of "==" the second one counts */
        }
        end -= before == ':' || before == '=' || before == '+' || before == '?';
        value += char_at(text, value) == '>';
    }
    found->value = value;
    return read_name(p, end, found);
}

mask_hit mask_pair(mask_place *p)
{
    pair found = {0};
    if (!read_separator(p, &found)) {
        return (mask_hit){0};
    }
    if (is_secret_name(p, &found) || is_value_of_label(p, &found) || is_query_secret(p, &found)) {
        return value_of(p, &found);
    }
    if (mask_pass_key(p->rules, found.name)) {
        return weak_value(p, &found);
    }
    note_label(p, &found);
    return (mask_hit){0};
}

/* ("password", "…"), and "--password", "…" in a list of arguments. */
static mask_hit second_of_two(const mask_place *p)
{
    pair found;
    if (!read_name(p, p->at, &found) || !found.quoted) {
        return (mask_hit){0};
    }
    const size_t quote = mask_quote_before(p->text, found.begin, p->floor), before = found.begin - quote;
    const bool call = quote > 0 && before > p->floor && p->text.data[before - 1] == '(';
    const size_t from = skip_over(p->text, p->at + 1, is_blank);
    return (call || mask_is_option(found.name)) && mask_quote_at(p->text, from) > 0 && mask_pair_key(p->rules, found.name)
               ? mask_value(p->text, from, VALUE_DOCUMENT)
               : (mask_hit){0};
}

/* ALTER USER x PASSWORD '…', IDENTIFIED BY '…' */
static mask_hit literal_of_statement(const mask_place *p)
{
    pair found;
    if (p->at == 0 || !str_is_space(p->text.data[p->at - 1]) || !read_name(p, p->at, &found) || found.quoted) {
        return (mask_hit){0};
    }
    return mask_pair_key(p->rules, found.name) || mask_ends_before(p->text, found.begin + found.name.len, p->floor, "identified by")
               ? mask_value(p->text, p->at, VALUE_DOCUMENT)
               : (mask_hit){0};
}

mask_hit mask_argument(const mask_place *p)
{
    return p->text.data[p->at] == ',' ? second_of_two(p) : literal_of_statement(p);
}

static bool closes_element(loom_str rest, loom_str name)
{
    return starts_with(rest, 0, "</") && rest.len >= 2 + name.len && memcmp(rest.data + 2, name.data, name.len) == 0;
}

mask_hit mask_element(const mask_place *p)
{
    const loom_str text = p->text;
    const size_t begin = p->at + 1, most = text.len - begin < NAME_MAX ? text.len : begin + NAME_MAX;
    const loom_str name = {text.data + begin, run_of((loom_str){text.data, most}, begin, of_name)};
    const size_t tag = begin + name.len, tag_most = text.len - tag < TAG_MAX ? text.len - tag : TAG_MAX;
    const char *close = mask_pair_key(p->rules, name) ? memchr(text.data + tag, '>', tag_most) : NULL;
    if (close == NULL || close[-1] == '/') {
        return (mask_hit){0};
    }
    const size_t from = (size_t)(close - text.data) + 1;
    const size_t looked_at = text.len - from < ELEMENT_MAX ? text.len : from + ELEMENT_MAX;
    size_t to = from;
    while (to < looked_at && !closes_element(str_tail(text, to), name)) {
        to++;
    }
    if (to == looked_at && looked_at < text.len) { /* no end in sight: the text of it */
        const char *next = memchr(text.data + from, '<', text.len - from);
        to = next != NULL ? (size_t)(next - text.data) : text.len;
    }
    return to > from ? (mask_hit){from, to, MASKED} : (mask_hit){0};
}
