/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/frame/keys.h"

#define KEYS(table) ((frame_keys){table, sizeof table / sizeof *(table)})

static const frame_key hello[] = {
    {"protocol", KEY_UINT, offsetof(frame_hello, protocol), 0},
    {"agent", KEY_STR, offsetof(frame_hello, agent), LOOM_AGENT_ID_MAX},
    {"software", KEY_STR, offsetof(frame_hello, software), 128},
    {"instance", KEY_BIN, offsetof(frame_hello, instance), LOOM_UUID_SIZE},
    {"credit_messages", KEY_UINT, offsetof(frame_hello, credit_messages), 0},
    {"credit_bytes", KEY_UINT, offsetof(frame_hello, credit_bytes), 0},
    {"max_payload", KEY_UINT, offsetof(frame_hello, max_payload), 0},
    {"heartbeat_ms", KEY_UINT, offsetof(frame_hello, heartbeat_ms), 0},
    {"service", KEY_STR, offsetof(frame_hello, service), FRAME_SERVICE_MAX},
    {"service_instance", KEY_STR, offsetof(frame_hello, service_instance), FRAME_SERVICE_MAX},
    {"tenant", KEY_STR, offsetof(frame_hello, tenant), FRAME_SERVICE_MAX},
    {"recorder", KEY_UINT, offsetof(frame_hello, recorder), 0},
    {"quiet", KEY_UINT, offsetof(frame_hello, quiet), 0},
    {"moves", KEY_UINT, offsetof(frame_hello, moves), 0},
};

static const frame_key welcome[] = {
    {"protocol", KEY_UINT, offsetof(frame_welcome, protocol), 0},
    {"session", KEY_UINT, offsetof(frame_welcome, session), 0},
    {"bridge", KEY_STR, offsetof(frame_welcome, bridge), LOOM_AGENT_ID_MAX},
    {"software", KEY_STR, offsetof(frame_welcome, software), 128},
    {"credit_bytes", KEY_UINT, offsetof(frame_welcome, credit_bytes), 0},
    {"max_payload", KEY_UINT, offsetof(frame_welcome, max_payload), 0},
    {"heartbeat_ms", KEY_UINT, offsetof(frame_welcome, heartbeat_ms), 0},
    {"span_credit", KEY_UINT, offsetof(frame_welcome, span_credit), 0},
    {"asks", KEY_BOOL, offsetof(frame_welcome, asks), 0},
    {"recorder", KEY_UINT, offsetof(frame_welcome, recorder), 0},
};

static const frame_key subscribe[] = {
    {"request", KEY_UINT, offsetof(frame_subscribe, request), 0},
    {"subscription", KEY_UINT, offsetof(frame_subscribe, subscription), 0},
    {"filter", KEY_STR, offsetof(frame_subscribe, filter), LOOM_TOPIC_MAX},
    {"group", KEY_STR, offsetof(frame_subscribe, group), LOOM_AGENT_ID_MAX},
    {"types", KEY_TYPES, offsetof(frame_subscribe, types), LOOM_TYPE_MAX},
    {"qos", KEY_UINT, offsetof(frame_subscribe, qos), 0},
    {"queue_messages", KEY_UINT, offsetof(frame_subscribe, queue_messages), 0},
    {"queue_bytes", KEY_UINT, offsetof(frame_subscribe, queue_bytes), 0},
    {"deadline_ms", KEY_UINT, offsetof(frame_subscribe, deadline_ms), 0},
};

static const frame_key unsubscribe[] = {
    {"request", KEY_UINT, offsetof(frame_unsubscribe, request), 0},
    {"subscription", KEY_UINT, offsetof(frame_unsubscribe, subscription), 0},
};

static const frame_key provide[] = {
    {"request", KEY_UINT, offsetof(frame_provide, request), 0},
    {"name", KEY_STR, offsetof(frame_provide, name), FRAME_CAPABILITY_MAX},
    {"version", KEY_STR, offsetof(frame_provide, version), FRAME_VERSION_MAX},
    {"description", KEY_STR, offsetof(frame_provide, description), FRAME_DESCRIPTION_MAX},
    {"kind", KEY_STR, offsetof(frame_provide, kind), 16},
    {"input_schema", KEY_STR, offsetof(frame_provide, input_schema), FRAME_SCHEMA_MAX},
    {"output_schema", KEY_STR, offsetof(frame_provide, output_schema), FRAME_SCHEMA_MAX},
    {"metadata", KEY_TEXTS, offsetof(frame_provide, metadata), LOOM_HEADERS_MAX},
    {"withdraw", KEY_BOOL, offsetof(frame_provide, withdraw), 0},
};

static const frame_key outcome[] = {
    {"request", KEY_UINT, offsetof(frame_outcome, request), 0},
    {"status", KEY_UINT, offsetof(frame_outcome, status), 0},
    {"text", KEY_STR, offsetof(frame_outcome, text), FRAME_TEXT_MAX},
    {"message_id", KEY_BIN, offsetof(frame_outcome, message_id), LOOM_UUID_SIZE},
    {"messages", KEY_UINT, offsetof(frame_outcome, messages), 0},
};

frame_keys frame_keys_of(frame_type type)
{
    switch (type) {
    case FRAME_HELLO: return KEYS(hello);
    case FRAME_WELCOME: return KEYS(welcome);
    case FRAME_SUBSCRIBE: return KEYS(subscribe);
    case FRAME_UNSUBSCRIBE: return KEYS(unsubscribe);
    case FRAME_PROVIDE: return KEYS(provide);
    case FRAME_ERROR:
    case FRAME_BYE:
    case FRAME_ACK:
    case FRAME_NOTICE: return KEYS(outcome);
    default: return (frame_keys){NULL, 0};
    }
}

const char *frame_type_name(frame_type type)
{
    static const char *const names[] = {
        [FRAME_HELLO] = "hello",     [FRAME_WELCOME] = "welcome",         [FRAME_SUBSCRIBE] = "subscribe",
        [FRAME_PUBLISH] = "publish", [FRAME_UNSUBSCRIBE] = "unsubscribe", [FRAME_DELIVER] = "deliver",
        [FRAME_CREDIT] = "credit",   [FRAME_CALL] = "call",               [FRAME_RESULT] = "result",
        [FRAME_CANCEL] = "cancel",   [FRAME_PROVIDE] = "provide",         [FRAME_PING] = "ping",
        [FRAME_PONG] = "pong",       [FRAME_ERROR] = "error",             [FRAME_BYE] = "bye",
        [FRAME_ACK] = "ack",         [FRAME_NOTICE] = "notice",           [FRAME_REPORT] = "report",
        [FRAME_CALL_CREDIT] = "call_credit", [FRAME_SPANS] = "spans",     [FRAME_SPAN_CREDIT] = "span_credit",
        [FRAME_ASK] = "ask",                [FRAME_MATCHED] = "matched",
        [FRAME_KEEP] = "keep",              [FRAME_MOVE] = "move",
        [FRAME_RECORDED] = "recorded",      [FRAME_KEEP_LAST] = "keep_last",
        [FRAME_HELD] = "held",
    };
    return (size_t)type < sizeof names / sizeof *names && names[type] != NULL ? names[type] : "?";
}
