/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/bus_link.h"

#include <stdlib.h>

#include "envelope/msgpack_bytes.h"

enum { SPARES_MAX = 16, SPARE_BYTES_MAX = 4 * BUS_MESSAGE_TARGET };

void bus_link_init(bus_link *link, loom_bytes topic, loom_str bridge)
{
    *link = (bus_link){.topic_len = topic.len, .bridge_len = bridge.len};
    mp_put_raw(link->topic, topic.data, topic.len);
    mp_put_raw((uint8_t *)link->bridge, bridge.data, bridge.len);
}

static size_t prefix_size(const bus_link *link)
{
    return link->topic_len + BUS_HEADER_FIXED + link->bridge_len;
}

static void chunk_free(bus_chunk *chunk)
{
    if (chunk != NULL) {
        frame_writer_fini(&chunk->w);
        free(chunk);
    }
}

/* Keeps its memory for the next one, unless a large message has blown it up. */
static void chunk_recycle(bus_link *link, bus_chunk *chunk)
{
    if (link->spares >= SPARES_MAX || chunk->w.cap > SPARE_BYTES_MAX) {
        chunk_free(chunk);
        return;
    }
    chunk->next = link->spare;
    link->spare = chunk;
    link->spares++;
}

static void list_append(bus_chunk_list *list, bus_chunk *chunk)
{
    chunk->next = NULL;
    if (list->last == NULL) {
        list->first = chunk;
    } else {
        list->last->next = chunk;
    }
    list->last = chunk;
}

static bus_chunk *list_take(bus_chunk_list *list)
{
    bus_chunk *chunk = list->first;
    if (chunk != NULL) {
        list->first = chunk->next;
        if (list->first == NULL) {
            list->last = NULL;
        }
    }
    return chunk;
}

static void drop_all(bus_link *link)
{
    for (bus_chunk *chunk; (chunk = list_take(&link->unacked)) != NULL;) {
        chunk_recycle(link, chunk);
    }
    for (bus_chunk *chunk; (chunk = list_take(&link->waiting)) != NULL;) {
        chunk_recycle(link, chunk);
    }
    if (link->open != NULL) {
        chunk_recycle(link, link->open);
        link->open = NULL;
    }
}

void bus_link_fini(bus_link *link)
{
    drop_all(link);
    while (link->spare != NULL) {
        bus_chunk *chunk = link->spare;
        link->spare = chunk->next;
        chunk_free(chunk);
    }
}

void bus_link_reset(bus_link *link, uint64_t epoch)
{
    drop_all(link);
    bus_link fresh = {.epoch = epoch, .topic_len = link->topic_len, .bridge_len = link->bridge_len,
                      .spare = link->spare, .spares = link->spares, .stats = link->stats};
    memcpy(fresh.topic, link->topic, sizeof fresh.topic);
    memcpy(fresh.bridge, link->bridge, sizeof fresh.bridge);
    *link = fresh;
}

/* ---- outgoing ---- */

static bus_chunk *chunk_open(bus_link *link)
{
    static const uint8_t room[BUS_TOPIC_MAX + BUS_HEADER_MAX] = {0};
    bus_chunk *chunk = link->spare;
    if (chunk != NULL) {
        link->spare = chunk->next;
        link->spares--;
    } else if ((chunk = calloc(1, sizeof *chunk)) == NULL) {
        return NULL;
    }
    size_t prefix = prefix_size(link);
    if (chunk->w.cap < prefix) {
        uint8_t *data = malloc(4096);
        if (data == NULL) {
            chunk_free(chunk);
            return NULL;
        }
        free(chunk->w.data);
        chunk->w.data = data;
        chunk->w.cap = 4096;
    }
    frame_writer_clear(&chunk->w);
    memcpy(chunk->w.data, room, prefix);
    mp_put_raw(chunk->w.data, link->topic, link->topic_len);
    chunk->w.len = prefix;
    chunk->session = 0;
    chunk->seq = 0;
    chunk->next = NULL;
    return chunk;
}

static void complete(bus_link *link)
{
    frame_writer_seal(&link->open->w);
    link->waiting_bytes += link->open->w.len;
    list_append(&link->waiting, link->open);
    link->open = NULL;
}

bus_chunk *bus_link_chunk(bus_link *link, uint64_t session)
{
    if (link->open != NULL && link->open->w.len > BUS_MESSAGE_TARGET) {
        complete(link);
    }
    if (link->open == NULL && (link->open = chunk_open(link)) == NULL) {
        return NULL;
    }
    bus_chunk *chunk = link->open;
    if (session != 0 && session != chunk->session) {
        if (bus_put_session(&chunk->w, session) != LOOM_OK) {
            return NULL;
        }
        chunk->session = session;
    }
    return chunk;
}

static void write_header(const bus_link *link, uint8_t *at, uint64_t seq, uint8_t flags)
{
    bus_header header = {.flags = flags, .epoch = link->epoch, .seq = seq, .ack = link->received,
                         .bridge = {link->bridge, link->bridge_len}};
    (void)bus_header_write(at, &header);
}

const bus_chunk *bus_link_next(bus_link *link, bool complete_only)
{
    uint64_t in_flight = link->sent - link->acked;
    if (in_flight >= BUS_WINDOW) {
        return NULL;
    }
    if (link->waiting.first == NULL) {
        bool full = link->open != NULL && link->open->w.len > BUS_MESSAGE_TARGET;
        bool leaves = !complete_only && (in_flight < BUS_EAGER || link->ack_arrived);
        if (link->open == NULL || link->open->w.len == prefix_size(link) || (!full && !leaves)) {
            return NULL;
        }
        complete(link);
    }
    bus_chunk *chunk = link->waiting.first;
    write_header(link, chunk->w.data + link->topic_len, link->sent + 1, 0);
    return chunk;
}

static void ack_went(bus_link *link)
{
    link->ack_sent = link->received;
    link->ack_wanted = false;
}

void bus_link_sent(bus_link *link, uint64_t now_ms)
{
    bus_chunk *chunk = list_take(&link->waiting);
    if (link->sent == link->acked) {
        link->progress_ms = now_ms;
    }
    chunk->seq = ++link->sent;
    link->waiting_bytes -= chunk->w.len;
    list_append(&link->unacked, chunk);
    link->ack_arrived = false;
    link->stats.sent++;
    ack_went(link);
}

const bus_chunk *bus_link_next_resend(bus_link *link)
{
    bus_chunk *chunk = link->resend;
    if (chunk == NULL) {
        return NULL;
    }
    link->resend = link->resend_one ? NULL : chunk->next;
    link->resent_alone = link->resend_one ? chunk->seq : 0;
    write_header(link, chunk->w.data + link->topic_len, chunk->seq, BUS_FLAG_ACK_NOW);
    link->stats.resent++;
    ack_went(link);
    return chunk;
}

bool bus_link_next_ack(bus_link *link, uint8_t out[BUS_TOPIC_MAX + BUS_HEADER_MAX], size_t *len)
{
    bool due = link->received - link->ack_sent >= BUS_ACK_EVERY;
    if (!due && !link->ack_wanted && !link->nack_wanted) {
        return false;
    }
    mp_put_raw(out, link->topic, link->topic_len);
    write_header(link, out + link->topic_len, 0, link->nack_wanted ? BUS_FLAG_RESEND : 0);
    *len = prefix_size(link);
    link->nack_wanted = false;
    link->stats.acks++;
    ack_went(link);
    return true;
}

void bus_link_probe(const bus_link *link, uint8_t out[BUS_TOPIC_MAX + BUS_HEADER_MAX], size_t *len)
{
    mp_put_raw(out, link->topic, link->topic_len);
    write_header(link, out + link->topic_len, 0, BUS_FLAG_ACK_NOW);
    *len = prefix_size(link);
}

void bus_link_want_ack(bus_link *link)
{
    link->ack_wanted = true;
}

/* ---- incoming ---- */

static void take_ack(bus_link *link, uint64_t ack, uint64_t now_ms)
{
    if (ack <= link->acked) {
        return; /* an older one, overtaken */
    }
    while (link->unacked.first != NULL && link->unacked.first->seq <= ack) {
        bus_chunk *chunk = list_take(&link->unacked);
        if (link->resend == chunk) {
            link->resend = chunk->next;
        }
        chunk_recycle(link, chunk);
    }
    if (ack == link->resent_alone && link->unacked.first != NULL) {
        link->resend = link->unacked.first; /* a whole window was lost: one timeout is enough for all of it */
        link->resend_one = false;
    }
    link->resent_alone = ack >= link->resent_alone ? 0 : link->resent_alone;
    link->acked = ack;
    link->ack_arrived = true;
    link->progress_ms = now_ms;
}

loom_status bus_link_accept(bus_link *link, const bus_header *header, uint64_t now_ms)
{
    if (header->ack > link->sent) {
        return LOOM_EPROTO;
    }
    take_ack(link, header->ack, now_ms);
    if ((header->flags & BUS_FLAG_RESEND) != 0) {
        link->resend = link->unacked.first;
        link->resend_one = false;
    }
    if ((header->flags & BUS_FLAG_ACK_NOW) != 0) {
        link->ack_wanted = true;
    }
    if (header->seq == 0) {
        return LOOM_EEXIST;
    }
    if (header->seq <= link->received) {
        link->stats.duplicates++;
        link->ack_wanted = true; /* its ack has been lost, or it would not have come again */
        return LOOM_EEXIST;
    }
    if (header->seq != link->received + 1) {
        if (!link->nacked) { /* once a gap: what is already on its way would ask again and again */
            link->nacked = true;
            link->nack_wanted = true;
            link->stats.gaps++;
        }
        return LOOM_ENOTFOUND;
    }
    if (link->received == link->ack_sent) {
        link->ack_since_ms = now_ms;
    }
    link->received++;
    link->nacked = false;
    link->stats.received++;
    return LOOM_OK;
}

void bus_link_tick(bus_link *link, uint64_t now_ms)
{
    if (link->received > link->ack_sent && now_ms - link->ack_since_ms >= BUS_ACK_DELAY_MS) {
        link->ack_wanted = true;
    }
    if (link->unacked.first != NULL && now_ms - link->progress_ms >= BUS_RESEND_MS) {
        link->resend = link->unacked.first;
        link->resend_one = true;
        link->progress_ms = now_ms;
    }
}

bool bus_link_drained(const bus_link *link)
{
    return link->unacked.first == NULL && link->waiting.first == NULL && bus_link_unsent(link) == 0;
}

bool bus_link_idle(const bus_link *link)
{
    return bus_link_drained(link) && link->received == link->ack_sent && !link->ack_wanted && !link->nack_wanted;
}

size_t bus_link_unsent(const bus_link *link)
{
    return link->waiting_bytes + (link->open != NULL ? link->open->w.len - prefix_size(link) : 0);
}

void bus_link_visit(const bus_link *link, bool unsent, void (*visit)(void *user, loom_bytes frames), void *user)
{
    size_t prefix = prefix_size(link);
    for (const bus_chunk *c = unsent ? link->waiting.first : link->unacked.first; c != NULL; c = c->next) {
        visit(user, (loom_bytes){c->w.data + prefix, c->w.len - prefix});
    }
    if (unsent && link->open != NULL) {
        frame_writer_seal(&link->open->w);
        visit(user, (loom_bytes){link->open->w.data + prefix, link->open->w.len - prefix});
    }
}
