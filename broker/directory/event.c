/* SPDX-License-Identifier: Apache-2.0 */
/* The directory's news, as events. They are made on the stack, so that a full house does not lose them. */
#include <inttypes.h>

#include "base/str.h"
#include "broker/directory/internal.h"
#include "envelope/encode.h"
#include "base/hex.h"
#include "trace/otlp/json.h"

enum {
    JSON_MAX = 6 * (LOOM_AGENT_ID_MAX + 3 * DIRECTORY_TEXT_MAX) + 256, /* six: a control character is \u001f. A capability's
                                                                          texts are shorter than those */
    EVENT_MAX = JSON_MAX + 1024 /* with its headers */
};

static void put_member(pb_buf *out, const char *name, loom_str value)
{
    json_put_format(out, "%s\"%s\":", out->len == 0 ? "{" : ",", name);
    json_put_string(out, value);
}

static void put_json(pb_buf *out, const directory_entry *entry, const char *reason)
{
    const directory_about *about = &entry->about;
    char instance[2 * DIRECTORY_INSTANCE_SIZE];
    hex_encode(instance, about->instance.data, about->instance.len);
    put_member(out, "agent", about->agent);
    put_member(out, "bridge", about->bridge);
    json_put_format(out, ",\"session\":%" PRIu64, entry->session);
    put_member(out, "instance", (loom_str){instance, 2 * about->instance.len});
    put_member(out, "software", about->software);
    if (reason != NULL) {
        put_member(out, "reason", str_of(reason));
    }
    json_put_format(out, "}");
}

/* A context that is there and not sampled: nobody on the way makes it the root of a trace. */
static loom_trace_context unsampled(void)
{
    loom_trace_context context = {.trace_flags = LOOM_TRACE_FLAG_RANDOM};
    loom_trace_id_generate(context.trace_id);
    loom_span_id_generate(context.span_id);
    return context;
}

/* What it is about is in headers, too, for whoever has no parser of JSON. */
static void publish(eventbus *events, const char *topic, const char *type, const pb_buf *json, const loom_header *headers,
                    size_t header_count)
{
    uint8_t wire[EVENT_MAX], id[LOOM_UUID_SIZE];
    const loom_envelope_fields fields = {
        .topic = str_of(topic),
        .type = {type, strlen(type)},
        .sender = {"loom-broker", 11},
        .content_type = {"application/json", 16},
        .payload = {json->data, json->len},
        .headers = headers,
        .header_count = header_count,
        .context = unsampled(),
    };
    size_t size;
    if (!json->failed && envelope_encode_check(&fields, &size) == LOOM_OK && size <= sizeof wire) {
        envelope_view view;
        const char *reason_unused;
        size = envelope_encode(wire, &fields, id);
        if (envelope_scan(&view, (loom_bytes){wire, size}, NULL, &reason_unused) == LOOM_OK) {
            (void)eventbus_publish(events, NULL, &view, wire, NULL);
        }
    }
}

void directory_publish(const directory_entry *entry, const char *type, const char *reason)
{
    uint8_t bytes[JSON_MAX];
    pb_buf json;
    if (entry->directory->events != NULL && !entry->about.quiet) {
        pb_init(&json, bytes, sizeof bytes, sizeof bytes);
        put_json(&json, entry, reason);
        const loom_header agent = {str_of("agent"), entry->about.agent};
        publish(entry->directory->events, "system.agents", type, &json, &agent, 1);
        pb_fini(&json);
    }
}

void directory_tell_capability(const directory_entry *entry, const char *type, loom_str name, loom_str version, loom_str kind)
{
    static const char topic[] = "system.capabilities";
    eventbus *events = entry->directory->events;
    uint8_t bytes[JSON_MAX];
    pb_buf json;
    if (events == NULL || eventbus_topic_subscriptions(events, str_of(topic)) == 0) {
        return; /* an agent may provide a thousand */
    }
    pb_init(&json, bytes, sizeof bytes, sizeof bytes);
    put_member(&json, "name", name);
    put_member(&json, "version", version);
    put_member(&json, "kind", kind);
    put_member(&json, "agent", entry->about.agent);
    put_member(&json, "bridge", entry->about.bridge);
    json_put_format(&json, "}");
    const loom_header headers[] = {{str_of("name"), name}, {str_of("version"), version}, {str_of("agent"), entry->about.agent}};
    publish(events, topic, type, &json, headers, sizeof headers / sizeof *headers);
    pb_fini(&json);
}
