/* SPDX-License-Identifier: Apache-2.0 */
/* What the scan accepts can be read, rewritten and stamped, and what comes of that is an envelope with the same content. */
#include <loom/envelope.h>
#include <stdlib.h>
#include <string.h>

#include "envelope/view.h"

static bool same_slice(const envelope_view *a, const envelope_view *b, enum envelope_field field)
{
    return a->field[field].len == b->field[field].len &&
           memcmp(a->data + a->field[field].off, b->data + b->field[field].off, a->field[field].len) == 0;
}

static void expect_same(const envelope_view *a, const envelope_view *b, enum envelope_field except)
{
    for (unsigned f = ENV_TOPIC; f < ENVELOPE_FIELDS; f++) {
        if (f != (unsigned)except && !same_slice(a, b, (enum envelope_field)f)) {
            abort();
        }
    }
}

static bool add_lengths(void *user, loom_header header)
{
    *(size_t *)user += header.key.len + header.value.len;
    return true;
}

static void read_all(const loom_envelope *env)
{
    char text[LOOM_UUID_TEXT_SIZE], reply[LOOM_REPLY_TO_SIZE];
    loom_trace_context ctx;
    loom_str value;
    size_t sum = loom_envelope_thread_id(env, text).len + loom_envelope_correlation_id(env, text).len;
    sum += loom_envelope_reply_to(env, reply).len + loom_envelope_timestamp_unix_ns(env);
    loom_envelope_headers(env, add_lengths, &sum);
    sum += loom_envelope_header(env, "k", &value) == LOOM_OK ? value.len : 0;
    sum += loom_envelope_extract(env, &ctx) + loom_envelope_creation_context(env, &ctx);
    if (loom_envelope_wire(env).len == sum + SIZE_MAX / 2) { /* keeps it in use */
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    envelope_view view, again;
    const char *reason = NULL;
    loom_envelope *env;
    const loom_status st = envelope_scan(&view, (loom_bytes){data, size}, NULL, &reason);
    if (st != LOOM_OK) {
        if (reason == NULL || loom_envelope_decode(&env, (loom_bytes){data, size}) != st || env != NULL) {
            abort();
        }
        return 0;
    }
    /* nothing behind it now: the scan goes another way, and finds the same */
    if (envelope_scan(&again, (loom_bytes){data, view.len}, NULL, &reason) != LOOM_OK || again.len != view.len) {
        abort();
    }
    expect_same(&view, &again, ENV_HOP);
    uint8_t *out = malloc(view.len + ENVELOPE_PREFIX_SIZE + LOOM_AGENT_ID_MAX + 3);
    if (out == NULL) {
        return 0;
    }
    bool invalid;
    uint32_t len = envelope_normalise(out, &view, 1, &invalid);
    if (envelope_scan(&again, (loom_bytes){out, len}, NULL, &reason) == LOOM_OK) { /* else it has grown over the limit */
        if (again.len != len || !again.hop_in_place) {
            abort();
        }
        expect_same(&view, &again, ENV_HOP);
    }
    len = envelope_with_sender(out, &view, (loom_str){"agent", 5});
    if (envelope_scan(&again, (loom_bytes){out, len}, NULL, &reason) == LOOM_OK) {
        expect_same(&view, &again, ENV_SENDER);
    }
    free(out);
    if (loom_envelope_decode(&env, (loom_bytes){data, view.len}) == LOOM_OK) {
        read_all(env);
        loom_envelope_unref(env);
    }
    return 0;
}
