/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/receiver_grpc.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "trace/otlp/protobuf_read.h"

enum { PREFIX = 5, MESSAGE_MAX = 600, UNIMPLEMENTED = 12 };

bool receiver_is_grpc(const http_request *r)
{
    static const char type[] = "application/grpc";
    const size_t len = sizeof type - 1;
    const loom_str *field = http_request_field(r, "Content-Type");
    if (!http_request_is_http2(r) || field == NULL || field->len < len || strncasecmp(field->data, type, len) != 0) {
        return false;
    }
    loom_str rest = {field->data + len, field->len - len};
    return rest.len == 0 || rest.data[0] == ';' || str_is_any_case(rest, "+proto"); /* not grpc-web, not another codec */
}

uint16_t receiver_grpc_message(const http_request *r, loom_bytes *message, bool *gzipped, const char **why)
{
    const loom_bytes body = http_request_body(r);
    const loom_str *encoding = http_request_field(r, "grpc-encoding");
    if (body.len < PREFIX || body.data[0] > 1) {
        *why = "the call has no message";
        return 400;
    }
    uint32_t len = (uint32_t)body.data[1] << 24 | (uint32_t)body.data[2] << 16 | (uint32_t)body.data[3] << 8 | body.data[4];
    if (len != body.len - PREFIX) {
        *why = "the call is not one message of the length it says";
        return 400;
    }
    *gzipped = body.data[0] == 1;
    if (*gzipped && (encoding == NULL || !str_is_any_case(*encoding, "gzip"))) {
        *why = "of compressions only gzip is supported: set the exporter's compression to gzip or none";
        return 415;
    }
    *message = (loom_bytes){body.data + PREFIX, len};
    return 0;
}

/* ---- answers ---- */

typedef struct grpc_status {
    unsigned code; /* google.rpc.Code; 0: OK */
    loom_str message;
} grpc_status;

static grpc_status status_of(const otlp_answer *answer)
{
    grpc_status status = {.code = 0};
    if (answer->status == 200) {
        return status;
    }
    pb_cursor c = pb_cursor_on((loom_bytes){answer->body.data, answer->body.len});
    pb_field f;
    while (pb_next(&c, &f)) {
        if (pb_is(&f, 1, PB_VARINT)) {
            status.code = (unsigned)f.value;
        } else if (pb_is(&f, 2, PB_LENGTH)) {
            status.message = (loom_str){(const char *)f.bytes.data, f.bytes.len};
        }
    }
    if (answer->status == 404) { /* no such service, or no such method of it */
        status.code = UNIMPLEMENTED;
    }
    return status;
}

/* As grpc-message has it: what is not printable, and '%', is percent-encoded. Cut where it is too long. */
static size_t encode_message(char out[MESSAGE_MAX], loom_str message)
{
    size_t len = 0;
    for (size_t i = 0; i < message.len && len + 4 <= MESSAGE_MAX; i++) {
        const uint8_t byte = (uint8_t)message.data[i];
        if (byte >= ' ' && byte <= '~' && byte != '%') {
            out[len++] = (char)byte;
        } else {
            len += (size_t)snprintf(out + len, 4, "%%%02X", byte);
        }
    }
    return len;
}

static void answer_with(http_request *r, grpc_status status, loom_bytes body)
{
    char code[12], message[MESSAGE_MAX];
    snprintf(code, sizeof code, "%u", status.code);
    const size_t message_len = encode_message(message, status.message);
    const http_field fields[] = {{"grpc-accept-encoding", str_of("identity,gzip")}};
    const http_field trailers[] = {{"grpc-status", str_of(code)}, {"grpc-message", {message, message_len}}};
    http_request_answer(r, &(http_answer){.status = 200, /* the call's own status is in the trailers */
                                          .content_type = "application/grpc",
                                          .body = body,
                                          .fields = fields,
                                          .field_count = sizeof fields / sizeof fields[0],
                                          .trailers = trailers,
                                          .trailer_count = message_len > 0 ? 2 : 1});
}

void receiver_grpc_answer(http_request *r, const otlp_answer *answer)
{
    const grpc_status status = status_of(answer);
    if (status.code != 0) {
        answer_with(r, status, (loom_bytes){0});
        return;
    }
    const size_t len = answer->body.len;
    const uint8_t prefix[PREFIX] = {0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    pb_buf framed;
    uint8_t storage[256];
    pb_init(&framed, storage, sizeof storage, len + sizeof storage);
    pb_raw(&framed, prefix, sizeof prefix);
    if (len > 0) {
        pb_raw(&framed, answer->body.data, len);
    }
    static const grpc_status no_memory = {14, {"out of memory", 13}}; /* UNAVAILABLE: try again */
    if (framed.failed) {
        answer_with(r, no_memory, (loom_bytes){0});
    } else {
        answer_with(r, status, (loom_bytes){framed.data, framed.len});
    }
    pb_fini(&framed);
}
