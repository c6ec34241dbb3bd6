/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway of a bridge in a process of its own can tell without the broker: the agents of this bridge, and what this
 * process counts. The forms are those of the broker's answers, as far as they go. */
#include <string.h>

#include "bridge/gateway/internal.h"
#include "bridge/session/bridge.h"

enum { AGENTS_MAX = 1000 };

static void answer(exchange *x, text_buffer *b)
{
    if (b->failed) {
        exchange_fail(x, 503, "out_of_memory", "the gateway has no memory for the answer");
    } else {
        exchange_answer(x, 200, &(exchange_body){.type = "application/json", .bytes = {b->bytes.data, b->bytes.len}});
    }
    text_fini(b);
}

/* ---- agents ---- */

typedef struct agent_list {
    text_buffer text;
    size_t count;
    bool more;
} agent_list;

static bool put_agent(void *user, const session_info *about)
{
    agent_list *list = user;
    if (about->agent.len == 0) {
        return true; /* it has not said who it is */
    }
    if (list->count == AGENTS_MAX) {
        list->more = true;
        return false;
    }
    text_puts(&list->text, list->count++ > 0 ? ",{\"agent\":" : "{\"agent\":");
    text_put_quoted(&list->text, about->agent);
    text_puts(&list->text, ",\"peer\":");
    text_put_quoted(&list->text, str_of(about->peer));
    text_printf(&list->text, ",\"published\":%llu,\"forwarded\":%llu}", (unsigned long long)about->published,
                (unsigned long long)about->forwarded);
    return true;
}

void own_agents(exchange *x)
{
    agent_list list = {.count = 0};
    text_puts(&list.text, "{\"agents\":[");
    bridge_visit_sessions(x->gateway->options.bridge, put_agent, &list);
    text_printf(&list.text, "],\"more\":%s}", list.more ? "true" : "false");
    answer(x, &list.text);
}

/* ---- counters ---- */

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
