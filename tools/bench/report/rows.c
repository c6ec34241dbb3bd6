/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/report/report.h"

static bool is_loom(const bench_contender *c)
{
    return c->peer == &bench_peer_loom;
}

/* loom with every peer, or alone where there are none. */
static size_t rows_of(const bench_case *c, const bench_contender *loom, report_row *out)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!is_loom(&c->contenders[i])) {
            out[n++] = (report_row){loom, &c->contenders[i]};
        }
    }
    if (n == 0 && loom != NULL) {
        out[n++] = (report_row){loom, NULL};
    }
    return n;
}

size_t report_rows(const bench_case *c, report_row *out)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (is_loom(&c->contenders[i])) {
            n += rows_of(c, &c->contenders[i], out + n);
        }
    }
    return n > 0 ? n : rows_of(c, NULL, out);
}

const bench_setup *report_setup(const bench_case *c, const report_row *row)
{
    return row->loom != NULL ? &row->loom->setup : row->peer != NULL ? &row->peer->setup : &c->setup;
}

const bench_summary *report_summary(const bench_contender *contender)
{
    return contender != NULL && contender->missing[0] == '\0' ? &contender->summary : NULL;
}
