/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/record/rules.h"

#include "base/duration.h"
#include "base/number.h"
#include "base/str.h"

#include <stdlib.h>

#define LEARNED_MIN 1000u /* spans of a name, before its slowest are known */
#define LEARNED_MAX 65536u /* then all counts are halved: what was long ago counts less */

/* Times by their power of two and its quarter. */
enum { TIMES = 64 * 4 };

struct slow_name {
    char name[RULES_NAME_SIZE];
    uint32_t total;
    uint32_t counts[TIMES];
};

/* ---- text ---- */

static bool parse_share(loom_str text, double *share)
{
    double value;
    if (text.len < 2 || text.data[text.len - 1] != '%' || !number_parse(str_trim((loom_str){text.data, text.len - 1}), &value) ||
        value < 0 || value > 50) {
        return false;
    }
    *share = value / 100;
    return true;
}

static const char *parse_rule(slow_rules *out, loom_str text)
{
    const char *at = memchr(text.data, '>', text.len);
    if (at == NULL) {
        return "is neither NAME>TIME nor slowest=PERCENT";
    }
    loom_str name = str_trim((loom_str){text.data, (size_t)(at - text.data)});
    slow_rule *rule = &out->rules[out->count];
    *rule = (slow_rule){.prefix = name.len > 0 && name.data[name.len - 1] == '*'};
    name.len -= rule->prefix ? 1 : 0;
    if ((name.len == 0 && !rule->prefix) || name.len >= RULES_NAME_SIZE) {
        return "has a rule whose name is empty or longer than 63 bytes";
    }
    if (memchr(name.data, '*', name.len) != NULL) {
        return "has a * that is not at the end of a name";
    }
    if (!duration_parse(&rule->ns, str_trim((loom_str){at + 1, (size_t)(text.data + text.len - at - 1)}))) {
        return "has a rule whose time is no duration such as 50ms";
    }
    memcpy(rule->name, name.data, name.len);
    out->count++;
    return NULL;
}

loom_status slow_rules_parse(slow_rules *out, loom_str text, const char **fault)
{
    static const char slowest[] = "slowest=";
    *fault = NULL;
    if (text.len == 0) {
        *out = (slow_rules){.count = 0};
        return LOOM_OK;
    }
    slow_rules *parsed = calloc(1, sizeof *parsed);
    if (parsed == NULL) {
        *fault = "finds no memory";
        return LOOM_ENOMEM;
    }
    for (size_t at = 0; *fault == NULL && at < text.len;) {
        const char *comma = memchr(text.data + at, ',', text.len - at);
        const size_t end = comma != NULL ? (size_t)(comma - text.data) : text.len;
        const loom_str part = str_trim((loom_str){text.data + at, end - at});
        at = end + 1;
        if (part.len == 0) {
            continue;
        }
        if (part.len >= sizeof slowest - 1 && memcmp(part.data, slowest, sizeof slowest - 1) == 0) {
            const loom_str share = {part.data + sizeof slowest - 1, part.len - sizeof slowest + 1};
            *fault = parse_share(share, &parsed->slowest) ? NULL : "has a share of the slowest that is no percentage up to 50%";
        } else {
            *fault = parsed->count < RULES_MAX ? parse_rule(parsed, part) : "has more than 32 rules";
        }
    }
    if (*fault == NULL) {
        *out = *parsed;
    }
    free(parsed);
    return *fault == NULL ? LOOM_OK : LOOM_EINVAL;
}

void slow_rules_fini(slow_rules *rules)
{
    free(rules->names);
    *rules = (slow_rules){0};
}

/* ---- learning ---- */

static unsigned time_of(uint64_t ns)
{
    const unsigned log = 63u - (unsigned)__builtin_clzll(ns | 1);
    return log * 4 + (log >= 2 ? (unsigned)(ns >> (log - 2)) & 3u : 0);
}

/* The shortest time that is counted behind this one. */
static uint64_t time_after(unsigned time)
{
    const unsigned log = time / 4;
    return log >= 2 ? (UINT64_C(4) + time % 4 + 1) << (log - 2) : UINT64_C(2) << log;
}

uint32_t slow_rules_name(slow_rules *rules, loom_str name)
{
    if (rules->slowest <= 0 || name.len >= RULES_NAME_SIZE) {
        return 0;
    }
    if (rules->names == NULL && (rules->names = calloc(RULES_NAMES_MAX, sizeof *rules->names)) == NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < rules->name_count; i++) {
        if (str_is(name, rules->names[i].name)) {
            return i + 1;
        }
    }
    if (rules->name_count == RULES_NAMES_MAX) {
        return 0;
    }
    memcpy(rules->names[rules->name_count].name, name.data, name.len);
    return ++rules->name_count;
}

bool slow_rules_know(const slow_rules *rules, uint32_t number)
{
    return number == 0 || number > rules->name_count || rules->names[number - 1].total >= LEARNED_MIN;
}

void slow_rules_learn(slow_rules *rules, uint32_t number, uint64_t duration_ns)
{
    if (number == 0 || number > rules->name_count) {
        return;
    }
    slow_name *n = &rules->names[number - 1];
    n->counts[time_of(duration_ns)]++;
    if (++n->total >= LEARNED_MAX) {
        n->total = 0;
        for (unsigned i = 0; i < TIMES; i++) {
            n->total += n->counts[i] /= 2;
        }
    }
}

static uint64_t learned(const slow_rules *rules, uint32_t number)
{
    const slow_name *n = &rules->names[number - 1];
    const double allowed = (double)n->total * rules->slowest;
    double above = 0;
    if (n->total < LEARNED_MIN) {
        return UINT64_MAX;
    }
    for (unsigned i = TIMES; i-- > 0;) {
        above += n->counts[i];
        if (above > allowed) {
            return time_after(i);
        }
    }
    return UINT64_MAX;
}

uint64_t slow_rules_limit(const slow_rules *rules, loom_str name, uint32_t number)
{
    for (size_t i = 0; i < rules->count; i++) {
        const slow_rule *rule = &rules->rules[i];
        const size_t len = strlen(rule->name);
        if (rule->prefix ? name.len >= len && memcmp(name.data, rule->name, len) == 0 : str_is(name, rule->name)) {
            return rule->ns;
        }
    }
    return number > 0 && number <= rules->name_count ? learned(rules, number) : UINT64_MAX;
}
