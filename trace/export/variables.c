/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/variables.h"

#include "base/str.h"
#include "base/suggest.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#define OTEL "OTEL_"
#define LOOM "LOOM_"
#define TRACING "TRACING_"
#define NAME_SHOWN_MAX 64 /* bytes */

#define HONOURED(name) {name, VARIABLE_HONOURED, NULL}
#define FOREIGN(name) {name, VARIABLE_FOREIGN, NULL}
#define REFUSED(name) {name, VARIABLE_REFUSED, NULL}
#define ALIAS(name, proper) {name, VARIABLE_ALIAS, proper}
#define HONOURED_OTLP(name) HONOURED("OTEL_EXPORTER_OTLP_" name), HONOURED("OTEL_EXPORTER_OTLP_TRACES_" name)
#define FOREIGN_OTLP(signal)                                                                                             \
    FOREIGN("OTEL_EXPORTER_OTLP_" signal "_ENDPOINT"), FOREIGN("OTEL_EXPORTER_OTLP_" signal "_INSECURE"),                \
        FOREIGN("OTEL_EXPORTER_OTLP_" signal "_CERTIFICATE"), FOREIGN("OTEL_EXPORTER_OTLP_" signal "_CLIENT_KEY"),       \
        FOREIGN("OTEL_EXPORTER_OTLP_" signal "_CLIENT_CERTIFICATE"), FOREIGN("OTEL_EXPORTER_OTLP_" signal "_HEADERS"),   \
        FOREIGN("OTEL_EXPORTER_OTLP_" signal "_COMPRESSION"), FOREIGN("OTEL_EXPORTER_OTLP_" signal "_TIMEOUT"),          \
        FOREIGN("OTEL_EXPORTER_OTLP_" signal "_PROTOCOL")

static const variable table[] = {
    HONOURED("OTEL_SDK_DISABLED"),
    HONOURED("OTEL_RESOURCE_ATTRIBUTES"),
    HONOURED("OTEL_SERVICE_NAME"),
    HONOURED("OTEL_LOG_LEVEL"),
    HONOURED("OTEL_PROPAGATORS"),
    HONOURED("OTEL_TRACEPARENT"),
    HONOURED("OTEL_TRACES_SAMPLER"),
    HONOURED("OTEL_TRACES_SAMPLER_ARG"),
    HONOURED("OTEL_TRACES_EXPORTER"),
    HONOURED("OTEL_BSP_SCHEDULE_DELAY"),
    HONOURED("OTEL_BSP_EXPORT_TIMEOUT"),
    HONOURED("OTEL_BSP_MAX_QUEUE_SIZE"),
    HONOURED("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
    HONOURED("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
    HONOURED("OTEL_ATTRIBUTE_COUNT_LIMIT"),
    HONOURED("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
    HONOURED("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
    HONOURED("OTEL_SPAN_EVENT_COUNT_LIMIT"),
    HONOURED("OTEL_SPAN_LINK_COUNT_LIMIT"),
    HONOURED("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"),
    HONOURED("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
    HONOURED_OTLP("ENDPOINT"),
    HONOURED_OTLP("PROTOCOL"),
    HONOURED_OTLP("HEADERS"),
    HONOURED_OTLP("TIMEOUT"),
    HONOURED_OTLP("COMPRESSION"),
    HONOURED_OTLP("CERTIFICATE"),
    HONOURED_OTLP("CLIENT_CERTIFICATE"),
    HONOURED_OTLP("CLIENT_KEY"),
    HONOURED_OTLP("INSECURE"),
    HONOURED("OTEL_EXPORTER_OTLP_SPAN_INSECURE"), /* "obsolete", and still to be read */
    HONOURED("TRACING_ENABLED"),
    HONOURED("TRACING_ENDPOINT"),
    HONOURED("TRACING_SERVICE_NAME"),
    HONOURED("TRACING_SAMPLE_RATE"),
    HONOURED("LOOM_TRACE_MASK"),
    HONOURED("LOOM_TRACE_MASK_KEYS"),
    HONOURED("LOOM_TRACE_MASK_ALLOW"),
    HONOURED("LOOM_TRACE_MASK_ALLOW_VALUES"),
    HONOURED("LOOM_TRACE_FILTER"),
    HONOURED("LOOM_TRACE_FILTER_KEY"),
    HONOURED("LOOM_TRACE_ATTRIBUTES"),
    HONOURED("LOOM_TRACE_ID"),
    HONOURED("LOOM_TRACE_BAGGAGE"),
    HONOURED("LOOM_TRACE_DB"),
    HONOURED("LOOM_TRACE_PAYLOAD"),
    HONOURED("LOOM_TRACE_RECORDER"),
    HONOURED("LOOM_TRACE_SLOW"),
    HONOURED("LOOM_SPAN_ID"),
    HONOURED("LOOM_SPANS_FILE"),
    HONOURED("LOOM_LOG_SPANS"),
    HONOURED("LOOM_LOG_LEVEL"),
    HONOURED("LOOM_LOG_FORMAT"),

    ALIAS("OTEL_TRACE_SAMPLER", "OTEL_TRACES_SAMPLER"), /* these two are read */
    ALIAS("OTEL_TRACE_SAMPLER_ARG", "OTEL_TRACES_SAMPLER_ARG"),
    ALIAS("OTEL_SAMPLER", "OTEL_TRACES_SAMPLER"), /* too far away to be guessed by their letters */
    ALIAS("OTEL_SAMPLER_ARG", "OTEL_TRACES_SAMPLER_ARG"),
    ALIAS("OTEL_EXPORTER", "OTEL_TRACES_EXPORTER"),
    ALIAS("OTEL_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ALIAS("OTEL_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ALIAS("OTEL_EXPORTER_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ALIAS("OTEL_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    ALIAS("OTEL_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ALIAS("OTEL_EXPORTER_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ALIAS("OTEL_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"),
    ALIAS("OTEL_EXPORTER_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"),
    ALIAS("OTEL_EXPORTER_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"),
    ALIAS("OTEL_EXPORTER_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"),
    ALIAS("OTEL_EXPORTER_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
    ALIAS("OTEL_EXPORTER_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"),
    ALIAS("OTEL_DISABLED", "OTEL_SDK_DISABLED"),
    ALIAS("OTEL_SERVICE", "OTEL_SERVICE_NAME"),
    ALIAS("OTEL_RESOURCE", "OTEL_RESOURCE_ATTRIBUTES"),
    ALIAS("OTEL_EXPORTER_OTLP_CERT", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
    ALIAS("OTEL_EXPORTER_OTLP_CA_FILE", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
    ALIAS("OTEL_EXPORTER_OTLP_CLIENT_CERT", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
    ALIAS("OTEL_EXPORTER_OTLP_SPAN_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), /* this and those below: of early specifications */
    ALIAS("OTEL_EXPORTER_OTLP_SPAN_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
    ALIAS("OTEL_EXPORTER_OTLP_SPAN_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
    ALIAS("OTEL_EXPORTER_OTLP_SPAN_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"),
    ALIAS("OTEL_EXPORTER_OTLP_SPAN_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"),
    ALIAS("OTEL_EXPORTER_OTLP_SPAN_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"),
    ALIAS("OTEL_BSP_SCHEDULE_DELAY_MILLIS", "OTEL_BSP_SCHEDULE_DELAY"),
    ALIAS("OTEL_BSP_EXPORT_TIMEOUT_MILLIS", "OTEL_BSP_EXPORT_TIMEOUT"),
    ALIAS("OTEL_BSP_MAX_QUEUE", "OTEL_BSP_MAX_QUEUE_SIZE"),
    ALIAS("OTEL_BSP_MAX_EXPORT_BATCH", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
    ALIAS("OTEL_SPAN_ATTRIBUTE_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
    ALIAS("OTEL_SPAN_EVENT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT"),
    ALIAS("OTEL_SPAN_LINK_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT"),
    ALIAS("OTEL_EVENT_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT"),
    ALIAS("OTEL_LINK_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT"),
    ALIAS("OTEL_BSP_BATCH_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
    ALIAS("OTEL_BSP_QUEUE_SIZE", "OTEL_BSP_MAX_QUEUE_SIZE"),
    ALIAS("OTEL_EXPORTER_OTLP_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ALIAS("OTEL_EXPORTER_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ALIAS("OTEL_EXPORTER_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    ALIAS("OTEL_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
    ALIAS("OTEL_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
    ALIAS("TRACING_SERVICE", "TRACING_SERVICE_NAME"),
    ALIAS("TRACING_RATE", "TRACING_SAMPLE_RATE"),
    ALIAS("TRACING_SAMPLING_RATE", "TRACING_SAMPLE_RATE"),

    FOREIGN("LOOM_TRACE"), /* these two are for the libraries of commands: whether somebody collects, and how much is kept */
    FOREIGN("LOOM_TRACE_SAMPLE"),
    FOREIGN("OTEL_ENTITIES"),
    REFUSED("OTEL_CONFIG_FILE"),
    REFUSED("OTEL_EXPERIMENTAL_CONFIG_FILE"),
    FOREIGN("OTEL_METRICS_EXPORTER"),
    FOREIGN("OTEL_LOGS_EXPORTER"),
    FOREIGN("OTEL_METRICS_EXEMPLAR_FILTER"),
    FOREIGN("OTEL_METRIC_EXPORT_INTERVAL"),
    FOREIGN("OTEL_METRIC_EXPORT_TIMEOUT"),
    FOREIGN("OTEL_BLRP_SCHEDULE_DELAY"),
    FOREIGN("OTEL_BLRP_EXPORT_TIMEOUT"),
    FOREIGN("OTEL_BLRP_MAX_QUEUE_SIZE"),
    FOREIGN("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"),
    FOREIGN("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
    FOREIGN("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"),
    FOREIGN("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"),
    FOREIGN("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"),
    FOREIGN("OTEL_EXPORTER_OTLP_METRIC_INSECURE"),
    FOREIGN_OTLP("METRICS"),
    FOREIGN_OTLP("LOGS"),
    FOREIGN_OTLP("PROFILES"),
    FOREIGN("OTEL_EXPORTER_ZIPKIN_ENDPOINT"),
    FOREIGN("OTEL_EXPORTER_ZIPKIN_TIMEOUT"),
    FOREIGN("OTEL_EXPORTER_ZIPKIN_PROTOCOL"),
    FOREIGN("OTEL_EXPORTER_JAEGER_ENDPOINT"),
    FOREIGN("OTEL_EXPORTER_JAEGER_PROTOCOL"),
    FOREIGN("OTEL_EXPORTER_JAEGER_TIMEOUT"),
    FOREIGN("OTEL_EXPORTER_JAEGER_USER"),
    FOREIGN("OTEL_EXPORTER_JAEGER_PASSWORD"),
    FOREIGN("OTEL_EXPORTER_JAEGER_AGENT_HOST"),
    FOREIGN("OTEL_EXPORTER_JAEGER_AGENT_PORT"),
    FOREIGN("OTEL_EXPORTER_PROMETHEUS_HOST"),
    FOREIGN("OTEL_EXPORTER_PROMETHEUS_PORT"),
};
#define COUNT (sizeof table / sizeof *table)

const variable *variables(size_t *count)
{
    *count = COUNT;
    return table;
}

const variable *variable_find(loom_str name)
{
    for (size_t i = 0; i < COUNT; i++) {
        if (str_is(name, table[i].name)) {
            return &table[i];
        }
    }
    return NULL;
}

static bool begins_with(const char *name, const char *prefix)
{
    return strncasecmp(name, prefix, strlen(prefix)) == 0;
}

/* The honoured name that is nearest by its letters, of whichever case, of those with the same prefix. NULL: none is near. */
static const char *guess(loom_str name)
{
    const char *const prefix = begins_with(name.data, OTEL) ? OTEL : begins_with(name.data, LOOM) ? LOOM : TRACING;
    char upper[NAME_SHOWN_MAX];
    for (size_t i = 0; i < name.len; i++) {
        upper[i] = name.data[i] >= 'a' && name.data[i] <= 'z' ? (char)(name.data[i] - 'a' + 'A') : name.data[i];
    }
    suggestion near;
    suggestion_init(&near, (loom_str){upper, name.len});
    for (size_t i = 0; i < COUNT; i++) {
        if (table[i].kind != VARIABLE_ALIAS && begins_with(table[i].name, prefix)) {
            suggestion_consider(&near, table[i].name);
        }
    }
    const char *best = suggestion_result(&near);
    return best != NULL && variable_find(str_of(best))->kind == VARIABLE_HONOURED ? best : NULL;
}

static void check_name(loom_str name, const env_report *report)
{
    char text[NAME_SHOWN_MAX * 3];
    const variable *known = variable_find(name);
    if (known == NULL) {
        const char *near = guess(name);
        if (near != NULL) {
            (void)snprintf(text, sizeof text, "%.*s: no such variable; did you mean %s?", (int)name.len, name.data, near);
            report->tell(report->user, text);
        }
    } else if (known->kind == VARIABLE_REFUSED) {
        (void)snprintf(text, sizeof text, "%s: configuration files are not supported; using the other variables", known->name);
        report->tell(report->user, text);
    } else if (known->kind == VARIABLE_ALIAS) {
        (void)snprintf(text, sizeof text, "%s: the name of this variable is %s", known->name, known->proper);
        report->tell(report->user, text);
    }
}

/* OTEL_…, TRACING_…, and of Loom's own those that are about traces: the others have settings of broker and bridge among them. */
static bool is_ours(const char *entry)
{
    static const char *const prefixes[] = {OTEL, TRACING, LOOM "TRAC", LOOM "LOG", LOOM "SPAN"};
    bool ours = false;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        ours = ours || begins_with(entry, prefixes[i]);
    }
    return ours;
}

/* Letters, digits and underscores, as every variable of the specification has: others go to no terminal. */
static bool is_plain(loom_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.data[i];
        if (c != '_' && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')) {
            return false;
        }
    }
    return name.len <= NAME_SHOWN_MAX;
}

void variables_check_names(const env_report *report)
{
    for (char **entry = environ; report != NULL && entry != NULL && *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (is_ours(*entry) && equals != NULL && equals[1] != '\0') {
            const loom_str name = {*entry, (size_t)(equals - *entry)};
            if (is_plain(name)) {
                check_name(name, report);
            }
        }
    }
}
