/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the standard error of a command. The first byte chooses how they are cut. Whatever comes: nothing is lost or
 * changed of what is no span's line, however it is cut; what is JSON to jansson is JSON to us, and the other way round. */
#include "base/utf8.h"
#include "trace/otlp/protobuf_read.h"
#include "trace/process/collect/span_otlp.h"
#include "trace/process/collect/span_stream.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)  \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

typedef struct result {
    uint8_t *text;
    size_t text_len, lines, oversize;
    char *scratch;
} result;

static void on_text(void *user, loom_bytes text)
{
    result *r = user;
    CHECK(text.len > 0);
    memcpy(r->text + r->text_len, text.data, text.len);
    r->text_len += text.len;
}

/* jansson refuses bytes that are no UTF-8, a NUL in a key, a number that is no double, and nests deeper. */
static void compare_with_jansson(loom_str text, bool ours)
{
    if (!utf8_valid(text) || memmem(text.data, text.len, "\\u", 2) != NULL) {
        return;
    }
    json_error_t error;
    json_t *theirs = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    const bool comparable = theirs != NULL || (json_error_code(&error) != json_error_numeric_overflow &&
                                               json_error_code(&error) != json_error_stack_overflow);
    CHECK(!ours || theirs != NULL || !comparable);
    json_decref(theirs);
}

static void write_span(const span_json *span, char *scratch)
{
    const span_stamp stamp = {.own = {{.key = "tenant_id", .type = LOOM_ATTR_STRING, .value.string = {"acme", 4}}},
                              .own_count = 1,
                              .limits = {128, 100, 0}};
    pb_buf out;
    pb_init(&out, NULL, 0, 1u << 20);
    (void)span_otlp_write(&out, span, &stamp, scratch);
    if (!out.failed) {
        pb_cursor c = pb_cursor_on((loom_bytes){out.data, out.len});
        pb_field f;
        CHECK(pb_next(&c, &f) && c.at == c.end);
        for (pb_cursor in = pb_cursor_on(f.bytes); pb_next(&in, &f);) {
            CHECK(!in.bad);
        }
    }
    pb_fini(&out);
}

static bool on_line(void *user, const span_line *line)
{
    result *r = user;
    span_json span;
    json_value value;
    const bool json = json_read(line->text, &value);
    compare_with_jansson(line->text, json);
    if (line->kind == SPAN_LINE_SPAN && span_json_read(&span, line->text) == SPAN_PROBLEM_NONE) {
        CHECK(json);
        write_span(&span, r->scratch);
    }
    r->lines += json || line->at_start ? 1 : 0;
    return json;
}

static void on_oversize(void *user, uint64_t number)
{
    ((result *)user)->oversize++;
    CHECK(number > 0);
}

static result run(const uint8_t *data, size_t size, size_t piece)
{
    result r = {.text = malloc(size + 1), .scratch = malloc(2u * SPAN_LINE_MAX)};
    span_stream s;
    CHECK(r.text != NULL && r.scratch != NULL);
    CHECK(span_stream_init(&s, &(span_stream_sink){on_text, on_line, on_oversize, &r}) == LOOM_OK);
    for (size_t at = 0; at < size; at += piece) {
        span_stream_feed(&s, (loom_bytes){data + at, piece < size - at ? piece : size - at});
    }
    span_stream_end(&s);
    span_stream_fini(&s);
    free(r.scratch);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    result whole = run(data + 1, size - 1, size), pieces = run(data + 1, size - 1, data[0] % 64 + 1u);
    CHECK(whole.text_len == pieces.text_len && whole.lines == pieces.lines && whole.oversize == pieces.oversize);
    CHECK(memcmp(whole.text, pieces.text, whole.text_len) == 0);
    if (memmem(data + 1, size - 1, "__LOOM_TRACE", 12) == NULL) {
        CHECK(whole.text_len == size - 1 && memcmp(whole.text, data + 1, size - 1) == 0);
    }
    free(whole.text);
    free(pieces.text);
    return 0;
}
