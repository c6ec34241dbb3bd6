/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/topic_rates.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "tools/loom/pace.h"
#include "trace/view/text.h"

#define NS_PER_S 1e9
enum { ROWS_PLAIN = 20, ROWS_AROUND = 4, TOPIC_COLUMNS = 44 };

struct topic_rate {
    char topic[LOOM_TOPIC_MAX + 1];
    uint64_t events, bytes;             /* in all; 0 events: the place is free */
    uint64_t events_before, bytes_before; /* when the last page was drawn */
};

loom_status topic_rates_init(topic_rates *r)
{
    *r = (topic_rates){.topics = calloc(TOPIC_RATES_MAX + 1, sizeof *r->topics), .shown_ns = clock_monotonic_ns()};
    pthread_mutex_init(&r->lock, NULL);
    return r->topics != NULL ? LOOM_OK : LOOM_ENOMEM;
}

void topic_rates_fini(topic_rates *r)
{
    free(r->topics);
    pthread_mutex_destroy(&r->lock);
}

/* FNV-1a. Who chooses topics badly makes this one command slow, and nothing else. */
static size_t hash_of(loom_str topic)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < topic.len; i++) {
        hash = (hash ^ (uint8_t)topic.data[i]) * 0x100000001b3u;
    }
    return (size_t)(hash % TOPIC_RATES_MAX);
}

/* Lock held. */
static topic_rate *find(topic_rates *r, loom_str topic)
{
    const size_t places = TOPIC_RATES_MAX - TOPIC_RATES_MAX / 4; /* so that searches stay short */
    for (size_t at = hash_of(topic);; at = (at + 1) % TOPIC_RATES_MAX) {
        topic_rate *t = &r->topics[at];
        if (t->events > 0 && str_is(topic, t->topic)) {
            return t;
        }
        if (t->events == 0 && r->count < places) {
            snprintf(t->topic, sizeof t->topic, "%.*s", (int)topic.len, topic.data);
            r->count++;
            return t;
        }
        if (t->events == 0) {
            t = &r->topics[TOPIC_RATES_MAX];
            snprintf(t->topic, sizeof t->topic, "all others");
            return t;
        }
    }
}

void topic_rates_add(topic_rates *r, const loom_envelope *event)
{
    pthread_mutex_lock(&r->lock);
    topic_rate *t = find(r, loom_envelope_topic(event));
    t->events++;
    t->bytes += loom_envelope_payload(event).len;
    pthread_mutex_unlock(&r->lock);
}

static int by_rate(const void *a, const void *b)
{
    const topic_rate *const *one = a, *const *other = b;
    const uint64_t x = (*one)->events - (*one)->events_before, y = (*other)->events - (*other)->events_before;
    if (x != y) {
        return x > y ? -1 : 1;
    }
    return (*one)->events != (*other)->events ? ((*one)->events > (*other)->events ? -1 : 1) : strcmp((*one)->topic, (*other)->topic);
}

static void draw_row(FILE *out, const topic_rate *t, double seconds)
{
    char total[PACE_SIZE_SIZE], rate[PACE_SIZE_SIZE];
    pace_size(total, (double)t->bytes);
    pace_size(rate, (double)(t->bytes - t->bytes_before) / seconds);
    text_put_padded(out, str_of(t->topic), TOPIC_COLUMNS);
    fprintf(out, "%12.1f%14s/s%12" PRIu64 "%12s\n", (double)(t->events - t->events_before) / seconds, rate, t->events, total);
}

void topic_rates_draw(topic_rates *r, live_page *page)
{
    const topic_rate **sorted = malloc((TOPIC_RATES_MAX + 1) * sizeof *sorted);
    FILE *out = page->out;
    size_t count = 0;
    if (sorted == NULL) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    const uint64_t now = clock_monotonic_ns();
    const double seconds = (double)(now - r->shown_ns) / NS_PER_S;
    topic_rate all = {.topic = "TOTAL"};
    for (size_t i = 0; i <= TOPIC_RATES_MAX; i++) {
        topic_rate *t = &r->topics[i];
        if (t->events > 0) {
            sorted[count++] = t;
            all.events += t->events;
            all.bytes += t->bytes;
            all.events_before += t->events_before;
            all.bytes_before += t->bytes_before;
        }
    }
    qsort(sorted, count, sizeof *sorted, by_rate);
    const size_t rows = page->terminal ? (page->rows > ROWS_AROUND ? page->rows - ROWS_AROUND : 1) : ROWS_PLAIN;
    fprintf(out, "%-*s%12s%16s%12s%12s\n", TOPIC_COLUMNS, "TOPIC", "EVENTS/S", "BYTES/S", "EVENTS", "BYTES");
    for (size_t i = 0; i < count && i < rows; i++) {
        draw_row(out, sorted[i], seconds);
    }
    if (count > rows) {
        fprintf(out, "… and %zu more topics\n", count - rows);
    }
    draw_row(out, &all, seconds);
    for (size_t i = 0; i <= TOPIC_RATES_MAX; i++) {
        r->topics[i].events_before = r->topics[i].events;
        r->topics[i].bytes_before = r->topics[i].bytes;
    }
    r->shown_ns = now;
    pthread_mutex_unlock(&r->lock);
    fputs(page->terminal ? "" : "\n", out);
    free(sorted);
}
