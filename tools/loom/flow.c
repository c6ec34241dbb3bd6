/* SPDX-License-Identifier: Apache-2.0 */
/* loom flow: who publishes to which topic, who gets it, who calls what of whom. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/bus_names.h"
#include "tools/loom/control.h"
#include "tools/loom/event_json.h"
#include "tools/loom/verbs.h"
#include "trace/view/text.h"

static const option_spec specs[] = {
    {.name = "agent", .kind = OPTION_VALUE, .value = "ID", .group = "Which edges", .help = "Only those of this agent"},
    {.name = "kind", .kind = OPTION_VALUE, .value = "KIND", .choices = "publish|deliver|invoke|provide", .group = "Which edges",
     .help = "Only edges of this kind"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print everything as one JSON object"},
    OPTIONS_BUS,
    OPTIONS_CONTROL,
    OPTION_HELP,
};

static const command flow = {
    .manual = {.program = "loom flow",
               .synopsis = "[OPTION]… [FILTER]",
               .summary = "Shows how messages flow, busiest first: from agents to topics and from topics to agents, from "
                          "callers to capabilities and from capabilities to providers. TOTAL counts messages published, "
                          "copies delivered, and calls, since the broker started, of agents that have left, too. LOST "
                          "counts copies that an agent did not get, and calls that did not end well, with the reasons. "
                          "\"other\" stands for topics and agents beyond what the broker keeps apart. At most 100 lines; "
                          "FILTER selects topics and capabilities.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom flow\n"
                          "  loom flow 'sensor.>' --kind deliver          who gets these topics\n"
                          "  loom flow --agent planner                    what this agent takes part in\n"
                          "  loom flow --json | jq '.edges[] | select(.lost != \"0\")'\n"},
    .operands_max = 1,
};

static loom_str text_of(const json_t *edge, const char *key)
{
    const json_t *value = json_object_get(edge, key);
    return (loom_str){json_string_value(value), json_string_length(value)};
}

static void put_reasons(const json_t *reasons)
{
    const char *reason, *before = "  ";
    json_t *count;
    json_object_foreach((json_t *)(uintptr_t)reasons, reason, count) {
        printf("%s%s %lld", before, reason, (long long)json_integer_value(count));
        before = ", ";
    }
}

static void print_edge(const json_t *edge)
{
    const loom_str kind = text_of(edge, "kind");
    const bool from_agent = str_is(kind, "publish") || str_is(kind, "invoke");
    text_put_padded(stdout, kind, 9);
    text_put_padded(stdout, text_of(edge, from_agent ? "agent" : "name"), 34);
    fputs("  ", stdout);
    text_put_padded(stdout, text_of(edge, from_agent ? "name" : "agent"), 34);
    printf("%14lld%12lld", (long long)json_integer_value(json_object_get(edge, "total")),
           (long long)json_integer_value(json_object_get(edge, "lost")));
    put_reasons(json_object_get(edge, "reasons"));
    putchar('\n');
}

static void print_edges(const json_t *answer)
{
    size_t i;
    json_t *edge;
    printf("%-9s%-34s  %-34s%14s%12s  %s\n", "KIND", "FROM", "TO", "TOTAL", "LOST", "REASONS");
    json_array_foreach(json_object_get(answer, "edges"), i, edge) {
        print_edge(edge);
    }
    if (json_is_true(json_object_get(answer, "more"))) {
        puts("There are more; select some with a FILTER, --agent or --kind.");
    }
}

/* An agent that is there, with nothing to show, is no mistake; a name that nobody has is. */
static int check_names(const options *o, const json_t *answer)
{
    const char *agent = options_value(o, "agent"), *filter = o->operand_count > 0 ? o->operands[0] : NULL;
    char hint[BUS_HINT_SIZE];
    bool known = false;
    if (json_array_size(json_object_get(answer, "edges")) > 0 || (agent == NULL && filter == NULL)) {
        return VERB_OK;
    }
    if (agent != NULL) {
        const char *guess = bus_names_hint(hint, &flow, o, BUS_AGENTS, agent, "; `loom agents` lists who is there", &known);
        return known ? VERB_OK : command_fail_with(&flow, LOOM_ENORESPONDERS, "not found: agent \"%s\"%s", agent, guess);
    }
    return command_fail_with(&flow, LOOM_ENORESPONDERS, "not found: \"%s\"%s", filter,
                             bus_names_hint(hint, &flow, o, BUS_TOPICS, filter, "; no message and no call went there", NULL));
}

int verb_flow(int argc, char *const argv[])
{
    options o;
    int exit_code = VERB_OK;
    if (!command_start(&flow, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    const control_key keys[] = {{"filter", o.operand_count > 0 ? o.operands[0] : NULL},
                                {"agent", options_value(&o, "agent")},
                                {"kind", options_value(&o, "kind")},
                                {NULL, NULL}};
    json_t *answer = control_ask(&flow, &o, "flow", keys, &exit_code);
    if (answer != NULL && options_is_on(&o, "json")) {
        json_t *all = json_pack("{s:O,s:O}", "edges", json_object_get(answer, "edges"), "more", json_object_get(answer, "more"));
        json_print_tidy(all);
    }
    if (answer != NULL && (exit_code = check_names(&o, answer)) == VERB_OK && !options_is_on(&o, "json")) {
        print_edges(answer);
    }
    json_decref(answer);
    options_fini(&o);
    return command_finish(&flow, exit_code);
}
