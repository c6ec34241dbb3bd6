/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway of a bridge in a process of its own tells without the broker: what this process counts. The form is that
 * of the broker's answer, as far as it goes. */
#include "bridge/gateway/internal.h"

static void answer(exchange *x, text_buffer *b)
{
    if (b->failed) {
        exchange_fail_memory(x);
    } else {
        exchange_answer(x, 200, &(exchange_body){.type = "application/json", .bytes = {b->bytes.data, b->bytes.len}});
    }
    text_fini(b);
}

static void put_counter(text_buffer *b, const counter *c, const counter_stats *stats)
{
    text_printf(b, "\"%s\":%s", c->key, c->label != NULL ? "{" : "");
    for (unsigned i = 0; i < c->count; i++) {
        if (c->label != NULL) {
            text_printf(b, "%s\"%s\":", i > 0 ? "," : "", c->name_of(i));
        }
        const unsigned long long value = counter_value(c, stats, i);
        if (c->kind == COUNTER_FLAG) {
            text_puts(b, value != 0 ? "true" : "false");
        } else {
            text_printf(b, "%llu", value);
        }
    }
    text_puts(b, c->label != NULL ? "}" : "");
}

void own_stats(exchange *x)
{
    const counter_list *counters = x->gateway->options.counters;
    text_buffer b = {0};
    text_puts(&b, "{\"software\":");
    text_put_quoted(&b, str_of(x->gateway->options.software));
    for (size_t i = 0; i < counters->count; i++) {
        const counter_group *group = counters->items[i].group;
        counter_stats stats;
        counter_read(&counters->items[i], &stats);
        text_printf(&b, ",\"%s\":{", group->name);
        for (size_t k = 0; k < group->count; k++) {
            text_puts(&b, k > 0 ? "," : "");
            put_counter(&b, &group->counters[k], &stats);
        }
        text_puts(&b, "}");
    }
    text_puts(&b, "}");
    answer(x, &b);
}
