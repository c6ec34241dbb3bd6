/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/exec_collect.h"

#include "tools/loom/trace_options.h"
#include "trace/process/run/run.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { RATE_MAX = 100000000 };

/* ---- what the collector and the relay ask of each other ---- */

static void on_text(void *user, loom_bytes text)
{
    const exec_collect *x = user;
    relay_write(x->relay, text);
}

static void on_tell(void *user, const char *line)
{
    const exec_collect *x = user;
    (void)command_fail(x->command, "%s", line);
}

/* A new container's id is known once the engine has made it. */
static const char *on_container(void *user)
{
    const exec_collect *x = user;
    return engine_container_id(x->container);
}

static void feed(void *user, loom_bytes bytes)
{
    collector_feed(user, bytes);
}

static void idle(void *user)
{
    collector_idle(user);
}

static bool waits(const void *user)
{
    return collector_waits(user);
}

static void end(void *user)
{
    collector_end(user);
}

static void mute(void *user)
{
    collector_mute(user);
}

static void forget(void *user)
{
    collector_forget(user);
}

/* ---- the numbers ---- */

static void read_counts(const void *owner, void *stats)
{
    *(collector_stats *)stats = collector_read(owner);
}

static void print_stats(const exec_collect *x, FILE *out)
{
    const counter_source source = {&collector_counters, &x->counts, read_counts};
    counter_stats stats;
    counter_read(&source, &stats);
    fprintf(out, "%s: spans from inside:", x->command->manual.program);
    for (size_t i = 0; i < collector_counters.count; i++) {
        const counter *c = &collector_counters.counters[i];
        for (unsigned k = 0; k < c->count; k++) {
            const uint64_t value = counter_value(c, &stats, k);
            if (c->name_of == NULL) {
                fprintf(out, "%s %s %" PRIu64, i > 0 ? "," : "", c->key, value);
            } else if (value > 0) {
                fprintf(out, " (%s %" PRIu64 ")", c->name_of(k), value);
            }
        }
    }
    fputc('\n', out);
}

static void write_json(const exec_collect *x, FILE *out)
{
    const counter_source source = {&collector_counters, &x->counts, read_counts};
    counter_stats stats;
    counter_read(&source, &stats);
    fputc('{', out);
    for (size_t i = 0; i < collector_counters.count; i++) {
        const counter *c = &collector_counters.counters[i];
        fprintf(out, "%s\"%s\":%s", i > 0 ? "," : "", c->key, c->name_of != NULL ? "{" : "");
        for (unsigned k = 0; k < c->count; k++) {
            const uint64_t value = counter_value(c, &stats, k);
            if (c->name_of != NULL) {
                fprintf(out, "%s\"%s\":", k > 0 ? "," : "", c->name_of(k));
            }
            fprintf(out, "%" PRIu64, value);
        }
        fputs(c->name_of != NULL ? "}" : "", out);
    }
    fputs("}\n", out);
}

static void write_stats_file(const exec_collect *x)
{
    FILE *out = fopen(x->stats_file, "we");
    if (out != NULL) {
        write_json(x, out);
    }
    if (out == NULL || fclose(out) != 0) {
        (void)command_fail(x->command, "cannot write %s: %s", x->stats_file, strerror(errno));
    }
}

/* ---- from open to close ---- */

static bool read_limit(const command *c, const options *o, const char *name, uint32_t *out, int *exit_code)
{
    uint64_t number;
    if (!trace_options_number(c, o, name, 0, &number, exit_code)) {
        return false;
    }
    if (options_has(o, name) && (number < 1 || number > RATE_MAX)) {
        *exit_code = command_misuse(c, "--%s must be from 1 to %d", name, RATE_MAX);
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

void exec_collect_nothing(exec_collect *x, const command *c, const options *o)
{
    *x = (exec_collect){.command = c, .print_stats = options_is_on(o, "stats"), .stats_file = options_value(o, "stats-file")};
}

bool exec_collect_open(exec_collect *x, const command *c, const options *o, loom_tracer *tracer,
                       const loom_trace_context *span, loom_str baggage, int *exit_code)
{
    exec_collect_nothing(x, c, o);
    collector_options with = {.tracer = tracer, .command = *span, .baggage = baggage, .counts = &x->counts,
                              .container_id = options_has(o, "container") || options_has(o, "image") ? on_container : NULL,
                              .text = on_text, .tell = on_tell, .user = x};
    if (!read_limit(c, o, "span-rate", &with.rate, exit_code) || !read_limit(c, o, "span-burst", &with.burst, exit_code)) {
        return false;
    }
    if (options_has(o, "collect") && !options_is_on(o, "collect")) {
        const char *numbers = x->print_stats ? "stats" : x->stats_file != NULL ? "stats-file" : NULL;
        *exit_code = numbers != NULL ? command_misuse(c, "--%s counts the spans from inside, and --no-collect leaves them alone", numbers) : 0;
        return numbers == NULL;
    }
    const int error = relay_open(&x->relay);
    if (error != 0 && error != EBADF) { /* closed standard error is nothing to tell there */
        (void)command_fail(c, "spans from inside are not collected: %s", strerror(error));
    }
    if (error == 0 && collector_open(&x->collector, &with) != LOOM_OK) {
        (void)command_fail(c, "spans from inside are not collected: out of memory");
        relay_close(x->relay);
        x->relay = NULL;
    }
    return true;
}

bool exec_collect_is_on(const exec_collect *x)
{
    return x->relay != NULL;
}

int exec_collect_stdout(const exec_collect *x)
{
    return x->relay != NULL ? relay_stdout(x->relay) : PROCESS_INHERIT;
}

int exec_collect_stderr(const exec_collect *x)
{
    return x->relay != NULL ? relay_stderr(x->relay) : PROCESS_INHERIT;
}

void exec_collect_start(exec_collect *x)
{
    if (x->relay == NULL) {
        return;
    }
    const relay_filter filter = {feed, idle, waits, end, mute, forget, x->collector};
    const int error = relay_start(x->relay, &filter);
    if (error != 0) {
        exec_collect_give_up(x, strerror(error));
    }
}

void exec_collect_give_up(exec_collect *x, const char *why)
{
    (void)command_fail(x->command, "spans from inside are not collected: %s", why);
    exec_collect_handed_over(x);
    (void)!relay_finish(x->relay, -1); /* nobody has written */
    relay_close(x->relay);
    collector_close(x->collector);
    x->relay = NULL;
    x->collector = NULL;
}

void exec_collect_handed_over(exec_collect *x)
{
    if (x->relay != NULL) {
        relay_handed_over(x->relay);
    }
}

void exec_collect_resize(exec_collect *x)
{
    if (x->relay != NULL) {
        relay_resize(x->relay);
    }
}

bool exec_collect_close(exec_collect *x, int interrupt)
{
    if (x->relay != NULL) {
        if (!relay_finish(x->relay, interrupt)) {
            return false;
        }
        relay_close(x->relay);
        collector_close(x->collector);
    }
    if (x->print_stats) {
        print_stats(x, stderr);
    }
    if (x->stats_file != NULL) {
        write_stats_file(x);
    }
    return true;
}
