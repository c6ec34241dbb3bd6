/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/collect/collector.h"

#include "base/clock.h"
#include "base/printable.h"
#include "base/str.h"
#include "trace/process/collect/span_otlp.h"
#include "trace/process/collect/span_source.h"
#include "trace/process/collect/span_stream.h"
#include "trace/span/finished.h"

#include <inttypes.h>
#include <loom/baggage.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000u
#define TELL_EVERY_NS (10u * (uint64_t)NS_PER_S)
#define ENCODED_MAX (512u * 1024u) /* bytes of a span: the line has 256 KiB, and short numbers grow */
#define SEEN_BITS 13u
#define SEEN_SLOTS (1u << SEEN_BITS) /* span ids that are remembered */
#define LOST_DIGITS_MAX 12u          /* of what a library says it lost */
#define FLAGS_LOCAL 0x100u         /* SpanFlags of trace.proto: is_remote is known */
#define FLAGS_REMOTE 0x300u        /* and true */

/* Kinds of lines that are told, besides the problems of a span. */
enum { TELL_OVERSIZE = SPAN_PROBLEMS, TELL_RATE, TELL_RESTAMPED, TELL_TENANT, TELL_LIBRARY, TELLS };
_Static_assert((int)TELLS == (int)COLLECTOR_TELLS, "a kind each");

/* Attributes of the host that are a tenant's. */
enum { TENANT, ORGANISATION, TENANTS };

struct collector {
    collector_options options;
    span_stream stream;
    bool muted;
    loom_baggage *baggage; /* holds the texts of tenants */
    span_stamp stamp;      /* of a span of the right trace */
    unsigned tenant_bits;  /* which of the stamp's attributes are tenants */
    uint64_t interval_ns, burst_ns, due_ns; /* a token bucket: when the last one that was taken is due */
    span_sources sources;
    rate_limit tells[TELLS]; /* without options.tells */
    pb_buf encoded;
    char *scratch;              /* 2 * SPAN_LINE_MAX bytes */
    uint64_t seen[SEEN_SLOTS];  /* by a hash of the id, since ids may be numbers that somebody counted; 0: none */
};

static void count_many(collector *c, atomic_uint_fast64_t *of, uint64_t many)
{
    if (!c->muted) {
        atomic_fetch_add_explicit(of, many, memory_order_relaxed);
    }
}

static void count(collector *c, atomic_uint_fast64_t *of)
{
    count_many(c, of, 1);
}

static bool may_tell(collector *c, unsigned kind, uint64_t *suppressed)
{
    collector_tells *shared = c->options.tells;
    if (c->muted || c->options.tell == NULL) {
        return false;
    }
    if (shared == NULL) {
        return rate_limit_pass(&c->tells[kind], clock_monotonic_ns(), TELL_EVERY_NS, 1, suppressed);
    }
    (void)pthread_mutex_lock(&shared->lock);
    const bool passes = rate_limit_pass(&shared->kinds[kind], clock_monotonic_ns(), TELL_EVERY_NS, 1, suppressed);
    (void)pthread_mutex_unlock(&shared->lock);
    return passes;
}

static void tell(collector *c, unsigned kind, uint64_t number, const char *what)
{
    uint64_t suppressed;
    if (!may_tell(c, kind, &suppressed)) {
        return;
    }
    char line[400], more[64] = "";
    if (suppressed > 0) {
        (void)snprintf(more, sizeof more, "; suppressed similar messages count=%" PRIu64, suppressed);
    }
    (void)snprintf(line, sizeof line, "line %" PRIu64 " of the command's standard error: %s%s", number, what, more);
    c->options.tell(c->options.user, line);
}

/* ---- the rules ---- */

static bool over_rate(collector *c)
{
    const uint64_t now = clock_monotonic_ns();
    const uint64_t earliest = now > c->burst_ns ? now - c->burst_ns : 0;
    const uint64_t next = (c->due_ns > earliest ? c->due_ns : earliest) + c->interval_ns;
    if (next > now) {
        return true;
    }
    c->due_ns = next;
    return false;
}

/* A table that forgets: an id is found again unless another one of the same place has come meanwhile. */
static bool seen_before(collector *c, const uint8_t span_id[LOOM_SPAN_ID_SIZE])
{
    uint64_t id;
    memcpy(&id, span_id, sizeof id);
    uint64_t *slot = &c->seen[(id ^ id >> 32) * 0x9e3779b97f4a7c15u >> (64 - SEEN_BITS)];
    const bool seen = *slot == id;
    *slot = id;
    return seen;
}

static void add_own(span_stamp *stamp, loom_attr attr)
{
    stamp->own[stamp->own_count++] = attr;
}

static loom_attr string_attr(const char *key, loom_str value)
{
    return (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = value};
}

/* A span of another trace: what it was stays to be seen. */
static void restamp(span_stamp *stamp, const span_json *span)
{
    add_own(stamp, string_attr("loom.original_trace_id", span->given_trace_id.text));
    if (span->has_parent) {
        add_own(stamp, string_attr("loom.original_parent_id", span->given_parent_id.text));
    }
}

static void stamp_container(const collector *c, span_stamp *stamp)
{
    if (c->options.container_id == NULL) {
        return;
    }
    const char *id = c->options.container_id(c->options.user);
    if (id != NULL) {
        add_own(stamp, string_attr("container.id", str_of(id)));
    }
    add_own(stamp, (loom_attr){.key = "container.source", .type = LOOM_ATTR_BOOL, .value.boolean = true});
}

/* false: it did not fit. */
static bool submit(collector *c, const span_json *span, const span_stamp *stamp, unsigned *differs)
{
    c->encoded.len = 0;
    c->encoded.failed = false;
    *differs = span_otlp_write(&c->encoded, span, stamp, c->scratch);
    if (c->encoded.failed) {
        return false;
    }
    loom_tracer *tracer = span_source_tracer(&c->sources, c->options.tracer, span);
    span_submit_finished(tracer, (loom_bytes){c->encoded.data, c->encoded.len});
    return true;
}

static void collect(collector *c, const span_json *span, uint64_t number)
{
    const loom_trace_context *command = &c->options.command;
    span_stamp stamp = c->stamp;
    unsigned differs;
    const bool foreign = memcmp(span->trace_id, command->trace_id, sizeof span->trace_id) != 0;
    const bool own_parent = !foreign && span->has_parent && memcmp(span->parent_id, span->span_id, sizeof span->span_id) != 0;
    if (own_parent) {
        memcpy(stamp.parent_id, span->parent_id, sizeof stamp.parent_id);
        stamp.flags |= memcmp(span->parent_id, command->span_id, sizeof span->parent_id) == 0 ? FLAGS_REMOTE : FLAGS_LOCAL;
    } else {
        stamp.flags |= FLAGS_REMOTE;
    }
    if (foreign) {
        restamp(&stamp, span);
    }
    stamp_container(c, &stamp);
    if (!submit(c, span, &stamp, &differs)) {
        count(c, &c->options.counts->oversize);
        tell(c, TELL_OVERSIZE, number, "dropped a span over 512 KiB");
        return;
    }
    count(c, &c->options.counts->collected);
    if (foreign) {
        count(c, &c->options.counts->restamped);
        tell(c, TELL_RESTAMPED, number, "moved a span of another trace under the command's span");
    }
    if ((differs & c->tenant_bits) != 0) {
        count(c, &c->options.counts->tenant_violations);
        tell(c, TELL_TENANT, number, "replaced a span's tenant with the command's");
    }
}

static void refuse(collector *c, span_problem problem, uint64_t number)
{
    char text[200];
    count(c, &c->options.counts->parse_errors);
    count(c, &c->options.counts->parse_errors_by[problem]);
    (void)snprintf(text, sizeof text, "rejected a span: %s", span_problem_text(problem));
    tell(c, problem, number, text);
}

/* ---- lines ---- */

static bool is_exported(const collector *c)
{
    return c->options.tracer != NULL && !c->muted && (c->options.command.trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0;
}

/* false: it is no JSON, which in the middle of a line means that it is text. */
static bool take_span(collector *c, const span_line *line)
{
    span_json span;
    if (is_exported(c) && line->at_start && over_rate(c)) {
        count(c, &c->options.counts->rate_limited);
        tell(c, TELL_RATE, line->number, "dropped a span: over the rate limit");
        return true;
    }
    span_problem problem = span_json_read(&span, line->text);
    if (problem == SPAN_PROBLEM_JSON) {
        if (line->at_start) {
            refuse(c, problem, line->number);
        }
        return false;
    }
    if (problem == SPAN_PROBLEM_NONE && memcmp(span.span_id, c->options.command.span_id, sizeof span.span_id) == 0) {
        problem = SPAN_PROBLEM_SPAN_ID;
    }
    if (problem != SPAN_PROBLEM_NONE) {
        refuse(c, problem, line->number);
    } else if (seen_before(c, span.span_id)) {
        count(c, &c->options.counts->duplicates);
    } else if (!is_exported(c)) {
        count(c, &c->options.counts->unsampled);
    } else {
        collect(c, &span, line->number);
    }
    return true;
}

/* "37 spans lost: …": FORMAT.md, "Errors". 0: it says something else. */
static uint64_t lost_spans(loom_str complaint)
{
    static const char after[] = " spans lost:";
    uint64_t count = 0;
    size_t at = 0;
    for (; at < complaint.len && at < LOST_DIGITS_MAX && complaint.data[at] >= '0' && complaint.data[at] <= '9'; at++) {
        count = count * 10 + (uint64_t)(complaint.data[at] - '0');
    }
    const loom_str rest = str_tail(complaint, at);
    return at > 0 && rest.len >= sizeof after - 1 && memcmp(rest.data, after, sizeof after - 1) == 0 ? count : 0;
}

static bool on_line(void *user, const span_line *line)
{
    collector *c = user;
    if (line->kind == SPAN_LINE_SPAN) {
        return take_span(c, line);
    }
    char text[256], shown[200];
    printable_copy(shown, sizeof shown, str_trim(line->text));
    (void)snprintf(text, sizeof text, "reported by a trace library: %s", shown);
    count(c, &c->options.counts->library_errors);
    count_many(c, &c->options.counts->library_lost, lost_spans(str_trim(line->text)));
    tell(c, TELL_LIBRARY, line->number, text);
    return true;
}

static void on_oversize(void *user, uint64_t number)
{
    collector *c = user;
    count(c, &c->options.counts->oversize);
    tell(c, TELL_OVERSIZE, number, "dropped a span line over 256 KiB");
}

static void on_text(void *user, loom_bytes text)
{
    const collector *c = user;
    c->options.text(c->options.user, text);
}

/* ---- from open to close ---- */

static void stamp_tenants(collector *c)
{
    static const char *const keys[TENANTS] = {[TENANT] = "tenant_id", [ORGANISATION] = "org_id"};
    for (int i = 0; i < TENANTS; i++) {
        const loom_baggage_member *member = loom_baggage_find(c->baggage, str_of(keys[i]));
        if (member != NULL && member->value.len > 0) {
            c->tenant_bits |= 1u << c->stamp.own_count;
            add_own(&c->stamp, string_attr(keys[i], member->value));
        }
    }
}

static void make_stamp(collector *c)
{
    const loom_trace_context *command = &c->options.command;
    memcpy(c->stamp.trace_id, command->trace_id, sizeof c->stamp.trace_id);
    memcpy(c->stamp.parent_id, command->span_id, sizeof c->stamp.parent_id);
    c->stamp.flags = command->trace_flags & (LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM);
    c->stamp.limits = c->options.tracer != NULL ? span_attr_limits(c->options.tracer) : ATTR_LIMITS_DEFAULT;
    stamp_tenants(c);
}

static void configure_rate(collector *c)
{
    const uint32_t rate = c->options.rate != 0 ? c->options.rate : COLLECTOR_RATE_DEFAULT;
    const uint32_t burst = c->options.burst != 0 ? c->options.burst : COLLECTOR_BURST_DEFAULT;
    c->interval_ns = NS_PER_S / rate > 0 ? NS_PER_S / rate : 1;
    c->burst_ns = burst * c->interval_ns;
}

loom_status collector_open(collector **out, const collector_options *options)
{
    *out = NULL;
    collector *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return LOOM_ENOMEM;
    }
    c->options = *options;
    pb_init(&c->encoded, NULL, 0, ENCODED_MAX);
    const span_stream_sink sink = {on_text, on_line, on_oversize, c};
    loom_status st = loom_baggage_parse(&c->baggage, options->baggage, NULL);
    if (st == LOOM_ENOMEM) {
        goto free_collector;
    }
    st = LOOM_ENOMEM;
    c->scratch = malloc(2u * SPAN_LINE_MAX);
    if (c->scratch == NULL || span_stream_init(&c->stream, &sink) != LOOM_OK) {
        goto free_scratch;
    }
    configure_rate(c);
    make_stamp(c);
    *out = c;
    return LOOM_OK;

free_scratch:
    free(c->scratch);
    loom_baggage_unref(c->baggage);
free_collector:
    free(c);
    return st;
}

void collector_feed(collector *c, loom_bytes bytes)
{
    span_stream_feed(&c->stream, bytes);
}

void collector_idle(collector *c)
{
    span_stream_idle(&c->stream);
}

bool collector_waits(const collector *c)
{
    return span_stream_waits(&c->stream);
}

void collector_end(collector *c)
{
    span_stream_end(&c->stream);
}

void collector_mute(collector *c)
{
    c->muted = true;
}

void collector_forget(collector *c)
{
    span_stream_forget(&c->stream);
}

void collector_close(collector *c)
{
    if (c == NULL) {
        return;
    }
    span_sources_fini(&c->sources);
    span_stream_fini(&c->stream);
    pb_fini(&c->encoded);
    loom_baggage_unref(c->baggage);
    free(c->scratch);
    free(c);
}
