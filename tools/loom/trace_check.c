/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "base/suggest.h"
#include "trace/view/ladder.h"
#include "trace/view/text.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"
#include "trace/view/waterfall.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_COLUMNS 120

static const option_spec specs[] = {
    {.name = "last", .letter = 'l', .kind = OPTION_FLAG, .group = "Which traces",
     .help = "The trace that started last"},
    {.name = "all", .kind = OPTION_FLAG, .group = "Which traces", .help = "All traces"},
    {.name = "count", .kind = OPTION_VALUE, .value = "N", .group = "Which traces",
     .help = "With --all: fail unless there are exactly N traces"},
    OPTIONS_SOURCE,
    {.name = "ladder", .kind = OPTION_VALUE, .value = "NAME", .choices = "trace-test|market-analyst|market-analyst-timeout", .group = "What to check",
     .help = "Require exactly this ladder"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output",
     .help = "Report failures only, and draw nothing"},
    OPTION_COLOR,
    OPTION_HELP,
};

static const command check = {
    .manual = {.program = "loom trace check",
               .synopsis = "ID|PREFIX|--last|--all [OPTION]…",
               .summary = "Checks that each trace is one connected tree: one root, every parent present, no duplicate ids; and of one that the "
                          "flight recorder kept, that nothing is visibly missing. "
                          "With --ladder, also that it consists of exactly the spans of a demo, in the right order, with "
                          "the right kinds, services and links. Exits with 0 only if everything is right; otherwise prints "
                          "the differences.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom trace check --last --ladder trace-test\n"
                          "  loom trace check --all --count 10 --ladder trace-test --file spans.jsonl\n"},
    .operands_max = 1,
};

typedef struct checking {
    trace_source *source;
    const ladder *expected;
    waterfall_options drawing;
    bool quiet;
    uint64_t traces, wrong;
    loom_status status;
} checking;

/* Prints the verdict on one trace, and draws it when it is wrong. */
static loom_status judge(checking *c, const uint8_t id[LOOM_TRACE_ID_SIZE], span_range trace)
{
    char *report = NULL;
    size_t report_len = 0;
    FILE *lines = open_memstream(&report, &report_len);
    if (lines == NULL) {
        return LOOM_ENOMEM;
    }
    size_t differences = 0;
    loom_status st = ladder_check(lines, c->expected, trace, &differences);
    if (fclose(lines) != 0) {
        st = LOOM_ENOMEM;
    }
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_id_to_hex(hex, id);
    c->traces++;
    c->wrong += differences > 0;
    if (st == LOOM_OK && differences == 0 && !c->quiet) {
        printf("%s: right, %zu spans%s%s\n", hex, trace.count, c->expected != NULL ? ", the ladder " : "",
               c->expected != NULL ? c->expected->name : "");
    } else if (st == LOOM_OK && differences > 0) {
        printf("%s: %zu difference%s\n%s", hex, differences, differences == 1 ? "" : "s", report);
        st = c->quiet ? LOOM_OK : waterfall_draw(stdout, trace, &c->drawing);
    }
    free(report);
    return st;
}

static loom_status check_one(checking *c, const uint8_t id[LOOM_TRACE_ID_SIZE])
{
    span_list list;
    span_range trace;
    loom_status st = trace_source_load(c->source, id, &list, &trace);
    if (st == LOOM_OK) {
        st = judge(c, id, trace);
        span_list_fini(&list);
    }
    return st;
}

static bool visit(void *user, const trace_summary *summary)
{
    checking *c = user;
    c->status = check_one(c, summary->trace_id);
    return c->status == LOOM_OK;
}

static bool find_ladder(const options *o, const ladder **out, int *exit_code)
{
    const char *name = options_value(o, "ladder");
    *out = name != NULL ? ladder_find(name) : NULL;
    if (name == NULL || *out != NULL) {
        return true;
    }
    suggestion s;
    suggestion_init(&s, str_of(name));
    for (size_t i = 0; ladder_at(i) != NULL; i++) {
        suggestion_consider(&s, ladder_at(i)->name);
    }
    const char *nearest = suggestion_result(&s);
    *exit_code = nearest != NULL ? command_misuse(&check, "unknown ladder \"%s\"; did you mean %s?", name, nearest)
                                 : command_misuse(&check, "unknown ladder \"%s\"; --help lists them", name);
    return false;
}

static int check_all(checking *c, const options *o)
{
    int exit_code = VERB_OK;
    uint64_t wanted;
    if (!trace_options_number(&check, o, "count", 0, &wanted, &exit_code)) {
        return exit_code;
    }
    const store_filter every = {.limit = INT64_MAX};
    loom_status st = trace_source_list(c->source, &every, visit, c);
    st = st != LOOM_OK ? st : c->status;
    if (st != LOOM_OK) {
        return command_fail(&check, "%s", c->source->problem[0] != '\0' ? c->source->problem : loom_status_text(st));
    }
    if (!c->quiet || c->wrong > 0) {
        printf("%" PRIu64 " traces, %" PRIu64 " wrong\n", c->traces, c->wrong);
    }
    if (c->traces == 0) {
        return command_fail(&check, "no traces found");
    }
    if (options_has(o, "count") && c->traces != wanted) {
        return command_fail(&check, "expected %" PRIu64 " traces, found %" PRIu64, wanted, c->traces);
    }
    return c->wrong > 0 ? VERB_FAILED : VERB_OK;
}

static int check_named(checking *c, const options *o)
{
    int exit_code = VERB_OK;
    uint8_t id[LOOM_TRACE_ID_SIZE];
    if (!trace_options_find(&check, o, c->source, id, &exit_code)) {
        return exit_code;
    }
    loom_status st = check_one(c, id);
    if (st != LOOM_OK) {
        return command_fail(&check, "%s", c->source->problem[0] != '\0' ? c->source->problem : loom_status_text(st));
    }
    return c->wrong > 0 ? VERB_FAILED : VERB_OK;
}

/* Before any file is opened: an invalid command line is reported first. */
static bool names_traces(const options *o, int *exit_code)
{
    if (!options_is_on(o, "all")) {
        if (options_has(o, "count")) {
            *exit_code = command_misuse(&check, "--count needs --all");
            return false;
        }
        return trace_options_name_one(&check, o, exit_code);
    }
    if (o->operand_count > 0 || options_is_on(o, "last")) {
        *exit_code = command_misuse(&check, "use --all, --last or a trace id, not several of them");
        return false;
    }
    return true;
}

static int run(const options *o)
{
    int exit_code = VERB_OK;
    trace_source source;
    checking c = {.source = &source, .quiet = options_is_on(o, "quiet")};
    c.drawing.columns = text_terminal_columns(STDOUT_FILENO, DEFAULT_COLUMNS);
    if (!names_traces(o, &exit_code) || !find_ladder(o, &c.expected, &exit_code) ||
        !trace_options_color(&check, o, &c.drawing.colour, &exit_code) ||
        !trace_options_open(&check, o, &source, &exit_code)) {
        return exit_code;
    }
    exit_code = options_is_on(o, "all") ? check_all(&c, o) : check_named(&c, o);
    trace_source_close(&source);
    return command_finish(&check, exit_code);
}

int verb_trace_check(int argc, char *const argv[])
{
    return command_run(&check, argc, argv, run);
}
