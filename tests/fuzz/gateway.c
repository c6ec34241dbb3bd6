/* SPDX-License-Identifier: Apache-2.0 */
/* What clients of the HTTP gateway write: events as JSON, and percent escapes. An event that was read is written as JSON that
 * is read again, with the same payload; an escaped text that was taken is UTF-8 without control characters. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "bridge/gateway/internal.h"
#include "host/http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(const message *m)
{
    char why[PROBLEM_SIZE];
    message again;
    text_buffer b = {0};
    text_puts(&b, "{");
    text_put_payload(&b, m->fields.payload, m->fields.content_type);
    text_puts(&b, "}");
    if (b.failed || memchr(b.bytes.data, '\n', b.bytes.len) != NULL || memchr(b.bytes.data, '\r', b.bytes.len) != NULL) {
        abort(); /* an event of a stream is one line */
    }
    if (!message_read(&again, (loom_bytes){b.bytes.data, b.bytes.len}, str_of("a"), why)) {
        abort();
    }
    const bool json = strncmp(text_buffer_str(&b).data, "{\"payload\":", 11) == 0;
    if (json ? !payload_is_json(again.fields.payload) : !bytes_equal(again.fields.payload, m->fields.payload)) {
        abort();
    }
    message_fini(&again);
    text_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[PROBLEM_SIZE], text[256];
    const char *reason = "";
    message m;
    if (message_read(&m, (loom_bytes){data, size}, str_of("a"), why)) {
        read_again(&m);
    } else if (why[0] == '\0') {
        abort();
    }
    message_fini(&m);
    const message plain = {.fields = {.payload = {data, size}}};
    read_again(&plain);
    const loom_str escaped = {(const char *)data, size};
    if (http_decode_text(text, sizeof text, escaped, size % 2 == 0, &reason)) {
        if (!utf8_valid(str_of(text)) || strlen(text) > size) {
            abort();
        }
    }
    return 0;
}
