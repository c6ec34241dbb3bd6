/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/pace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/str.h"
#include "trace/view/text.h"

#define NS_PER_S 1e9
#define SHOW_AFTER_NS 1000000000u /* a short run needs no progress */
#define SHOW_EVERY_NS 200000000u
#define INTERVAL_MAX_NS 1e18      /* 30 years; what is counted in uint64_t has room for it */
#define BEHIND_MAX_NS 1e9         /* what a pause has kept back is made up for, but no more of it than this */

/* "100", "100/s", "30/m", "2.5/h". */
static bool parse_rate(const char *text, double *interval_ns)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"/s", 1}, {"/m", 60}, {"/h", 3600}};
    char *end;
    const double rate = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (end != text && strcmp(end, units[i].unit) == 0 && rate > 0 && rate <= 1e9) {
            const double between = units[i].seconds * NS_PER_S / rate;
            *interval_ns = between < INTERVAL_MAX_NS ? between : INTERVAL_MAX_NS;
            return true;
        }
    }
    return false;
}

bool pace_read(pace *p, const command *c, const options *o, int *exit_code)
{
    const char *rate = options_value(o, "rate"), *sleep = options_value(o, "sleep");
    *p = (pace){0};
    if (rate != NULL && sleep != NULL) {
        *exit_code = command_misuse(c, "use --rate or --sleep, not both");
    } else if (rate != NULL && !parse_rate(rate, &p->interval_ns)) {
        *exit_code = command_misuse(c, "--rate must be a number above 0, such as 100 (a second), 30/m or 5/h, not \"%s\"", rate);
    } else if (sleep != NULL && !duration_parse(&p->sleep_ns, str_of(sleep))) {
        *exit_code = command_misuse(c, "--sleep must be a duration such as 10ms or 2s, not \"%s\"", sleep);
    } else {
        return true;
    }
    return false;
}

bool pace_wait(pace *p, interrupt *i)
{
    const uint64_t now = clock_monotonic_ns();
    p->began_ns = p->steps == 0 ? now : p->began_ns;
    double due = (double)p->began_ns + (double)p->steps * p->interval_ns;
    if (p->interval_ns > 0 && (double)now - due > BEHIND_MAX_NS) {
        p->began_ns = now;
        p->steps = 0;
        due = (double)now;
    }
    const bool pause = p->sleep_ns > 0 && p->steps > 0;
    p->steps++;
    const uint64_t until = pause ? now + p->sleep_ns : (uint64_t)due;
    if (until <= now) {
        return (p->steps & 15) != 0 || !interrupt_is_there(i);
    }
    return interrupt_wait(i, -1, until) != INTERRUPT_SIGNAL;
}

void pace_size(char out[PACE_SIZE_SIZE], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit < sizeof units / sizeof units[0] - 1) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, PACE_SIZE_SIZE, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

void progress_begin(progress *t, const char *done, uint64_t wanted, bool shows)
{
    *t = (progress){.done = done, .wanted = wanted, .shows = shows, .began_ns = clock_monotonic_ns()};
}

static void show(progress *t, uint64_t now)
{
    char line[160], left[TEXT_DURATION_SIZE];
    const double rate = (double)t->count * NS_PER_S / (double)(now - t->began_ns);
    int len;
    if (t->wanted > 0 && t->count > 0) {
        text_duration(left, (uint64_t)((double)(t->wanted - t->count) / rate * NS_PER_S));
        len = snprintf(line, sizeof line, "%" PRIu64 " of %" PRIu64 " %s, %.0f %%, %.0f/s, %s left", t->count, t->wanted, t->done,
                       100.0 * (double)t->count / (double)t->wanted, rate, left);
    } else {
        len = snprintf(line, sizeof line, "%" PRIu64 " %s, %.0f/s", t->count, t->done, rate);
    }
    fprintf(stderr, "\r%s%*s", line, (int)(t->columns > (size_t)len ? t->columns - (size_t)len : 0), "");
    t->columns = (size_t)len;
    t->shown_ns = now;
}

void progress_add(progress *t, size_t bytes)
{
    t->count++;
    t->bytes += bytes;
    if (!t->shows) {
        return;
    }
    const uint64_t now = clock_monotonic_ns();
    if (now - t->began_ns >= SHOW_AFTER_NS && now - t->shown_ns >= SHOW_EVERY_NS) {
        show(t, now);
    }
}

void progress_end(progress *t, bool silent)
{
    if (t->columns > 0) {
        fprintf(stderr, "\r%*s\r", (int)t->columns, "");
    }
    if (silent) {
        return;
    }
    char took[TEXT_DURATION_SIZE], size[PACE_SIZE_SIZE];
    const uint64_t ns = clock_monotonic_ns() - t->began_ns;
    text_duration(took, ns);
    pace_size(size, (double)t->bytes);
    fprintf(stderr, "%s %" PRIu64 " message%s, %s, in %s (%.0f/s)\n", t->done, t->count, t->count == 1 ? "" : "s", size, took,
            ns > 0 ? (double)t->count * NS_PER_S / (double)ns : 0.0);
}
