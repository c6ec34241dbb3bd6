/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of traces, spans and messages: binary, hex and UUID forms. */
#include "envelope/id.h"

#include <assert.h>
#include <loom/context.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/last_error.h"
#include "base/random.h"
#include "envelope/msgpack_bytes.h"

static bool all_zero(const uint8_t *bytes, size_t len)
{
    uint8_t seen = 0;
    for (size_t i = 0; i < len; i++) {
        seen |= bytes[i];
    }
    return seen == 0;
}

/* In words: every hop of every message asks. */
static_assert(LOOM_TRACE_ID_SIZE == 16 && LOOM_SPAN_ID_SIZE == 8, "an id is whole words");

static bool trace_id_set(const uint8_t id[LOOM_TRACE_ID_SIZE])
{
    return (id_word(id) | id_word(id + 8)) != 0;
}

bool loom_trace_context_valid(const loom_trace_context *ctx)
{
    return ctx != NULL && trace_id_set(ctx->trace_id) && id_word(ctx->span_id) != 0;
}

void loom_trace_id_generate(uint8_t out[LOOM_TRACE_ID_SIZE])
{
    if (out == NULL) {
        return;
    }
    do {
        random_words *const of_thread = random_words_of_thread(); /* looked up once */
        const uint64_t words[] = {random_next(of_thread), random_next(of_thread)};
        memcpy(out, words, LOOM_TRACE_ID_SIZE);
    } while (!trace_id_set(out));
}

void loom_span_id_generate(uint8_t out[LOOM_SPAN_ID_SIZE])
{
    uint64_t id;
    if (out == NULL) {
        return;
    }
    do {
        id = random_word();
    } while (id == 0);
    memcpy(out, &id, LOOM_SPAN_ID_SIZE);
}

/* Without an id the text is empty. */
static void id_to_hex(char *out, const uint8_t *id, size_t size)
{
    if (out == NULL) {
        return;
    }
    if (id != NULL) {
        hex_encode(out, id, size);
    }
    out[id != NULL ? 2 * size : 0] = '\0';
}

void loom_trace_id_to_hex(char out[LOOM_TRACE_ID_HEX_SIZE], const uint8_t id[LOOM_TRACE_ID_SIZE])
{
    id_to_hex(out, id, LOOM_TRACE_ID_SIZE);
}

void loom_span_id_to_hex(char out[LOOM_SPAN_ID_HEX_SIZE], const uint8_t id[LOOM_SPAN_ID_SIZE])
{
    id_to_hex(out, id, LOOM_SPAN_ID_SIZE);
}

static loom_status id_from_hex(uint8_t *out, size_t size, loom_str hex)
{
    if (out == NULL) {
        return last_error_null("the place for the id");
    }
    if (hex.len != 2 * size || !hex_decode(out, hex.data, size) || all_zero(out, size)) {
        memset(out, 0, size);
        return LOOM_EMALFORMED;
    }
    return LOOM_OK;
}

loom_status loom_trace_id_from_hex(uint8_t out[LOOM_TRACE_ID_SIZE], loom_str hex)
{
    return id_from_hex(out, LOOM_TRACE_ID_SIZE, hex);
}

loom_status loom_span_id_from_hex(uint8_t out[LOOM_SPAN_ID_SIZE], loom_str hex)
{
    return id_from_hex(out, LOOM_SPAN_ID_SIZE, hex);
}

/* ---- UUID ---- */

/* Unix time with 60 bits: milliseconds, and their fraction in 1/4096 (RFC 9562, 6.2, method 3). */
static uint64_t ms_and_fraction(uint64_t unix_ns)
{
    return unix_ns / 1000000u << 12 | (unix_ns % 1000000u) * 4096u / 1000000u;
}

/* The random part: 62 bits, of which the highest starts as 0 so that there is room to count up. */
#define TAIL_MASK ((UINT64_C(1) << 62) - 1)
#define TAIL_START_MASK (TAIL_MASK >> 1)
#define TAIL_STEP_MASK ((UINT64_C(1) << 48) - 1)

/* Moves *ticks and *tail on to a greater pair. Ids made within one tick of the clock (244 ns), or after it was set back,
 * keep their ticks and add a random step to the tail (RFC 9562, 6.2, method 2): ids made in bursts stay true to
 * the clock, and a neighbour cannot be guessed. */
static void uuid_advance(uint64_t *ticks, uint64_t *tail, uint64_t now, uint64_t random)
{
    if (now > *ticks) {
        *ticks = now;
        *tail = random & TAIL_START_MASK;
        return;
    }
    *tail += 1 + (random & TAIL_STEP_MASK);
    if (*tail > TAIL_MASK) {
        ++*ticks;
        *tail = random & TAIL_START_MASK;
    }
}

void loom_uuid7_generate(uint8_t out[LOOM_UUID_SIZE])
{
    loom_uuid7_generate_at(out, clock_unix_ns());
}

void loom_uuid7_generate_at(uint8_t out[LOOM_UUID_SIZE], uint64_t unix_ns)
{
    static _Thread_local uint64_t ticks; /* of this thread's last id */
    static _Thread_local uint64_t tail;
    uuid_advance(&ticks, &tail, ms_and_fraction(unix_ns), random_secret_word());

    const uint64_t high = (ticks >> 12 << 16) | 0x7000u | (ticks & 0x0fffu);
    const uint64_t low = UINT64_C(2) << 62 | tail;
    mp_store64(out, high);
    mp_store64(out + 8, low);
}

uint64_t loom_uuid7_unix_ms(const uint8_t id[LOOM_UUID_SIZE])
{
    uint64_t ms = 0;
    for (unsigned i = 0; i < 6; i++) {
        ms = ms << 8 | id[i];
    }
    return ms;
}

/* The groups of 8-4-4-4-12 digits, as bytes. */
static const struct {
    uint8_t byte, text, size;
} uuid_groups[] = {{0, 0, 4}, {4, 9, 2}, {6, 14, 2}, {8, 19, 2}, {10, 24, 6}};
enum { UUID_GROUPS = sizeof uuid_groups / sizeof uuid_groups[0] };

void loom_uuid_to_text(char out[LOOM_UUID_TEXT_SIZE], const uint8_t id[LOOM_UUID_SIZE])
{
    char digits[2 * LOOM_UUID_SIZE];
    hex_encode(digits, id, LOOM_UUID_SIZE);
    memcpy(out, digits, 8); /* group by group, in straight line: spans have several */
    memcpy(out + 9, digits + 8, 4);
    memcpy(out + 14, digits + 12, 4);
    memcpy(out + 19, digits + 16, 4);
    memcpy(out + 24, digits + 20, 12);
    out[8] = out[13] = out[18] = out[23] = '-';
    out[LOOM_UUID_TEXT_SIZE - 1] = '\0';
}

loom_status loom_uuid_from_text(uint8_t out[LOOM_UUID_SIZE], loom_str text)
{
    bool good = text.len == LOOM_UUID_TEXT_SIZE - 1;
    for (unsigned i = 0; good && i < UUID_GROUPS; i++) {
        const unsigned start = uuid_groups[i].text;
        good = (start == 0 || text.data[start - 1] == '-') &&
               hex_decode_any_case(out + uuid_groups[i].byte, text.data + start, uuid_groups[i].size);
    }
    if (!good) {
        memset(out, 0, LOOM_UUID_SIZE);
        return LOOM_EMALFORMED;
    }
    return LOOM_OK;
}

loom_status trace_id_from_text(uint8_t out[LOOM_TRACE_ID_SIZE], loom_str text)
{
    const bool plain = text.len == 2 * LOOM_TRACE_ID_SIZE && hex_decode_any_case(out, text.data, LOOM_TRACE_ID_SIZE);
    if ((plain || loom_uuid_from_text(out, text) == LOOM_OK) && !all_zero(out, LOOM_TRACE_ID_SIZE)) {
        return LOOM_OK;
    }
    memset(out, 0, LOOM_TRACE_ID_SIZE);
    return LOOM_EMALFORMED;
}
