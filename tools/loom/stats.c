/* SPDX-License-Identifier: Apache-2.0 */
/* loom stats: a broker's counters, and slow subscribers. */
#include <string.h>

#include "tools/loom/bus_client.h"
#include "tools/loom/control.h"
#include "tools/loom/event_json.h"
#include "trace/view/text.h"
#include "tools/loom/verbs.h"

static const option_spec specs[] = {
    {.name = "all", .letter = 'a', .kind = OPTION_FLAG, .group = "Output", .help = "Show all topics and subscriptions, not just the first twenty"},
    {.name = "counters", .kind = OPTION_FLAG, .group = "Output", .help = "Show every counter of the broker and what it means"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print everything as one JSON object"},
    OPTIONS_BUS,
    OPTIONS_CONTROL,
    OPTION_HELP,
};

static const command stats = {
    .manual = {.program = "loom stats",
               .synopsis = "[OPTION]…",
               .summary = "Shows a broker's counters: events, losses by reason, calls by outcome, topics, and subscriptions "
                          "with their backlogs.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom stats\n"
                          "  loom stats --counters | grep dropped\n"
                          "  loom stats --json | jq '.subscriptions[] | select(.dropped != \"0\")'\n"
                          "  watch -n 1 loom stats\n"},
};

enum { ROWS = 20 };

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void put_text(const json_t *object, const char *key, size_t columns)
{
    const json_t *value = json_object_get(object, key);
    text_put_padded(stdout, (loom_str){json_string_value(value), json_string_length(value)}, columns - 2);
    fputs("  ", stdout);
}

/* Those of a family that happened. */
static void print_parts(const json_t *family)
{
    const char *name;
    json_t *count;
    json_object_foreach((json_t *)(uintptr_t)family, name, count) {
        if (json_integer_value(count) > 0) {
            printf("  %-18s%4s%8lld\n", name, "", (long long)json_integer_value(count));
        }
    }
}

static void print_totals(const json_t *all)
{
    const json_t *e = json_object_get(all, "eventbus"), *directory = json_object_get(all, "directory");
    char uptime[TEXT_DURATION_SIZE];
    text_duration(uptime, (uint64_t)number(all, "uptime_ms") * 1000000u);
    put_text(all, "software", 24);
    printf("up %s%s\n\n", uptime, json_is_true(json_object_get(directory, "draining")) ? ", draining" : "");
    printf("published   %12lld   (%lld matched no subscription)\n", number(e, "published"), number(e, "unmatched"));
    printf("delivered   %12lld\n", number(e, "delivered"));
    printf("waiting     %12lld   (%lld bytes)\n", number(e, "queued"), number(e, "queued_bytes"));
    printf("push-back   %12lld   times a publisher was asked to wait\n", number(e, "pressure"));
    const char *reason;
    json_t *count;
    long long lost = 0;
    json_object_foreach(json_object_get(e, "dropped"), reason, count) {
        lost += (long long)json_integer_value(count);
    }
    printf("dropped     %12lld\n", lost);
    print_parts(json_object_get(e, "dropped"));
}

/* Outcomes of calls, and calls in progress. */
static void print_calls(const json_t *all)
{
    const json_t *a = json_object_get(all, "actions");
    if (a == NULL || number(a, "invoked") == 0) {
        return;
    }
    printf("\ncalls       %12lld   (%lld running, %lld answered from the cache, %lld joined another)\n", number(a, "invoked"),
           number(a, "running"), number(a, "cached"), number(a, "joined"));
    print_parts(json_object_get(a, "outcomes"));
}

/* Of agents, over their links. */
static void print_agent_spans(const json_t *all)
{
    const json_t *a = json_object_get(all, "agent_spans");
    if (a != NULL && number(a, "received") > 0) {
        printf("\nagent spans %12lld   (%lld accepted; %lld sender%s)\n", number(a, "received"), number(a, "accepted"), number(a, "senders"),
               number(a, "senders") == 1 ? "" : "s");
        print_parts(json_object_get(a, "refused"));
    }
}

/* A group has a row of its own, and so have its members. */
static void print_group(const json_t *s)
{
    const json_t *group = json_object_get(s, "group");
    const long long members = number(s, "members");
    if (members > 0) {
        printf("  %lld member%s", members, members == 1 ? "" : "s");
    } else if (json_string_length(group) > 0) {
        fputs("  in ", stdout);
        text_put(stdout, (loom_str){json_string_value(group), json_string_length(group)}, SIZE_MAX);
    }
    putchar('\n');
}

static void print_subscriptions(const json_t *list, bool all)
{
    static const char *const qos[] = {"batched", "realtime", "background"};
    size_t i, shown = 0;
    json_t *s;
    printf("\n%-28s%-28s%-12s%12s%10s%10s\n", "SUBSCRIBER", "FILTER", "QOS", "DELIVERED", "DROPPED", "WAITING");
    json_array_foreach(list, i, s) {
        if (shown++ == ROWS && !all) {
            printf("… %zu in total; --all shows them\n", json_array_size(list));
            return;
        }
        long long q = number(s, "qos");
        put_text(s, "subscriber", 28);
        put_text(s, "filter", 28);
        printf("%-12s%12lld%10lld%10lld%s", q >= 0 && q < 3 ? qos[q] : "?", number(s, "delivered"), number(s, "dropped"),
               number(s, "queued"), json_is_true(json_object_get(s, "overdue")) ? "  dropping" :
               json_is_true(json_object_get(s, "pressing")) ? "  slow" : "");
        print_group(s);
    }
}

static void print_topics(const json_t *list, bool all)
{
    size_t i, shown = 0;
    json_t *t;
    printf("\n%-44s%12s%12s%10s%6s\n", "TOPIC", "PUBLISHED", "DELIVERED", "DROPPED", "SUBS");
    json_array_foreach(list, i, t) {
        if (shown++ == ROWS && !all) {
            printf("… %zu in total; --all shows them\n", json_array_size(list));
            return;
        }
        put_text(t, "topic", 44);
        printf("%12lld%12lld%10lld%6lld\n", number(t, "published"), number(t, "delivered"), number(t, "dropped"),
               number(t, "subscriptions"));
    }
}

static void print_counter(const char *name, const json_t *value, const char *help)
{
    printf("%-52s %12lld  %s\n", name, json_is_boolean(value) ? json_is_true(value) : (long long)json_integer_value(value), help);
}

/* One line each, GROUP.KEY{LABEL="VALUE"}, so that grep finds them. */
static void print_counters(const json_t *all, const json_t *described)
{
    size_t i;
    json_t *c, *one;
    json_array_foreach(described, i, c) {
        char name[160];
        const char *group = json_string_value(json_object_get(c, "group")), *key = json_string_value(json_object_get(c, "key"));
        const char *label = json_string_value(json_object_get(c, "label")), *help = json_string_value(json_object_get(c, "help"));
        if (group == NULL || key == NULL || label == NULL || help == NULL) {
            continue;
        }
        json_t *value = json_object_get(json_object_get(all, group), key);
        if (!json_is_object(value)) {
            snprintf(name, sizeof name, "%s.%s", group, key);
            print_counter(name, value, help);
            continue;
        }
        const char *of;
        json_object_foreach(value, of, one) {
            snprintf(name, sizeof name, "%s.%s{%s=\"%s\"}", group, key, label, of);
            print_counter(name, one, help);
        }
    }
}

int verb_stats(int argc, char *const argv[])
{
    options o;
    int exit_code = VERB_OK;
    if (!command_start(&stats, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    json_t *all = control_ask(&stats, &o, "stats", NULL, &exit_code);
    if (all != NULL && options_is_on(&o, "json")) {
        json_object_del(all, "status");
        json_print_tidy(json_incref(all));
    } else if (all != NULL && options_is_on(&o, "counters")) {
        json_t *described = control_ask(&stats, &o, "counters", NULL, &exit_code);
        print_counters(all, json_object_get(described, "counters"));
        json_decref(described);
    } else if (all != NULL) {
        print_totals(all);
        print_calls(all);
        print_agent_spans(all);
        print_subscriptions(json_object_get(all, "subscriptions"), options_is_on(&o, "all"));
        print_topics(json_object_get(all, "topics"), options_is_on(&o, "all"));
    }
    json_decref(all);
    options_fini(&o);
    return command_finish(&stats, exit_code);
}
