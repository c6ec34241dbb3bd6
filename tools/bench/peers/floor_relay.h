/* SPDX-License-Identifier: Apache-2.0 */
/* The relay of the floor, and the buffer of whole messages that it and its clients read with. */
#ifndef LOOM_TOOLS_BENCH_PEERS_FLOOR_RELAY_H
#define LOOM_TOOLS_BENCH_PEERS_FLOOR_RELAY_H

#include "tools/bench/site.h"

enum { FLOOR_HEADER_SIZE = 4 };

typedef struct floor_buffer {
    uint8_t *data;
    size_t size, used;
} floor_buffer;

/* Room for several messages of that payload. False without memory. */
bool floor_buffer_init(floor_buffer *b, size_t payload);
/* Waits for more. False at the end of the stream. */
bool floor_buffer_read(floor_buffer *b, int fd);
/* How many bytes at its start are whole messages. */
size_t floor_buffer_whole(const floor_buffer *b);
void floor_buffer_drop(floor_buffer *b, size_t bytes);

/* Takes the consumers of the site, then its producers, who come and go; what a producer says goes to every consumer, and
 * in the request scenario what the consumer says to every producer. Ends when a consumer is gone. */
void floor_relay(const bench_site *site, int in_listener, int out_listener);

#endif
