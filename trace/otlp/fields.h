/* SPDX-License-Identifier: Apache-2.0 */
/* The field numbers of OTLP, message by message (https://github.com/open-telemetry/opentelemetry-proto). */
#ifndef LOOM_TRACE_OTLP_FIELDS_H
#define LOOM_TRACE_OTLP_FIELDS_H

/* ---- opentelemetry/proto/collector/trace/v1/trace_service.proto ---- */

enum { REQUEST_RESOURCE_SPANS = 1 };                                /* ExportTraceServiceRequest */
enum { RESPONSE_PARTIAL_SUCCESS = 1 };                              /* ExportTraceServiceResponse */
enum { PARTIAL_REJECTED_SPANS = 1, PARTIAL_ERROR_MESSAGE = 2 };     /* ExportTracePartialSuccess */

/* ---- opentelemetry/proto/trace/v1/trace.proto ---- */

enum { RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2, RESOURCE_SPANS_SCHEMA_URL = 3 };
enum { SCOPE_SPANS_SCOPE = 1, SCOPE_SPANS_SPANS = 2, SCOPE_SPANS_SCHEMA_URL = 3 };
enum {
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_TRACE_STATE = 3,
    SPAN_PARENT_SPAN_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START_TIME = 7,
    SPAN_END_TIME = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_DROPPED_ATTRIBUTES = 10,
    SPAN_EVENTS = 11,
    SPAN_DROPPED_EVENTS = 12,
    SPAN_LINKS = 13,
    SPAN_DROPPED_LINKS = 14,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16
};
enum { EVENT_TIME = 1, EVENT_NAME = 2, EVENT_ATTRIBUTES = 3, EVENT_DROPPED_ATTRIBUTES = 4 };
enum {
    LINK_TRACE_ID = 1,
    LINK_SPAN_ID = 2,
    LINK_TRACE_STATE = 3,
    LINK_ATTRIBUTES = 4,
    LINK_DROPPED_ATTRIBUTES = 5,
    LINK_FLAGS = 6
};
enum { STATUS_MESSAGE = 2, STATUS_CODE = 3 };

/* ---- opentelemetry/proto/collector/logs/v1/logs_service.proto, logs/v1/logs.proto ---- */

enum { LOGS_REQUEST_RESOURCE_LOGS = 1 }; /* ExportLogsServiceRequest; its response is like that of traces */
enum { RESOURCE_LOGS_RESOURCE = 1, RESOURCE_LOGS_SCOPE_LOGS = 2, RESOURCE_LOGS_SCHEMA_URL = 3 };
enum { SCOPE_LOGS_SCOPE = 1, SCOPE_LOGS_LOG_RECORDS = 2, SCOPE_LOGS_SCHEMA_URL = 3 };
enum {
    LOG_TIME = 1,
    LOG_SEVERITY_NUMBER = 2,
    LOG_SEVERITY_TEXT = 3,
    LOG_BODY = 5,
    LOG_ATTRIBUTES = 6,
    LOG_DROPPED_ATTRIBUTES = 7,
    LOG_FLAGS = 8,
    LOG_TRACE_ID = 9,
    LOG_SPAN_ID = 10,
    LOG_OBSERVED_TIME = 11,
    LOG_EVENT_NAME = 12
};

/* ---- opentelemetry/proto/resource/v1/resource.proto ---- */

enum { RESOURCE_ATTRIBUTES = 1, RESOURCE_DROPPED_ATTRIBUTES = 2 };

/* ---- opentelemetry/proto/common/v1/common.proto ---- */

enum { SCOPE_NAME = 1, SCOPE_VERSION = 2, SCOPE_ATTRIBUTES = 3, SCOPE_DROPPED_ATTRIBUTES = 4 };
enum { KEYVALUE_KEY = 1, KEYVALUE_VALUE = 2 };
enum { ANY_STRING = 1, ANY_BOOL = 2, ANY_INT = 3, ANY_DOUBLE = 4, ANY_ARRAY = 5, ANY_KVLIST = 6, ANY_BYTES = 7 };
enum { ARRAY_VALUES = 1 };
enum { KVLIST_VALUES = 1 };

#endif
