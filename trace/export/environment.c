/* SPDX-License-Identifier: Apache-2.0 */
/* Processor options from the environment (OpenTelemetry: SDK environment variables; OTLP exporter configuration), and what
 * in it makes no sense. docs/OPENTELEMETRY.md has the variables, one a line. */
#include <loom/log.h>

#include "base/str.h"
#include "base/url.h"
#include "trace/export/env_report.h"
#include "trace/export/exporter.h"
#include "trace/export/variables.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OTLP(name) {{"OTEL_EXPORTER_OTLP_TRACES_" name, "OTEL_EXPORTER_OTLP_" name}}

typedef struct reader {
    loom_span_processor_options *out;
    const env_report *report;
} reader;

/* ---- batches and times ---- */

#define NO_SIZE "is no positive whole number"
#define NO_TIME "is no whole number of milliseconds"

static void read_sizes(reader *r)
{
    static const env_names queue_name = {{"OTEL_BSP_MAX_QUEUE_SIZE"}};
    static const env_names batch_name = {{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE"}};
    uint32_t queue = 0, batch = 0;
    (void)env_read_number(&queue, &queue_name, 1, (env_fault){NO_SIZE, "the default"}, r->report);
    (void)env_read_number(&batch, &batch_name, 1, (env_fault){NO_SIZE, "512 spans"}, r->report);
    if (queue > 0 && batch > queue) { /* "must be less than or equal to OTEL_BSP_MAX_QUEUE_SIZE" */
        const env_variable size = env_first(&queue_name), v = env_first(&batch_name);
        env_report_value(r->report, v.name, str_of(v.value), "is more than OTEL_BSP_MAX_QUEUE_SIZE", size.value);
        batch = queue;
    }
    r->out->max_queue_size = queue;
    r->out->max_export_batch_size = batch;
}

/* Of a timeout 0 is "no limit", of a delay no delay (OpenTelemetry, "Timeout" and "Duration" types); in the options it is the
 * default. */
static void read_times(reader *r)
{
    static const struct {
        env_names names;
        size_t offset;
        uint32_t zero;
        const char *fallback;
    } times[] = {
        {{{"OTEL_BSP_SCHEDULE_DELAY"}}, offsetof(loom_span_processor_options, schedule_delay_ms), 1, "5000"},
        {{{"OTEL_BSP_EXPORT_TIMEOUT"}}, offsetof(loom_span_processor_options, export_timeout_ms), UINT32_MAX, "30000"},
        {OTLP("TIMEOUT"), offsetof(loom_span_processor_options, otlp_timeout_ms), UINT32_MAX, "10000"},
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        uint32_t ms;
        if (env_read_number(&ms, &times[i].names, 0, (env_fault){NO_TIME, times[i].fallback}, r->report)) {
            memcpy((char *)r->out + times[i].offset, ms > 0 ? &ms : &times[i].zero, sizeof ms);
        }
    }
}

/* ---- OTLP ---- */

/* Port 4318 is OTLP/HTTP's; people change the port and forget the protocol. */
static bool has_http_port(const char *endpoint)
{
    const char *port = endpoint != NULL ? strstr(endpoint, ":4318") : NULL;
    return port != NULL && (port[5] == '\0' || port[5] == '/' || str_is_space(port[5]));
}

static const char *const protocols[] = {"grpc", "http/protobuf", "http/json", NULL};
static const loom_exporter_kind protocol_kinds[] = {LOOM_EXPORTER_OTLP_GRPC, LOOM_EXPORTER_OTLP_HTTP,
                                                    LOOM_EXPORTER_OTLP_HTTP_JSON};

static void read_protocol(loom_span_processor_options *out, const env_report *report)
{
    static const env_names names = OTLP("PROTOCOL");
    size_t at = has_http_port(out->endpoint) ? 1 : 0;
    (void)env_read_choice(&at, &names, protocols,
                          (env_fault){"is none of grpc, http/protobuf, http/json", protocols[at]}, report);
    out->exporter = protocol_kinds[at];
}

/* A file that cannot be read is as good as none, and better known now than at the first export. */
static const char *read_file(reader *r, const env_names *names, const char *instead)
{
    for (size_t i = 0; i < ENV_NAMES_MAX && names->name[i] != NULL; i++) {
        const char *path = env_get(names->name[i]);
        if (path != NULL && access(path, R_OK) == 0) {
            return path;
        }
        if (path != NULL) {
            env_report_value(r->report, names->name[i], str_of(path), "is no file that can be read",
                             env_instead(names, i, instead));
        }
    }
    return NULL;
}

static void read_tls(reader *r)
{
    static const env_names ca = OTLP("CERTIFICATE"), certificate = OTLP("CLIENT_CERTIFICATE"), key = OTLP("CLIENT_KEY");
    r->out->ca_file = read_file(r, &ca, "the system's certificates");
    r->out->client_certificate_file = read_file(r, &certificate, "no client certificate");
    r->out->client_key_file = read_file(r, &key, "no client key");
}

static bool ends_in_443(const char *endpoint)
{
    const loom_str text = str_trim(str_of(endpoint));
    return text.len > 4 && str_is(str_tail(text, text.len - 4), ":443");
}

/* Whether host:port is to be https. OTEL_EXPORTER_OTLP_INSECURE is false by default, so it is; but a receiver on this
 * machine has no certificate. TRACING_ENDPOINT is older than that rule, and tells by the port. */
static bool is_secure(reader *r, bool own_name)
{
    static const env_names names = {{"OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE",
                                     "OTEL_EXPORTER_OTLP_SPAN_INSECURE"}};
    const char *endpoint = r->out->endpoint;
    bool insecure;
    const char *rule = own_name ? "https for port 443 alone" : "https, unless the endpoint is on this machine";
    if (env_read_bool(&insecure, &names, rule, r->report)) {
        return !insecure;
    }
    if (endpoint == NULL) {
        return false;
    }
    return own_name ? ends_in_443(endpoint) : !endpoint_is_loopback(endpoint);
}

static bool is_endpoint(const char *text)
{
    char *made;
    const loom_status st = endpoint_url(&made, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = text});
    free(made);
    return st != LOOM_EINVAL;
}

/* The first that makes sense. One without another to take its place stays: nothing is exported then, rather than to a place
 * that nobody asked for, and the exporter says so. */
static env_variable find_endpoint(const reader *r, const env_names *names)
{
    char shown[URL_SHOWN_SIZE];
    env_variable found = {.value = NULL};
    for (size_t i = 0; i < ENV_NAMES_MAX; i++) {
        const env_variable v = {names->name[i], env_get(names->name[i])};
        if (v.value == NULL || (found.value != NULL && is_endpoint(found.value))) {
            continue;
        }
        if (found.value != NULL) {
            url_show(shown, found.value);
            env_report_value(r->report, found.name, str_of(shown), "is neither an http(s) URL nor host:port", v.name);
        }
        found = v;
    }
    return found;
}

static void read_endpoint(reader *r)
{
    static const env_names names = {{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "TRACING_ENDPOINT"}};
    const env_variable v = find_endpoint(r, &names);
    r->out->endpoint = v.value;
    r->out->endpoint_is_exact = v.value != NULL && v.name == names.name[0];
    r->out->secure = is_secure(r, v.name == names.name[2]);
}

static void read_otlp(reader *r)
{
    static const env_names compression = OTLP("COMPRESSION");
    static const char *const compressions[] = {"none", "gzip", NULL};
    size_t at = 0;
    read_endpoint(r);
    read_protocol(r->out, r->report);
    read_tls(r);
    r->out->headers = otlp_headers_from_env(r->report);
    (void)env_read_choice(&at, &compression, compressions, (env_fault){"is neither gzip nor none", "none"}, r->report);
    r->out->gzip = at == 1;
}

static bool is_otlp(loom_exporter_kind kind)
{
    return kind == LOOM_EXPORTER_OTLP_GRPC || kind == LOOM_EXPORTER_OTLP_HTTP || kind == LOOM_EXPORTER_OTLP_HTTP_JSON;
}

void exporter_use_otlp(loom_span_processor_options *options)
{
    read_otlp(&(reader){.out = options});
}

bool exporter_set_otlp(loom_span_processor_options *options, const char *endpoint, const char *protocol)
{
    size_t at = 0;
    while (protocol != NULL && protocols[at] != NULL && strcmp(protocols[at], protocol) != 0) {
        at++;
    }
    if (protocols[at] == NULL) {
        return false;
    }
    if (endpoint != NULL) {
        reader r = {.out = options};
        read_otlp(&r); /* it may not have been: the environment may name another exporter */
        options->endpoint = endpoint;
        options->endpoint_is_exact = false;
        options->guessed = false;
        options->secure = is_secure(&r, false);
        read_protocol(options, NULL);
    }
    if (protocol != NULL && is_otlp(options->exporter)) {
        options->exporter = protocol_kinds[at];
    }
    return true;
}

/* ---- which exporters ---- */

enum { TO_OTLP = 1, TO_CONSOLE = 2, TO_STDOUT = 4, TO_FILE = 8, TO_NONE = 16, TO_LINES = 32, TO_LINK = 64 };

static unsigned exporter_bit(loom_str name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {{"otlp", TO_OTLP},        {"console", TO_CONSOLE}, {"otlp/stdout", TO_STDOUT},
                 {"otlp/file", TO_FILE}, {"none", TO_NONE}, {"loom/stderr", TO_LINES}, {"loom", TO_LINK}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (str_is_any_case(name, known[i].name)) {
            return known[i].bit;
        }
    }
    return 0;
}

/* What the list names; 0: nothing. */
static unsigned read_exporters(reader *r)
{
    static const char name[] = "OTEL_TRACES_EXPORTER";
    unsigned set = 0;
    loom_str rest = str_of(env_get(name)), item;
    while (str_next_item(&rest, ',', &item)) {
        item = str_trim(item);
        const unsigned bit = exporter_bit(item);
        set |= bit;
        if (bit == 0 && item.len > 0) {
            env_report_value(r->report, name, item, "is none of otlp, otlp/file, otlp/stdout, console, loom, loom/stderr, none",
                             "the others of the list, or otlp");
        }
    }
    if ((set & TO_NONE) != 0 && set != TO_NONE) {
        env_report_value(r->report, name, str_of("none"), "stands beside other exporters", "these");
        set &= ~(unsigned)TO_NONE;
    }
    if ((set & TO_LINK) != 0 && (set & TO_OTLP) != 0) {
        env_report_value(r->report, name, str_of("loom"), "stands beside otlp, and each is the one that counts", "otlp");
        set &= ~(unsigned)TO_LINK;
    }
    return set;
}

/* The first of these is the one whose word counts; the others get the same batches. */
static void choose_exporters(reader *r, unsigned set)
{
    loom_span_processor_options *o = r->out;
    const char *file = env_get("LOOM_SPANS_FILE");
    o->also_file = file;
    if ((set & (TO_OTLP | TO_LINK)) != 0) {
        if ((set & TO_OTLP) != 0) {
            read_otlp(r);
        } else {
            o->exporter = LOOM_EXPORTER_LINK;
        }
        if ((set & TO_FILE) != 0 && file == NULL) {
            o->also_file = LOOM_SPANS_FILE_DEFAULT;
        }
    } else if ((set & TO_FILE) != 0) {
        o->exporter = LOOM_EXPORTER_FILE;
        o->endpoint = file;
        o->also_file = NULL;
    } else {
        o->exporter = (set & TO_STDOUT) != 0 ? LOOM_EXPORTER_STDOUT :
                      (set & TO_CONSOLE) != 0 ? LOOM_EXPORTER_CONSOLE :
                      (set & TO_LINES) != 0 ? LOOM_EXPORTER_LINES : LOOM_EXPORTER_NONE;
    }
    o->also_stdout = (set & TO_STDOUT) != 0 && o->exporter != LOOM_EXPORTER_STDOUT;
    o->also_console = (set & TO_CONSOLE) != 0 && o->exporter != LOOM_EXPORTER_CONSOLE;
    o->also_lines = (set & TO_LINES) != 0 && o->exporter != LOOM_EXPORTER_LINES;
}

static void read_log_spans(reader *r)
{
    static const char name[] = "LOOM_LOG_SPANS";
    const char *text = env_get(name);
    loom_str bad;
    if (text != NULL && !loom_log_spans_valid(str_of(text), &bad)) {
        env_report_value(r->report, name, bad, "names no spans to log: all, errors, slow:100ms, attr:KEY, json, text",
                         "no log of spans");
        text = NULL;
    }
    r->out->log_spans = text;
}

/* ---- all of them ---- */

static bool is_disabled(reader *r)
{
    static const env_names otel = {{"OTEL_SDK_DISABLED"}}, enabled_name = {{"TRACING_ENABLED"}};
    const char *weaker = enabled_name.name[0];
    bool disabled = false, enabled = true;
    if (!env_read_bool(&disabled, &otel, env_get(weaker) != NULL ? weaker : "false", r->report) &&
        env_read_bool(&enabled, &enabled_name, "true", r->report)) {
        disabled = !enabled;
    }
    return disabled;
}

static void read_log_level(reader *r)
{
    static const char name[] = "OTEL_LOG_LEVEL";
    const char *text = env_get(name);
    loom_severity level = LOOM_SEVERITY_INFO;
    if (text != NULL && !loom_severity_parse(&level, str_trim(str_of(text)))) {
        env_report_value(r->report, name, str_of(text), "is none of none, error, warn, info, debug", "info");
    }
    r->out->complaints = level == LOOM_SEVERITY_OFF ? LOOM_COMPLAINTS_NONE :
                         level >= LOOM_SEVERITY_ERROR ? LOOM_COMPLAINTS_LOSSES : LOOM_COMPLAINTS_ALL;
}

/* A value that makes no sense is reported whether or not the exporters of today read it. */
static void report_unread(reader *r)
{
    loom_span_processor_options unread = {0};
    if (r->report != NULL && !is_otlp(r->out->exporter)) {
        read_otlp(&(reader){.out = &unread, .report = r->report});
    }
}

/* False: the SDK is disabled, and nothing else counts. */
static bool read_all(reader *r)
{
    read_log_level(r);
    r->out->disabled = is_disabled(r);
    if (r->out->disabled) {
        r->out->exporter = LOOM_EXPORTER_NONE;
        return false;
    }
    const unsigned named = read_exporters(r);
    choose_exporters(r, named != 0 ? named : TO_OTLP);
    report_unread(r);
    r->out->guessed = named == 0 && r->out->endpoint == NULL;
    read_log_spans(r);
    read_sizes(r);
    read_times(r);
    return true;
}

/* A report begins with the variable's name. */
static void keep_first(void *user, const char *text)
{
    const char **bad = user;
    const variable *v = variable_find((loom_str){text, strcspn(text, ":")});
    if (*bad == NULL && v != NULL) {
        *bad = v->name;
    }
}

void loom_span_processor_options_from_env(loom_span_processor_options *out, const char **bad)
{
    const env_report report = {keep_first, bad};
    if (bad != NULL) {
        *bad = NULL;
    }
    if (out == NULL) {
        return;
    }
    (void)env_check_exporter(out, bad != NULL ? &report : NULL);
}

bool env_check_exporter(loom_span_processor_options *out, const env_report *report)
{
    *out = (loom_span_processor_options){0};
    return read_all(&(reader){.out = out, .report = report});
}
