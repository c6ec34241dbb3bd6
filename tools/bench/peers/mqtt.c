/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/peers/mqtt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench/stream.h"

/* MQTT 3.1.1, section 2.2: the first byte of a packet. */
enum { CONNECT = 0x10, CONNACK = 0x20, PUBLISH = 0x30, SUBSCRIBE = 0x82, SUBACK = 0x90, TYPE_MASK = 0xf0, LENGTH_MAX = 4 };
enum { BUFFER_SIZE = 64 * 1024, SMALL_MAX = 127 };

static bool init_buffer(mqtt_buffer *b, size_t payload)
{
    const size_t large = 2 * (payload + 256); /* two packets with their heads and topics */
    b->size = large > BUFFER_SIZE ? large : BUFFER_SIZE;
    b->data = malloc(b->size);
    return b->data != NULL;
}

/* Section 2.2.3: seven bits a byte, the lowest first. Returns how many bytes that took. */
static size_t put_length(uint8_t *out, size_t length)
{
    size_t n = 0;
    do {
        out[n] = (uint8_t)(length & 0x7f);
        length >>= 7;
        out[n++] |= length > 0 ? 0x80 : 0;
    } while (length > 0);
    return n;
}

/* 0: not all of it is there, or too long. */
static size_t get_length(const uint8_t *data, size_t available, size_t *out)
{
    *out = 0;
    for (size_t n = 0; n < available && n < LENGTH_MAX; n++) {
        *out |= (size_t)(data[n] & 0x7f) << (7 * n);
        if ((data[n] & 0x80) == 0) {
            return n + 1;
        }
    }
    return 0;
}

static size_t put_text(uint8_t *out, const char *text, size_t len)
{
    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    memcpy(out + 2, text, len);
    return 2 + len;
}

/* The next packet: its first byte, and its body. 0: the connection has ended. */
static uint8_t next_packet(mqtt *m, const uint8_t **body, size_t *size)
{
    mqtt_buffer *b = &m->in;
    for (;;) {
        const uint8_t *packet = b->data + b->at;
        const size_t available = b->used - b->at;
        const size_t n = available > 1 ? get_length(packet + 1, available - 1, size) : 0;
        if (n > 0 && available - 1 - n >= *size) {
            *body = packet + 1 + n;
            b->at += 1 + n + *size;
            return packet[0];
        }
        memmove(b->data, packet, available);
        b->at = 0;
        b->used = available;
        if (b->used == b->size) {
            return 0; /* longer than anything we expect */
        }
        const ssize_t got = read(m->fd, b->data + b->used, b->size - b->used);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return 0;
        }
        b->used += got > 0 ? (size_t)got : 0;
    }
}

static bool expect(mqtt *m, uint8_t type, size_t size, const char *what)
{
    const uint8_t *body;
    size_t len;
    const uint8_t got = next_packet(m, &body, &len);
    if (got != type || len != size || body[size - 1] >= 0x80 || (type == CONNACK && body[1] != 0)) {
        bench_complain("mosquitto refuses %s", what);
        return false;
    }
    return true;
}

bool mqtt_open(mqtt *m, int fd, const char *client_id, size_t payload)
{
    static const uint8_t head[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2 /* clean session */, 0, 0 /* no keep-alive */};
    uint8_t packet[SMALL_MAX + 2] = {CONNECT};
    const size_t id_len = strlen(client_id);
    *m = (mqtt){.fd = fd};
    if (id_len > SMALL_MAX - sizeof head - 2 || !init_buffer(&m->in, payload) || !init_buffer(&m->out, payload)) {
        bench_complain("out of memory");
        mqtt_close(m);
        return false;
    }
    packet[1] = (uint8_t)(sizeof head + 2 + id_len);
    memcpy(packet + 2, head, sizeof head);
    (void)put_text(packet + 2 + sizeof head, client_id, id_len);
    if (!stream_put(fd, packet, 2 + (size_t)packet[1]) || !expect(m, CONNACK, 2, "the connection")) {
        mqtt_close(m);
        return false;
    }
    return true;
}

void mqtt_close(mqtt *m)
{
    (void)mqtt_flush(m);
    close(m->fd);
    free(m->in.data);
    free(m->out.data);
}

void mqtt_shutdown(mqtt *m)
{
    shutdown(m->fd, SHUT_RDWR);
}

bool mqtt_subscribe(mqtt *m, const char *topic)
{
    uint8_t packet[SMALL_MAX + 2] = {SUBSCRIBE};
    const size_t len = strlen(topic);
    if (len > SMALL_MAX - 5) {
        return false;
    }
    packet[1] = (uint8_t)(2 + 2 + len + 1);
    packet[3] = 1;                          /* packet identifier */
    (void)put_text(packet + 4, topic, len); /* and QoS 0 after it */
    return stream_put(m->fd, packet, 2 + (size_t)packet[1]) && expect(m, SUBACK, 3, "the subscription");
}

bool mqtt_publish(mqtt *m, const char *topic, const uint8_t *data, size_t size)
{
    mqtt_buffer *b = &m->out;
    const size_t topic_len = strlen(topic), length = 2 + topic_len + size;
    if (b->size - b->used < 1 + LENGTH_MAX + length && !mqtt_flush(m)) {
        return false;
    }
    uint8_t *at = b->data + b->used;
    *at++ = PUBLISH;
    at += put_length(at, length);
    at += put_text(at, topic, topic_len);
    memcpy(at, data, size);
    b->used = (size_t)(at - b->data) + size;
    return true;
}

bool mqtt_flush(mqtt *m)
{
    const bool ok = m->out.used == 0 || stream_put(m->fd, m->out.data, m->out.used);
    m->out.used = 0;
    return ok;
}

bool mqtt_next(mqtt *m, mqtt_message *out)
{
    const uint8_t *body;
    size_t len;
    for (uint8_t type; (type = next_packet(m, &body, &len)) != 0;) {
        if ((type & TYPE_MASK) != PUBLISH || len < 2) {
            continue;
        }
        const size_t head = 2 + ((size_t)body[0] << 8 | body[1]);
        if (head <= len) {
            *out = (mqtt_message){body + head, len - head};
            return true;
        }
    }
    return false;
}
