/* SPDX-License-Identifier: Apache-2.0 */
/* LOOM_ variables of the environment that no program of Loom reads: somebody thinks that they do something. */
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/suggest.h"
#include "host/config/settings.h"

/* Those that are no settings: of the command line, of agents, of commands that agents run, and of tracing. */
static const char *const others[] = {
    "LOOM_URL", "LOOM_CONTROL", "LOOM_CONTEXT", "LOOM_IDENTITY", "LOOM_TLS_CA", "LOOM_TELEMETRY_AUTO", "LOOM_LIBRARIES_DIR",
    "LOOM_CALLER", "LOOM_CAPABILITY", "LOOM_CONTENT_TYPE", "LOOM_CORRELATION_ID", "LOOM_DEADLINE_MS",
    "LOOM_LOG_SPANS", "LOOM_SPANS_FILE", "LOOM_SPAN_ID", "LOOM_TRACE", "LOOM_TRACE_ATTRIBUTES", "LOOM_TRACE_BAGGAGE",
    "LOOM_TRACE_DB", "LOOM_TRACE_FILTER", "LOOM_TRACE_FILTER_KEY", "LOOM_TRACE_ID", "LOOM_TRACE_MASK", "LOOM_TRACE_PAYLOAD", "LOOM_TRACE_RECORDER", "LOOM_TRACE_SLOW",
    "LOOM_TRACE_MASK_ALLOW", "LOOM_TRACE_MASK_ALLOW_VALUES", "LOOM_TRACE_MASK_KEYS", "LOOM_TRACE_SAMPLE",
};
enum { OTHERS = sizeof others / sizeof *others };

static bool starts_with(loom_str text, const char *prefix)
{
    return text.len >= strlen(prefix) && memcmp(text.data, prefix, strlen(prefix)) == 0;
}

static bool ends_with(loom_str text, const char *suffix)
{
    const size_t len = strlen(suffix);
    return text.len >= len && memcmp(text.data + text.len - len, suffix, len) == 0;
}

/* Kubernetes and Docker describe a service called loom-broker in LOOM_BROKER_SERVICE_HOST, LOOM_BROKER_SERVICE_PORT_AGENTS,
 * LOOM_BROKER_PORT and LOOM_BROKER_PORT_7700_TCP_ADDR: such a name nobody wrote by hand. */
static bool names_a_service(loom_str name)
{
    const char *port = memmem(name.data, name.len, "_PORT_", 6);
    return ends_with(name, "_SERVICE_HOST") || ends_with(name, "_PORT") || ends_with(name, "_ENV") ||
           memmem(name.data, name.len, "_SERVICE_PORT_", 14) != NULL ||
           (port != NULL && port + 6 < name.data + name.len && port[6] >= '0' && port[6] <= '9');
}

/* Tracing tells of the names that are nearly its own. */
static bool is_left_to_tracing(loom_str name, const char *near)
{
    return near != NULL && (starts_with(name, "LOOM_TRAC") || starts_with(name, "LOOM_LOG") || starts_with(name, "LOOM_SPAN"));
}

/* True: it is known. */
static bool look_up(const settings *s, loom_str name, char near[64])
{
    char own[64];
    suggestion nearest;
    suggestion_init(&nearest, name);
    for (size_t i = 0; i < OTHERS; i++) {
        suggestion_consider(&nearest, others[i]);
    }
    const char *best = suggestion_result(&nearest);
    size_t distance = best != NULL ? nearest.distance : SIZE_MAX;
    snprintf(near, 64, "%s", best != NULL ? best : "");
    for (size_t i = 0; i < s->config.count && distance > 0; i++) {
        if (s->config.keys[i].env == NULL) {
            config_env_name(own, sizeof own, &s->config.keys[i]);
            suggestion_init(&nearest, name);
            suggestion_consider(&nearest, own);
            if (suggestion_result(&nearest) != NULL && nearest.distance < distance) {
                distance = nearest.distance;
                snprintf(near, 64, "%s", own);
            }
        }
    }
    return distance == 0;
}

static void check_name(const settings *s, loom_str name, bool own, problems *list)
{
    char near[64];
    if (names_a_service(name) || look_up(s, name, near) || is_left_to_tracing(name, near[0] != '\0' ? near : NULL)) {
        return;
    }
    if (near[0] != '\0') {
        problems_add(list, PROBLEM_WARNING, "%.*s: no such variable; did you mean %s?", (int)name.len, name.data, near);
    } else if (!own) {
        problems_add(list, PROBLEM_WARNING, "%.*s: no such variable, nobody reads it", (int)name.len, name.data);
    }
}

void settings_check_variable_names(const settings *s, bool own, problems *list)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        const loom_str name = {*entry, strcspn(*entry, "=")};
        if (starts_with(name, "LOOM_") && name.data[name.len] == '=' && name.data[name.len + 1] != '\0') {
            check_name(s, name, own, list);
        }
    }
}
