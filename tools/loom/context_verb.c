/* SPDX-License-Identifier: Apache-2.0 */
/* loom context: named sets of addresses, and the choice among them. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/url.h"
#include "host/json_text.h"
#include "tools/loom/context.h"
#include "tools/loom/event_json.h"
#include "tools/loom/verbs.h"
#include "trace/view/text.h"

static const option_spec ls_specs[] = {
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print one JSON object per context"},
    OPTION_HELP,
};

static const command ls = {
    .manual = {.program = "loom context ls", .synopsis = "[OPTION]…", .summary = "Lists the contexts; a star marks the one in use.",
               .specs = ls_specs, .spec_count = sizeof ls_specs / sizeof ls_specs[0],
               .trailer = "Examples:\n"
                          "  loom context ls\n"
                          "  loom context ls --json | jq -r .url\n"},
};

static void print_json(const char *name, const context *c, bool used)
{
    json_t *all = json_pack("{s:o, s:b}", "name", json_text(str_of(name)), "used", used);
    for (size_t i = 0; i < CONTEXT_KEYS; i++) {
        if (c->values[i][0] != '\0') {
            json_object_set_new(all, context_keys[i].key, json_text(str_of(c->values[i])));
        }
    }
    json_print_line(all);
}

static void list_all(bool json)
{
    char names[CONTEXTS_MAX][CONTEXT_NAME_SIZE];
    char current[CONTEXT_NAME_SIZE], shown[URL_SHOWN_SIZE];
    const char *chosen = getenv("LOOM_CONTEXT");
    context c;
    context_current(current);
    chosen = chosen != NULL && chosen[0] != '\0' ? chosen : current;
    const size_t count = context_list(names);
    for (size_t i = 0; i < count; i++) {
        const bool used = strcmp(names[i], chosen) == 0;
        if (!context_read(&c, names[i])) {
            continue;
        }
        if (json) {
            print_json(names[i], &c, used);
            continue;
        }
        url_show(shown, c.values[0]);
        printf("%s %-20s  %-44s  ", used ? "*" : " ", names[i], c.values[0][0] != '\0' ? shown : "-");
        text_put(stdout, str_of(c.values[CONTEXT_KEYS - 1]), 60);
        putchar('\n');
    }
}

static int verb_ls(int argc, char *const argv[])
{
    options o;
    int exit_code;
    if (!command_start(&ls, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    list_all(options_is_on(&o, "json"));
    options_fini(&o);
    return command_finish(&ls, VERB_OK);
}

static const option_spec add_specs[] = {
    {.name = "url", .letter = 'u', .kind = OPTION_VALUE, .value = "URL", .group = "Context", .help = "Broker or bridge to connect to, as LOOM_URL"},
    {.name = "control", .kind = OPTION_VALUE, .value = "URL", .group = "Context", .help = "The broker's bus_control, as LOOM_CONTROL"},
    {.name = "ca", .kind = OPTION_VALUE, .value = "FILE", .group = "Context", .help = "Authority to trust for tls+tcp and wss, as LOOM_TLS_CA"},
    {.name = "identity", .kind = OPTION_VALUE, .value = "NAME", .group = "Context", .help = "What the agent ids of commands begin with, as LOOM_IDENTITY"},
    {.name = "trace-db", .kind = OPTION_VALUE, .value = "FILE", .group = "Context", .help = "Database of `loom trace`, as LOOM_TRACE_DB"},
    {.name = "description", .kind = OPTION_VALUE, .value = "TEXT", .group = "Context", .help = "What it is, for people"},
    {.name = "use", .kind = OPTION_FLAG, .group = "Context", .help = "Use it from now on"},
    OPTION_HELP,
};

static const command add = {
    .manual = {.program = "loom context add", .synopsis = "[OPTION]… NAME",
               .summary = "Makes a context, or changes what the options name of one that is there.",
               .specs = add_specs, .spec_count = sizeof add_specs / sizeof add_specs[0],
               .trailer = "Examples:\n"
                          "  loom context add prod --url wss://bus.example.com/loom --ca /etc/loom/ca.pem --use\n"
                          "  loom context add local --description 'this machine'\n"},
    .operands_max = 1,
};

static int add_one(const options *o)
{
    context c;
    if (o->operand_count < 1 || !context_is_name(o->operands[0])) {
        return command_misuse(&add, "a context needs a name of letters, digits, dots, dashes: `loom context add NAME --url URL`");
    }
    (void)context_read(&c, o->operands[0]); /* a new one is empty */
    for (size_t i = 0; i < CONTEXT_KEYS; i++) {
        const char *value = options_value(o, context_keys[i].key);
        char why[URL_ERROR_SIZE];
        url u;
        if (value != NULL && (strlen(value) >= CONTEXT_LINE_SIZE - 64 || strchr(value, '\n') != NULL)) {
            return command_misuse(&add, "--%s is too long, or more than a line", context_keys[i].key);
        }
        if (value != NULL && i == 0 && url_parse(&u, value, URL_LINKS | URL_DIAL, why) != LOOM_OK) {
            return command_misuse(&add, "--url \"%s\": %s", value, why);
        }
        if (value != NULL && value[0] != '\0' && strcmp(context_keys[i].key, "identity") == 0 && !context_is_name(value)) {
            return command_misuse(&add, "--identity \"%s\": a name has letters, digits, dots, dashes", value);
        }
        if (value != NULL) {
            snprintf(c.values[i], sizeof c.values[i], "%s", value);
        }
    }
    const bool written = context_write(&c, o->operands[0]) && (!options_is_on(o, "use") || context_use(o->operands[0]));
    return written ? VERB_OK : command_fail(&add, "cannot write context \"%s\": %s", o->operands[0], strerror(errno));
}

static int verb_add(int argc, char *const argv[])
{
    options o;
    int exit_code;
    if (!command_start(&add, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    exit_code = add_one(&o);
    options_fini(&o);
    return command_finish(&add, exit_code);
}

static const option_spec plain_specs[] = {OPTION_HELP};

static const command use_command = {
    .manual = {.program = "loom context use", .synopsis = "[NAME]",
               .summary = "Uses a context from now on; without a name, none.", .specs = plain_specs, .spec_count = 1,
               .trailer = "Examples:\n"
                          "  loom context use prod\n"
                          "  loom context use                 this machine's broker again\n"},
    .operands_max = 1,
};

static const command rm = {
    .manual = {.program = "loom context rm", .synopsis = "NAME", .summary = "Removes a context. If it was in use, none is.",
               .specs = plain_specs, .spec_count = 1,
               .trailer = "Examples:\n"
                          "  loom context rm staging\n"},
    .operands_max = 1,
};

static const command show = {
    .manual = {.program = "loom context show", .synopsis = "[NAME]",
               .summary = "Shows a context: the one that is named, or else the one in use.", .specs = ls_specs,
               .spec_count = sizeof ls_specs / sizeof ls_specs[0],
               .trailer = "Examples:\n"
                          "  loom context show\n"
                          "  loom context show prod --json\n"},
    .operands_max = 1,
};

static int verb_use(int argc, char *const argv[])
{
    options o;
    int exit_code;
    context c;
    if (!command_start(&use_command, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    const char *name = o.operand_count > 0 ? o.operands[0] : "";
    if (name[0] != '\0' && !context_read(&c, name)) {
        exit_code = context_fail_unknown("loom context use", name);
    } else {
        exit_code = context_use(name) ? VERB_OK : command_fail(&use_command, "cannot write the choice of a context: %s", strerror(errno));
    }
    options_fini(&o);
    return command_finish(&use_command, exit_code);
}

static int verb_rm(int argc, char *const argv[])
{
    options o;
    int exit_code;
    if (!command_start(&rm, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    const char *name = o.operand_count > 0 ? o.operands[0] : NULL;
    if (name == NULL) {
        exit_code = command_misuse(&rm, "missing context; `loom context ls` lists them");
    } else if (context_remove(name)) {
        exit_code = VERB_OK;
    } else {
        exit_code = errno == ENOENT ? context_fail_unknown("loom context rm", name)
                                    : command_fail(&rm, "cannot remove context \"%s\": %s", name, strerror(errno));
    }
    options_fini(&o);
    return command_finish(&rm, exit_code);
}

static int show_one(const options *o)
{
    char current[CONTEXT_NAME_SIZE], shown[URL_SHOWN_SIZE];
    const char *chosen = getenv("LOOM_CONTEXT");
    context c;
    context_current(current);
    chosen = chosen != NULL && chosen[0] != '\0' ? chosen : current;
    const char *name = o->operand_count > 0 ? o->operands[0] : chosen;
    if (name[0] == '\0') {
        return command_fail(&show, "no context is in use; `loom context use NAME` chooses one");
    }
    if (!context_read(&c, name)) {
        return context_fail_unknown("loom context show", name);
    }
    if (options_is_on(o, "json")) {
        print_json(name, &c, strcmp(name, chosen) == 0);
        return VERB_OK;
    }
    printf("%-14s%s\n", "name", name);
    for (size_t i = 0; i < CONTEXT_KEYS; i++) {
        url_show(shown, c.values[i]);
        if (c.values[i][0] != '\0') {
            printf("%-14s%s\n", context_keys[i].key, i < 2 ? shown : c.values[i]);
        }
    }
    return VERB_OK;
}

static int verb_show(int argc, char *const argv[])
{
    options o;
    int exit_code;
    if (!command_start(&show, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    exit_code = show_one(&o);
    options_fini(&o);
    return command_finish(&show, exit_code);
}

static const verb verbs[] = {
    {"add", "Make a context, or change one", verb_add},
    {"ls", "List the contexts", verb_ls},
    {"rm", "Remove a context", verb_rm},
    {"show", "Show a context", verb_show},
    {"use", "Choose the context to use", verb_use},
};

static const verb_synonym synonyms[] = {
    {"create", "add"}, {"current", "show"}, {"delete", "rm"},  {"edit", "add"}, {"info", "show"}, {"list", "ls"}, {"new", "add"},
    {"remove", "rm"},  {"save", "add"},     {"select", "use"}, {"set", "add"},  {"switch", "use"}, {NULL, NULL},
};

int verb_context(int argc, char *const argv[])
{
    static const verb_table table = {
        .program = "loom context",
        .summary = "Named sets of addresses: which broker the other verbs talk to. --context NAME in front of a verb names one "
                   "for that verb,\nLOOM_CONTEXT one for a shell, `loom context use` one for good. An option of the verb is "
                   "stronger than all of them;\nLOOM_URL, LOOM_CONTROL, LOOM_TLS_CA and LOOM_IDENTITY are stronger than the last two.",
        .verbs = verbs,
        .count = sizeof verbs / sizeof verbs[0],
        .synonyms = synonyms,
        .trailer = "Examples:\n"
                   "  loom context add prod --url wss://bus.example.com/loom --ca /etc/loom/ca.pem\n"
                   "  loom --context prod sub 'orders.>'\n"
                   "  loom context use prod\n",
    };
    return verb_table_run(&table, argc, argv);
}
