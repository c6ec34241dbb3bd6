/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/response.h"

#include "base/hex.h"
#include "base/str.h"
#include "trace/export/request_body.h"
#include "trace/export/response_json.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX 65536u
#define DETAILS_MAX 4096u  /* bytes of a decoded grpc-status-details-bin */
#define RETRY_DELAY_MAX_S (24u * 3600u)

/* https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
enum { GRPC_OK = 0, GRPC_CANCELLED = 1, GRPC_DEADLINE_EXCEEDED = 4, GRPC_RESOURCE_EXHAUSTED = 8, GRPC_ABORTED = 10,
       GRPC_OUT_OF_RANGE = 11, GRPC_UNAVAILABLE = 14, GRPC_DATA_LOSS = 15 };

/* google.rpc.Status and, in its details, google.protobuf.Any with a google.rpc.RetryInfo. */
enum { RPC_STATUS_DETAILS = 3, PROTOBUF_ANY_TYPE_URL = 1, PROTOBUF_ANY_VALUE = 2 };
enum { RETRY_INFO_DELAY = 1, DURATION_SECONDS = 1, DURATION_NANOS = 2 };

void otlp_response_init(otlp_response *r)
{
    *r = (otlp_response){.grpc_status = OTLP_GRPC_STATUS_NONE};
    pb_init(&r->body, NULL, 0, BODY_MAX);
}

void otlp_response_fini(otlp_response *r)
{
    pb_fini(&r->body);
}

void otlp_response_reset(otlp_response *r)
{
    pb_rollback(&r->body, 0);
    r->cut = r->is_json = false;
    r->grpc_status = OTLP_GRPC_STATUS_NONE;
    r->has_retry_info = false;
    r->retry_delay_ms = 0;
    r->grpc_message[0] = '\0';
}

bool otlp_response_body(otlp_response *r, loom_bytes part)
{
    pb_raw(&r->body, part.data, part.len);
    r->cut = r->cut || r->body.failed;
    return !r->cut;
}

/* ---- gRPC trailers ---- */

static void read_duration(otlp_response *r, loom_bytes duration)
{
    pb_cursor c = pb_cursor_on(duration);
    pb_field f;
    uint64_t seconds = 0, nanos = 0;
    while (pb_next(&c, &f)) {
        if (pb_is(&f, DURATION_SECONDS, PB_VARINT)) {
            seconds = f.value;
        } else if (pb_is(&f, DURATION_NANOS, PB_VARINT)) {
            nanos = f.value;
        }
    }
    if (seconds <= INT64_MAX && nanos < 1000000000u) { /* else it is negative, or no duration */
        const uint64_t bounded = seconds < RETRY_DELAY_MAX_S ? seconds : RETRY_DELAY_MAX_S;
        r->retry_delay_ms = bounded * 1000u + nanos / 1000000u;
    }
}

/* google.protobuf.Any; only a RetryInfo matters. */
static void read_detail(otlp_response *r, loom_bytes detail)
{
    static const char retry_info[] = "/google.rpc.RetryInfo";
    pb_cursor c = pb_cursor_on(detail);
    pb_field f;
    loom_bytes type = {0}, value = {0};
    while (pb_next(&c, &f)) {
        if (pb_is(&f, PROTOBUF_ANY_TYPE_URL, PB_LENGTH)) {
            type = f.bytes;
        } else if (pb_is(&f, PROTOBUF_ANY_VALUE, PB_LENGTH)) {
            value = f.bytes;
        }
    }
    size_t n = sizeof retry_info - 1;
    if (c.bad || type.len < n || memcmp(type.data + type.len - n, retry_info, n) != 0) {
        return;
    }
    r->has_retry_info = true;
    pb_cursor info = pb_cursor_on(value);
    while (pb_next(&info, &f)) {
        if (pb_is(&f, RETRY_INFO_DELAY, PB_LENGTH)) {
            read_duration(r, f.bytes);
        }
    }
}

static void read_status_details(otlp_response *r, loom_str base64)
{
    while (base64.len > 0 && base64.data[base64.len - 1] == '=') {
        base64.len--;
    }
    uint8_t bytes[DETAILS_MAX];
    size_t len = 0;
    if (sodium_base642bin(bytes, sizeof bytes, base64.data, base64.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0) {
        return;
    }
    pb_cursor c = pb_cursor_on((loom_bytes){bytes, len});
    pb_field f;
    while (pb_next(&c, &f)) {
        if (pb_is(&f, RPC_STATUS_DETAILS, PB_LENGTH)) {
            read_detail(r, f.bytes);
        }
    }
}

/* A field's value, without the line end. */
static loom_str trimmed(loom_str s)
{
    while (s.len > 0 && (s.data[s.len - 1] == '\r' || s.data[s.len - 1] == '\n')) {
        s.len--;
    }
    return str_trim(s);
}

static bool is_media_type(loom_str value, const char *type)
{
    const char *end = value.len > 0 ? memchr(value.data, ';', value.len) : NULL;
    return str_is_any_case(str_trim((loom_str){value.data, end != NULL ? (size_t)(end - value.data) : value.len}), type);
}

/* Printable ASCII only: it ends in somebody's log. */
static void copy_message(char *to, size_t size, loom_str from)
{
    size_t n = from.len < size - 1 ? from.len : size - 1;
    for (size_t i = 0; i < n; i++) {
        to[i] = from.data[i] >= ' ' && from.data[i] < 0x7f ? from.data[i] : '?';
    }
    to[n] = '\0';
}

/* gRPC, "Status-Message → Percent-Encoded": what is no escape stays as it is. */
static void copy_encoded(char *to, size_t size, loom_str from)
{
    char decoded[256];
    size_t len = 0;
    for (size_t i = 0; i < from.len && len < sizeof decoded; i++) {
        uint8_t byte;
        const bool escape = from.data[i] == '%' && from.len - i > 2 && hex_decode_any_case(&byte, from.data + i + 1, 1);
        decoded[len++] = escape ? (char)byte : from.data[i];
        i += escape ? 2 : 0;
    }
    copy_message(to, size, (loom_str){decoded, len});
}

static int parse_grpc_status(loom_str text)
{
    int value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || value > 1000) {
            return OTLP_GRPC_STATUS_NONE;
        }
        value = value * 10 + (text.data[i] - '0');
    }
    return text.len > 0 ? value : OTLP_GRPC_STATUS_NONE;
}

void otlp_response_header(otlp_response *r, loom_str line)
{
    const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
    if (colon == NULL) {
        return;
    }
    loom_str name = {line.data, (size_t)(colon - line.data)};
    loom_str value = trimmed((loom_str){colon + 1, line.len - name.len - 1});
    if (str_is_any_case(name, "grpc-status")) {
        r->grpc_status = parse_grpc_status(value);
    } else if (str_is_any_case(name, "grpc-message")) {
        copy_encoded(r->grpc_message, sizeof r->grpc_message, value);
    } else if (str_is_any_case(name, "grpc-status-details-bin")) {
        read_status_details(r, value);
    } else if (str_is_any_case(name, "content-type")) {
        r->is_json = is_media_type(value, "application/json");
    }
}

/* ---- judgement ---- */

static partial_success read_partial(loom_bytes response)
{
    partial_success found = {0};
    pb_cursor c = pb_cursor_on(response);
    pb_field f;
    while (pb_next(&c, &f)) {
        if (!pb_is(&f, RESPONSE_PARTIAL_SUCCESS, PB_LENGTH)) {
            continue;
        }
        pb_cursor partial = pb_cursor_on(f.bytes);
        pb_field part;
        while (pb_next(&partial, &part)) {
            if (pb_is(&part, PARTIAL_REJECTED_SPANS, PB_VARINT) && part.value <= INT64_MAX) {
                found.rejected = part.value;
            } else if (pb_is(&part, PARTIAL_ERROR_MESSAGE, PB_LENGTH)) {
                found.message = (loom_str){(const char *)part.bytes.data, part.bytes.len};
            }
        }
    }
    return found;
}

static void judge_partial(partial_success found, export_result *result)
{
    char message[100];
    result->rejected = found.rejected;
    copy_message(message, sizeof message, found.message);
    if (found.rejected > 0) {
        (void)snprintf(result->message, sizeof result->message, "the receiver rejected %" PRIu64 " spans: %s",
                       found.rejected, message);
    } else if (message[0] != '\0') { /* "the server MAY also use it to convey warnings" */
        (void)snprintf(result->message, sizeof result->message, "the receiver warns: %s", message);
    }
}

/* A status that is not success, for either protocol. */
static void judge_http_failure(long http_status, uint64_t retry_after_ms, export_result *result)
{
    bool again = http_status == 429 || http_status == 502 || http_status == 503 || http_status == 504;
    result->outcome = again ? EXPORT_RETRY : http_status == 413 ? EXPORT_TOO_LARGE : EXPORT_FAILED;
    result->retry_after_ms = again ? retry_after_ms : 0;
    (void)snprintf(result->message, sizeof result->message, "the receiver answered HTTP %ld", http_status);
}

void otlp_judge_http(const otlp_response *r, long http_status, uint64_t retry_after_ms, export_result *result)
{
    if (http_status < 200 || http_status > 299) {
        judge_http_failure(http_status, retry_after_ms, result);
        return;
    }
    result->outcome = EXPORT_OK;
    const loom_bytes body = {r->body.data, r->body.len};
    judge_partial(r->is_json ? response_json_partial(body) : read_partial(body), result);
}

static bool grpc_retryable(const otlp_response *r)
{
    switch (r->grpc_status) {
    case GRPC_CANCELLED:
    case GRPC_DEADLINE_EXCEEDED:
    case GRPC_ABORTED:
    case GRPC_OUT_OF_RANGE:
    case GRPC_UNAVAILABLE:
    case GRPC_DATA_LOSS:
        return true;
    case GRPC_RESOURCE_EXHAUSTED: /* only when the receiver says that it will recover */
        return r->has_retry_info;
    default:
        return false;
    }
}

/* gRPC has one status for a receiver that is overloaded and for a message over its limit, and servers tell them apart only in
 * words. Halves of a batch would be of no use to one that is overloaded. */
static bool is_about_size(const otlp_response *r)
{
    static const char *const words[] = {
        "larger than max",     /* C++, Go, Python, Node */
        "exceeds maximum",     /* Java */
        "exceeds the maximum", /* .NET */
        "length too large",    /* Rust, which calls it OUT_OF_RANGE */
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasestr(r->grpc_message, words[i]) != NULL) {
            return (r->grpc_status == GRPC_RESOURCE_EXHAUSTED || r->grpc_status == GRPC_OUT_OF_RANGE) && !r->has_retry_info;
        }
    }
    return false;
}

void otlp_judge_grpc(const otlp_response *r, long http_status, uint64_t retry_after_ms, export_result *result)
{
    if (http_status != 200) {
        judge_http_failure(http_status, retry_after_ms, result);
        return;
    }
    if (r->grpc_status == OTLP_GRPC_STATUS_NONE) {
        (void)snprintf(result->message, sizeof result->message, "the receiver answered without a gRPC status");
        return;
    }
    if (r->grpc_status != GRPC_OK) {
        result->outcome = is_about_size(r) ? EXPORT_TOO_LARGE : grpc_retryable(r) ? EXPORT_RETRY : EXPORT_FAILED;
        result->retry_after_ms = r->retry_delay_ms;
        (void)snprintf(result->message, sizeof result->message, "the receiver answered gRPC status %d: %s", r->grpc_status,
                       r->grpc_message);
        return;
    }
    result->outcome = EXPORT_OK;
    const pb_buf *body = &r->body;
    if (body->len > GRPC_FRAME_HEAD && body->data[0] == 0) { /* we ask for no compression */
        size_t len = (size_t)body->data[1] << 24 | (size_t)body->data[2] << 16 | (size_t)body->data[3] << 8 | body->data[4];
        if (len <= body->len - GRPC_FRAME_HEAD) {
            judge_partial(read_partial((loom_bytes){body->data + GRPC_FRAME_HEAD, len}), result);
        }
    }
}
