/* SPDX-License-Identifier: Apache-2.0 */
/* Processor options from the environment (OpenTelemetry: SDK environment variables; OTLP exporter configuration). */
#include <loom/trace.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct reader {
    loom_span_processor_options *out;
    const char *warning; /* the first one */
} reader;

static void warn(reader *r, const char *warning)
{
    if (r->warning == NULL) {
        r->warning = warning;
    }
}

/* An empty variable counts as unset, as the specification says. */
static const char *get(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static const char *get_either(const char *name, const char *fallback)
{
    const char *value = get(name);
    return value != NULL ? value : get(fallback);
}

/* A positive whole number, or 0 for the default. */
static uint32_t read_number(reader *r, const char *text, const char *warning)
{
    if (text == NULL) {
        return 0;
    }
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || strchr(text, '-') != NULL || value == 0 || value > UINT32_MAX) {
        warn(r, warning);
        return 0;
    }
    return (uint32_t)value;
}

static void read_batching(reader *r)
{
    loom_span_processor_options *o = r->out;
    o->max_queue_size = read_number(r, get("OTEL_BSP_MAX_QUEUE_SIZE"), "OTEL_BSP_MAX_QUEUE_SIZE is not a number of spans");
    o->max_export_batch_size = read_number(r, get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
                                           "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is not a number of spans");
    o->schedule_delay_ms = read_number(r, get("OTEL_BSP_SCHEDULE_DELAY"),
                                       "OTEL_BSP_SCHEDULE_DELAY is not a number of milliseconds");
    o->export_timeout_ms = read_number(r, get("OTEL_BSP_EXPORT_TIMEOUT"),
                                       "OTEL_BSP_EXPORT_TIMEOUT is not a number of milliseconds");
    o->otlp_timeout_ms = read_number(r, get_either("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"),
                                     "OTEL_EXPORTER_OTLP_TIMEOUT is not a number of milliseconds");
}

/* Port 4318 is OTLP/HTTP's; people change the port and forget the protocol. */
static bool has_http_port(const char *endpoint)
{
    const char *port = endpoint != NULL ? strstr(endpoint, ":4318") : NULL;
    return port != NULL && (port[5] == '\0' || port[5] == '/');
}

static void read_otlp(reader *r)
{
    loom_span_processor_options *o = r->out;
    const char *exact = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    o->endpoint = exact != NULL ? exact : get("OTEL_EXPORTER_OTLP_ENDPOINT");
    o->endpoint_is_exact = exact != NULL;
    o->headers = get_either("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS");
    o->ca_file = get_either("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE");
    o->exporter = has_http_port(o->endpoint) ? LOOM_EXPORTER_OTLP_HTTP : LOOM_EXPORTER_OTLP_GRPC;
    const char *protocol = get_either("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
    if (protocol == NULL) {
        return;
    }
    if (strcmp(protocol, "grpc") == 0) {
        o->exporter = LOOM_EXPORTER_OTLP_GRPC;
    } else if (strcmp(protocol, "http/protobuf") == 0) {
        o->exporter = LOOM_EXPORTER_OTLP_HTTP;
    } else {
        warn(r, "OTEL_EXPORTER_OTLP_PROTOCOL is neither grpc nor http/protobuf");
    }
}

static void read_exporter(reader *r)
{
    loom_span_processor_options *o = r->out;
    const char *disabled = get("OTEL_SDK_DISABLED");
    const char *name = get("OTEL_TRACES_EXPORTER");
    if ((disabled != NULL && strcasecmp(disabled, "true") == 0) || (name != NULL && strcmp(name, "none") == 0)) {
        o->exporter = LOOM_EXPORTER_NONE;
    } else if (name != NULL && strcmp(name, "console") == 0) {
        o->exporter = LOOM_EXPORTER_CONSOLE;
    } else if (name != NULL && strcmp(name, "otlp/file") == 0) {
        o->exporter = LOOM_EXPORTER_FILE;
    } else {
        if (name != NULL && strcmp(name, "otlp") != 0) {
            warn(r, "OTEL_TRACES_EXPORTER is none of otlp, otlp/file, console, none");
        }
        read_otlp(r);
    }
}

void loom_span_processor_options_from_env(loom_span_processor_options *out, const char **warning)
{
    *out = (loom_span_processor_options){0};
    reader r = {.out = out};
    read_exporter(&r);
    read_batching(&r);
    const char *disabled = get("OTEL_SDK_DISABLED");
    const char *file = disabled != NULL && strcasecmp(disabled, "true") == 0 ? NULL : get("LOOM_SPANS_FILE");
    if (out->exporter == LOOM_EXPORTER_FILE) {
        out->endpoint = file;
    } else {
        out->also_file = file;
    }
    if (warning != NULL) {
        *warning = r.warning;
    }
}
