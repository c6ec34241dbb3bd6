/* SPDX-License-Identifier: Apache-2.0 */
/* loom top: a broker as it works, page after page: rates, queues, losses, the slow ones first. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "tools/loom/control.h"
#include "tools/loom/live.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"
#include "trace/view/text.h"

enum { KEY_SIZE = 560, ROWS_PLAIN = 10, ROWS_AROUND = 9 };

/* By what the rows are sorted, and the key that says so. */
typedef enum top_order { ORDER_SLOW, ORDER_RATE, ORDER_DROPPED, ORDER_NAME } top_order;
static const struct {
    char key;
    const char *name;
} orders[] = {[ORDER_SLOW] = {'s', "slow"}, [ORDER_RATE] = {'r', "rate"}, [ORDER_DROPPED] = {'d', "dropped"}, [ORDER_NAME] = {'n', "name"}};

static const option_spec specs[] = {
    {.name = "sort", .kind = OPTION_VALUE, .value = "ORDER", .fallback = "slow", .choices = "slow|rate|dropped|name", .group = "Output", .help = "What comes first"},
    {.name = "count", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .group = "Output", .help = "Exit after N pages"},
    OPTION_INTERVAL,
    OPTIONS_BUS,
    OPTIONS_CONTROL,
    OPTION_HELP,
};

static const command top = {
    .manual = {.program = "loom top",
               .synopsis = "[OPTION]…",
               .summary = "Shows a broker as it works: messages a second, subscriptions with what waits for them and what was dropped, "
                          "topics, agents; slow subscriptions first. On a terminal the page is drawn in place; elsewhere one page "
                          "follows the other. Rates are those since the page before, so the first page has none. WAITING is what lies in a "
                          "subscription's queue, DROPPED what it has lost in all. \"slow\" is one that publishers wait for, \"dropping\" one "
                          "that they no longer wait for, and that loses what does not fit its queue.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Keys:\n  s r d n   sort by slowness, rate, drops, name\n  space     draw now\n  q         quit\n\n"
                          "Examples:\n  loom top\n  loom top --sort rate --interval 5s >log\n"},
};

/* One subscription or topic. */
typedef struct row {
    const char *name, *filter; /* filter: of a subscription, else NULL; both in the answer */
    double rate, dropped_rate; /* a second */
    long long dropped, waiting, other; /* other: qos of a subscription, subscriptions of a topic */
    bool slow, drops;
} row;

typedef struct top_state {
    const options *options;
    control_asker *asker;
    top_order order;
    uint64_t wanted, pages;
    json_t *before;    /* the answer of the page before; NULL */
    json_t *known;     /* of it, the rows by their keys */
    uint64_t before_ns;
} top_state;

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "?";
}

static void key_of(char out[KEY_SIZE], const json_t *item)
{
    const json_t *topic = json_object_get(item, "topic");
    snprintf(out, KEY_SIZE, "%s\n%s", topic != NULL ? "" : text(item, "subscriber"), topic != NULL ? text(item, "topic") : text(item, "filter"));
}

static void remember(top_state *t, json_t *answer, uint64_t now)
{
    static const char *const lists[] = {"subscriptions", "topics"};
    char key[KEY_SIZE];
    size_t i;
    json_t *item;
    json_decref(t->before);
    json_decref(t->known);
    t->before = answer;
    t->known = json_object();
    t->before_ns = now;
    for (size_t l = 0; l < 2; l++) {
        json_array_foreach(json_object_get(answer, lists[l]), i, item) {
            key_of(key, item);
            json_object_set(t->known, key, item);
        }
    }
}

/* seconds 0: there was no page before. What is new since then has begun at 0. */
static double rate_of(const json_t *item, const json_t *before, const char *key, double seconds)
{
    const long long more = number(item, key) - number(before, key);
    return more > 0 && seconds > 0 ? (double)more / seconds : 0;
}

static row row_of(const top_state *t, const json_t *item, bool topic, double seconds)
{
    char key[KEY_SIZE];
    key_of(key, item);
    const json_t *before = json_object_get(t->known, key);
    return (row){.name = text(item, topic ? "topic" : "subscriber"), .filter = topic ? NULL : text(item, "filter"),
                 .rate = rate_of(item, before, topic ? "published" : "delivered", seconds),
                 .dropped_rate = rate_of(item, before, "dropped", seconds), .dropped = number(item, "dropped"),
                 .waiting = topic ? 0 : number(item, "queued"), .other = number(item, topic ? "subscriptions" : "qos"),
                 .slow = json_is_true(json_object_get(item, "pressing")), .drops = json_is_true(json_object_get(item, "overdue"))};
}

static int descending(double a, double b)
{
    return a > b ? -1 : a < b;
}

static int compare(const void *a, const void *b, void *user)
{
    const row *x = a, *y = b;
    int order = 0;
    switch (*(const top_order *)user) {
    case ORDER_SLOW:
        order = descending(x->drops * 2 + x->slow, y->drops * 2 + y->slow);
        order = order != 0 ? order : descending((double)x->waiting, (double)y->waiting);
        order = order != 0 ? order : descending(x->rate, y->rate);
        break;
    case ORDER_RATE: order = descending(x->rate, y->rate); break;
    case ORDER_DROPPED:
        order = descending(x->dropped_rate, y->dropped_rate);
        order = order != 0 ? order : descending((double)x->dropped, (double)y->dropped);
        break;
    case ORDER_NAME: break;
    }
    order = order != 0 ? order : strcmp(x->name, y->name);
    return order != 0 || x->filter == NULL ? order : strcmp(x->filter, y->filter);
}

static void put(FILE *out, const char *value, size_t columns)
{
    text_put_padded(out, str_of(value), columns - 2);
    fputs("  ", out);
}

static void put_row(FILE *out, const row *r)
{
    static const char *const qos[] = {"batched", "realtime", "background"};
    if (r->filter != NULL) {
        put(out, r->name, 28);
        put(out, r->filter, 24);
        fprintf(out, "%-11s%12.1f%10.1f%10lld%10lld%s\n", r->other >= 0 && r->other < 3 ? qos[r->other] : "?", r->rate, r->dropped_rate, r->dropped,
                r->waiting, r->drops ? "  dropping" : r->slow ? "  slow" : "");
    } else {
        put(out, r->name, 63);
        fprintf(out, "%12.1f%10.1f%10lld%10lld\n", r->rate, r->dropped_rate, r->dropped, r->other);
    }
}

static void draw_list(top_state *t, const live_page *page, const json_t *list, bool topics, double seconds)
{
    const size_t count = json_array_size(list);
    size_t rows = page->terminal && page->rows > ROWS_AROUND ? (page->rows - ROWS_AROUND) / 2 : ROWS_PLAIN, i;
    row *all = calloc(count + 1, sizeof *all);
    json_t *item;
    if (all == NULL) {
        return;
    }
    json_array_foreach(list, i, item) {
        all[i] = row_of(t, item, topics, seconds);
    }
    qsort_r(all, count, sizeof *all, compare, &t->order);
    if (topics) {
        fprintf(page->out, "\n%-63s%12s%10s%10s%10s\n", "TOPIC", "PUBLISHED/S", "DROPPED/S", "DROPPED", "SUBS");
    } else {
        fprintf(page->out, "\n%-28s%-24s%-11s%12s%10s%10s%10s\n", "SUBSCRIBER", "FILTER", "QOS", "DELIVERED/S", "DROPPED/S", "DROPPED", "WAITING");
    }
    for (i = 0; i < count && i < rows; i++) {
        put_row(page->out, &all[i]);
    }
    if (count > rows) {
        fprintf(page->out, "… and %zu more\n", count - rows);
    }
    free(all);
}

static double dropped_in_all(const json_t *eventbus)
{
    const char *reason;
    json_t *count;
    double all = 0;
    json_object_foreach(json_object_get(eventbus, "dropped"), reason, count) {
        all += (double)json_integer_value(count);
    }
    return all;
}

static void draw(top_state *t, const live_page *page, const json_t *answer, uint64_t now)
{
    const json_t *e = json_object_get(answer, "eventbus"), *before = json_object_get(t->before, "eventbus");
    const double seconds = t->before != NULL ? (double)(now - t->before_ns) / 1e9 : 0;
    const double dropped = dropped_in_all(e), dropped_before = before != NULL ? dropped_in_all(before) : dropped;
    char uptime[TEXT_DURATION_SIZE];
    text_duration(uptime, (uint64_t)number(answer, "uptime_ms") * 1000000u);
    const json_t *directory = json_object_get(answer, "directory");
    fprintf(page->out, "%s  up %s%s  %lld agents  sorted by %s%s\n", text(answer, "software"), uptime,
            json_is_true(json_object_get(directory, "draining")) ? ", draining" : "", number(directory, "agents"), orders[t->order].name, page->keys ? "  (keys: s r d n, q quits)" : "");
    fprintf(page->out, "published %.1f/s  delivered %.1f/s  dropped %.1f/s (%.0f in all)  waiting %lld messages, %lld bytes\n",
            rate_of(e, before, "published", seconds), rate_of(e, before, "delivered", seconds),
            seconds > 0 ? (dropped - dropped_before) / seconds : 0, dropped, number(e, "queued"), number(e, "queued_bytes"));
    draw_list(t, page, json_object_get(answer, "subscriptions"), false, seconds);
    draw_list(t, page, json_object_get(answer, "topics"), true, seconds);
    fputs(page->terminal ? "" : "\n", page->out);
}

/* False: there are no more pages. */
static bool show_page(top_state *t, live_page *page, int *exit_code)
{
    char why[CONTROL_WHY_SIZE];
    int failed = VERB_OK;
    json_t *answer = control_asker_ask(t->asker, "stats", NULL, NULL, why, sizeof why, &failed);
    const uint64_t now = clock_monotonic_ns();
    if (answer == NULL && t->pages == 0) {
        *exit_code = control_fail(&top, failed, why);
        return false;
    }
    if (live_page_draw(page) == NULL) {
        json_decref(answer);
        *exit_code = command_fail(&top, "out of memory");
        return false;
    }
    if (answer != NULL) {
        draw(t, page, answer, now);
        remember(t, answer, now);
    } else {
        text_put(page->out, str_of(why), SIZE_MAX); /* it may come back */
        fputc('\n', page->out);
    }
    return live_page_show(page) && ++t->pages != t->wanted;
}

static void take_key(top_state *t, live_page *page, char key)
{
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        t->order = orders[i].key == key ? (top_order)i : t->order;
    }
    page->next_ns = clock_monotonic_ns() + page->interval_ns;
}

static int watch(top_state *t, uint64_t interval_ns)
{
    interrupt stop;
    live_page page;
    char key = 0;
    int exit_code = VERB_OK;
    interrupt_begin(&stop);
    stop.output = STDOUT_FILENO;
    live_page_begin(&page, interval_ns);
    while (show_page(t, &page, &exit_code)) {
        const interrupt_news news = live_page_wait(&page, &stop, &key);
        if (news == INTERRUPT_SIGNAL || news == INTERRUPT_READER_GONE || key == 'q') {
            break;
        }
        if (key != 0) {
            take_key(t, &page, key);
        }
    }
    live_page_end(&page);
    interrupt_end(&stop);
    return exit_code;
}

static int run(const options *o)
{
    control_asker asker;
    char why[CONTROL_WHY_SIZE];
    int exit_code = VERB_FAILED;
    uint64_t interval_ns;
    const char *order = options_value(o, "sort");
    top_state t = {.options = o, .asker = &asker};
    bool known = order == NULL;
    for (size_t i = 0; order != NULL && i < sizeof orders / sizeof orders[0]; i++) {
        if (strcmp(order, orders[i].name) == 0) {
            t.order = (top_order)i;
            known = true;
        }
    }
    if (!known) {
        return command_misuse(&top, "--sort must be slow, rate, dropped or name, not \"%s\"", order);
    }
    if (!live_page_interval(&interval_ns, &top, o, &exit_code) || !trace_options_number(&top, o, "count", 0, &t.wanted, &exit_code)) {
        return exit_code;
    }
    if (!control_asker_open(&asker, &top, o, why, sizeof why, &exit_code)) {
        return control_fail(&top, exit_code, why);
    }
    exit_code = watch(&t, interval_ns);
    control_asker_close(&asker);
    json_decref(t.before);
    json_decref(t.known);
    return command_finish(&top, exit_code);
}

int verb_top(int argc, char *const argv[])
{
    return command_run(&top, argc, argv, run);
}
