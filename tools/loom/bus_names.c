/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/bus_names.h"

#include <string.h>

#include "base/str.h"
#include "base/suggest.h"
#include "tools/loom/control.h"

static const struct {
    const char *op, *key;
    bool paged;
} lists[] = {
    [BUS_AGENTS] = {"agents", "agent", true},
    [BUS_CAPABILITIES] = {"capabilities", "name", true},
    [BUS_TOPICS] = {"topics", "topic", false},
    [BUS_SUBSCRIBED] = {"agents", "agent", true},
};

static bool has_option(const command *c, const char *name)
{
    for (size_t i = 0; i < c->manual.spec_count; i++) {
        if (strcmp(c->manual.specs[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The whole answer, or the list of it; NULL: there is no broker, or it does not say. */
static json_t *ask(const command *c, const options *o, bus_name_kind kind)
{
    control_asker a = {.where = NULL};
    char why[CONTROL_WHY_SIZE];
    int exit_code;
    json_t *answer = NULL;
    const bool talks_only = has_option(c, "url") && !has_option(c, "control"); /* whose broker LOOM_CONTROL does not change */
    const bool opened = talks_only ? link_asker_open(&a.link, c, o, why, sizeof why, &exit_code)
                                   : control_asker_open(&a, c, o, why, sizeof why, &exit_code);
    if (opened) {
        const char *item_key = lists[kind].paged ? lists[kind].key : NULL;
        answer = control_asker_ask(&a, lists[kind].op, item_key, NULL, why, sizeof why, &exit_code);
        control_asker_close(&a);
    }
    return answer;
}

/* Where answers go: nobody types these. */
static bool is_mailbox(const char *topic)
{
    const size_t len = strlen(topic);
    return len > 8 && strncmp(topic, "agent.", 6) == 0 && strcmp(topic + len - 8, ".replies") == 0;
}

static void take_filters(const json_t *agent, void (*take)(void *user, const char *name), void *user)
{
    size_t i;
    const json_t *s;
    json_array_foreach(json_object_get(agent, "subscriptions"), i, s) {
        const char *filter = json_string_value(json_object_get(s, "filter"));
        if (filter != NULL && strpbrk(filter, "*>") == NULL && !is_mailbox(filter)) {
            take(user, filter);
        }
    }
}

static void each(const json_t *items, bus_name_kind kind, void (*take)(void *user, const char *name), void *user)
{
    size_t i;
    const json_t *item;
    json_array_foreach(items, i, item) {
        const char *name = json_string_value(json_object_get(item, lists[kind].key));
        if (kind == BUS_SUBSCRIBED) {
            take_filters(item, take, user);
        } else if (name != NULL && (kind != BUS_TOPICS || !is_mailbox(name))) {
            take(user, name);
        }
    }
}

void bus_names_each(const command *c, const options *o, bus_name_kind kind, void (*take)(void *user, const char *name), void *user)
{
    json_t *answer = ask(c, o, kind);
    each(lists[kind].paged ? answer : json_object_get(answer, lists[kind].op), kind, take, user);
    json_decref(answer);
}

typedef struct search {
    suggestion near;
    const char *name;
    bool known;
} search;

static void consider(void *user, const char *name)
{
    search *s = user;
    if (strcmp(s->name, name) == 0) {
        s->known = true;
    } else {
        suggestion_consider(&s->near, name);
    }
}

const char *bus_names_hint(char out[BUS_HINT_SIZE], const command *c, const options *o, bus_name_kind kind, const char *name,
                           const char *otherwise, bool *known)
{
    search s = {.name = name};
    suggestion_init(&s.near, str_of(name));
    json_t *answer = ask(c, o, kind);
    each(lists[kind].paged ? answer : json_object_get(answer, lists[kind].op), kind, consider, &s);
    const char *near = s.known ? NULL : suggestion_result(&s.near); /* borrowed from the answer */
    snprintf(out, BUS_HINT_SIZE, near != NULL ? "; did you mean \"%s\"?" : "%s", near != NULL ? near : otherwise);
    json_decref(answer);
    if (known != NULL) {
        *known = s.known;
    }
    return out;
}
