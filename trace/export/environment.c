/* SPDX-License-Identifier: Apache-2.0 */
/* Processor options from the environment (OpenTelemetry: SDK environment variables; OTLP exporter configuration), and what
 * in it makes no sense. */
#include <loom/trace.h>

#include "base/str.h"
#include "trace/export/env_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VALUE_SHOWN_MAX 100u /* bytes */

typedef struct reader {
    loom_span_processor_options *out;
    const char *warning; /* the first one */
    const env_report *report;
} reader;

const char *env_get(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

void env_report_value(const env_report *report, const char *name, loom_str value, const char *fault, const char *instead)
{
    if (report == NULL) {
        return;
    }
    char shown[VALUE_SHOWN_MAX + 1], text[VALUE_SHOWN_MAX + 300];
    size_t len = value.len < VALUE_SHOWN_MAX ? value.len : VALUE_SHOWN_MAX;
    for (size_t i = 0; i < len; i++) {
        shown[i] = value.data[i] >= ' ' && value.data[i] < 0x7f ? value.data[i] : '?';
    }
    shown[len] = '\0';
    (void)snprintf(text, sizeof text, "%s: \"%s%s\" %s; using %s", name, shown, len < value.len ? "..." : "", fault, instead);
    report->tell(report->user, text);
}

static env_variable get(const char *name)
{
    return (env_variable){name, env_get(name)};
}

env_variable env_get_either(const char *name, const char *fallback)
{
    env_variable v = get(name);
    return v.value != NULL ? v : get(fallback);
}

/* warning: for those who want the first fault alone, in constant text. */
static void warn(reader *r, const char *warning, env_variable v, const char *fault, const char *instead)
{
    if (r->warning == NULL) {
        r->warning = warning;
    }
    env_report_value(r->report, v.name, str_of(v.value), fault, instead);
}

static bool is(env_variable v, const char *name)
{
    return v.value != NULL && strcasecmp(v.value, name) == 0;
}

/* A positive whole number, or 0 for the default. */
static uint32_t read_number(reader *r, env_variable v, const char *warning, const char *fallback)
{
    if (v.value == NULL) {
        return 0;
    }
    char *end;
    errno = 0;
    unsigned long value = strtoul(v.value, &end, 10);
    if (errno != 0 || *end != '\0' || strchr(v.value, '-') != NULL || value == 0 || value > UINT32_MAX) {
        warn(r, warning, v, "is no positive whole number", fallback);
        return 0;
    }
    return (uint32_t)value;
}

static void read_batching(reader *r)
{
    loom_span_processor_options *o = r->out;
    o->max_queue_size = read_number(r, get("OTEL_BSP_MAX_QUEUE_SIZE"), "OTEL_BSP_MAX_QUEUE_SIZE is not a number of spans",
                                    "the default");
    o->max_export_batch_size = read_number(r, get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
                                           "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is not a number of spans", "512 spans");
    o->schedule_delay_ms = read_number(r, get("OTEL_BSP_SCHEDULE_DELAY"),
                                       "OTEL_BSP_SCHEDULE_DELAY is not a number of milliseconds", "5000 ms");
    o->export_timeout_ms = read_number(r, get("OTEL_BSP_EXPORT_TIMEOUT"),
                                       "OTEL_BSP_EXPORT_TIMEOUT is not a number of milliseconds", "30000 ms");
    o->otlp_timeout_ms = read_number(r, env_get_either("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"),
                                     "OTEL_EXPORTER_OTLP_TIMEOUT is not a number of milliseconds", "10000 ms");
}

/* Only "true" is true; what is neither is worth a warning (OpenTelemetry, environment variables, "Boolean value"). */
static bool read_bool(reader *r, env_variable v, const char *warning, bool fallback)
{
    if (v.value == NULL || is(v, "true") || is(v, "false")) {
        return v.value != NULL ? is(v, "true") : fallback;
    }
    warn(r, warning, v, "is neither true nor false", "false");
    return false;
}

/* Port 4318 is OTLP/HTTP's; people change the port and forget the protocol. */
static bool has_http_port(const char *endpoint)
{
    const char *port = endpoint != NULL ? strstr(endpoint, ":4318") : NULL;
    return port != NULL && (port[5] == '\0' || port[5] == '/');
}

static void read_protocol(reader *r)
{
    loom_span_processor_options *o = r->out;
    o->exporter = has_http_port(o->endpoint) ? LOOM_EXPORTER_OTLP_HTTP : LOOM_EXPORTER_OTLP_GRPC;
    env_variable protocol = env_get_either("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
    if (is(protocol, "grpc")) {
        o->exporter = LOOM_EXPORTER_OTLP_GRPC;
    } else if (is(protocol, "http/protobuf")) {
        o->exporter = LOOM_EXPORTER_OTLP_HTTP;
    } else if (protocol.value != NULL) {
        warn(r, "OTEL_EXPORTER_OTLP_PROTOCOL is neither grpc nor http/protobuf", protocol,
             "is neither grpc nor http/protobuf", o->exporter == LOOM_EXPORTER_OTLP_HTTP ? "http/protobuf" : "grpc");
    }
}

static void read_otlp(reader *r)
{
    loom_span_processor_options *o = r->out;
    const char *exact = env_get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    o->endpoint = exact != NULL ? exact : env_get("OTEL_EXPORTER_OTLP_ENDPOINT");
    o->endpoint_is_exact = exact != NULL;
    o->headers = env_get_either("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS").value;
    o->ca_file = env_get_either("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE").value;
    env_variable insecure = env_get_either("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE");
    o->secure = !read_bool(r, insecure, "OTEL_EXPORTER_OTLP_INSECURE is neither true nor false", true);
    read_protocol(r);
}

static bool is_disabled(reader *r)
{
    return read_bool(r, get("OTEL_SDK_DISABLED"), "OTEL_SDK_DISABLED is neither true nor false", false);
}

static void read_exporter(reader *r)
{
    loom_span_processor_options *o = r->out;
    env_variable name = get("OTEL_TRACES_EXPORTER");
    if (is(name, "none")) {
        o->exporter = LOOM_EXPORTER_NONE;
    } else if (is(name, "console")) {
        o->exporter = LOOM_EXPORTER_CONSOLE;
    } else if (is(name, "otlp/file")) {
        o->exporter = LOOM_EXPORTER_FILE;
    } else {
        if (name.value != NULL && !is(name, "otlp")) {
            warn(r, "OTEL_TRACES_EXPORTER is none of otlp, otlp/file, console, none", name,
                 "is none of otlp, otlp/file, console, none", "otlp");
        }
        read_otlp(r);
    }
}

/* False: the SDK is disabled, and nothing else counts. */
static bool read_all(reader *r)
{
    loom_span_processor_options *o = r->out;
    if (is_disabled(r)) {
        o->exporter = LOOM_EXPORTER_NONE;
        return false;
    }
    read_exporter(r);
    read_batching(r);
    const char *file = env_get("LOOM_SPANS_FILE");
    if (o->exporter == LOOM_EXPORTER_FILE) {
        o->endpoint = file;
    } else {
        o->also_file = file;
    }
    return true;
}

void loom_span_processor_options_from_env(loom_span_processor_options *out, const char **warning)
{
    *out = (loom_span_processor_options){0};
    reader r = {.out = out};
    (void)read_all(&r);
    if (warning != NULL) {
        *warning = r.warning;
    }
}

bool env_check_exporter(loom_span_processor_options *out, const env_report *report)
{
    *out = (loom_span_processor_options){0};
    return read_all(&(reader){.out = out, .report = report});
}
