/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/view/waterfall.h"

#include "base/str.h"
#include "trace/collect/gaps.h"
#include "trace/view/log_line.h"
#include "trace/view/summary.h"
#include "trace/view/text.h"
#include "trace/collect/tree.h"

#include <loom/trace.h>
#include <stdlib.h>
#include <string.h>

#define INDENT 2u        /* columns of one level */
#define KIND_COLUMNS 8u  /* "internal", "producer", "consumer"; "unspecified" is cut */
#define TIME_COLUMNS 9u  /* "12 h 30 m" */
#define SERVICE_MAX 24u
#define NAME_LEAST 16u
#define NAME_SHARE 40u
#define BAR_MIN 8u
#define BAR_MAX 60u
#define DETAIL_COLUMNS 512u /* columns of an event or attribute */

#define RED "\033[31m"
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define CYAN "\033[36m"
#define PLAIN "\033[0m"

typedef struct drawing {
    FILE *out;
    const waterfall_options *options;
    span_tree tree;
    uint64_t start, end; /* of the trace */
    size_t name_columns, service_columns, bar_columns;
    size_t levels; /* of indentation that are drawn; deeper ones are cut on the left */
    bool *closed;  /* by depth: the node on the way to the current one is the last child of its parent */
} drawing;

static void colour(const drawing *d, const char *code)
{
    if (d->options->colour) {
        fputs(code, d->out);
    }
}

static const char *fault_mark(const tree_node *node)
{
    switch (node->fault) {
    case TREE_ORPHAN:
        return "(orphan) ";
    case TREE_CYCLE:
        return "(cycle) ";
    case TREE_SOUND:
        break;
    }
    return node->duplicate_id ? "(id used twice) " : "";
}

static size_t shown_levels(const drawing *d, size_t depth)
{
    return depth < d->levels ? depth : d->levels;
}

/* The lines of the ancestors, and the corner of the node itself. Returns the columns used. */
static size_t draw_branch(const drawing *d, const tree_node *node)
{
    size_t levels = shown_levels(d, node->depth);
    for (size_t depth = node->depth - levels + 1; depth < node->depth; depth++) {
        fputs(d->closed[depth] ? "  " : "│ ", d->out);
    }
    if (node->depth > 0) {
        fputs(node->depth > d->levels ? "… " : node->last_child ? "└ " : "├ ", d->out);
    }
    return levels * INDENT;
}

/* The same for a line below the node that belongs to it. */
static void draw_margin(const drawing *d, const tree_node *node)
{
    size_t levels = shown_levels(d, node->depth);
    colour(d, DIM);
    for (size_t depth = node->depth - levels + 1; depth <= node->depth; depth++) {
        fputs(d->closed[depth] ? "  " : "│ ", d->out);
    }
    fputs(node->child_count > 0 ? "│   " : "    ", d->out);
}

static void draw_bar(const drawing *d, const otlp_span *span)
{
    uint64_t total = d->end > d->start ? d->end - d->start : 1;
    uint64_t begin = span->start_unix_ns - d->start;
    uint64_t end = span->end_unix_ns > span->start_unix_ns ? span->end_unix_ns - d->start : begin;
    size_t first = (size_t)((double)begin / (double)total * (double)d->bar_columns);
    size_t last = (size_t)((double)end / (double)total * (double)d->bar_columns + 0.5);
    if (first >= d->bar_columns) {
        first = d->bar_columns - 1;
    }
    text_put_spaces(d->out, first);
    if (last <= first) {
        fputs("▏", d->out); /* shorter than a column */
    }
    for (size_t i = first; i < last && i < d->bar_columns; i++) {
        fputs("█", d->out);
    }
}

static void draw_time(const drawing *d, uint64_t ns)
{
    char text[TEXT_DURATION_SIZE];
    text_duration(text, ns);
    loom_str shown = {text, strlen(text)};
    size_t columns = text_columns(shown);
    text_put_spaces(d->out, columns < TIME_COLUMNS ? TIME_COLUMNS - columns : 0);
    fputs(text, d->out);
}

static void draw_span(const drawing *d, const tree_node *node)
{
    const otlp_span *span = &node->span->otlp;
    colour(d, DIM);
    size_t used = draw_branch(d, node);
    colour(d, PLAIN);
    bool red = span->status == LOOM_SPAN_ERROR || node->fault != TREE_SOUND || node->duplicate_id;
    colour(d, red ? RED : BOLD);
    const char *mark = fault_mark(node);
    size_t left = d->name_columns > used ? d->name_columns - used : 0;
    used = text_put(d->out, str_of(mark), left);
    text_put_padded(d->out, span->name, left - used);
    colour(d, PLAIN);
    fputs("  ", d->out);
    text_put_padded(d->out, node->span->service, d->service_columns);
    const char *kind = span_kind_name(span->kind);
    fputs("  ", d->out);
    text_put_padded(d->out, str_of(kind), KIND_COLUMNS);
    fputs("  ", d->out);
    draw_time(d, span->start_unix_ns - d->start);
    fputs("  ", d->out);
    draw_time(d, span_duration_ns(node->span));
    if (d->bar_columns > 0) {
        fputs("  ", d->out);
        colour(d, red ? RED : CYAN);
        draw_bar(d, span);
        colour(d, PLAIN);
    }
    fputc('\n', d->out);
}

typedef struct details {
    const drawing *d;
    const tree_node *node;
} details;

static bool draw_attr_inline(void *user, otlp_attr attr)
{
    const drawing *d = user;
    fputc(' ', d->out);
    text_put(d->out, attr.key, DETAIL_COLUMNS);
    fputc('=', d->out);
    text_put_value(d->out, attr.value);
    return true;
}

static bool draw_attr(void *user, otlp_attr attr)
{
    const details *of = user;
    draw_margin(of->d, of->node);
    text_put(of->d->out, attr.key, DETAIL_COLUMNS);
    fputs(" = ", of->d->out);
    text_put_value(of->d->out, attr.value);
    colour(of->d, PLAIN);
    fputc('\n', of->d->out);
    return true;
}

static bool draw_event(void *user, const otlp_event *event)
{
    const details *of = user;
    const drawing *d = of->d;
    draw_margin(d, of->node);
    char at[TEXT_DURATION_SIZE];
    text_duration(at, event->time_unix_ns > d->start ? event->time_unix_ns - d->start : 0);
    fputs("• ", d->out);
    text_put(d->out, event->name, DETAIL_COLUMNS);
    fprintf(d->out, " at %s", at);
    otlp_read_event_attrs(event->event, draw_attr_inline, (void *)d);
    colour(d, PLAIN);
    fputc('\n', d->out);
    return true;
}

static bool draw_link(void *user, const otlp_link *link)
{
    const details *of = user;
    const drawing *d = of->d;
    draw_margin(d, of->node);
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    loom_span_id_to_hex(hex, link->span_id);
    fprintf(d->out, "→ link %s", hex);
    if (memcmp(link->trace_id, of->node->span->otlp.trace_id, LOOM_TRACE_ID_SIZE) != 0) {
        loom_trace_id_to_hex(hex, link->trace_id);
        fprintf(d->out, " of trace %s", hex);
    } else {
        size_t target = span_tree_find(&d->tree, link->span_id);
        fputs(" (", d->out);
        text_put(d->out, target == TREE_NONE ? (loom_str){"not in this trace", 17} : d->tree.nodes[target].span->otlp.name,
                 DETAIL_COLUMNS);
        fputc(')', d->out);
    }
    colour(d, PLAIN);
    fputc('\n', d->out);
    return true;
}

static void draw_log(const drawing *d, const log_record *log)
{
    const bool bad = log_line_is_bad(log);
    colour(d, bad ? RED : DIM);
    fputs("≡ ", d->out);
    log_line_put(d->out, log, d->start);
    colour(d, PLAIN);
}

static void draw_logs(const drawing *d, const tree_node *node)
{
    const listed_log *log;
    const size_t count = node->duplicate_id ? 0 : log_list_of_span(d->options->logs, node->span->otlp.span_id, &log);
    for (size_t i = 0; i < count; i++) {
        draw_margin(d, node);
        draw_log(d, &log[i].log);
        fputc('\n', d->out);
    }
}

/* What was logged beside the spans, or in one that did not come. */
static void draw_other_logs(const drawing *d)
{
    const log_list *logs = d->options->logs;
    for (size_t i = 0; logs != NULL && i < logs->count; i++) {
        const listed_log *l = &logs->items[i];
        if (span_tree_find(&d->tree, l->log.span_id) == TREE_NONE) {
            draw_log(d, &l->log);
            fputs(" (", d->out);
            text_put(d->out, l->service.len > 0 ? l->service : str_of("no service"), SERVICE_MAX);
            fputs(span_id_is_zero(l->log.span_id) ? ", in no span)\n" : ", in a span that is not in the trace)\n", d->out);
        }
    }
    if (logs != NULL && logs->more > 0) {
        fprintf(d->out, "≡ and %llu log records more\n", (unsigned long long)logs->more);
    }
}

static void draw_missing(const drawing *d, const tree_node *node)
{
    char text[SPAN_MISSING_SIZE];
    if (span_missing(node, text)) {
        draw_margin(d, node);
        colour(d, RED);
        fputs("! ", d->out);
        text_put(d->out, str_of(text), DETAIL_COLUMNS);
        colour(d, PLAIN);
        fputc('\n', d->out);
    }
}

static void draw_details(const drawing *d, const tree_node *node)
{
    const otlp_span *span = &node->span->otlp;
    details of = {.d = d, .node = node};
    draw_missing(d, node);
    if (span->status == LOOM_SPAN_ERROR) {
        draw_margin(d, node);
        colour(d, RED);
        fputs("! error", d->out);
        if (span->status_message.len > 0) {
            fputs(": ", d->out);
            text_put(d->out, span->status_message, DETAIL_COLUMNS);
        }
        colour(d, PLAIN);
        fputc('\n', d->out);
    }
    if (d->options->attrs) {
        otlp_read_span_attrs(span->span, draw_attr, &of);
    }
    otlp_read_span_events(span->span, draw_event, &of);
    otlp_read_span_links(span->span, draw_link, &of);
    draw_logs(d, node);
}

static size_t at_most(size_t value, size_t limit)
{
    return value < limit ? value : limit;
}

/* Names get at least NAME_SHARE columns where there are as many, then they share with the bars; a narrow terminal gets
 * no bars at all. Indentation leaves room for NAME_LEAST columns of name. */
static void lay_out(drawing *d)
{
    const size_t fixed = KIND_COLUMNS + 2 * TIME_COLUMNS + 5 * 2;
    d->service_columns = 7;
    for (size_t i = 0; i < d->tree.count; i++) {
        size_t service = text_columns(d->tree.nodes[i].span->service);
        d->service_columns = service > d->service_columns ? service : d->service_columns;
    }
    d->service_columns = at_most(d->service_columns, SERVICE_MAX);
    size_t taken = fixed + d->service_columns;
    size_t room = d->options->columns > taken + NAME_LEAST ? d->options->columns - taken : NAME_LEAST;
    size_t share = room * 3 / 5 > NAME_SHARE ? room * 3 / 5 : at_most(room, NAME_SHARE);
    d->levels = (share - NAME_LEAST) / INDENT + 1;
    d->name_columns = 4;
    for (size_t i = 0; i < d->tree.count; i++) {
        const tree_node *node = &d->tree.nodes[i];
        size_t name = shown_levels(d, node->depth) * INDENT + strlen(fault_mark(node)) + text_columns(node->span->otlp.name);
        d->name_columns = name > d->name_columns ? name : d->name_columns;
    }
    d->name_columns = at_most(d->name_columns, share);
    size_t left = room - d->name_columns;
    d->bar_columns = left < BAR_MIN ? 0 : at_most(left, BAR_MAX);
}

static void draw_heading(const drawing *d)
{
    colour(d, DIM);
    text_put_padded(d->out, (loom_str){"NAME", 4}, d->name_columns);
    fputs("  ", d->out);
    text_put_padded(d->out, (loom_str){"SERVICE", 7}, d->service_columns);
    fprintf(d->out, "  %-*s  %*s  %*s", (int)KIND_COLUMNS, "KIND", (int)TIME_COLUMNS, "START", (int)TIME_COLUMNS,
            "DURATION");
    colour(d, PLAIN);
    fputc('\n', d->out);
}

loom_status waterfall_draw(FILE *out, span_range trace, const waterfall_options *options)
{
    drawing d = {.out = out, .options = options};
    trace_summary summary;
    loom_status st = trace_summary_init(&summary, trace);
    if (st != LOOM_OK) {
        return st;
    }
    if ((st = span_tree_init(&d.tree, trace)) != LOOM_OK) {
        goto fini_summary;
    }
    d.closed = calloc(trace.count + 1, sizeof *d.closed);
    if (d.closed == NULL) {
        st = LOOM_ENOMEM;
        goto fini_tree;
    }
    d.start = summary.start_unix_ns;
    d.end = summary.end_unix_ns;
    lay_out(&d);
    trace_summary_print_title(out, &summary, options->colour);
    draw_heading(&d);
    for (size_t i = 0; i < d.tree.count; i++) {
        const tree_node *node = &d.tree.nodes[i];
        d.closed[node->depth] = node->last_child;
        draw_span(&d, node);
        draw_details(&d, node);
    }
    draw_other_logs(&d);
    free(d.closed);
fini_tree:
    span_tree_fini(&d.tree);
fini_summary:
    trace_summary_fini(&summary);
    return st;
}
