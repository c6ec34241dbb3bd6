/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/view/text.h"
#include "trace/view/trace_json.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"
#include "trace/view/waterfall.h"

#include <unistd.h>

#define DEFAULT_COLUMNS 120
#define JSON_MAX ((size_t)1 << 32) /* bytes */

static const option_spec specs[] = {
    {.name = "last", .letter = 'l', .kind = OPTION_FLAG, .group = "Which trace", .help = "The trace that started last"},
    OPTIONS_SOURCE,
    {.name = "attrs", .letter = 'a', .kind = OPTION_FLAG, .group = "Output", .help = "Show the attributes of every span"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output",
     .help = "Print one ExportTraceServiceRequest in OTLP/JSON; of an incomplete trace it says in two members besides what is missing"},
    {.name = "width", .letter = 'w', .kind = OPTION_VALUE, .value = "COLUMNS", .group = "Output",
     .help = "Width of the drawing; default: the terminal's, or 120"},
    OPTION_COLOR,
    OPTION_HELP,
};

static const command show = {
    .manual = {.program = "loom trace show",
               .synopsis = "ID|PREFIX|--last [OPTION]…",
               .summary = "Draws a trace: each span below its parent, with its service, kind, start, duration and a bar "
                          "that shows when it ran; its events (•), links (→), log records (≡) and errors (!). A span whose parent is missing "
                          "is marked as an orphan; a trace that the flight recorder kept without a part of it is called incomplete.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom trace show --last\n"
                          "  loom trace show 4bf92f --attrs | less -R\n"
                          "  loom trace show --last --file spans.jsonl\n"
                          "  loom trace show --last --json | curl -H 'Content-Type: application/json' \\\n"
                          "      --data-binary @- http://localhost:4318/v1/traces     forward it, for example to Jaeger\n"},
    .operands_max = 1,
};

static int run(const options *o)
{
    int exit_code = VERB_OK;
    waterfall_options drawing = {.attrs = options_is_on(o, "attrs")};
    uint64_t columns;
    trace_source source;
    if (!trace_options_name_one(&show, o, &exit_code) || !trace_options_color(&show, o, &drawing.colour, &exit_code) ||
        !trace_options_number(&show, o, "width", text_terminal_columns(STDOUT_FILENO, DEFAULT_COLUMNS), &columns, &exit_code) ||
        !trace_options_open(&show, o, &source, &exit_code)) {
        return exit_code;
    }
    drawing.columns = columns < 1000 ? (size_t)columns : 1000;
    uint8_t id[LOOM_TRACE_ID_SIZE];
    span_list list;
    log_list logs = {0};
    span_range trace;
    if (!trace_options_find(&show, o, &source, id, &exit_code)) {
        goto close_source;
    }
    loom_status st = trace_source_load(&source, id, &list, &trace);
    if (st != LOOM_OK) {
        exit_code = command_fail(&show, "%s", source.problem);
        goto close_source;
    }
    drawing.logs = &logs;
    if (!options_is_on(o, "json") && trace_source_load_logs(&source, id, &logs) != LOOM_OK) {
        command_fail(&show, "what was logged cannot be read: %s", source.problem); /* the spans can */
    }
    st = options_is_on(o, "json") ? trace_print_otlp_json(stdout, trace, trace.count, JSON_MAX) : waterfall_draw(stdout, trace, &drawing);
    if (st != LOOM_OK) {
        exit_code = command_fail(&show, "%s", loom_status_text(st));
    }
    log_list_fini(&logs);
    span_list_fini(&list);
close_source:
    trace_source_close(&source);
    return command_finish(&show, exit_code);
}

int verb_trace_show(int argc, char *const argv[])
{
    return command_run(&show, argc, argv, run);
}
