/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/collaboration/own_headers.h"

#include <stdlib.h>
#include <string.h>

#include "sdk-c/events/events.h"

loom_status emit_with_headers(loom_agent *a, const char *topic, loom_bytes payload, const loom_emit_options *options,
                              const loom_header *own, size_t own_count, emit_ask *ask)
{
    if (own_count == 0) {
        return emit_asking(a, topic, payload, options, ask);
    }
    loom_emit_options all = options != NULL ? *options : (loom_emit_options){0};
    loom_header few[16], *headers = few;
    size_t count = own_count + all.header_count;
    if (count > sizeof few / sizeof *few && (headers = calloc(count, sizeof *headers)) == NULL) {
        return LOOM_ENOMEM;
    }
    memcpy(headers, own, own_count * sizeof *own); /* of equal keys the first counts */
    if (all.header_count > 0) {
        memcpy(headers + own_count, all.headers, all.header_count * sizeof *headers);
    }
    all.headers = headers;
    all.header_count = count;
    loom_status st = emit_asking(a, topic, payload, &all, ask);
    if (headers != few) {
        free(headers);
    }
    return st;
}
