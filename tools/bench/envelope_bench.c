/* SPDX-License-Identifier: Apache-2.0 */
/* What one message costs in the envelope module alone, in nanoseconds: the scan of bytes from outside, the encoding of a
 * new message, and its copy into a deliver frame. Prints; judges nothing.
 *
 * The message is the usual one: 128 bytes of payload, a type, a thread, a valid context, about 260 bytes in all. Each
 * figure is the best of several rounds, because everything else on the machine only ever adds to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "envelope/encode.h"
#include "envelope/frame/frame.h"
#include "envelope/view.h"
#include "tools/bench/no_options.h"

enum { ROUNDS = 20, REPEATS = 200000, WRITER_FULL = 64 * 1024 };

typedef struct bench {
    loom_envelope_fields fields;
    uint8_t wire[1024];
    size_t len;
    uint8_t out[1024];
    frame_writer writer;
    size_t sum; /* keeps results in use */
} bench;

static double now_ns(void)
{
    return (double)clock_monotonic_ns();
}

static void scan(bench *b)
{
    envelope_view view;
    const char *reason;
    if (envelope_scan(&view, (loom_bytes){b->wire, b->len}, NULL, &reason) != LOOM_OK) {
        abort();
    }
    b->sum += view.len + view.field[ENV_PAYLOAD].off;
}

static void encode(bench *b)
{
    uint8_t id[LOOM_UUID_SIZE];
    size_t size;
    if (envelope_encode_check(&b->fields, &size) != LOOM_OK || size > sizeof b->out) {
        abort();
    }
    b->sum += envelope_encode(b->out, &b->fields, id);
}

static void deliver(bench *b)
{
    if (b->writer.len > WRITER_FULL) {
        frame_writer_seal(&b->writer);
        frame_writer_clear(&b->writer);
    }
    uint8_t *copy = frame_deliver_begin(&b->writer, 1, b->len);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, b->wire, b->len);
    hop_patch(copy, &b->fields.context);
    frame_batch_commit(&b->writer, b->len);
    b->sum += b->writer.len;
}

static void measure(const char *what, void (*run)(bench *b), bench *b)
{
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (int i = 0; i < REPEATS; i++) {
            run(b);
        }
        double each = (now_ns() - start) / REPEATS;
        best = each < best ? each : best;
    }
    printf("%-36s %6.1f ns\n", what, best);
}

int main(int argc, char *argv[])
{
    int exit_code;
    if (!bench_may_begin(argc, argv, "Measures what one message costs in the envelope module alone: scan, encode, copy into a deliver frame.", &exit_code)) {
        return exit_code;
    }
    static uint8_t payload[128];
    static const loom_trace_context context = {{1, 2, 3}, {4, 5, 6}, LOOM_TRACE_FLAG_SAMPLED};
    bench *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return EXIT_FAILURE;
    }
    b->fields = (loom_envelope_fields){
        .topic = {"sensors.kitchen.temperature", 27},
        .type = {"sensor.reading", 14},
        .sender = {"kitchen-sensor", 14},
        .content_type = {"application/json", 16},
        .payload = {payload, sizeof payload},
    };
    loom_envelope_inject(&b->fields, &context);
    uint8_t id[LOOM_UUID_SIZE];
    b->len = envelope_encode(b->wire, &b->fields, id);
    printf("an envelope of %zu bytes, %zu of them payload; best of %d rounds\n", b->len, sizeof payload, ROUNDS);

    measure("scan", scan, b);
    measure("encode, new id and timestamp", encode, b);
    memcpy(b->fields.id, id, sizeof id);
    b->fields.timestamp_unix_ns = 1;
    measure("encode, id and timestamp given", encode, b);
    measure("copy into a deliver frame, patched", deliver, b);

    frame_writer_fini(&b->writer);
    int result = b->sum > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    free(b);
    return result;
}
