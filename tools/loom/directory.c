/* SPDX-License-Identifier: Apache-2.0 */
/* loom agents, loom caps, loom topics: who is on the bus, what can be called, what is published. */
#include <loom/trace.h>
#include <string.h>

#include "base/str.h"
#include "envelope/id.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/bus_names.h"
#include "tools/loom/control.h"
#include "tools/loom/event_json.h"
#include "trace/view/text.h"
#include "tools/loom/verbs.h"

enum { LIST_SIZE = 512, ABSENT_SIZE = 560 };

static void put(const json_t *object, const char *key, size_t columns)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    bool empty = text == NULL || text[0] == '\0';
    text_put_padded(stdout, empty ? (loom_str){"-", 1} : (loom_str){text, json_string_length(value)}, columns - 2);
    fputs("  ", stdout);
}

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void put_duration(uint64_t ns, size_t columns)
{
    char text[TEXT_DURATION_SIZE];
    text_duration(text, ns);
    text_put_padded(stdout, str_of(text), columns);
}

/* The values of one key of an array of objects, with commas. */
static void put_list(const json_t *array, const char *key, size_t columns)
{
    char list[LIST_SIZE] = "";
    size_t len = 0, i;
    json_t *item;
    json_array_foreach(array, i, item) {
        const char *text = json_string_value(json_object_get(item, key));
        int more = snprintf(list + len, sizeof list - len, "%s%s", i > 0 ? ", " : "", text != NULL ? text : "?");
        if (more < 0 || (len += (size_t)more) >= sizeof list) {
            len = sizeof list - 1;
            break;
        }
    }
    text_put(stdout, len > 0 ? (loom_str){list, len} : (loom_str){"-", 1}, columns);
}

static void put_field(const char *name, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_string_length(value) > 0) {
        printf("  %-16s", name);
        text_put(stdout, (loom_str){json_string_value(value), json_string_length(value)}, SIZE_MAX);
        putchar('\n');
    }
}

typedef struct listing {
    const command *command;
    const char *op, *item_key; /* item_key NULL: the most published topics, which come in one answer */
    const char *operand; /* what the key is called that an operand gives */
    bus_name_kind names; /* what an operand is one of */
    void (*print)(const json_t *items, bool one);
    const char *otherwise; /* what to do about a name that is not there, and near no other */
} listing;

/* Why a list is empty that was asked for by a name. NULL: by none, and it may be empty. */
static const char *absent(const listing *l, const options *o, char text[ABSENT_SIZE])
{
    const char *operand = o->operand_count > 0 ? o->operands[0] : NULL;
    const char *topic = options_value(o, "topic"), *capability = options_value(o, "capability");
    char hint[BUS_HINT_SIZE];
    if (operand != NULL) {
        snprintf(text, ABSENT_SIZE, "not found: \"%.300s\"%s", operand,
                 bus_names_hint(hint, l->command, o, l->names, operand, l->otherwise, NULL));
    } else if (capability != NULL) {
        snprintf(text, ABSENT_SIZE, "nobody provides \"%.300s\"%s", capability,
                 bus_names_hint(hint, l->command, o, BUS_CAPABILITIES, capability, "; `loom caps` lists what is available", NULL));
    } else if (topic != NULL) {
        snprintf(text, ABSENT_SIZE, "nobody is subscribed to \"%.300s\"%s", topic,
                 bus_names_hint(hint, l->command, o, BUS_SUBSCRIBED, topic, "", NULL));
    }
    return operand != NULL || capability != NULL || topic != NULL ? text : NULL;
}

static int list(const listing *l, int argc, char *const argv[])
{
    options o;
    int exit_code = VERB_OK;
    if (!command_start(l->command, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    const char *operand = o.operand_count > 0 ? o.operands[0] : NULL;
    bool agents = strcmp(l->op, "agents") == 0;
    const control_key keys[] = {{l->operand, operand},
                                {"topic", agents ? options_value(&o, "topic") : NULL},
                                {"capability", agents ? options_value(&o, "capability") : NULL},
                                {NULL, NULL}};
    json_t *items;
    if (l->item_key != NULL) {
        items = control_list(l->command, &o, l->op, l->item_key, keys, &exit_code);
    } else {
        json_t *answer = control_ask(l->command, &o, l->op, keys, &exit_code);
        items = json_incref(json_object_get(answer, l->op));
        json_decref(answer);
    }
    char text[ABSENT_SIZE];
    const char *why = items != NULL && json_array_size(items) == 0 ? absent(l, &o, text) : NULL;
    if (why != NULL) {
        exit_code = command_fail_with(l->command, LOOM_ENORESPONDERS, "%s", why);
    }
    if (items != NULL && options_is_on(&o, "json")) {
        json_t *all = json_pack("{s:O}", l->op, items);
        json_print_tidy(all);
    } else if (items != NULL && why == NULL) {
        l->print(items, operand != NULL);
    }
    json_decref(items);
    options_fini(&o);
    return command_finish(l->command, exit_code);
}

#define OPTION_JSON {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print everything as one JSON object"}

/* ---- agents ---- */

static const option_spec agents_specs[] = {
    {.name = "topic", .kind = OPTION_VALUE, .value = "TOPIC", .group = "Which agents", .help = "Agents that receive messages on this topic"},
    {.name = "capability", .kind = OPTION_VALUE, .value = "NAME", .group = "Which agents", .help = "Agents that provide this capability"},
    OPTION_JSON,
    OPTIONS_BUS, OPTIONS_CONTROL,
    OPTION_HELP,
};

static const command agents = {
    .manual = {.program = "loom agents",
               .synopsis = "[OPTION]… [AGENT]",
               .summary = "Lists the agents on the bus: their state, when they were last heard, how long they have been "
                          "there, their bridge, subscriptions and capabilities. With an agent's id, shows everything about "
                          "that agent. An agent is silent after one missed heartbeat, and expired and removed after three.",
               .specs = agents_specs,
               .spec_count = sizeof agents_specs / sizeof agents_specs[0],
               .trailer = "Examples:\n"
                          "  loom agents\n"
                          "  loom agents --topic sensor.data              who receives this topic\n"
                          "  loom agents --json | jq -r '.agents[] | select(.state != \"active\").agent'\n"
                          "  loom sub system.agents                       see agents join and leave\n"},
    .operands_max = 1,
};

static uint64_t age_ns(const json_t *agent)
{
    uint64_t now = loom_time_unix_ns(), since = (uint64_t)number(agent, "since_unix_ns");
    return now > since ? now - since : 0;
}

static void print_one_agent(const json_t *a)
{
    static const char *const qos[] = {"batched", "realtime", "background"};
    size_t i;
    json_t *item;
    put(a, "agent", 40);
    putchar('\n');
    put_field("state", a, "state");
    printf("  %-16s", "last heard");
    put_duration((uint64_t)number(a, "heard_ms_ago") * 1000000u, 0);
    printf(" ago\n  %-16s", "on the bus for");
    put_duration(age_ns(a), 0);
    putchar('\n');
    put_field("bridge", a, "bridge");
    put_field("connection", a, "peer");
    put_field("software", a, "software");
    json_array_foreach(json_object_get(a, "subscriptions"), i, item) {
        printf("  %-16s", i == 0 ? "subscribes to" : "");
        put(item, "filter", 32);
        long long q = number(item, "qos");
        printf("%s", q >= 0 && q < 3 ? qos[q] : "?");
        if (json_object_get(item, "group") != NULL) {
            fputs("  in group ", stdout);
            put(item, "group", 32);
        }
        putchar('\n');
    }
    json_array_foreach(json_object_get(a, "capabilities"), i, item) {
        printf("  %-16s", i == 0 ? "provides" : "");
        put(item, "name", 32);
        text_put(stdout, (loom_str){json_string_value(json_object_get(item, "version")),
                                    json_string_length(json_object_get(item, "version"))}, SIZE_MAX);
        putchar('\n');
    }
}

static void print_agents(const json_t *items, bool one)
{
    size_t i;
    json_t *a;
    if (!one) {
        printf("%-26s%-10s%-12s%-12s%-16s%-28s%s\n", "AGENT", "STATE", "HEARD", "SINCE", "BRIDGE", "SUBSCRIBES TO", "PROVIDES");
    }
    json_array_foreach(items, i, a) {
        if (one) {
            print_one_agent(a);
            continue;
        }
        put(a, "agent", 26);
        put(a, "state", 10);
        put_duration((uint64_t)number(a, "heard_ms_ago") * 1000000u, 12);
        put_duration(age_ns(a), 12);
        put(a, "bridge", 16);
        size_t count = json_array_size(json_object_get(a, "subscriptions"));
        if (count > 1) {
            printf("%-28zu", count);
        } else {
            put(json_array_get(json_object_get(a, "subscriptions"), 0), "filter", 28);
        }
        put_list(json_object_get(a, "capabilities"), "name", 60);
        putchar('\n');
    }
}

int verb_agents(int argc, char *const argv[])
{
    static const listing all = {&agents, "agents", "agent", "agent", BUS_AGENTS, print_agents, "; `loom agents` lists who is there"};
    return list(&all, argc, argv);
}

/* ---- capabilities ---- */

static const option_spec caps_specs[] = {OPTION_JSON, OPTIONS_BUS, OPTIONS_CONTROL, OPTION_HELP};

static const command caps = {
    .manual = {.program = "loom caps",
               .synopsis = "[OPTION]… [NAME]",
               .summary = "Lists the capabilities that agents provide: version, kind, providers, calls so far, errors, and "
                          "calls in progress. With a name, shows everything about that capability, including its schemas.",
               .specs = caps_specs,
               .spec_count = sizeof caps_specs / sizeof caps_specs[0],
               .trailer = "Examples:\n"
                          "  loom caps\n"
                          "  loom caps weather.lookup\n"
                          "  loom caps --json | jq '.capabilities[] | select(.kind == \"tool\")'\n"},
    .operands_max = 1,
};

static long long sum(const json_t *providers, const char *key)
{
    long long total = 0;
    size_t i;
    json_t *p;
    json_array_foreach(providers, i, p) {
        total += number(p, key);
    }
    return total;
}

static void print_one_capability(const json_t *c)
{
    size_t i;
    json_t *p, *value;
    const char *key;
    put(c, "name", 40);
    put(c, "version", 16);
    putchar('\n');
    put_field("kind", c, "kind");
    put_field("description", c, "description");
    put_field("input schema", c, "input_schema");
    put_field("output schema", c, "output_schema");
    json_object_foreach(json_object_get(c, "metadata"), key, value) {
        printf("  %-16s", "metadata");
        text_put(stdout, str_of(key), 40);
        putchar('=');
        text_put(stdout, (loom_str){json_string_value(value), json_string_length(value)}, SIZE_MAX);
        putchar('\n');
    }
    json_array_foreach(json_object_get(c, "providers"), i, p) {
        printf("  %-16s", i == 0 ? "provided by" : "");
        put(p, "agent", 32);
        printf("%lld calls, %lld errors, %lld in progress\n", number(p, "calls"), number(p, "errors"), number(p, "outstanding"));
    }
}

static void print_caps(const json_t *items, bool one)
{
    size_t i;
    json_t *c;
    if (!one) {
        printf("%-30s%-12s%-8s%10s%12s%10s%8s  %s\n", "CAPABILITY", "VERSION", "KIND", "PROVIDERS", "CALLS", "ERRORS", "BUSY",
               "DESCRIPTION");
    }
    json_array_foreach(items, i, c) {
        if (one) {
            print_one_capability(c);
            continue;
        }
        const json_t *providers = json_object_get(c, "providers");
        put(c, "name", 30);
        put(c, "version", 12);
        put(c, "kind", 8);
        printf("%10zu%12lld%10lld%8lld  ", json_array_size(providers), sum(providers, "calls"), sum(providers, "errors"),
               sum(providers, "outstanding"));
        text_put(stdout, (loom_str){json_string_value(json_object_get(c, "description")),
                                    json_string_length(json_object_get(c, "description"))}, 60);
        putchar('\n');
    }
}

int verb_caps(int argc, char *const argv[])
{
    static const listing all = {&caps, "capabilities", "name", "name", BUS_CAPABILITIES, print_caps, "; `loom caps` lists what is available"};
    return list(&all, argc, argv);
}

/* ---- topics ---- */

static const command topics = {
    .manual = {.program = "loom topics",
               .synopsis = "[OPTION]… [FILTER]",
               .summary = "Lists the topics that were published to, busiest first: messages published, copies delivered and "
                          "dropped, and subscriptions now. Mailboxes (agent.ID.replies) of agents that have gone are listed only "
                          "if FILTER asks for them.",
               .specs = caps_specs,
               .spec_count = sizeof caps_specs / sizeof caps_specs[0],
               .trailer = "Examples:\n"
                          "  loom topics\n"
                          "  loom topics 'sensor.>'\n"
                          "  loom topics --json | jq '.topics[] | select(.dropped > 0)'\n"},
    .operands_max = 1,
};

static void print_topics(const json_t *items, bool one)
{
    size_t i;
    json_t *t;
    (void)one;
    printf("%-44s%12s%12s%10s%6s\n", "TOPIC", "PUBLISHED", "DELIVERED", "DROPPED", "SUBS");
    json_array_foreach(items, i, t) {
        put(t, "topic", 44);
        printf("%12lld%12lld%10lld%6lld\n", number(t, "published"), number(t, "delivered"), number(t, "dropped"),
               number(t, "subscriptions"));
    }
}

int verb_topics(int argc, char *const argv[])
{
    static const listing all = {&topics, "topics", NULL, "filter", BUS_TOPICS, print_topics, "; nothing was published there"};
    return list(&all, argc, argv);
}
