/* SPDX-License-Identifier: Apache-2.0 */
/* As much of MQTT 3.1.1 as QoS 0 takes, over a connected socket: publishes gather in a buffer, reads take what is there.
 * One thread at a time reads, one writes. */
#ifndef LOOM_TOOLS_BENCH_PEERS_MQTT_H
#define LOOM_TOOLS_BENCH_PEERS_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mqtt_buffer {
    uint8_t *data;
    size_t size, at, used; /* bytes from at to used are to be read */
} mqtt_buffer;

typedef struct mqtt {
    int fd;
    mqtt_buffer in, out;
} mqtt;

/* Borrowed until the next read. */
typedef struct mqtt_message {
    const uint8_t *data;
    size_t size;
} mqtt_message;

/* Takes fd, in every outcome, and waits for the server's consent. payload is the largest there will be. A failure is told
 * with bench_complain(), here and in subscribe; all others leave that to the caller. */
bool mqtt_open(mqtt *m, int fd, const char *client_id, size_t payload);
void mqtt_close(mqtt *m);
/* Ends a read under way in another thread. */
void mqtt_shutdown(mqtt *m);
bool mqtt_subscribe(mqtt *m, const char *topic);
bool mqtt_publish(mqtt *m, const char *topic, const uint8_t *data, size_t size);
bool mqtt_flush(mqtt *m);
/* The next PUBLISH. False when the connection has ended. */
bool mqtt_next(mqtt *m, mqtt_message *out);

#endif
