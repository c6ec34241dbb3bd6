/* SPDX-License-Identifier: Apache-2.0 */
/* Stages from the environment, for programs that nobody can recompile. Values are lists with commas between their items:
 *
 *     LOOM_TRACE_ATTRIBUTES=deployment.ring=blue,team=search     added where a span has none of that key
 *     LOOM_TRACE_FILTER=keep:http.route,drop:http.*,hash:user.id,rename:usr=user.id
 *     LOOM_TRACE_FILTER_KEY=…                                     of the hashes
 *     LOOM_TRACE_MASK=all | off | keys,mail,phone,card,national_id,token,url
 *     LOOM_TRACE_MASK_KEYS=*.iban,customer.*                      more keys to mask; masks all kinds by itself
 *     LOOM_TRACE_MASK_ALLOW=billing.contact                       keys to leave alone
 *     LOOM_TRACE_MASK_ALLOW_VALUES=*@example.com                  findings to leave alone */
#include "trace/export/rewrite.h"

#include "base/percent.h"
#include "base/str.h"
#include "trace/otlp/attr_encode.h"

#include <stdio.h>
#include <stdlib.h>

/* Takes over the reference. */
static loom_status add_stage(span_chain *chain, loom_span_stage *stage)
{
    const loom_status st = span_chain_add(chain, &stage, 1);
    loom_span_stage_unref(stage);
    return st;
}

/* ---- lists ---- */

/* The items of a list that make sense, as strings in one block of memory. */
typedef struct item_list {
    char *text;
    const char **items;
    size_t count;
    bool cut; /* there were more than LOOM_PATTERNS_MAX */
} item_list;

static void item_list_fini(item_list *list)
{
    free(list->text);
    free(list->items);
    *list = (item_list){0};
}

/* value NULL: an empty one. LOOM_ENOMEM. */
static loom_status item_list_init(item_list *list, const char *value)
{
    *list = (item_list){0};
    if (value == NULL) {
        return LOOM_OK;
    }
    list->text = strdup(value);
    list->items = calloc(LOOM_PATTERNS_MAX, sizeof *list->items);
    if (list->text == NULL || list->items == NULL) {
        item_list_fini(list);
        return LOOM_ENOMEM;
    }
    loom_str rest = str_of(list->text), item;
    while (list->count < LOOM_PATTERNS_MAX && str_next_item(&rest, ',', &item)) {
        item = str_trim(item);
        if (item.len > 0) {
            ((char *)(uintptr_t)item.data)[item.len] = '\0';
            list->items[list->count++] = item.data;
        }
    }
    list->cut = list->count == LOOM_PATTERNS_MAX && rest.data != NULL;
    return LOOM_OK;
}

static loom_status patterns_from(item_list *list, const char *name, const env_report *report)
{
    const loom_status st = item_list_init(list, env_get(name));
    size_t kept = 0;
    if (list->cut) {
        env_report_value(report, name, str_of(list->items[list->count - 1]), "is as many patterns as there may be", "those up to it");
    }
    for (size_t i = 0; st == LOOM_OK && i < list->count; i++) {
        if (pattern_check(list->items[i]) == LOOM_OK) {
            list->items[kept++] = list->items[i];
        } else {
            env_report_value(report, name, str_of(list->items[i]), "is longer than a pattern may be", "the others");
        }
    }
    list->count = kept;
    return st;
}

/* ---- attributes ---- */

typedef struct constants {
    loom_attr attrs[ATTR_COUNT_MAX];
    size_t count;
    bool no_memory;
    const env_report *report;
} constants;

static bool add_constant(void *user, const char *key, const char *value)
{
    constants *c = user;
    if (c->count == ATTR_COUNT_MAX) {
        env_report_value(c->report, "LOOM_TRACE_ATTRIBUTES", str_of(key), "is one more than a span may have", "those before it");
        return false;
    }
    char *const key_copy = strdup(key), *const value_copy = strdup(value);
    c->no_memory = key_copy == NULL || value_copy == NULL;
    c->attrs[c->count++] = (loom_attr){.key = key_copy, .type = LOOM_ATTR_STRING, .value.string = str_of(value_copy)};
    return !c->no_memory;
}

static void on_bad_constant(void *user, loom_str pair)
{
    const constants *c = user;
    env_report_value(c->report, "LOOM_TRACE_ATTRIBUTES", pair, "is no key=value, percent-encoded", "the other pairs");
}

static loom_status add_attributes(span_chain *chain, const env_report *report)
{
    constants c = {.report = report};
    loom_span_stage *stage = NULL;
    loom_status st = percent_pairs_checked(env_get("LOOM_TRACE_ATTRIBUTES"), add_constant, on_bad_constant, &c);
    st = c.no_memory ? LOOM_ENOMEM : st;
    if (st == LOOM_OK && c.count > 0) {
        st = loom_enrich_create(&stage, &(loom_enrich_options){.attrs = c.attrs, .attr_count = c.count});
        st = st == LOOM_OK ? add_stage(chain, stage) : st;
    }
    for (size_t i = 0; i < c.count; i++) {
        free((char *)(uintptr_t)c.attrs[i].key);
        free((char *)(uintptr_t)c.attrs[i].value.string.data);
    }
    return st;
}

/* ---- filters ---- */

/* "drop:pattern", "rename:old=new". The item is cut at its marks. false: it is none. */
static bool read_rule(char *item, loom_filter_rule *rule)
{
    static const struct {
        const char *name;
        loom_filter_action action;
    } actions[] = {{"drop", LOOM_FILTER_DROP}, {"keep", LOOM_FILTER_KEEP}, {"rename", LOOM_FILTER_RENAME}, {"hash", LOOM_FILTER_HASH}};
    char *colon = strchr(item, ':');
    if (colon == NULL) {
        return false;
    }
    const loom_str name = {item, (size_t)(colon - item)};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (!str_is_any_case(name, actions[i].name)) {
            continue;
        }
        *rule = (loom_filter_rule){.action = actions[i].action, .key = colon + 1};
        char *equals = strchr(colon + 1, '=');
        if (rule->action == LOOM_FILTER_RENAME && equals != NULL) {
            *equals = '\0';
            rule->rename_to = equals + 1;
        }
        return true;
    }
    return false;
}

static loom_status add_filter(span_chain *chain, const env_report *report)
{
    static const char name[] = "LOOM_TRACE_FILTER";
    item_list items;
    loom_status st = item_list_init(&items, env_get(name));
    loom_filter_rule *rules = items.count > 0 ? calloc(items.count, sizeof *rules) : NULL;
    size_t count = 0;
    if (items.count == 0) {
        item_list_fini(&items);
        return st;
    }
    for (size_t i = 0; rules != NULL && i < items.count; i++) {
        char shown[LOOM_PATTERN_MAX];
        (void)snprintf(shown, sizeof shown, "%s", items.items[i]);
        if (read_rule((char *)(uintptr_t)items.items[i], &rules[count]) &&
            filter_rules_check(rules, count + 1) == LOOM_OK) {
            count++;
        } else {
            env_report_value(report, name, str_of(shown), "is none of drop:key, keep:key, hash:key, rename:key=key", "the others");
        }
    }
    st = rules != NULL ? LOOM_OK : LOOM_ENOMEM;
    if (count > 0) {
        loom_span_stage *stage;
        st = loom_attr_filter_create(&stage, rules, count, env_get("LOOM_TRACE_FILTER_KEY"));
        st = st == LOOM_OK ? add_stage(chain, stage) : st;
    }
    free(rules);
    item_list_fini(&items);
    return st;
}

/* ---- masking ---- */

static bool is_one_of(loom_str text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (str_is_any_case(text, *words)) {
            return true;
        }
    }
    return false;
}

static unsigned mask_kind_of(loom_str name)
{
    static const struct {
        const char *name;
        unsigned kind;
    } kinds[] = {{"keys", LOOM_MASK_KEYS},   {"mail", LOOM_MASK_MAIL},   {"email", LOOM_MASK_MAIL},
                 {"phone", LOOM_MASK_PHONE}, {"card", LOOM_MASK_CARD},   {"national_id", LOOM_MASK_NATIONAL_ID},
                 {"token", LOOM_MASK_TOKEN}, {"url", LOOM_MASK_URL},     {"all", LOOM_MASK_ALL},
                 {"on", LOOM_MASK_ALL},      {"true", LOOM_MASK_ALL},    {"1", LOOM_MASK_ALL}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (str_is_any_case(name, kinds[i].name)) {
            return kinds[i].kind;
        }
    }
    return 0;
}

/* 0: nothing is to be masked. With no kind that makes sense all are: whoever set the variable wants something masked. */
static unsigned kinds_from_env(const env_report *report)
{
    static const char *const off[] = {"off", "none", "false", "0", NULL};
    static const char name[] = "LOOM_TRACE_MASK";
    const char *value = env_get(name);
    if (value == NULL) {
        const bool any = env_get("LOOM_TRACE_MASK_KEYS") != NULL;
        return any ? LOOM_MASK_ALL : 0;
    }
    if (is_one_of(str_trim(str_of(value)), off)) {
        return 0;
    }
    unsigned kinds = 0;
    loom_str rest = str_of(value), item;
    bool bad = false;
    while (str_next_item(&rest, ',', &item)) {
        item = str_trim(item);
        const unsigned kind = mask_kind_of(item);
        if (kind == 0 && item.len > 0) {
            env_report_value(report, name, item, "is none of all, off, keys, mail, phone, card, national_id, token, url", "all");
            bad = true;
        }
        kinds |= kind;
    }
    return bad || kinds == 0 ? LOOM_MASK_ALL : kinds;
}

static loom_status add_mask(span_chain *chain, const env_report *report)
{
    item_list keys = {0}, allow = {0}, values = {0};
    const unsigned kinds = kinds_from_env(report);
    if (kinds == 0) {
        return LOOM_OK;
    }
    loom_status st = patterns_from(&keys, "LOOM_TRACE_MASK_KEYS", report);
    st = st == LOOM_OK ? patterns_from(&allow, "LOOM_TRACE_MASK_ALLOW", report) : st;
    st = st == LOOM_OK ? patterns_from(&values, "LOOM_TRACE_MASK_ALLOW_VALUES", report) : st;
    if (st == LOOM_OK) {
        loom_span_stage *stage;
        st = loom_mask_create(&stage, &(loom_mask_options){.kinds = kinds,
                                                           .keys = keys.items,
                                                           .key_count = keys.count,
                                                           .allow_keys = allow.items,
                                                           .allow_key_count = allow.count,
                                                           .allow_values = values.items,
                                                           .allow_value_count = values.count});
        st = st == LOOM_OK ? add_stage(chain, stage) : st;
    }
    item_list_fini(&keys);
    item_list_fini(&allow);
    item_list_fini(&values);
    return st;
}

loom_status chain_add_from_env(span_chain *chain, const env_report *report)
{
    loom_status st = add_attributes(chain, report);
    st = st == LOOM_OK ? add_mask(chain, report) : st; /* first: renaming a key does not get its value past the mask */
    return st == LOOM_OK ? add_filter(chain, report) : st;
}
