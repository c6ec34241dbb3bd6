/* SPDX-License-Identifier: Apache-2.0 */
#include "base/duration.h"
#include "base/str.h"
#include "trace/view/summary.h"
#include "tools/loom/control.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/trace_recorded.h"
#include "tools/loom/verbs.h"

#include <loom/trace.h>
#include <string.h>

static const option_spec specs[] = {
    OPTIONS_SOURCE,
    {.name = "recorded", .kind = OPTION_FLAG, .group = "Source",
     .help = "Instead: the last traces that the broker's flight recorder holds, sampled by nobody; `loom trace keep` keeps them"},
    OPTIONS_CONTROL,
    {.name = "service", .letter = 's', .kind = OPTION_VALUE, .value = "NAME", .group = "Which traces",
     .help = "Traces with a span of this service"},
    {.name = "attr", .letter = 'a', .kind = OPTION_VALUE, .repeatable = true, .value = "KEY=VALUE", .group = "Which traces",
     .help = "Traces with this attribute on any span, such as topic=sensor.data"},
    {.name = "since", .kind = OPTION_VALUE, .value = "AGE", .group = "Which traces",
     .help = "Traces that started at most this long ago: 90s, 10m, 2h, 1d"},
    {.name = "failed", .kind = OPTION_FLAG, .group = "Which traces", .help = "Traces with a span that failed"},
    {.name = "min-duration", .kind = OPTION_VALUE, .value = "TIME", .group = "Which traces", .help = "Traces that took at least this long: 5ms, 2s, 1m"},
    {.name = "max-duration", .kind = OPTION_VALUE, .value = "TIME", .group = "Which traces", .help = "Traces that took at most this long"},
    {.name = "slowest", .kind = OPTION_FLAG, .group = "Which traces", .help = "The slowest first, instead of the newest"},
    {.name = "limit", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .fallback = "20", .group = "Which traces",
     .help = "Maximum number of traces"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print one JSON object per line, times in nanoseconds"},
    OPTION_COLOR,
    OPTION_HELP,
};

static const command ls = {
    .manual = {.program = "loom trace ls",
               .synopsis = "[OPTION]…",
               .summary = "Lists traces, newest or slowest first: id, start, root span, duration, spans, errors, services, and "
                          "whether the trace is incomplete: kept by flight recorders, of which a part is not there.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom trace ls --since 10m --service agent-sensor\n"
                          "  loom trace ls --attr event_id=018f2c6e-7b5a-7c3d-9e21-5f6a7b8c9d0e\n"
                          "  loom trace ls --attr topic=sensor.data --attr agent_id=sensor-1 --limit 5\n"
                          "  loom trace ls --failed --since 1h\n"
                          "  loom trace ls --slowest --limit 5 --json | jq -r .trace_id\n"
                          "  loom trace ls --recorded\n"},
};

typedef struct listing {
    uint64_t now;
    bool json, colour;
    size_t count;
    loom_status status;
} listing;

static bool visit(void *user, const trace_summary *summary)
{
    listing *l = user;
    if (l->json) {
        l->status = trace_summary_print_json(stdout, summary);
        return l->status == LOOM_OK;
    }
    if (l->count++ == 0) {
        trace_summary_print_heading(stdout, l->colour);
    }
    trace_summary_print_row(stdout, summary, l->now, l->colour);
    return !ferror(stdout);
}

static bool read_duration(const options *o, const char *name, uint64_t *ns, int *exit_code)
{
    const char *text = options_value(o, name);
    if (text == NULL || duration_parse(ns, str_of(text))) {
        return true;
    }
    *exit_code = command_misuse(&ls, "--%s must be a duration such as 5ms, 2s or 1m, not \"%s\"", name, text);
    return false;
}

static bool read_filter(const options *o, uint64_t now, store_filter *filter, int *exit_code)
{
    const char *service = options_value(o, "service");
    const char *since = options_value(o, "since");
    loom_str attrs[STORE_ATTRS_MAX];
    *filter = (store_filter){0};
    filter->service = str_of(service);
    filter->attr_count = options_values(o, "attr", attrs, STORE_ATTRS_MAX);
    if (filter->attr_count > STORE_ATTRS_MAX) {
        *exit_code = command_misuse(&ls, "at most %d --attr options", STORE_ATTRS_MAX);
        return false;
    }
    for (size_t i = 0; i < filter->attr_count; i++) {
        const char *equals = memchr(attrs[i].data, '=', attrs[i].len);
        if (equals == NULL || equals == attrs[i].data) {
            *exit_code = command_misuse(&ls, "--attr must be KEY=VALUE, not \"%.*s\"", (int)attrs[i].len, attrs[i].data);
            return false;
        }
        size_t key = (size_t)(equals - attrs[i].data);
        filter->attrs[i] = (store_attr){{attrs[i].data, key}, {equals + 1, attrs[i].len - key - 1}};
    }
    uint64_t age = now;
    if (since != NULL && !duration_parse(&age, str_of(since))) {
        *exit_code = command_misuse(&ls, "--since must be an age such as 90s, 10m, 2h or 1d, not \"%s\"", since);
        return false;
    }
    filter->since_unix_ns = age < now ? now - age : 0;
    filter->failed = options_is_on(o, "failed");
    filter->slowest_first = options_is_on(o, "slowest");
    return read_duration(o, "min-duration", &filter->min_duration_ns, exit_code) &&
           read_duration(o, "max-duration", &filter->max_duration_ns, exit_code) && trace_options_number(&ls, o, "limit", 20, &filter->limit, exit_code);
}

/* Of what nobody has exported there is neither service nor status to choose by. */
static int list_recorded(const options *o)
{
    static const char *const others[] = {"db", "file", "service", "attr", "since", "failed", "min-duration", "max-duration", "slowest"};
    uint64_t limit;
    int exit_code = VERB_OK;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (options_value(o, others[i]) != NULL || options_is_on(o, others[i])) {
            return command_misuse(&ls, "--recorded goes with --limit, --json and --control alone, not with --%s", others[i]);
        }
    }
    if (!trace_options_number(&ls, o, "limit", 20, &limit, &exit_code)) {
        return exit_code;
    }
    return command_finish(&ls, trace_recorded_list(&ls, o, limit));
}

static int run(const options *o)
{
    int exit_code = VERB_OK;
    listing l = {.now = loom_time_unix_ns(), .json = options_is_on(o, "json")};
    store_filter filter;
    trace_source source;
    if (options_is_on(o, "recorded")) {
        return list_recorded(o);
    }
    if (!read_filter(o, l.now, &filter, &exit_code) || !trace_options_color(&ls, o, &l.colour, &exit_code) ||
        !trace_options_open(&ls, o, &source, &exit_code)) {
        return exit_code;
    }
    loom_status st = trace_source_list(&source, &filter, visit, &l);
    if (st != LOOM_OK) {
        exit_code = command_fail(&ls, "%s", source.problem);
    } else if (l.status != LOOM_OK) {
        exit_code = command_fail(&ls, "%s", loom_status_text(l.status));
    } else if (l.count == 0 && !l.json) {
        const bool chosen = filter.service.len > 0 || filter.attr_count > 0 || filter.since_unix_ns > 0 || filter.failed || filter.min_duration_ns > 0 ||
                            filter.max_duration_ns > 0;
        fprintf(stderr, chosen ? "no traces in %s are as asked for\n" : "no traces in %s\n", source.name);
    }
    trace_source_close(&source);
    return command_finish(&ls, exit_code);
}

int verb_trace_ls(int argc, char *const argv[])
{
    return command_run(&ls, argc, argv, run);
}
