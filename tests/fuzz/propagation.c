/* SPDX-License-Identifier: Apache-2.0 */
/* Header lines of a stranger, read by every propagator. What was read can be written, holds nothing that could end a line, and
 * reads back as the same. */
#include <loom/propagation.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { LINES_MAX = 100 };
#define ALL                                                                                                              \
    (LOOM_PROPAGATORS_DEFAULT | (unsigned)LOOM_PROPAGATOR_B3 | (unsigned)LOOM_PROPAGATOR_B3MULTI |                        \
     (unsigned)LOOM_PROPAGATOR_X_TRACE_ID)

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static size_t cut_lines(loom_header headers[LINES_MAX], loom_str rest)
{
    size_t count = 0;
    for (loom_str line; count < LINES_MAX && str_next_item(&rest, '\n', &line);) {
        const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
        if (colon != NULL) {
            size_t name = (size_t)(colon - line.data);
            headers[count++] = (loom_header){{line.data, name}, {colon + 1, line.len - name - 1}};
        }
    }
    return count;
}

static void told(void *user, const char *text)
{
    (void)user;
    for (; *text != '\0'; text++) {
        require((unsigned char)*text >= ' ' && *text != 0x7f);
    }
}

/* Nothing is wrong with what we write. */
static void never(void *user, const char *text)
{
    (void)user;
    (void)text;
    abort();
}

static void read_back(const loom_propagation *in)
{
    loom_headers sent = {0};
    const loom_carrier to = loom_headers_carrier(&sent);
    loom_propagation again;
    require(loom_propagation_inject(&to, in, ALL) == LOOM_OK);
    for (size_t i = 0; i < sent.count; i++) {
        for (size_t c = 0; c < sent.items[i].value.len; c++) {
            require(sent.items[i].value.data[c] >= ' ' && sent.items[i].value.data[c] < 0x7f);
        }
    }
    require(loom_propagation_extract(&again, &to, ALL, &(loom_propagation_report){never, NULL}) == LOOM_OK);
    if (loom_trace_context_valid(&in->context)) {
        require(memcmp(&again.context, &in->context, sizeof again.context) == 0);
        require(str_equal(again.tracestate, in->tracestate));
    }
    require(str_equal(again.baggage, in->baggage) && in->baggage.len <= LOOM_BAGGAGE_MAX);
    loom_propagation_fini(&again);
    loom_headers_fini(&sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loom_header headers[LINES_MAX];
    loom_headers received = {.items = headers, .count = cut_lines(headers, (loom_str){(const char *)data, size})};
    const loom_carrier from = loom_headers_carrier(&received);
    loom_propagation in;
    for (unsigned set = 0; set <= ALL; set = set * 2 + 1) {
        require(loom_propagation_extract(&in, &from, set, &(loom_propagation_report){told, NULL}) == LOOM_OK);
        require((in.field != NULL) == (in.answered != 0));
        read_back(&in);
        loom_propagation_fini(&in);
    }
    return 0;
}
