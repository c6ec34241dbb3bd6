/* SPDX-License-Identifier: Apache-2.0 */
/* The rates as bars, one panel a case, longest bar as wide as the panel. A line across the end of a bar is the range. */
#include <math.h>

#include "tools/bench/report/report.h"

enum { WIDTH = 860, LABEL_WIDTH = 190, BAR_WIDTH = 500, BAR_HEIGHT = 16, LINE_HEIGHT = 22, TITLE_HEIGHT = 34, MARGIN = 16 };

static bool has_rates(const bench_case *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const bench_summary *m = report_summary(&c->contenders[i]);
        if (m != NULL && isfinite(m->values[METRIC_RATE].median)) {
            return true;
        }
    }
    return false;
}

static void text(FILE *out, double x, double y, const char *attributes, const char *value)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
    for (; *value != '\0'; value++) {
        switch (*value) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        default:
            fputc(*value, out);
        }
    }
    fputs("</text>\n", out);
}

static double longest(const bench_case *c)
{
    double most = 0;
    for (size_t i = 0; i < c->count; i++) {
        const bench_summary *m = report_summary(&c->contenders[i]);
        if (m != NULL && m->values[METRIC_RATE].high > most) {
            most = m->values[METRIC_RATE].high;
        }
    }
    return most > 0 ? most : 1;
}

static void bar(FILE *out, const bench_contender *c, double y, double most)
{
    const bench_summary *m = report_summary(c);
    const double middle = y + BAR_HEIGHT / 2.0;
    text(out, LABEL_WIDTH - 8, y + BAR_HEIGHT - 4, "text-anchor=\"end\"", c->label);
    if (m == NULL || !isfinite(m->values[METRIC_RATE].median)) {
        text(out, LABEL_WIDTH, y + BAR_HEIGHT - 4, "fill=\"#a33\"", c->missing[0] != '\0' ? "not measured" : "no rate");
        return;
    }
    const series_value *rate = &m->values[METRIC_RATE];
    const double scale = BAR_WIDTH / most;
    char value[64];
    fprintf(out, "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", LABEL_WIDTH, y, rate->median * scale,
            BAR_HEIGHT, c->peer == &bench_peer_loom ? "#2a6f97" : "#b8c4cc");
    fprintf(out, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#333\"/>\n", LABEL_WIDTH + rate->low * scale, middle,
            LABEL_WIDTH + rate->high * scale);
    snprintf(value, sizeof value, rate->median >= 1e6 ? "%.2f M/s" : "%.1f k/s",
             rate->median / (rate->median >= 1e6 ? 1e6 : 1e3));
    text(out, LABEL_WIDTH + rate->high * scale + 8, y + BAR_HEIGHT - 4, "", value);
}

bool report_svg(FILE *out, const bench_plan *plan)
{
    double height = 2 * MARGIN, y = MARGIN;
    for (size_t i = 0; i < plan->count; i++) {
        height += has_rates(&plan->cases[i]) ? TITLE_HEIGHT + (double)plan->cases[i].count * LINE_HEIGHT : 0;
    }
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            WIDTH, height);
    for (size_t i = 0; i < plan->count; i++) {
        const bench_case *c = &plan->cases[i];
        if (!has_rates(c)) {
            continue;
        }
        text(out, MARGIN, y + 20, "font-weight=\"bold\"", c->title);
        y += TITLE_HEIGHT;
        for (size_t k = 0; k < c->count; k++, y += LINE_HEIGHT) {
            bar(out, &c->contenders[k], y, longest(c));
        }
    }
    fputs("</svg>\n", out);
    return fflush(out) == 0 && ferror(out) == 0;
}
