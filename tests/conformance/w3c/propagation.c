/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/w3c/propagation.h"

#include <ctype.h>

size_t read_headers(loom_header headers[HEADERS_MAX], const char *in)
{
    size_t count = 0;
    for (loom_str rest = str_of(in), line; str_next_item(&rest, '\n', &line);) {
        if (line.len == 0) {
            continue;
        }
        const char *colon = memchr(line.data, ':', line.len);
        assert_non_null(colon);
        assert_true(count < HEADERS_MAX);
        size_t name = (size_t)(colon - line.data);
        size_t skip = name + (line.len > name + 1 && colon[1] == ' ' ? 2 : 1);
        headers[count++] = (loom_header){{line.data, name}, {line.data + skip, line.len - skip}};
    }
    return count;
}

/* Whether text begins with so many hex digits that are not those of `not`. */
static bool is_other_id(const char *text, const char *text_end, size_t digits, const char *not)
{
    if ((size_t)(text_end - text) < digits || strncmp(text, not, digits) == 0) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        if (!isxdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return true;
}

static bool matches(const char *pattern, const char *text)
{
    const char *end = text + strlen(text);
    while (*pattern != '\0') {
        if (strncmp(pattern, "TRACE", 5) == 0) {
            if (!is_other_id(text, end, 32, TRACE_ID)) {
                return false;
            }
            pattern += 5;
            text += 32;
        } else if (strncmp(pattern, "SPAN", 4) == 0) {
            if (!is_other_id(text, end, 16, SPAN_ID)) {
                return false;
            }
            pattern += 4;
            text += 16;
        } else if (*pattern++ != *text++) {
            return false;
        }
    }
    return *text == '\0';
}

static void pass_on(const loom_headers *sent, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sent->count; i++) {
        int more = snprintf(out + len, size - len, "%s: %s\n", sent->items[i].key.data, sent->items[i].value.data);
        assert_in_range(more, 1, size - len - 1);
        len += (size_t)more;
    }
}

static void check_hop(const hop_vector *v, loom_tracer *tracer, unsigned propagators)
{
    static char out[64 * 1024];
    loom_header headers[HEADERS_MAX];
    loom_headers received = {.items = headers, .count = read_headers(headers, v->in)}, sent = {0};
    const loom_carrier from = loom_headers_carrier(&received), to = loom_headers_carrier(&sent);
    loom_propagation in;
    assert_status(LOOM_OK, loom_propagation_extract(&in, &from, propagators, NULL));
    const loom_span_options options = loom_propagation_span_options(&in, LOOM_SPAN_SERVER);
    loom_span *span = loom_span_start(tracer, "hop", &options);
    const loom_propagation current = {.context = *loom_span_context(span), .tracestate = loom_span_tracestate(span),
                                      .baggage = in.baggage};
    assert_status(LOOM_OK, loom_propagation_inject(&to, &current, propagators));
    pass_on(&sent, out, sizeof out);
    if (!matches(v->out, out)) {
        fail_msg("%s:\n%s\nwas passed on as\n%s\nand not as\n%s", v->clause, v->in, out, v->out);
    }
    loom_span_end(span);
    loom_propagation_fini(&in);
    loom_headers_fini(&sent);
}

void check_hops(const hop_vector *vectors, size_t count, unsigned propagators)
{
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE}));
    assert_status(LOOM_OK, loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.processor = processor}));
    loom_tracer *tracer = loom_tracer_get(provider, "conformance", NULL);
    for (size_t i = 0; i < count; i++) {
        check_hop(&vectors[i], tracer, propagators);
    }
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
}
